"""The sensor for objects and its trigger, without a running DAG, against the emulator."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, ProtocolError, Unavailable
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos_search import Search
from airflow_provider_mediax.jobs import waiting
from airflow_provider_mediax.sensors.cos import CosKeySensor
from airflow_provider_mediax.triggers import cos
from airflow_provider_mediax.triggers.cos import CosKeyEvent, CosKeyTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

BUCKET = "music-1250000000"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> MediaxEmulator:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    mediax_emulator.put_object("in/a b+c%#🎵.wav", b"12345")
    mediax_emulator.put_object("in/deep/b.wav", b"12345")
    mediax_emulator.put_object("in/empty.wav", b"")
    return mediax_emulator


@pytest.fixture
def in_a_thread(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a trigger look its connection up without a supervisor."""

    looked_up: list[str] = []

    async def look_up(conn_id: str) -> MediaxConnection:
        looked_up.append(conn_id)
        return await asyncio.to_thread(MediaxConnection.look_up, conn_id)

    monkeypatch.setattr(MediaxConnection, "alook_up", look_up)
    return looked_up


def sensor(key: list[str] | str, **options: Any) -> CosKeySensor:
    return CosKeySensor(task_id="wait", key=key, **options)


def context(seconds_ago: float = 0.0) -> Context:
    """Return a context of which nothing is there but when the task has started."""
    ti = SimpleNamespace(start_date=datetime.fromtimestamp(time.time() - seconds_ago, UTC))
    return cast("Context", {"ti": ti})


def trigger(*keys: str, seconds: float = 3600.0, **options: Any) -> CosKeyTrigger:
    addresses = [f"cos://{BUCKET}/{key}" for key in keys]
    options = {"conn_id": "mediax_default", "poll_interval": 0.1, **options}
    return CosKeyTrigger(addresses=addresses, deadline=time.time() + seconds, **options)


async def event_of(waiting: CosKeyTrigger) -> dict[str, Any]:
    events = [event.payload async for event in waiting.run()]
    (event,) = events
    json.dumps(event)
    assert isinstance(event, dict)
    return event


def actions(emulator: MediaxEmulator) -> list[str]:
    return [request["action"] for request in emulator.ledger()["requests"]]


ADDRESSES = [f"cos://{BUCKET}/in/a b+c%#🎵.wav", f"cos://{BUCKET}/in/deep/b.wav"]


@pytest.mark.parametrize(
    ("key", "options", "found"),
    [
        ("in/a b+c%#🎵.wav", {}, ADDRESSES[:1]),
        (ADDRESSES[0], {"bucket": "other-1250000000"}, ADDRESSES[:1]),
        (["in/deep/b.wav", "/in/a b+c%#🎵.wav"], {}, ADDRESSES[::-1]),
        ('["in/deep/b.wav", "in/a b+c%#🎵.wav"]', {}, ADDRESSES[::-1]),
        (["in/deep/b.wav", "in/missing"], {}, None),
        ("in/*.wav", {}, None),
        ("in/*.wav", {"wildcard": True, "min_size": 1}, ADDRESSES),
        ("in/[a-b]*.wav", {"wildcard": True}, ADDRESSES[:1]),
        (["in/*.wav", "out/*"], {"wildcard": True}, None),
        ("in/empty.wav", {}, [f"cos://{BUCKET}/in/empty.wav"]),
        ("in/empty.wav", {"min_size": "1"}, None),
    ],
)
def test_a_poke_finds_one_key_many_or_a_pattern(
    emulator: MediaxEmulator, key: list[str] | str, options: dict[str, Any], found: list[str] | None
) -> None:
    answer = sensor(key, **options).poke(context())
    assert (answer.is_done, answer.xcom_value) == (found is not None, found)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"key": ""}, "key"),
        ({"key": []}, "key"),
        ({"key": ["a", ""]}, "key"),
        ({"key": ".."}, "key"),
        ({"key": "a", "min_size": -1}, "min_size"),
        ({"key": "a", "min_size": "many"}, "min_size"),
    ],
)
def test_bad_input_is_refused_and_named(emulator: MediaxEmulator, options: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest, match=f"^{field}="):
        CosKeySensor(task_id="wait", **options).poke(context())


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_switch_that_is_neither_true_nor_false_is_refused(emulator: MediaxEmulator, deferrable: bool) -> None:
    for wrong in ("no", "{{ wildcard }}", 2):
        with pytest.raises(BadRequest, match=r"^wildcard="):
            sensor("in/*", wildcard=wrong, deferrable=deferrable).execute(context())
    assert actions(emulator) == []
    assert sensor("in/*.wav", wildcard="True", min_size=1, deferrable=deferrable).execute(context()) == ADDRESSES


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_bucket_that_does_not_exist_is_refused_at_once(emulator: MediaxEmulator, deferrable: bool) -> None:
    """Asked for an object in it, COS does not tell this from an object that is not there yet."""
    with pytest.raises(BadRequest, match="There is no cos://nobody-1250000000/"):
        sensor("a", bucket="nobody-1250000000", deferrable=deferrable).execute(context())
    with pytest.raises(AirflowSkipException):
        sensor("a", bucket="nobody-1250000000", deferrable=True, soft_fail=True).execute(context())


