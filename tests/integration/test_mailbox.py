"""Hints by callback: signed addresses, the emulated bucket, and waits that ask when they are told to."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from airflow.sdk import DAG

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.hooks.probing_mailbox import examine_mailbox
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import Acquisition
from airflow_provider_mediax.jobs.stored import JobEvent, Owner
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.protocol.ci.requests import VoiceSeparationRequest
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.audio import click_track
from tests.integration.conftest import Run
from tests.unit.cli.said import Said, run_command
from tests.unit.emulator.helpers import PATIENCE, wait_for

MARKER = "mx1-" + "0" * 40


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> MediaxEmulator:
    connection = json.loads(mediax_emulator.connection_json())
    connection["extra"]["mailbox"] = "cos://music-1250000000/mailbox"
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(connection))
    monkeypatch.setattr("airflow_provider_mediax.triggers.job.hold_back", lambda: 0.0)
    mediax_emulator.put_object("a.wav", click_track(seconds=1))
    return mediax_emulator


def submitted(hook: JobHook[Any], request: object, marker: str = MARKER) -> Job:
    """Submit a job as an attempt does whose task will be deferred."""
    address = hook.callback(marker, time.time() + 3600)
    assert address is not None
    prepared = hook.service.called_back(hook.service.prepare(request), address)
    job: Job = hook.run(hook.service.submit(prepared, marker))
    hook.close()
    return job


def tags() -> tuple[JobHook[Any], object]:
    return MediaxHook(), CapabilityRequest(capability=MusicTag(), input=MediaxInput(path="a.wav"))


def separation() -> tuple[JobHook[Any], object]:
    request = VoiceSeparationRequest(source="a.wav", mode="IsAudio", outputs={"voice": "out/voice.mp3"})
    return CloudInfiniteHook(), request


async def waited(service: str, job: Job, poll_interval: float) -> tuple[JobEvent, float]:
    trigger = JobTrigger(
        service=service,
        conn_id="mediax_default",
        job_ids=[job.id],
        custom_ids=[job.marker or ""],
        deadline=time.time() + 600,
        poll_interval=poll_interval,
    )
    began = time.monotonic()
    event = JobEvent.read(await trigger.wait(), job.id)
    return event, time.monotonic() - began


@pytest.mark.parametrize("made", [tags, separation])
def test_a_job_that_is_told_of_is_asked_for_long_before_its_interval(
    emulator: MediaxEmulator, made: Callable[[], tuple[JobHook[Any], object]]
) -> None:
    emulator.durations("*", 4.0)
    hook, request = made()
    job = submitted(hook, request)
    event, _ = asyncio.run(waited(hook.service_type.name, job, poll_interval=300.0))
    assert event.status == "final"
    assert emulator.object_keys().count(f"mailbox/{MARKER}") == 1


def test_a_job_without_a_callback_is_found_by_time_as_ever(emulator: MediaxEmulator) -> None:
    emulator.durations("*", 2.0)
    emulator.callbacks("lost")
    hook, request = tags()
    job = submitted(hook, request)
    event, _ = asyncio.run(waited("mediax", job, poll_interval=0.5))
    assert event.status == "final"
    assert f"mailbox/{MARKER}" not in emulator.object_keys()


@pytest.mark.parametrize("how", ["sent", "twice", "wrapped"])
def test_a_callback_of_any_form_leaves_one_object(emulator: MediaxEmulator, how: str) -> None:
    emulator.durations("*", 0.5)
    emulator.callbacks(how)
    hook, request = tags()
    submitted(hook, request)
    wait_for(lambda: len(emulator.ledger()["callbacks"]) == (2 if how == "twice" else 1))
    statuses = [each["status"] for each in emulator.ledger()["callbacks"]]
    assert statuses == ([200, 409] if how == "twice" else [200])
    assert f"mailbox/{MARKER}" in emulator.object_keys()


@pytest.mark.parametrize("how", ["put", "get"])
def test_a_callback_by_another_method_opens_nothing(emulator: MediaxEmulator, how: str) -> None:
    emulator.durations("*", 0.5)
    emulator.callbacks(how)
    hook, request = tags()
    submitted(hook, request)
    wait_for(lambda: emulator.ledger()["callbacks"])
    assert emulator.ledger()["callbacks"][0]["status"] in (403, 501)
    assert f"mailbox/{MARKER}" not in emulator.object_keys()


def test_the_address_opens_one_object_and_no_other(emulator: MediaxEmulator) -> None:
    address = MediaxHook().callback(MARKER, time.time() + 60)
    assert address is not None
    place = urlsplit(address)
    for path, query in (
        (place.path + "x", place.query),
        (place.path, place.query.replace("position=0", "position=5")),
        (place.path, place.query.replace("append=&", "")),
    ):
        posted = requests.post(
            f"{emulator.url}{path}?{query}", data=b"x", headers={"Host": place.netloc}, timeout=PATIENCE
        )
        assert posted.status_code == 403
    assert [key for key in emulator.object_keys() if key.startswith("mailbox/")] == []


def tagging(dag_id: str, **options: Any) -> DAG:
    with DAG(dag_id=dag_id) as dag:
        MusicTagOperator(task_id="job", path="a.wav", **{"deferrable": True, "poll_interval": 0.3, **options})
    return dag


def test_a_deferred_task_is_told_and_leaves_nothing_behind(
    run_dag: Callable[..., Run], emulator: MediaxEmulator
) -> None:
    emulator.durations("*", 1.0)
    run = run_dag(tagging("told"), connection=os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"])
    assert run.states == {"job": "success"}
    (told,) = emulator.ledger()["callbacks"]
    assert told["status"] == 200
    assert [key for key in emulator.object_keys() if key.startswith("mailbox/")] == []
    signature = told["url"].partition("q-signature=")[2][:40]
    assert len(signature) == 40
    assert signature not in json.dumps(run.xcom("job"))


def test_the_users_own_callback_wins(run_dag: Callable[..., Run], emulator: MediaxEmulator) -> None:
    emulator.durations("*", 0.5)
    dag = tagging("own_callback", callback="http://127.0.0.1:9/mine")
    assert run_dag(dag, connection=os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"]).states == {"job": "success"}
    assert {each["url"] for each in emulator.ledger()["callbacks"]} <= {"http://127.0.0.1:9/mine"}


def test_who_waits_in_a_worker_has_no_callback_made(run_dag: Callable[..., Run], emulator: MediaxEmulator) -> None:
    emulator.durations("*", 0.5)
    dag = tagging("in_a_worker", deferrable=False)
    assert run_dag(dag, connection=os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"]).states == {"job": "success"}
    assert emulator.ledger()["callbacks"] == []


def test_a_mailbox_that_lacks_its_region_refuses_the_submit_and_ends_no_wait(
    emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.durations("*", 0.5)
    hook, request = tags()
    job = submitted(hook, request)
    connection = json.loads(os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"])
    del connection["extra"]["cos_region"]
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(connection))
    with pytest.raises(BadRequest, match="cos_region"):
        MediaxHook().callback(MARKER, time.time() + 60)
    event, _ = asyncio.run(waited("mediax", job, poll_interval=0.3))
    assert event.status == "final"


def test_a_refused_submit_names_the_mailbox_as_a_possible_cause(emulator: MediaxEmulator) -> None:
    emulator.fail_next("CreateJob", "error_response", times=9)
    hook, request = tags()
    acquisition = Acquisition(
        hook.service,
        request,
        Identity(
            namespace=None, owner=Owner(dag_id="d", run_id="r", task_id="t", map_index=-1), generation=0, key="shared"
        ),
        store=None,
        callback=lambda marker: hook.callback(marker, time.time() + 60),
        try_number=1,
        longest_send=1.0,
    )
    with pytest.raises(BadRequest) as refused:
        hook.run(acquisition.run())
    hook.close()
    assert "mailbox" in refused.value.advice


class TestTheProbe:
    def test_leaves_nothing_behind_where_all_works(self, emulator: MediaxEmulator) -> None:
        (found,) = examine_mailbox(MediaxConnection.look_up("mediax_default"))
        assert found.verdict == "works"
        assert [key for key in emulator.object_keys() if key.startswith("mailbox/")] == []

    def test_names_buckets_that_take_no_appended_objects(self, emulator: MediaxEmulator) -> None:
        emulator.many_zones(True)
        (found,) = examine_mailbox(MediaxConnection.look_up("mediax_default"))
        assert found.verdict == "wrong"
        assert "availability zones" in found.says

    @pytest.mark.parametrize("action", ["AppendObject", "ListObjects", "DeleteObject"])
    def test_names_the_rights_that_are_missing(self, emulator: MediaxEmulator, action: str) -> None:
        emulator.fail_next(action, "unauthorized")
        (found,) = examine_mailbox(MediaxConnection.look_up("mediax_default"))
        assert found.verdict == "wrong"
        assert "cos:AppendObject" in found.says


class TestClean:
    @pytest.fixture
    def cli(
        self, emulator: MediaxEmulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., Said]:
        connection = os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"]
        return lambda *arguments: run_command(("mailbox", "clean", *arguments), capsys, monkeypatch, connection)

    def test_deletes_what_jobs_of_long_ago_have_left_and_nothing_else(
        self, emulator: MediaxEmulator, cli: Callable[..., Said]
    ) -> None:
        emulator.clock(-40 * 86400.0)
        emulator.put_object(f"mailbox/{MARKER}", b"")
        emulator.put_object("mailbox/mine.txt", b"")
        emulator.put_object("in/mx1-0", b"")
        emulator.clock(0.0)
        emulator.put_object("mailbox/mx1-new", b"")
        said = cli()
        assert said.code == 0
        assert "1 objects deleted" in said.err
        assert [key for key in emulator.object_keys() if "wav" not in key] == [
            "in/mx1-0",
            "mailbox/mine.txt",
            "mailbox/mx1-new",
        ]

    @pytest.mark.parametrize("age", ["6d", "1h", "soon"])
    def test_refuses_an_age_at_which_claims_may_still_be_needed(self, cli: Callable[..., Said], age: str) -> None:
        assert cli("--older-than", age).code == 2
