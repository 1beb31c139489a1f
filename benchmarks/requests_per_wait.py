"""How often the platform is asked about one job, from the submit to the manifest, in a worker and deferred."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
import time
import wave
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import harness  # noqa: F401 - before Airflow
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.music import MusicTagOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

JOB_SECONDS = 20.0
INTERVALS = (1.0, 2.0)


def context(name: str) -> Context:
    """Return as much of a task's context as the operator uses; XComs are kept in memory."""
    xcoms: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="benchmark",
        run_id="run",
        task_id=name,
        map_index=-1,
        try_number=1,
        max_tries=0,
        start_date=datetime.now(UTC),
        xcom_push=lambda key, value: xcoms.update({key: value}),
        xcom_pull=lambda task_ids, key, map_indexes: xcoms[key],
    )
    return cast("Context", {"ti": ti, "dag_run": SimpleNamespace(run_after=datetime.now(UTC))})


def wait(deferrable: bool, poll_interval: float) -> tuple[str, float]:
    """Run the operator from beginning to end and return the job's id and the seconds that took."""
    name = f"{'deferred' if deferrable else 'worker'}_{poll_interval:g}"
    operator = MusicTagOperator(task_id=name, path="in/track", deferrable=deferrable, poll_interval=poll_interval)
    own, started = context(name), time.monotonic()
    try:
        manifest = operator.execute(own)
    except TaskDeferred as deferral:
        event = asyncio.run(anext(aiter(deferral.trigger.run())))
        manifest = operator.resume(own, event.payload)
    return manifest["job_id"], time.monotonic() - started


def main() -> None:
    logging.disable(logging.WARNING)
    waits = {}
    with MediaxEmulator.start() as emulator:
        os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"] = emulator.connection_json()
        emulator.durations("*", JOB_SECONDS)
        emulator.put_object("in/track", _second_of_silence())

        def run(deferrable: bool, interval: float) -> None:
            waits[deferrable, interval] = wait(deferrable, interval)

        threads = [
            threading.Thread(target=run, args=(deferrable, interval))
            for deferrable in (False, True)
            for interval in INTERVALS
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        requests = emulator.ledger()["requests"]
    print(f"one job of {JOB_SECONDS:g} s per line; at most elapsed / poll_interval + 3 GetJob requests\n")
    print(f"{'wait':<10}{'poll_interval':>14}{'elapsed s':>11}{'GetJob':>8}{'at most':>9}")
    for (deferrable, interval), (job_id, elapsed) in sorted(waits.items()):
        asked = sum(request["action"] == "GetJob" and request["job_id"] == job_id for request in requests)
        name = "deferred" if deferrable else "worker"
        print(f"{name:<10}{interval:>14g}{elapsed:>11.1f}{asked:>8}{elapsed / interval + 3:>9.1f}")


def _second_of_silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as track:
        track.setnchannels(1)
        track.setsampwidth(2)
        track.setframerate(8000)
        track.writeframes(bytes(16000))
    return file.getvalue()


if __name__ == "__main__":
    main()
