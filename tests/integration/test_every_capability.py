"""Every capability in real Airflow against the emulator: what it returns, and that bad input never leaves the task."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import soundfile
from airflow.sdk import DAG

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.operators.music import MediaxJobOperator, MusicSeparationOperator
from airflow_provider_mediax.results import rows
from tests.audio import click_track
from tests.capability_cases import CASES, PICTURE, TRACK, VIDEO, label
from tests.integration.conftest import RunDag, address_of

BUCKET = "music-1250000000"
# A deferral costs two seconds in a test, and is the same for all: with files, without, and without an input.
DEFERRED = {"musicSeperate", "musicHighlight", "musicCompose"}
COMMON_COLUMNS = ("dag_id", "run_id", "task_id", "map_index", "job_id", "input", "capability", "schema_version")


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> MediaxEmulator:
    mediax_emulator.put_object(TRACK, click_track(bpm=120))
    mediax_emulator.put_object(PICTURE, b"\x89PNG\r\n\x1a\n")
    mediax_emulator.put_object(VIDEO, b"\0\0\0\x14ftypisom")
    mediax_emulator.durations("*", 0.2)
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    return mediax_emulator


def test_every_capability_returns_its_manifest_its_files_and_its_rows(
    run_dag: RunDag, emulator: MediaxEmulator
) -> None:
    with DAG(dag_id="every_capability") as dag:
        for case in CASES:
            case.operate(task_id=label(case), deferrable=case.name in DEFERRED, poll_interval=0.5)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {label(case): "success" for case in CASES}
    keys = set(emulator.object_keys())
    hook = MediaxHook()
    for case in CASES:
        manifest = run.values[label(case)]
        assert (manifest["capability"], manifest["state"]) == (case.name, "COMPLETED")
        path = case.input.get("path")
        assert manifest["input"] == (f"cos://{BUCKET}/{path}" if path else None)
        assert {address_of(file).key for file in manifest["files"]} <= keys
        assert all(file.startswith(f"cos://{BUCKET}/mediax/{manifest['marker']}/") for file in manifest["files"])
        assert bool(manifest["files"]) == (case.row.get("file") is not None)
        found = rows(manifest)
        assert found
        for row in found:
            assert tuple(row)[: len(COMMON_COLUMNS)] == COMMON_COLUMNS
            assert tuple(row)[len(COMMON_COLUMNS) :] == tuple(case.row)
            assert (row["job_id"], row["input"], row["capability"]) == (
                manifest["job_id"],
                manifest["input"],
                case.name,
            )
            assert (row.get("file") or "cos://").startswith("cos://")
    stems = run.values["musicSeperate"]["result"]["stems"]
    assert list(stems) == ["voice", "drum", "bass", "piano", "background"]
    assert list(stems.values()) == run.values["musicSeperate"]["files"]
    assert len(emulator.ledger()["jobs"]) == len(CASES)
    assert {voice["name"] for voice in hook.models()} == {"singer_1", "speaker_1"}
    assert [voice["name"] for voice in hook.models(kind=2)] == ["singer_1"]
    hook.close()


def test_no_refused_argument_of_any_capability_leads_to_a_request(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    refused = {
        f"{label(case)}_{place}": (case, changes)
        for case in CASES
        for place, (changes, _) in enumerate(case.refused[:3])
    }
    with DAG(dag_id="every_refusal") as dag:
        for task_id, (case, changes) in refused.items():
            case.operate(task_id=task_id, retries=2, **changes)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == dict.fromkeys(refused, "failed")
    assert emulator.ledger()["requests"] == []


def test_a_job_with_several_inputs_and_outputs_is_read_in_full(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    """One file name in two directories, and rows that know which input they are about."""
    other = "in/other.wav"
    emulator.put_object(other, click_track(seconds=3))
    content_id = json.loads(emulator.connection_json())["extra"]["content_id"]
    inputs = [{"source": {"contentId": content_id, "path": path}} for path in (TRACK, other)]
    outputs = [
        {
            "inputSelectors": [0],
            "contentId": content_id,
            "destination": f"/{place}/",
            "smartContentDescriptor": {"musicSeperate": {"method": 1}},
        }
        for place in ("one", "two")
    ]
    outputs.append({"inputSelectors": [1], "smartContentDescriptor": {"musicHighlight": 2}})
    with DAG(dag_id="several_outputs") as dag:
        MediaxJobOperator(task_id="raw", inputs=inputs, outputs=outputs, deferrable=True, poll_interval=0.5)
    manifest = run_dag(dag, connection=emulator.connection_json()).values["raw"]
    assert manifest["capability"] == "musicSeperate,musicSeperate,musicHighlight"
    found = rows(manifest)
    assert [row["file"] for row in found if "file" in row] == [
        f"cos://{BUCKET}/{place}/click_{stem}.wav" for place in ("one", "two") for stem in ("voice", "background")
    ]
    assert [row["input"] for row in found] == [f"cos://{BUCKET}/{TRACK}"] * 4 + [f"cos://{BUCKET}/{other}"] * 2


def test_files_outside_the_connections_bucket_have_addresses_where_the_bucket_is_told(
    run_dag: RunDag, emulator: MediaxEmulator
) -> None:
    connection = json.loads(emulator.connection_json())
    del connection["extra"]["cos_bucket"]
    own = {"content_id": connection["extra"]["content_id"], "cos_bucket": BUCKET}
    with DAG(dag_id="other_repository") as dag:
        common: dict[str, Any] = {"path": TRACK, "poll_interval": 0.5}
        MusicSeparationOperator(task_id="told", deferrable=True, **own, **common)
        MusicSeparationOperator(task_id="untold", **common)
    run = run_dag(dag, connection=json.dumps(connection))
    told, untold = run.values["told"], run.values["untold"]
    assert told["files"] == list(told["result"]["stems"].values())
    assert {address_of(file).bucket for file in told["files"]} == {BUCKET}
    assert (untold["files"], list(untold["result"]["stems"].values())) == (
        [],
        ["click_voice.wav", "click_background.wav"],
    )


def test_a_raw_composition_needs_no_input_and_its_files_can_be_heard(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    content_id = json.loads(emulator.connection_json())["extra"]["content_id"]
    compose = {"musicCompose": {"songQuantity": 2}}
    with DAG(dag_id="compose_raw") as dag:
        common: dict[str, Any] = {"poll_interval": 0.5}
        MediaxJobOperator(
            task_id="arrays", outputs=[{"smartContentDescriptor": compose, "contentId": content_id}], **common
        )
        MediaxJobOperator(task_id="descriptor", descriptor=compose, destination="/songs/", **common)
    run = run_dag(dag, connection=emulator.connection_json())
    for name in ("arrays", "descriptor"):
        files = run.values[name]["files"]
        assert len(files) == 2
        for file in files:
            samples, rate = soundfile.read(io.BytesIO(emulator.get_object(address_of(file).key)))
            assert len(samples) / rate == pytest.approx(2, abs=0.1)
