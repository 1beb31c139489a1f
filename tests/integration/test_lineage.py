"""What OpenLineage's own provider writes of a task in a running DAG, through its transport to a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.audio import click_track

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "music-1250000000"

DAG_FILE = """
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.operators.music import MusicBeatOperator, MusicTagOperator
from airflow_provider_mediax.sensors.job import MediaxJobSensor

with DAG("with_lineage", schedule=None) as dag:
    beats = MusicBeatOperator(task_id="beats", url="cos://music-1250000000/in/track.wav", deferrable=True)
    beats >> MediaxJobSensor(task_id="wait", job_id="{{ ti.xcom_pull('beats')['job_id'] }}")
    MusicTagOperator(task_id="broken", url="cos://music-1250000000/in/broken.wav")

    @task
    def copied() -> None:
        hook = CosHook()
        hook.write_bytes("out/copy.wav", hook.read_bytes("in/track.wav"))

    @task
    def moved_by_paths(conn_id: str) -> None:
        path = ObjectStoragePath("cos://music-1250000000/in/track.wav", conn_id="mediax_default")
        (path.parent / f"{conn_id}.wav").write_bytes(path.read_bytes())
        with ObjectStoragePath("cos://mediax_default@music-1250000000/in/track.wav").open("rb") as file:
            assert file.read(4) == b"RIFF"
        CosHook().write_bytes("out/no asset? #1.wav", b"RIFF")

    copied() >> moved_by_paths("copy")

if __name__ == "__main__":
    dag.test()
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """Run the DAG in a process of its own, since Airflow loads OpenLineage once, and return events by task and type."""
    home = tmp_path_factory.mktemp("lineage")
    (home / "dags").mkdir()
    (home / "dags" / "with_lineage.py").write_text(DAG_FILE)
    with MediaxEmulator.start() as emulator:
        emulator.put_object("in/track.wav", click_track(seconds=2))
        emulator.put_object("in/broken.wav", b"no audio at all")
        emulator.durations("*", 0.2)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(home / "events.jsonl"), "append": True}
            ),
            "AIRFLOW_CONN_MEDIAX_DEFAULT": emulator.connection_json(),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        run(environment, "-m", "airflow", "db", "migrate")
        run(environment, str(home / "dags" / "with_lineage.py"))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in (home / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        found[event["job"]["name"].removeprefix("with_lineage."), event["eventType"]] = event
    return found


def run(environment: Mapping[str, str], *command: str) -> None:
    ended = subprocess.run(
        [sys.executable, *command], env=dict(environment), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


TRACK = (f"cos://{BUCKET}", "in/track.wav")


def test_a_task_starts_with_its_input(events: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert names(events["beats", "START"]["inputs"]) == [TRACK]


@pytest.mark.parametrize("task", ["beats", "wait"])
def test_a_task_that_has_succeeded_leads_from_its_input_to_its_files(
    events: dict[tuple[str, str], dict[str, Any]], task: str
) -> None:
    event = events[task, "COMPLETE"]
    assert names(event["inputs"]) == [TRACK]
    outputs = names(event["outputs"])
    assert len(outputs) == 2
    assert {namespace for namespace, _ in outputs} == {f"cos://{BUCKET}"}
    facet = event["run"]["facets"]["mediax_job"]
    assert (facet["service"], facet["capability"], facet["state"]) == ("mediax", "musicBeat", "COMPLETED")
    assert facet["job_id"]
    assert facet["marker"].startswith("mx1-")
    assert 0 <= facet["seconds_queued"] <= facet["seconds"]


def test_a_task_that_has_failed_says_which_job_failed(events: dict[tuple[str, str], dict[str, Any]]) -> None:
    event = events["broken", "FAIL"]
    facet = event["run"]["facets"]["mediax_job"]
    assert (facet["capability"], facet["state"]) == ("musicTagV2", "ERROR")
    assert names(event["inputs"]) == [(f"cos://{BUCKET}", "in/broken.wav")]
    assert event["outputs"] == []


def test_reads_and_writes_of_the_hook_are_the_lineage_of_a_users_own_task(
    events: dict[tuple[str, str], dict[str, Any]],
) -> None:
    event = events["copied", "COMPLETE"]
    assert names(event["inputs"]) == [TRACK]
    assert names(event["outputs"]) == [(f"cos://{BUCKET}", "out/copy.wav")]


def test_paths_are_lineage_too_with_and_without_a_connection_id(
    events: dict[tuple[str, str], dict[str, Any]],
) -> None:
    event = events["moved_by_paths", "COMPLETE"]
    assert TRACK in names(event["inputs"])
    assert (f"cos://{BUCKET}", "in/copy.wav") in names(event["outputs"])
