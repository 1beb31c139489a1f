"""A success has its files, in real Airflow: the task's state, its XComs, what its log says, what is bought."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.triggers.base import TriggerEvent

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music import MusicComposeOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.sensors.job import CloudInfiniteJobSensor
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.audio import click_track
from tests.integration.conftest import RunDag

BUCKET = "music-1250000000"
STEMS = f"cos://{BUCKET}/stems/in/song"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("in/song.wav", click_track(seconds=2))
    mediax_emulator.durations("*", 0.2)
    return mediax_emulator


def one_task(kind: type[JobOperator[Any]], dag_id: str, **options: Any) -> DAG:
    with DAG(dag_id=dag_id) as dag:
        defaults = {"deferrable": True, "poll_interval": 0.3, "retries": 2, "retry_delay": timedelta(hours=1)}
        kind(task_id="job", **{**defaults, **options})
    return dag


def separation(dag_id: str, **options: Any) -> DAG:
    defaults = {"source": "in/song.wav", "mode": "AudioAndBackground", "codec": "wav", "destination": "stems"}
    return one_task(VoiceSeparationOperator, dag_id, **{**defaults, **options})


def composition(dag_id: str, **options: Any) -> DAG:
    return one_task(MusicComposeOperator, dag_id, **{"song_quantity": 2, "destination": "/songs/", **options})


def connection(emulator: MediaxEmulator, **changes: str | None) -> str:
    """Return the emulator's connection with some extras changed, None taking one out."""
    whole = json.loads(emulator.connection_json())
    extra = {**whole["extra"], **changes}
    whole["extra"] = {name: value for name, value in extra.items() if value is not None}
    return json.dumps(whole)


def heads(emulator: MediaxEmulator) -> int:
    return sum(request["action"] == "HeadObject" for request in emulator.ledger()["requests"])


