"""What goes wrong with a load leaves the table as it was, and the next try puts it right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest, LoadFailed
from tests.integration.transfers.conftest import Load
from tests.integration.transfers.databases import Warehouse
from tests.manifests import lyrics, owner, tags

Write = Callable[..., str]

ALL = "SELECT item_id, label FROM tags ORDER BY item_id, row_no"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def part(tmp_path: Path) -> Write:
    """Return a function that writes tags of items into a file of rows, and returns its address."""

    def write(items: dict[str, str], name: str = "rows.jsonl", **more: Any) -> str:
        common = {"capability": "musicTagV2", "job_id": "job", "schema_version": 1, "dimension": "mood", **more}
        rows = ({**common, "item_id": item, "label": label} for item, label in items.items())
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return f"file://{tmp_path / name}"

    return write


def items(count: int, label: str) -> dict[str, str]:
    return {f"{number:05}": label for number in range(count)}


def test_a_load_that_is_killed_leaves_the_table_as_it_was(warehouse: Warehouse, load: Load, part: Write) -> None:
    load(part(items(900, "old")))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW_CONN_MUSIC": warehouse.connection}
    script = ROOT / "tests" / "integration" / "transfers" / "killed_load.py"
    address = part(items(1000, "new"))
    killed = subprocess.run([sys.executable, str(script), address, "5"], env=environment, check=False)
    assert killed.returncode == -9
    assert warehouse.query(ALL) == list(items(900, "old").items())
    assert load(address)["rows"] == 1000
    assert warehouse.query(ALL) == list(items(1000, "new").items())


def test_a_load_that_fails_at_its_last_row_changes_nothing(warehouse: Warehouse, load: Load, part: Write) -> None:
    load(part(items(10, "old")))
    bad = part({"last": "new"}, name="2.jsonl", map_index=2**63)
    with pytest.raises(BadRequest, match=r"map_index=.*64 bits \(item last\)"):
        load([part(items(10, "new")), bad], rows_per_statement=1)
    assert warehouse.query(ALL) == list(items(10, "old").items())


def test_a_rerun_of_ten_items_of_ten_thousand_touches_no_other(warehouse: Warehouse, load: Load, part: Write) -> None:
    load(part(items(10_000, "old")))
    before = warehouse.query("SELECT * FROM tags WHERE item_id >= '00010' ORDER BY item_id")
    assert load(part(items(10, "new"), dag_id="another"))["items"] == 10
    assert warehouse.query("SELECT * FROM tags WHERE item_id >= '00010' ORDER BY item_id") == before
    assert warehouse.query("SELECT label, count(*) FROM tags GROUP BY label ORDER BY label") == [
        ("new", 10),
        ("old", 9990),
    ]


@pytest.mark.parametrize("warehouse", ["sqlite"], indirect=True)
def test_a_load_holds_no_more_than_the_rows_of_a_few_statements(load: Load, part: Write) -> None:
    address = part(items(30_000, "a label of some length " * 10))
    load(tags({}))  # what is imported and cached once
    tracemalloc.start()
    try:
        assert load(address, rows_per_statement=100)["rows"] == 30_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000, "the file has 10 MB"


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_of_two_loads_at_once_the_loser_is_retried(warehouse: Warehouse, load: Load) -> None:
    load(tags({"mood": "Sad"}, track="cos://music-1250000000/another"))
    failures: list[BaseException] = []

    def second() -> None:
        try:
            load(tags({"mood": "Calm", "genre": "Pop"}, job="job-2"))
        except LoadFailed as failure:
            failures.append(failure)

    with closing(warehouse.connect()) as first:
        cursor = first.cursor()
        # Another load of the same item, which has written and not yet committed.
        cursor.execute("CREATE TABLE kept AS SELECT * FROM tags")
        first.commit()
        load(tags({"mood": "Happy"}))
        cursor.execute("INSERT INTO kept SELECT * FROM tags WHERE label = 'Happy'")
        cursor.execute("DELETE FROM tags WHERE label = 'Happy'")
        first.commit()
        cursor.execute("INSERT INTO tags SELECT * FROM kept WHERE label = 'Happy'")
        thread = threading.Thread(target=second)
        thread.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        while warehouse.query(waiting) != [(1,)]:
            thread.join(0.05)
            assert thread.is_alive(), "the second load does not wait for the first"
        first.commit()
        thread.join()
    (failure,) = failures
    assert "UniqueViolation" in str(failure)
    assert warehouse.query("SELECT label FROM tags ORDER BY label") == [("Happy",), ("Sad",)]
    load(tags({"mood": "Calm", "genre": "Pop"}, job="job-2"))
    assert warehouse.query("SELECT label FROM tags ORDER BY label") == [("Calm",), ("Pop",), ("Sad",)]


@pytest.mark.parametrize("warehouse", ["sqlite"], indirect=True)
def test_a_locked_sqlite_file_is_a_failure_that_is_retried(warehouse: Warehouse, load: Load) -> None:
    load(tags({"mood": "Sad"}))
    with closing(warehouse.connect()) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LoadFailed, match="database is locked"):
            load(tags({"mood": "Calm"}, job="job-2"))
    load(tags({"mood": "Calm"}, job="job-2"))
    assert warehouse.query("SELECT label FROM tags") == [("Calm",)]


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_a_duckdb_file_of_another_process_is_a_failure_that_is_retried(warehouse: Warehouse, load: Load) -> None:
    load(tags({"mood": "Sad"}))
    file = json.loads(warehouse.connection)["host"]
    code = f"import duckdb; held = duckdb.connect({file!r}); print('held', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LoadFailed, match="Could not set lock"):
            load(tags({"mood": "Calm"}, job="job-2"))
        other.communicate("\n")
    load(tags({"mood": "Calm"}, job="job-2"))
    assert warehouse.query("SELECT label FROM tags") == [("Calm",)]


def test_columns_that_a_later_schema_has_are_named_with_statements_that_add_them(
    warehouse: Warehouse, load: Load
) -> None:
    load(tags({"mood": "Sad"}))
    for column in ("probability", "job_id"):
        warehouse.query(f"ALTER TABLE tags DROP COLUMN {column}")
    with pytest.raises(BadRequest, match="probability") as refused:
        load(tags({"mood": "Calm"}, job="job-2"))
    assert warehouse.query("SELECT label FROM tags") == [("Sad",)]
    statements = refused.value.what.partition("columns=: ")[2].split("; ")
    for statement in statements:
        warehouse.query(statement)
    load(tags({"mood": "Calm"}, job="job-2"))
    assert warehouse.query("SELECT job_id, label, probability FROM tags") == [("job-2", "Calm", 0.5)]


def test_texts_and_numbers_of_every_kind_arrive(warehouse: Warehouse, load: Load) -> None:
    long = "la 🎵 \\ \"'\t\n\r, " * 4096
    lines = ["a\0b", "", "null", "\\N", "\\.", "天空 🎵", long, ' "quoted" ', "NaN"]
    manifest = lyrics(lines)
    manifest["result"]["lines"][0] |= {"confidence": float("nan"), "start": float("inf")}
    load(manifest)
    assert [text for (text,) in warehouse.query("SELECT text FROM tags ORDER BY line")] == ["ab", *lines[1:]]
    assert warehouse.query("SELECT start_s, end_s, confidence FROM tags WHERE line <= 1 ORDER BY line") == [
        (None, 1.0, None),
        (1.0, 2.0, 0.8),
    ]


def test_a_table_of_ones_own_is_written_in_its_own_columns(warehouse: Warehouse, load: Load) -> None:
    warehouse.query(
        'CREATE TABLE "My Tags" (id INTEGER, "Track" TEXT, "the tag" TEXT, "select" DOUBLE PRECISION, '
        "item_key TEXT, row_no INTEGER, load_id TEXT, loaded_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
    )
    columns = {"input": "Track", "label": "the tag", "probability": "select"}
    for label in ("Sad", "Calm"):
        load(tags({"mood": label}), table="My Tags", columns=columns, create_table=False)
    found = warehouse.query('SELECT "Track", "the tag", "select", loaded_at IS NULL FROM "My Tags"')
    assert found == [("cos://music-1250000000/in/a.mp3", "Calm", 0.5, False)]


def test_metadata_of_items_is_written_where_it_is_named(warehouse: Warehouse, load: Load, part: Write) -> None:
    load(part({"a": "Sad"}, meta_album="Blue", meta_year=1971), columns={"label": "tag", "meta_year": "year"})
    assert warehouse.query("SELECT tag, year FROM tags") == [("Sad", "1971")]
    assert len(warehouse.query("SELECT * FROM tags")[0]) == len(("item_key", "row_no", "load_id", "tag", "year"))


def test_a_history_loses_what_a_clear_no_longer_finds(warehouse: Warehouse, load: Load) -> None:
    load(tags({"mood": "Sad"}), mode="history")
    load(tags({}, job="job-2"), mode="history")
    assert warehouse.query("SELECT count(*) FROM tags") == [(0,)]


def test_an_item_that_stands_in_two_files_of_one_load_is_refused(load: Load, part: Write) -> None:
    first, again = part({"a": "1", "b": "2"}), part({"a": "3"}, name="2.jsonl")
    with pytest.raises(LoadFailed, match=r"(?i)unique|duplicate"):
        load([first, again])


@pytest.fixture
def batch(part: Write, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that makes what a batch returns: of items that are done, and of those that are not."""

    def made(done: dict[str, str], others: dict[str, str], *, without_rows: Sequence[str] = ()) -> dict[str, Any]:
        states = {**dict.fromkeys((*done, *without_rows), "done"), **others}
        outcome = tmp_path / "outcome.jsonl"
        lines = [
            {"id": item, "capability": "musicTagV2", "state": state, "job_id": item, "error": None}
            for item, state in states.items()
        ]
        outcome.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        addresses = {"parts": [part(done)] if done else [], "outcome": f"file://{outcome}"}
        return {"schema": 1, "capability": "musicTagV2", "owner": dict(owner(task="batch")), **addresses}

    return made


