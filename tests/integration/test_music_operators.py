"""The operators of the music platform in real Airflow, against the emulator: what they return."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.music import (
    MediaxJobOperator,
    MusicAsrOperator,
    MusicBeatOperator,
    MusicTagOperator,
)
from airflow_provider_mediax.results import Row, rows
from airflow_provider_mediax.sensors.job import MediaxJobSensor
from tests.audio import click_track
from tests.integration.conftest import RunDag, address_of

TRACK = "in/click.wav"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object(TRACK, click_track(bpm=120))
    mediax_emulator.durations("*", 0.4)
    return mediax_emulator


@pytest.mark.parametrize("deferrable", [True, False])
def test_tags_lyrics_and_beats_of_a_track_arrive_as_manifests(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    with DAG(dag_id=f"analyze_{'deferred' if deferrable else 'in_worker'}") as dag:
        common: dict[str, Any] = {"path": TRACK, "deferrable": deferrable, "poll_interval": 0.5}
        MusicTagOperator(task_id="tags", **common)
        MusicAsrOperator(task_id="lyrics", confidence=cast("float", "{{ 0.1 + 0.2 }}"), **common)
        MusicBeatOperator(task_id="beats", destination="/out/", output_prefix="b-", **common)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"tags": "success", "lyrics": "success", "beats": "success"}

    tags, lyrics, beats = run.values["tags"], run.values["lyrics"], run.values["beats"]
    assert tags["result"]["vocal"] == {"label": "Vocal", "prob": 1.0}
    assert "bgm" not in tags["result"]  # asked for, and not answered: contradiction 4
    assert {"text", "start", "end", "confidence"} == set(lyrics["result"]["lines"][0])
    found = json.loads(emulator.get_object(next(key for key in emulator.object_keys() if key.endswith(".json"))))
    assert found["tempo"] == pytest.approx(120, rel=0.02)
    assert all(file.startswith("cos://music-1250000000/out/b-") for file in beats["files"])
    assert {address_of(file).key for file in beats["files"]} <= set(emulator.object_keys())

    for name, manifest in run.values.items():
        job = next(job for job in emulator.ledger()["jobs"] if job["id"] == manifest["job_id"])
        assert manifest["state"] == "COMPLETED"
        assert manifest["marker"] == job["custom_id"]
        assert manifest["input"] == f"cos://music-1250000000/{TRACK}"
        assert manifest["owner"] == {"dag_id": dag.dag_id, "run_id": run.run_id, "task_id": name, "map_index": -1}
        assert run.xcom(name, "job_id") == manifest["job_id"]
    assert len(emulator.ledger()["jobs"]) == 3


def test_a_downstream_task_reads_rows_and_files(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG(dag_id="downstream") as dag:
        common: dict[str, Any] = {"path": TRACK, "deferrable": True, "poll_interval": 0.5}

        @task
        def flat(manifest: dict[str, Any]) -> list[Row]:
            return rows(manifest)

        @task
        def beats_of(manifest: dict[str, Any]) -> float:
            address = ObjectStoragePath(manifest["result"]["beatFileName"], conn_id="mediax_default")
            return float(json.loads(address.read_text())["tempo"])

        beats: Any = MusicBeatOperator(task_id="beats", **common).output  # these stand for the manifests
        tags: Any = MusicTagOperator(task_id="tags", tag_types=["vocal", "mood"], **common).output
        flat.override(task_id="beat_rows")(beats)
        flat.override(task_id="rows")(tags)
        beats_of(beats)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.values["beats_of"] == pytest.approx(120, rel=0.02)
    assert [row["file"] for row in run.values["beat_rows"]] == run.values["beats"]["files"]
    assert run.values["rows"][0] == {
        "dag_id": "downstream",
        "run_id": run.run_id,
        "task_id": "tags",
        "map_index": -1,
        "job_id": run.values["tags"]["job_id"],
        "input": f"cos://music-1250000000/{TRACK}",
        "capability": "musicTagV2",
        "schema_version": 1,
        "dimension": "vocal",
        "label": "Vocal",
        "probability": 1.0,
    }


def test_mapped_tasks_own_a_job_each(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG(dag_id="mapped") as dag:
        MusicTagOperator.partial(task_id="tags", path=TRACK, deferrable=True, poll_interval=0.5).expand(
            tag_types=["vocal", "mood"]
        )
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"tags[0]": "success", "tags[1]": "success"}
    assert len({job["custom_id"] for job in emulator.ledger()["jobs"]}) == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_waits_for_a_job_that_was_only_submitted_and_returns_the_same_manifest(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    with DAG(dag_id=f"submit_then_wait_{deferrable}") as dag:
        submit = MusicBeatOperator(task_id="submit", path=TRACK, wait_for_completion=False)
        waits: dict[str, Any] = {"deferrable": deferrable, "poke_interval": 0.5}
        by_manifest = MediaxJobSensor(task_id="by_manifest", job_id=cast("str", submit.output), **waits)
        by_text = MediaxJobSensor(task_id="by_text", job_id="{{ ti.xcom_pull(task_ids='submit') }}", **waits)
        by_id = MediaxJobSensor(task_id="by_id", job_id="{{ ti.xcom_pull(task_ids='submit')['job_id'] }}", **waits)
        again = MusicBeatOperator(task_id="again", path=TRACK, idempotency_key="one", deferrable=deferrable)
        submit >> [by_text, by_id]
        [by_manifest, by_text, by_id] >> again
    run = run_dag(dag, connection=emulator.connection_json())
    assert set(run.states.values()) == {"success"}
    assert run.values["submit"]["state"] in ("SUBMITTED", "PROCESSING")
    assert run.values["by_manifest"] == run.values["by_text"]
    assert run.values["by_manifest"]["state"] == "COMPLETED"
    assert run.values["by_manifest"]["owner"] == run.values["submit"]["owner"]
    assert run.values["by_id"] == {**run.values["by_manifest"], "owner": None}
    assert set(run.values["by_manifest"]) == set(run.values["again"])


def test_any_capability_can_be_sent_raw(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    content_id = json.loads(emulator.connection_json())["extra"]["content_id"]
    output = {"inputSelectors": [0], "smartContentDescriptor": {"musicTagV2": {"tagType": ["mood"]}}}
    with DAG(dag_id="raw") as dag:
        MediaxJobOperator(
            task_id="descriptor", descriptor={"musicASR": {"confidence": 0.5}}, path=TRACK, poll_interval=0.5
        )
        inputs = [{"source": {"contentId": content_id, "path": TRACK}}]
        MediaxJobOperator(task_id="arrays", inputs=inputs, outputs=[output], poll_interval=0.5)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.values["descriptor"]["result"]["lines"]
    assert run.values["arrays"]["result"]["mood"]["label"] == "Exciting"
    assert run.values["arrays"]["input"] == f"cos://music-1250000000/{TRACK}"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_of_a_failed_job_skips_if_it_is_told_to_fail_softly(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    emulator.outcome("musicTagV2", "ERROR")
    emulator.durations("musicTagV2", 0)
    with DAG(dag_id=f"soft_fail_{deferrable}") as dag:
        submit = MusicTagOperator(task_id="submit", path=TRACK, wait_for_completion=False)
        MediaxJobSensor(
            task_id="soft", job_id=cast("str", submit.output), deferrable=deferrable, soft_fail=True, poke_interval=0.5
        )
        MediaxJobSensor(task_id="hard", job_id=cast("str", submit.output), deferrable=deferrable, poke_interval=0.5)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"submit": "success", "soft": "skipped", "hard": "failed"}


def test_an_input_in_a_bucket_that_is_not_registered_is_fetched_by_a_passing_address(
    run_dag: RunDag, emulator: MediaxEmulator, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = json.loads(emulator.connection_json())
    del connection["extra"]["cos_bucket"]  # so the emulator's bucket is somebody else's
    with DAG(dag_id="elsewhere") as dag:
        MusicTagOperator(task_id="tags", url=f"cos://music-1250000000/{TRACK}", deferrable=True, poll_interval=0.5)
    run = run_dag(dag, connection=json.dumps(connection))
    assert run.values["tags"]["state"] == "COMPLETED"
    assert run.values["tags"]["input"] == f"cos://music-1250000000/{TRACK}"
    shown = capfd.readouterr()
    assert "q-signature" not in shown.out + shown.err
    assert "q-signature" not in json.dumps(run.values)