def test_what_is_there_already_is_returned_without_a_deferral(emulator: MediaxEmulator) -> None:
    assert sensor("in/deep/b.wav", deferrable=True).execute(context()) == ADDRESSES[1:]


def test_a_deferral_stores_addresses_and_times_and_no_secret(emulator: MediaxEmulator) -> None:
    waiting = sensor(["new", ADDRESSES[0]], deferrable=True, timeout=100, poke_interval=7, min_size=3)
    started = context(seconds_ago=40)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(started)
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider_mediax.triggers.cos.CosKeyTrigger"
    assert arguments.pop("deadline") == started["ti"].start_date.timestamp() + 100
    assert arguments == {
        "schema": 1,
        "conn_id": "mediax_default",
        "addresses": [f"cos://{BUCKET}/new", ADDRESSES[0]],
        "region": None,
        "wildcard": False,
        "min_size": 3,
        "poll_interval": 7.0,
    }
    assert 600 <= deferred.value.timeout.total_seconds() <= 660
    assert CosKeyTrigger(deadline=0.0, **arguments).serialize()[1] == {**arguments, "deadline": 0.0}


def test_on_resume_the_objects_are_looked_for_again(emulator: MediaxEmulator) -> None:
    """An event is a hint: on sqlite one can reach another task than the one it was meant for."""
    found = {"schema": 1, "status": "found", "addresses": ["cos://elsewhere/x"], "error": None}
    assert sensor("in/deep/b.wav").resume(context(), found) == ADDRESSES[1:]
    for event in (found, None, "?", {}):
        with pytest.raises(TaskDeferred):
            sensor("new").resume(context(), event)


def test_a_timeout_is_airflows_and_an_error_is_typed(emulator: MediaxEmulator) -> None:
    timeout = CosKeyEvent("timeout").payload()
    with pytest.raises(AirflowSensorTimeout):
        sensor("new", timeout=5).resume(context(), timeout)
    assert sensor("in/deep/b.wav").resume(context(), timeout) == ADDRESSES[1:]  # it came at the last moment
    with pytest.raises(AirflowSensorTimeout):
        sensor("new", timeout=5).resume(context(seconds_ago=10), CosKeyEvent("found").payload())
    refused = CosKeyEvent("error", error=AuthenticationFailed("who?", status=403, code="AccessDenied")).payload()
    with pytest.raises(ProtocolError) as caught:  # which can be retried: the worker has just asked with these keys
        sensor("new").resume(context(), refused)
    assert caught.value.code == "AccessDenied"
    with pytest.raises(Unavailable):
        sensor("new").resume(context(), {"schema": 1, "status": "error", "error": {"class": "SystemExit"}})


