"""A catalogue in one task, in real Airflow: the emulator's ledger says what was bought, the folder what was found."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.batch import MusicBatchOperator, shards
from tests.audio import click_track
from tests.integration.conftest import Run, RunDag

BUCKET = "cos://music-1250000000"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("in/a.wav", click_track(seconds=2))
    mediax_emulator.durations("*", 0.2)
    return mediax_emulator


@pytest.fixture
def output(tmp_path: Path) -> str:
    """Return the address of a folder."""
    return f"file://{tmp_path}/out"


def tracks(count: int) -> list[dict[str, Any]]:
    """Return requests that differ, of one object that is decoded once."""
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
def test_a_list_of_items_becomes_rows(run_dag: RunDag, emulator: MediaxEmulator, output: str, deferrable: bool) -> None:
    dag = a_batch(f"batch_{deferrable}", output, deferrable=deferrable, collect_interval=1)
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


def items_of(run: Run, name: str = "batch") -> dict[str, str]:
    """Return the state of each item in the outcome."""
    return {item["id"]: item["state"] for item in lines(run.values[name]["outcome"])}


def test_a_finished_batch_is_not_bought_again_by_a_clear(
    run_dag: RunDag, emulator: MediaxEmulator, output: str
) -> None:
    run = run_dag(a_batch("batch_cleared", output), connection=emulator.connection_json())
    first = run.values["batch"]
    run.clear()
    assert run.values["batch"] == first
    assert len(jobs(emulator)) == 12


def test_a_clear_does_failed_items_anew_and_keeps_the_others(
    run_dag: RunDag, emulator: MediaxEmulator, output: str
) -> None:
    emulator.outcome("musicASR", "ERROR", times=3)
    run = run_dag(a_batch("batch_anew", output), connection=emulator.connection_json())
    assert run.states == {"batch": "failed"}
    assert run.values["batch"]["counts"]["failed"] == 3
    run.clear()
    assert run.states == {"batch": "success"}
    assert Counter(items_of(run).values()) == {"done": 12}
    assert len(jobs(emulator)) == 15
    rows = Counter(row["item_id"] for part in run.values["batch"]["parts"] for row in lines(part))
    assert set(rows) == {f"track-{number}" for number in range(12)}
    assert len(set(rows.values())) == 1  # nobody's rows twice


def test_rerun_buys_everything_again_after_a_clear(run_dag: RunDag, emulator: MediaxEmulator, output: str) -> None:
    dag = a_batch("batch_rerun", output, on_clear="rerun", items=tracks(3))
    run = run_dag(dag, connection=emulator.connection_json())
    run.clear()
    assert run.states == {"batch": "success"}
    assert len(jobs(emulator)) == 6


def test_a_share_of_failed_items_may_be_allowed(run_dag: RunDag, emulator: MediaxEmulator, output: str) -> None:
    emulator.outcome("musicASR", "ERROR", times=3)
    dag = a_batch("batch_share", output, on_item_error=0.25)
    assert run_dag(dag, connection=emulator.connection_json()).states == {"batch": "success"}


def test_the_second_night_buys_only_what_is_new(
    run_dag: RunDag, emulator: MediaxEmulator, output: str, tmp_path: Path
) -> None:
    source = tmp_path / "catalogue.jsonl"

    def write(count: int) -> None:
        source.write_text("".join(json.dumps(item) + "\n" for item in tracks(count)))

    write(5)
    dag = a_batch("nights", output, items=f"file://{source}", skip_known_in=output)
    emulator.outcome("musicASR", "ERROR", times=1)
    assert run_dag(dag, connection=emulator.connection_json()).states == {"batch": "failed"}
    write(8)
    second = run_dag(dag, connection=emulator.connection_json())
    assert second.values["batch"]["counts"] == {
        "total": 8,
        "done": 4,
        "failed": 0,
        "unknown": 0,
        "skipped": 4,
        "adopted": 0,
    }
    assert len(jobs(emulator)) == 9  # five, the failed one again, and three new ones


def test_only_the_failed_of_a_batch(run_dag: RunDag, emulator: MediaxEmulator, output: str) -> None:
    emulator.outcome("musicASR", "ERROR", times=2)
    first = run_dag(a_batch("first_of_two", output, on_item_error="skip"), connection=emulator.connection_json())
    folder = first.values["batch"]["outcome"].partition("/rows/")[0]
    second = run_dag(a_batch("failed_only", output, only_failed_of=folder), connection=emulator.connection_json())
    assert Counter(items_of(second).values()) == {"done": 2}
    assert len(jobs(emulator)) == 14


def test_four_shards_divide_a_catalogue(run_dag: RunDag, emulator: MediaxEmulator, output: str) -> None:
    with DAG(dag_id="sharded") as dag:
        MusicBatchOperator.partial(
            task_id="batch",
            capability="musicASR",
            items=tracks(20),
            output=output,
            requests_per_second=500,
            poll_interval=0.3,
            allow_local_output=True,
        ).expand(shard=shards(4))
    run = run_dag(dag, connection=emulator.connection_json())
    assert set(run.states.values()) == {"success"}
    found = [item for number in range(4) for item in items_of(run, f"batch[{number}]")]
    assert sorted(found) == sorted(item["id"] for item in tracks(20))
    assert len(jobs(emulator)) == 20


def test_a_pattern_of_objects_and_stems_of_each(run_dag: RunDag, emulator: MediaxEmulator, output: str) -> None:
    for name in "xyz":
        emulator.put_object(f"new/{name}.wav", click_track(seconds=2))
    dag = a_batch(
        "stems",
        f"{BUCKET}/batches",
        capability=["VoiceSeparate", "musicTagV2"],
        items=f"{BUCKET}/new/*.wav",
        parameters={"mode": "AudioAndBackground", "codec": "wav", "tag_types": "genre"},
        output_format="parquet",
    )
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"batch": "success"}
    assert run.values["batch"]["counts"]["done"] == 6
    assert Counter(job["capability"] for job in jobs(emulator)) == {"VoiceSeparate": 3, "musicTagV2": 3}
    stems = [key for key in emulator.object_keys() if key.endswith("/voice.wav")]
    assert len(stems) == 3
    assert all(
        part.startswith(f"{BUCKET}/batches/") and part.endswith(".parquet") for part in run.values["batch"]["parts"]
    )


def test_items_of_another_task(run_dag: RunDag, emulator: MediaxEmulator, output: str) -> None:
    with DAG(dag_id="from_xcom") as dag:

        @task
        def catalogue() -> list[dict[str, Any]]:
            return tracks(3)

        MusicBatchOperator(
            task_id="batch",
            capability="musicASR",
            items=catalogue(),  # type: ignore[arg-type]
            output=output,
            requests_per_second=500,
            poll_interval=0.3,
            allow_local_output=True,
        )
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"catalogue": "success", "batch": "success"}
    assert len(jobs(emulator)) == 3


def test_a_dry_run_buys_nothing(run_dag: RunDag, emulator: MediaxEmulator, output: str, tmp_path: Path) -> None:
    dag = a_batch("dry", output, dry_run=True, price_per_job=0.5)
    assert run_dag(dag, connection=emulator.connection_json()).states == {"batch": "success"}
    assert jobs(emulator) == []
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "429"])
def test_lost_answers_buy_nothing_twice(run_dag: RunDag, emulator: MediaxEmulator, output: str, kind: str) -> None:
    emulator.fail_next("CreateJob", kind, times=3)
    run = run_dag(a_batch(f"lost_{kind}", output), connection=emulator.connection_json())
    assert run.states == {"batch": "success"}
    assert len(jobs(emulator)) == 12


def test_a_kill_cancels_stems_that_have_not_started(
    run_dag: RunDag, emulator: MediaxEmulator, output: str, tmp_path: Path
) -> None:
    emulator.pause_queue()
    for name in "xyz":
        emulator.put_object(f"new/{name}.wav", click_track(seconds=2))
    dag = a_batch(
        "killed_stems",
        output,
        capability="VoiceSeparate",
        items=[f"new/{name}.wav" for name in "xyz"],
        parameters={"mode": "IsAudio"},
        on_execute_callback=lambda context: kill_soon(context["task"], tmp_path),
        retries=0,
    )
    assert run_dag(dag, connection=emulator.connection_json()).states == {"batch": "failed"}
    assert Counter(job["state"] for job in jobs(emulator)) == {"Cancel": 3}


def kill_soon(operator: MusicBatchOperator, folder: Path) -> None:
    """Kill a task as Airflow does, by a signal, once its ledger knows three jobs."""

    def strike(number: int, frame: object) -> None:
        operator.on_kill()

    def wait() -> None:
        tick = threading.Event()
        while sum(len(json.loads(file.read_text())["jobs"]) for file in folder.rglob("*.jobs")) < 3:
            tick.wait(0.05)
        os.kill(os.getpid(), signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, strike)
    threading.Thread(target=wait, daemon=True).start()
