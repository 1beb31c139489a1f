"""What a catalogue in one task costs: `MusicBatchOperator`'s own loop against the emulator, resumes included."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import harness  # noqa: F401 - the Airflow home of the processes below

HERE = Path(__file__).parent
TARGET = "ours: at most 60 MB above the base at 10,000 items, at most one resume a minute"
RATE = 1000.0
"""Requests per second that the client allows itself: what is measured is its own cost."""

JOB_SECONDS = 20.0
COLLECT_SECONDS = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--child", type=int)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(catalogue(given.child)))
        return
    print(
        f"Jobs of {JOB_SECONDS:g} s, resumes every {COLLECT_SECONDS:g} s, {RATE:g} requests per second allowed. "
        f"{TARGET}.\n"
    )
    print(
        "| items | wall (s) | CPU (s) | CPU per item (ms) | above base (MB) | requests per item | resumes "
        "| files written | writes |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for items in [1000] if given.quick else [1000, 10_000, *([50_000] if given.full else [])]:
        print(row(items), flush=True)


def row(items: int) -> str:
    """Measure one size in a process of its own."""
    command = [sys.executable, str(HERE / "catalogue.py"), "--child", str(items)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = [f"{items:,}", f"{found['wall']:.0f}", f"{found['cpu']:.1f}", f"{1000 * found['cpu'] / items:.2f}"]
    shown += [f"{found['memory']:.0f}", f"{found['requests'] / items:.2f}", str(found["resumes"])]
    shown += [str(found["files"]), str(found["writes"])]
    return f"| {' | '.join(shown)} |"


def catalogue(items: int) -> dict[str, Any]:
    """Buy so many items, and return what it cost this process."""
    from airflow_provider_mediax.client.stop import StopSignal
    from airflow_provider_mediax.emulator.process import MediaxEmulator
    from airflow_provider_mediax.hooks.batch_folder import StorageFolder
    from airflow_provider_mediax.jobs.batch.engine import Deferred, Terms
    from airflow_provider_mediax.jobs.batch.thread import run_in_thread
    from airflow_provider_mediax.jobs.stored import Owner
    from airflow_provider_mediax.operators.batch_requests import TypedRequests
    from airflow_provider_mediax.operators.batch_run import BatchRun, Identity, Order

    writes: Counter[str] = Counter()
    for verb in ("write", "create", "upload"):
        _count(StorageFolder, verb, writes)
    with (
        MediaxEmulator.start("--max-records", str(4 * items + 10_000)) as emulator,
        tempfile.TemporaryDirectory() as home,
    ):
        emulator.durations("*", JOB_SECONDS)
        emulator.canned()
        os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"] = emulator.connection_json()
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        source = Path(home) / "catalogue.jsonl"
        with source.open("w", encoding="utf-8") as lines:
            for number in range(items):
                lines.write(json.dumps({"id": f"track-{number}", "path": f"in/{number}.mp3"}) + "\n")
        capabilities, conn_id = ["musicTagV2"], "mediax_default"
        order = Order(
            capabilities=capabilities,
            items=f"file://{source}",
            output=f"file://{home}",
            parameters={},
            mediax_conn_id=conn_id,
            requests_per_second=RATE,
        )
        owner = Owner(dag_id="bench", run_id="r", task_id="t", map_index=-1)
        requests = TypedRequests(capabilities, {}, mediax_conn_id=conn_id, wait_timeout=3600.0)
        identity = Identity(namespace=None, owner=owner, generation=0, order=order)
        folder = StorageFolder(f"file://{home}/batch")
        base, cpu, began, resumes = _peak(), time.process_time(), time.monotonic(), 0
        while True:
            terms = Terms(
                folder="",
                marker="",
                owner=owner,
                attempt=(1, resumes),
                max_in_flight=10_000,
                submit_concurrency=32,
                collect_interval=COLLECT_SECONDS,
                deferrable=True,
            )
            stop = StopSignal()
            result = run_in_thread(BatchRun(order, identity, requests, folder, terms).work, stop, _Silent())
            stop.close()
            if not isinstance(result, Deferred):
                break
            resumes += 1
            threading.Event().wait(max(0.0, result.not_before - time.time()))
        cost = {"wall": time.monotonic() - began, "cpu": time.process_time() - cpu, "memory": _peak() - base}
        asked = len(emulator.ledger()["requests"])
        files = sum(1 for file in Path(home).rglob("*") if file.is_file())
        return {**cost, "requests": asked, "resumes": resumes, "files": files, "writes": sum(writes.values())}


def _count(kind: Any, verb: str, counts: Counter[str]) -> None:
    does = getattr(kind, verb)

    def counted(*arguments: Any) -> Any:
        counts[verb] += 1
        return does(*arguments)

    setattr(kind, verb, counted)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class _Silent:
    def info(self, msg: str, /, *args: Any) -> None:
        """Say nothing."""

    warning = error = info


if __name__ == "__main__":
    main()