async def test_the_trigger_waits_until_everything_is_there(emulator: MediaxEmulator, in_a_thread: list[str]) -> None:
    waiting = asyncio.create_task(event_of(trigger("new/*.wav", "in/*.wav", wildcard=True, min_size=3)))
    await asyncio.sleep(1.5)
    emulator.put_object("new/small.wav", b"1")
    await asyncio.sleep(1.5)
    assert not waiting.done()
    emulator.put_object("new/x.wav", b"12345")
    event = await waiting
    assert event == {
        "schema": 1,
        "status": "found",
        "addresses": [f"cos://{BUCKET}/new/x.wav", *ADDRESSES],
        "error": None,
    }


async def test_no_event_leaves_before_airflow_can_take_it(emulator: MediaxEmulator, in_a_thread: list[str]) -> None:
    started = time.monotonic()
    await event_of(trigger("in/deep/b.wav"))
    assert (
        time.monotonic() - started >= 3.0
    )  # twice the interval and a second; the heartbeat interval of the tests is 1 s


async def test_the_deadline_ends_the_wait(emulator: MediaxEmulator, in_a_thread: list[str]) -> None:
    assert (await event_of(trigger("new", seconds=2)))["status"] == "timeout"


async def test_passing_faults_are_borne_and_others_are_told_by_class_only(
    emulator: MediaxEmulator, in_a_thread: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FAILURE_BUDGET", 2)
    emulator.fail_next("HeadObject", "503", times=2)
    assert (await event_of(trigger("in/deep/b.wav")))["status"] == "found"
    emulator.fail_next("HeadObject", "503", times=3)
    event = await event_of(trigger("in/deep/b.wav"))
    assert (event["status"], event["error"]["class"], event["error"]["status"]) == ("error", "Unavailable", 503)
    assert "what" not in event["error"]

    def broken(search: Search, connection: MediaxConnection, region: str | None) -> None:
        raise ValueError("secret-in-a-text")

    monkeypatch.setattr(cos, "_look", broken)
    event = await event_of(trigger("in/deep/b.wav"))
    assert event["error"]["class"] == ProtocolError.__name__
    assert "secret-in-a-text" not in json.dumps(event)


async def test_a_refused_key_is_looked_up_again(
    emulator: MediaxEmulator, in_a_thread: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.fail_next("HeadObject", "unauthorized")
    assert (await event_of(trigger("in/deep/b.wav")))["status"] == "found"
    assert len(in_a_thread) == 2
    monkeypatch.setattr(cos, "FRESH_SECONDS", 3600.0)
    monkeypatch.setattr(waiting, "FAILURE_BUDGET", 1)
    emulator.fail_next("HeadObject", "unauthorized", times=2)
    event = await event_of(trigger("in/deep/b.wav"))
    assert event["error"]["class"] == "AuthenticationFailed"


async def test_triggers_of_one_connection_share_a_look_up_and_ask_one_at_a_time_off_the_loop(
    emulator: MediaxEmulator, in_a_thread: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most = 0, 0
    threads: set[int] = set()
    look = cos._look

    def watched(search: Search, connection: MediaxConnection, region: str | None) -> list[str] | None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        threads.add(threading.get_ident())
        try:
            return look(search, connection, region)
        finally:
            at_once -= 1

    monkeypatch.setattr(cos, "_look", watched)
    events = await asyncio.gather(*(event_of(trigger("in/deep/b.wav")) for _ in range(8)))
    assert {event["status"] for event in events} == {"found"}
    assert most == 1
    assert threading.get_ident() not in threads
    assert len(in_a_thread) == 1


async def test_an_event_stays_small(emulator: MediaxEmulator, in_a_thread: list[str]) -> None:
    for number in range(150):
        emulator.put_object(f"many/{number}", b"")
    event = await event_of(trigger("many/*", wildcard=True))
    assert len(event["addresses"]) == cos.EVENT_ADDRESSES
    assert len(sensor("many/*", wildcard=True).resume(context(), event)) == 150
