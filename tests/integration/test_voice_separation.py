"""Voice separation in real Airflow, against the emulator: the second service on the same engine."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any, cast

import pytest
import soundfile
from airflow.sdk import DAG, task

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.sensors.job import CloudInfiniteJobSensor
from tests.audio import click_track
from tests.integration.conftest import PERSISTENT, RunDag, address_of

BUCKET = "music-1250000000"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("in/a/song.wav", click_track(seconds=3))
    mediax_emulator.put_object("in/b/song.wav", click_track(seconds=2))
    mediax_emulator.durations("VoiceSeparate", 0.3)
    return mediax_emulator


def jobs(emulator: MediaxEmulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = emulator.ledger()["jobs"]
    return found


def separation(dag_id: str, **options: Any) -> DAG:
    with DAG(dag_id=dag_id) as dag:
        defaults = {
            "source": "in/a/song.wav",
            "mode": "AudioAndBackground",
            "codec": "wav",
            "destination": "stems",
            "deferrable": True,
            "poll_interval": 0.3,
            "retries": 2,
            "retry_delay": timedelta(hours=1),
        }
        VoiceSeparationOperator(task_id="separate", **{**defaults, **options})
    return dag


@pytest.mark.parametrize("deferrable", [True, False])
def test_stems_arrive_as_a_manifest_and_decode(run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool) -> None:
    dag = separation(f"stems_{deferrable}", deferrable=deferrable, mode="MusicMode")
    run = run_dag(dag, connection=emulator.connection_json())
    manifest = run.values["separate"]
    roles = ("voice", "background", "bass", "drum")
    assert manifest["result"] == {"stems": {role: f"cos://{BUCKET}/stems/in/a/song/{role}.wav" for role in roles}}
    assert sorted(manifest["files"]) == sorted(manifest["result"]["stems"].values())
    assert (manifest["service"], manifest["capability"], manifest["state"]) == (
        "cloud_infinite",
        "VoiceSeparate",
        "Success",
    )
    assert manifest["input"] == f"cos://{BUCKET}/in/a/song.wav"
    for file in manifest["files"]:
        samples, rate = soundfile.read(io.BytesIO(emulator.get_object(address_of(file).key)))
        assert len(samples) / rate == pytest.approx(3, abs=0.05)


def test_two_tracks_of_one_name_never_overwrite_each_other(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG(dag_id="two_tracks") as dag:
        VoiceSeparationOperator.partial(
            task_id="separate", mode="IsAudio", codec="wav", destination="stems", deferrable=True, poll_interval=0.3
        ).expand(source=["in/a/song.wav", f"cos://{BUCKET}/in/b/song.wav"])
    run = run_dag(dag, connection=emulator.connection_json())
    files = [file for manifest in run.values.values() for file in manifest["files"]]
    assert sorted(files) == [f"cos://{BUCKET}/stems/in/{folder}/song/voice.wav" for folder in "ab"]


def test_a_template_tells_the_stems(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG(dag_id="template") as dag:

        @task
        def template() -> str:
            hook = CloudInfiniteHook()
            first = hook.ensure_template("stems-wav", "AudioAndBackground", codec="wav")
            assert hook.ensure_template("stems-wav", "AudioAndBackground", codec="wav").id == first.id
            return first.id

        VoiceSeparationOperator(
            task_id="separate",
            source="in/a/song.wav",
            template_id=cast("str", template()),
            destination="stems",
            deferrable=True,
            poll_interval=0.3,
        )
    run = run_dag(dag, connection=emulator.connection_json())
    assert set(run.values["separate"]["result"]["stems"]) == {"voice", "background"}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_returns_the_same_manifest(run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool) -> None:
    with DAG(dag_id=f"ci_sensor_{deferrable}") as dag:
        submit = VoiceSeparationOperator(
            task_id="submit",
            source="in/a/song.wav",
            mode="IsAudio",
            outputs={"voice": "v.mp3"},
            wait_for_completion=False,
        )
        CloudInfiniteJobSensor(task_id="wait", job_id=submit.output, deferrable=deferrable, poke_interval=0.5)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.values["submit"]["state"] in ("Submitted", "Running")
    assert run.values["wait"]["state"] == "Success"
    assert run.values["wait"]["owner"] == run.values["submit"]["owner"]
    assert run.values["wait"]["result"] == {"stems": {"voice": f"cos://{BUCKET}/v.mp3"}}


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "html_after", "truncated"])
def test_a_lost_answer_buys_no_second_job(run_dag: RunDag, emulator: MediaxEmulator, kind: str) -> None:
    emulator.fail_next("SubmitCiJob", kind)
    run = run_dag(separation(f"ci_lost_{kind}"), connection=emulator.connection_json())
    assert run.states == {"separate": "success"}
    assert len(jobs(emulator)) == 1


@pytest.mark.parametrize("kind", ["drop_before", "502", "slow_down", "429"])
def test_a_submit_that_was_not_carried_out_is_sent_again(run_dag: RunDag, emulator: MediaxEmulator, kind: str) -> None:
    emulator.fail_next("SubmitCiJob", kind)
    run = run_dag(separation(f"ci_again_{kind}"), connection=emulator.connection_json())
    assert run.states == {"separate": "success"}
    assert len(jobs(emulator)) == 1


@pytest.mark.parametrize("queued", [False, True])
def test_a_retry_adopts_by_the_marker_also_where_the_service_insists_on_a_queue(
    run_dag: RunDag, emulator: MediaxEmulator, queued: bool
) -> None:
    if queued:
        emulator.precondition("queue_id_optional", False)
        emulator.fail_next("SubmitCiJob", "slow", seconds=0)  # this one is refused for want of a queue's id
    emulator.fail_next("SubmitCiJob", "drop_after")
    emulator.fail_next("ListCiJobs", "unauthorized", times=PERSISTENT)
    run = run_dag(separation(f"ci_adopts_{queued}"), connection=emulator.connection_json())
    assert run.states == {"separate": "up_for_retry"}
    run.retry()
    assert run.states == {"separate": "success"}
    assert run.values["separate"]["reattached"]
    assert len(jobs(emulator)) == 1


def test_a_job_that_has_not_started_is_canceled_at_the_deadline_and_replaced_by_the_retry(
    run_dag: RunDag, emulator: MediaxEmulator
) -> None:
    emulator.pause_queue()
    run = run_dag(separation("ci_deadline", wait_timeout=2), connection=emulator.connection_json())
    assert run.states == {"separate": "up_for_retry"}
    assert [job["state"] for job in jobs(emulator)] == ["Cancel"]
    emulator.resume_queue()
    run.retry(separation("ci_deadline"))
    assert run.states == {"separate": "success"}
    assert len(jobs(emulator)) == 2


def test_the_clock_may_be_ten_minutes_off(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    for offset in (600, -600):
        emulator.clock(offset)
        run = run_dag(separation(f"ci_clock_{abs(offset)}_{offset > 0}"), connection=emulator.connection_json())
        assert run.states == {"separate": "success"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("no_mode", {"mode": None}),
        ("two_modes", {"template_id": "t1"}),
        ("no_outputs", {"destination": None}),
        ("both_outputs", {"outputs": {"voice": "v"}}),
        ("unknown_role", {"destination": None, "outputs": {"vocals": "v"}}),
        ("missing_role", {"destination": None, "outputs": {"voice": "v"}}),
        ("codec", {"codec": "ogg"}),
        ("music_flac", {"mode": "MusicMode", "codec": "flac"}),
        ("rate", {"codec": "mp3", "sample_rate": 96000}),
        ("level", {"job_level": 3}),
        ("user_data", {"user_data": "ü"}),
        ("callback", {"callback_type": "TDMQ"}),
        ("source", {"source": "cos://bucket"}),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    run_dag: RunDag, emulator: MediaxEmulator, name: str, options: dict[str, Any]
) -> None:
    run = run_dag(separation(f"ci_refused_{name}", **options), connection=emulator.connection_json())
    assert run.states == {"separate": "failed"}
    assert emulator.ledger()["requests"] == []


@pytest.mark.parametrize("name", ["bucket_bound", "smart_audio", "role"])
def test_what_the_account_lacks_fails_the_task_for_good(run_dag: RunDag, emulator: MediaxEmulator, name: str) -> None:
    emulator.precondition(name, False)
    run = run_dag(separation(f"ci_lacks_{name}"), connection=emulator.connection_json())
    assert run.states == {"separate": "failed"}
    assert jobs(emulator) == []


def test_tags_of_a_stem_take_the_manifests_address_as_it_stands(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    from airflow_provider_mediax.operators.music import MusicTagOperator

    connection = json.loads(emulator.connection_json())
    with DAG(dag_id="tags_of_stem") as dag:
        stems = VoiceSeparationOperator(
            task_id="separate", source="in/a/song.wav", mode="IsAudio", codec="wav", destination="s", poll_interval=0.3
        )
        MusicTagOperator(task_id="tags", url="{{ ti.xcom_pull('separate')['result']['stems']['voice'] }}") << stems
    run = run_dag(dag, connection=json.dumps(connection))
    assert run.values["tags"]["input"] == f"cos://{BUCKET}/s/in/a/song/voice.wav"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensor_of_a_job_that_the_service_does_not_know_fails_for_good(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    with DAG(dag_id=f"ci_unknown_{deferrable}") as dag:
        CloudInfiniteJobSensor(task_id="wait", job_id="j0123", deferrable=deferrable, retries=2, poke_interval=0.5)
    assert run_dag(dag, connection=emulator.connection_json()).states == {"wait": "failed"}
