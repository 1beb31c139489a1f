"""``cos://conn_id@bucket/key``, the text of every ``ObjectStoragePath``, in every way that it can reach a task."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.sensors.cos import CosKeySensor
from tests.audio import click_track
from tests.integration.conftest import RunDag

BUCKET = "music-1250000000"
HERE = f"cos://mediax_default@{BUCKET}/in"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("in/a.wav", click_track(seconds=2))
    mediax_emulator.durations("*", 0.1)
    return mediax_emulator


def test_an_address_of_this_connection_reaches_its_object_on_every_lane(
    run_dag: RunDag, emulator: MediaxEmulator
) -> None:
    common: dict[str, Any] = {"poll_interval": 0.2, "deferrable": False}
    with DAG(dag_id="addresses_on_every_lane") as dag:

        @task
        def find() -> ObjectStoragePath:
            return ObjectStoragePath(f"{HERE}/a.wav")

        found: Any = find()  # stands for the path
        pulled = "{{ ti.xcom_pull('find') }}"
        MusicTagOperator(task_id="object", url=ObjectStoragePath(HERE) / "a.wav", **common)
        MusicTagOperator(task_id="object_with_template", url=ObjectStoragePath(f"{HERE}/{{{{ 'a' }}}}.wav"), **common)
        MusicTagOperator(task_id="template", url=f"{HERE}/{{{{ 'a' }}}}.wav", **common)
        MusicTagOperator(task_id="xcom", url=found, **common)
        found >> MusicTagOperator(task_id="pulled", url=pulled, **common)
        MusicTagOperator.partial(task_id="mapped", **common).expand(
            url=[ObjectStoragePath(f"{HERE}/a.wav"), f"{HERE}/a.wav"]
        )
        stems = {"mode": "IsAudio", "codec": "wav", **common}
        VoiceSeparationOperator(
            task_id="ci_object", source=ObjectStoragePath(f"{HERE}/a.wav"), destination="1", **stems
        )
        VoiceSeparationOperator(task_id="ci_xcom", source=found, destination="2", **stems)
        found >> VoiceSeparationOperator(task_id="ci_pulled", source=pulled, destination="3", **stems)
        CosKeySensor(task_id="sensor_object", key=ObjectStoragePath(f"{HERE}/a.wav"), poke_interval=1, timeout=30)
        CosKeySensor(task_id="sensor_xcom", key=[found], poke_interval=1, timeout=30)
    run = run_dag(dag, connection=emulator.connection_json())
    assert set(run.states.values()) == {"success"}
    manifests = {name: said for name, said in run.values.items() if "input" in said}
    assert len(manifests) == 10
    assert {said["input"] for said in manifests.values()} == {f"cos://{BUCKET}/in/a.wav"}
    assert run.values["sensor_xcom"] == run.values["sensor_object"] == [f"cos://{BUCKET}/in/a.wav"]


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_address_of_another_connection_is_refused_and_nothing_is_sent(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    theirs = f"cos://theirs@{BUCKET}/in/a.wav"
    common: dict[str, Any] = {"deferrable": deferrable, "retries": 2}
    with DAG(dag_id=f"addresses_of_another_connection_{deferrable}") as dag:
        MusicTagOperator(task_id="object", url=ObjectStoragePath(theirs), **common)
        MusicTagOperator(task_id="template", url=f"{{{{ '{theirs}' }}}}", **common)
        MusicTagOperator.partial(task_id="mapped", **common).expand(url=[ObjectStoragePath(theirs)])
        VoiceSeparationOperator(
            task_id="ci", source=ObjectStoragePath(theirs), mode="IsAudio", destination="stems", **common
        )
        CosKeySensor(task_id="sensor", key=theirs, **common)
    run = run_dag(dag, connection=emulator.connection_json())
    assert set(run.states.values()) == {"failed"}
    assert emulator.ledger()["requests"] == []