def test_a_batch_with_failed_items_replaces_those_that_are_done(
    warehouse: Warehouse, load: Load, batch: Callable[..., dict[str, Any]]
) -> None:
    load(batch({"a": "old", "b": "old", "c": "old"}, {}))
    loaded = load(batch({"a": "new"}, {"b": "failed"}, without_rows=["c"]))
    assert loaded == {"table": "tags", "items": 2, "rows": 1}
    assert warehouse.query(ALL) == [("a", "new"), ("b", "old")], "b has failed, c has found nothing"


def test_a_first_night_that_finds_nothing_makes_a_table_that_the_next_can_use(
    warehouse: Warehouse, load: Load, batch: Callable[..., dict[str, Any]]
) -> None:
    assert load([None])["rows"] == 0
    assert load(batch({}, {"a": "failed"})) == {"table": "tags", "items": 0, "rows": 0}
    load(batch({"a": "new"}, {}))
    assert warehouse.query(ALL) == [("a", "new")]


def test_a_history_of_batches_replaces_only_what_the_same_task_instance_loaded(
    warehouse: Warehouse, load: Load, batch: Callable[..., dict[str, Any]], part: Write
) -> None:
    mine = {"dag_id": "night", "run_id": "r1", "task_id": "batch", "map_index": -1}
    load(part({"a": "another run"}, **{**mine, "run_id": "r0"}), mode="history")
    load(part({"a": "old", "b": "old"}, **mine), mode="history")
    summary = batch({}, {}, without_rows=["a"])
    load({**summary, "owner": mine}, mode="history")
    assert warehouse.query(ALL) == [("a", "another run")]
