"""A catalogue in one task, in real Airflow: the emulator's ledger says what was bought, the folder what was found."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.batch import MusicBatchOperator
from tests.audio import click_track
from tests.integration.conftest import RunDag

BUCKET = "cos://music-1250000000"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("in/a.wav", click_track(seconds=2))
    mediax_emulator.durations("*", 0.2)
    return mediax_emulator


def tracks(count: int) -> list[dict[str, Any]]:
    """Name one object by many queries: it is decoded once, and each item is another request."""
    return [
        {"id": f"track-{number}", "path": "in/a.wav", "parameters": {"confidence": number / 1000}}
        for number in range(count)
    ]


def a_batch(dag_id: str, output: str, **options: Any) -> DAG:
    """Return a DAG of one batch."""
    with DAG(dag_id=dag_id) as dag:
        defaults: dict[str, Any] = {
            "capability": "musicASR",
            "items": tracks(12),
            "output": output,
            "requests_per_second": 500,
            "poll_interval": 0.3,
            "retries": 2,
            "retry_delay": timedelta(hours=1),
            "allow_local_output": True,
        }
        MusicBatchOperator(task_id="batch", **{**defaults, **options})
    return dag


def jobs(emulator: MediaxEmulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = emulator.ledger()["jobs"]
    return found


def lines(address: str) -> list[dict[str, Any]]:
    text = ObjectStoragePath(address, conn_id="mediax_default" if address.startswith("cos:") else None).read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_list_of_items_becomes_rows(
    run_dag: RunDag, emulator: MediaxEmulator, tmp_path: Path, deferrable: bool
) -> None:
    dag = a_batch(f"batch_{deferrable}", f"file://{tmp_path}", deferrable=deferrable, collect_interval=1)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"batch": "success"}
    assert len(jobs(emulator)) == 12
    said = run.values["batch"]
    assert said["counts"] == {"total": 12, "done": 12, "failed": 0, "unknown": 0, "skipped": 0, "adopted": 0}
    items = lines(said["outcome"])
    assert [item["id"] for item in items] == [f"track-{number}" for number in range(12)]
    assert {item["job_id"] for item in items} == {job["id"] for job in jobs(emulator)}
    rows = [row for part in said["parts"] for row in lines(part)]
    assert all(row["item_id"].startswith("track-") and row["dag_id"] == dag.dag_id for row in rows)