def bought(emulator: MediaxEmulator) -> int:
    return len(emulator.ledger()["jobs"])


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Callable[[str], list[str]]:
    """Return a function that returns the printed lines that hold a text; each call sees what is new."""

    def holding(text: str) -> list[str]:
        shown = capfd.readouterr()
        return [line for line in (shown.out + shown.err).splitlines() if text in line]

    return holding


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_separation_without_a_stem_fails_for_good_and_leaves_its_manifest(
    run_dag: RunDag, emulator: MediaxEmulator, how: str, deferrable: bool, lines: Callable[[str], list[str]]
) -> None:
    emulator.spoil_file("VoiceSeparate", how)
    dag = separation(f"stem_{how}_{deferrable}", deferrable=deferrable)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"job": "failed"}  # with two retries left
    assert bought(emulator) == 1
    manifest = run.xcom("job", "manifest")
    assert manifest["state"] == "Success"
    assert sorted(manifest["files"]) == [f"{STEMS}/background.wav", f"{STEMS}/voice.wav"]
    assert run.xcom("job") is None
    printed = lines("What happened:")
    assert f"lacks 1 of its 2 files: {STEMS}/voice.wav is {how}" in printed[0]
    assert manifest["job_id"] in printed[0]


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_stem_that_comes_two_seconds_late_is_a_success(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    emulator.spoil_file("VoiceSeparate", "late", seconds=2)
    run = run_dag(separation(f"late_{deferrable}", deferrable=deferrable), connection=emulator.connection_json())
    assert run.states == {"job": "success"}
    assert run.xcom("job", "manifest") is None


def test_verify_outputs_false_asks_nothing(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.spoil_file("VoiceSeparate", "missing")
    run = run_dag(separation("unverified", verify_outputs=False), connection=emulator.connection_json())
    assert run.states == {"job": "success"}
    assert heads(emulator) == 0


def test_a_retry_buys_anew_if_the_user_says_so_and_else_nothing_does(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.spoil_file("VoiceSeparate", "missing")
    run = run_dag(separation("anew", retry_failed_jobs=True), connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    assert bought(emulator) == 1
    assert run.xcom("job", "manifest")["result"]["stems"]
    run.retry()
    assert run.states == {"job": "success"}
    assert bought(emulator) == 2
    assert not run.values["job"]["reattached"]


def test_a_retry_takes_the_job_whose_stem_has_come_by_then(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.spoil_file("VoiceSeparate", "missing")
    run = run_dag(separation("come_by_then", retry_failed_jobs=True), connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    emulator.put_object("stems/in/song/voice.wav", b"a voice")
    run.retry()
    assert run.states == {"job": "success"}
    assert bought(emulator) == 1


def test_refused_keys_are_one_warning_and_a_success(
    run_dag: RunDag, emulator: MediaxEmulator, lines: Callable[[str], list[str]]
) -> None:
    emulator.fail_next("HeadObject", "unauthorized", times=10)
    run = run_dag(separation("refused"), connection=emulator.connection_json())
    assert run.states == {"job": "success"}
    (warning,) = lines("could not be looked at")
    assert "HTTP status 403" in warning
    assert "the task goes on" in warning


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_empty_file_of_the_platform_fails_the_task(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    emulator.spoil_file("musicCompose", "empty")
    run = run_dag(composition(f"empty_{deferrable}", deferrable=deferrable), connection=emulator.connection_json())
    assert run.states == {"job": "failed"}
    assert len(run.xcom("job", "manifest")["files"]) == 2
    assert bought(emulator) == 1


def test_a_missing_file_of_the_platform_is_one_warning_that_names_it(
    run_dag: RunDag, emulator: MediaxEmulator, lines: Callable[[str], list[str]]
) -> None:
    emulator.spoil_file("musicCompose", "missing")
    run = run_dag(composition("platform_missing"), connection=emulator.connection_json())
    assert run.states == {"job": "success"}
    (warning,) = lines("is missing")
    assert f"cos://{BUCKET}/songs/" in warning


def test_a_late_file_of_the_platform_is_said_nothing_of(
    run_dag: RunDag, emulator: MediaxEmulator, lines: Callable[[str], list[str]]
) -> None:
    emulator.spoil_file("musicCompose", "late", seconds=2)
    run = run_dag(composition("platform_late"), connection=emulator.connection_json())
    assert run.states == {"job": "success"}
    assert lines("is missing") == []


def test_without_cos_keys_one_line_says_what_to_set(
    run_dag: RunDag, emulator: MediaxEmulator, lines: Callable[[str], list[str]]
) -> None:
    emulator.spoil_file("musicCompose", "empty")
    bare = connection(emulator, cos_secret_id=None, cos_secret_key=None)
    run = run_dag(composition("no_keys"), connection=bare)
    assert run.states == {"job": "success"}
    (line,) = lines("are not looked for")
    assert "set cos_secret_id and cos_secret_key in connection mediax_default" in line
    assert heads(emulator) == 0


def test_a_bucket_that_does_not_exist_is_one_warning_and_a_success(
    run_dag: RunDag, emulator: MediaxEmulator, lines: Callable[[str], list[str]]
) -> None:
    run = run_dag(composition("no_bucket"), connection=connection(emulator, cos_bucket="gone-1250000000"))
    assert run.states == {"job": "success"}
    (warning,) = lines("could not be looked at")
    assert "There is no cos://gone-1250000000/" in warning


def test_the_triggerer_looks_for_nothing(
    run_dag: RunDag, emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is deferred is looked for on resume, in a worker, and once."""
    at_the_event: list[int] = []
    own_run = JobTrigger.run

    async def run(trigger: JobTrigger) -> AsyncIterator[TriggerEvent]:
        async for event in own_run(trigger):
            at_the_event.append(heads(emulator))
            yield event

    monkeypatch.setattr(JobTrigger, "run", run)
    emulator.durations("VoiceSeparate", 1)
    result = run_dag(separation("in_the_worker"), connection=emulator.connection_json())
    assert result.states == {"job": "success"}
    assert at_the_event == [0]
    assert heads(emulator) == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_looks_for_nothing(run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool) -> None:
    emulator.spoil_file("VoiceSeparate", "missing")
    with DAG(dag_id=f"sensor_{deferrable}") as dag:
        submit = VoiceSeparationOperator(
            task_id="submit",
            source="in/song.wav",
            mode="IsAudio",
            destination="stems",
            codec="wav",
            wait_for_completion=False,
        )
        CloudInfiniteJobSensor(task_id="wait", job_id=submit.output, deferrable=deferrable, poke_interval=0.5)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"submit": "success", "wait": "success"}
    assert heads(emulator) == 0
