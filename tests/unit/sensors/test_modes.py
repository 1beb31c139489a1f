"""One table of what a sensor can meet, run in every mode: the same follows, whether it pokes or has deferred."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    NotFound,
    ProtocolError,
    Throttled,
    Unavailable,
    Unreachable,
)
from airflow_provider_mediax.hooks.cos_search import Search
from airflow_provider_mediax.hooks.registry import HOOKS
from airflow_provider_mediax.jobs.manifest import Manifest
from airflow_provider_mediax.jobs.stored import JobEvent
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.sensors import base
from airflow_provider_mediax.sensors.base import WaitingSensor
from airflow_provider_mediax.sensors.cos import CosKeySensor
from airflow_provider_mediax.sensors.job import JobSensor
from tests.unit.jobs.fake_service import FakeService

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowRescheduleException

MODES: Mapping[str, Mapping[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferred": {"deferrable": True},
}
SWITCHES = (None, "soft_fail", "silent_fail", "never_fail")


def job(state: JobState) -> Mapping[str, Job]:
    return {"job-1": Job(id="job-1", state=state, state_name=state.name, raw={})}


Step = Callable[[], Any]

NOT_YET = "not yet"
THERE = "there"


MOST_LOOKS = 20


class EndlessWait(BaseException):
    """No switch of a sensor passes this over: a test that fails must not look for ever."""


@dataclass
class World:
    """What looks find, one after the other; the last answer stays."""

    answers: list[object] = field(default_factory=list)
    looks: int = 0

    def next(self) -> object:
        self.looks += 1
        if self.looks > MOST_LOOKS * len(SWITCHES):
            raise EndlessWait
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class ScriptedHook:
    """Describes one job as the script says."""

    service_type = FakeService
    mediax_conn_id = "mediax_default"
    bucket = None
    region = None
    service = FakeService()
    world: ClassVar[World]

    @classmethod
    def at(cls, *place: str | None) -> ScriptedHook:
        return cls()

    def describe(self, ids: Sequence[str]) -> Mapping[str, Job]:
        answer = self.world.next()
        if isinstance(answer, Mapping):
            return answer
        return job(JobState.SUCCEEDED if answer == THERE else JobState.OPEN)

    def manifest(self, found: Job, owner: object, *, reattached: bool) -> Mapping[str, str]:
        return {"job_id": found.id}

    def found(self, manifest: Mapping[str, str]) -> str:
        return "nothing"

    def close(self) -> None: ...


class ScriptedJobSensor(JobSensor):
    service = "scripted"


def a_job_sensor(**options: Any) -> WaitingSensor:
    return ScriptedJobSensor(task_id="wait", job_id="job-1", **{"poke_interval": 0, **options})


def an_object_sensor(**options: Any) -> WaitingSensor:
    return CosKeySensor(task_id="wait", key="a", **{"poke_interval": 0, **options})


Make = Callable[..., WaitingSensor]
every_sensor = pytest.mark.parametrize("make", [a_job_sensor, an_object_sensor])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setitem(HOOKS, "scripted", f"{__name__}.ScriptedHook")
    monkeypatch.setattr(ScriptedHook, "world", world, raising=False)
    monkeypatch.setattr(Search, "check_buckets", lambda *_: None)
    monkeypatch.setattr(Search, "look", lambda *_: ["cos://b-1250000000/a"] if world.next() == THERE else None)
    extra = {"cos_bucket": "b-1250000000", "cos_region": "ap-guangzhou", "cos_secret_id": "i", "cos_secret_key": "k"}
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps({"conn_type": "mediax", "extra": extra}))
    monkeypatch.setattr(base, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(base, "LAST_LOOK_SECONDS", 0.0)
    return world


def context() -> Any:
    task_instance = SimpleNamespace(start_date=datetime.now(UTC), get_first_reschedule_date=lambda _: None)
    return {"ti": task_instance}


FINAL = JobEvent("final", {}).payload()
TIMED_OUT = JobEvent("timeout", {}).payload()


def resumed(sensor: WaitingSensor, deferred: TaskDeferred, event: object) -> Step:
    return lambda: sensor.resume_execution(deferred.method_name, {"event": event}, context())


def ended_by_airflow(sensor: WaitingSensor, reason: str) -> Step:
    return lambda: sensor.resume_execution("__fail__", {"error": reason}, context())


def outcome(sensor: WaitingSensor, event: object = FINAL, first: Step | None = None) -> str:
    """Carry a sensor through all its pokes, processes or deferrals, and say what becomes of its task."""
    step = first or (lambda: sensor.execute(context()))
    while True:
        try:
            assert step()
        except AirflowRescheduleException:
            continue
        except TaskDeferred as deferred:
            step = resumed(sensor, deferred, event)
        except AirflowSkipException:
            return "skipped"
        except (AirflowFailException, AirflowSensorTimeout):
            return "failed"
        except Exception:  # noqa: BLE001 - any other error is retried
            return "retried"
        else:
            return "done"


#: What a look finds, and what follows without a switch and with each.
PERMANENT = ("failed", "skipped", "failed", "skipped")
PASSING = ("retried", "retried", "done", "skipped")
FOUND: Mapping[str, tuple[object, tuple[str, ...]]] = {
    "it is there": (THERE, ("done",) * 4),
    "it is not there yet": (NOT_YET, ("done",) * 4),
    "it is refused": (BadRequest("x"), PERMANENT),
    "keys are refused": (AuthenticationFailed("x"), PERMANENT),
    "no such bucket": (NotFound("x"), PERMANENT),
    "nobody answers": (Unavailable("x"), PASSING),
    "no way there": (Unreachable("x"), PASSING),
    "the rate limit": (Throttled("x"), PASSING),
    "an unreadable answer": (ProtocolError("x"), PASSING),
    "an answer too large": (AnswerTooLarge("x"), PASSING),
    "no such connection": (AirflowException("x"), PASSING),
    "a fault of ours": (ValueError("x"), PASSING),
}
OF_JOBS: Mapping[str, tuple[object, tuple[str, ...]]] = {
    "the job failed": (job(JobState.FAILED), PERMANENT),
    "the job was canceled": (job(JobState.CANCELED), PERMANENT),
    "no such job": ({}, PERMANENT),
}


def followed(world: World, make: Make, switch: str | None, mode: str, answers: Sequence[object], **options: Any) -> str:
    world.answers = list(answers)
    switches = {switch: True} if switch else {}
    return outcome(make(timeout=3600, **MODES[mode], **switches), **options)


@pytest.mark.parametrize(
    ("make", "what"), [*product([a_job_sensor, an_object_sensor], FOUND), *product([a_job_sensor], OF_JOBS)]
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("earlier", [[], [NOT_YET]], ids=["at once", "later"])
def test_the_same_follows_what_a_look_finds_in_every_mode(
    world: World, make: Make, mode: str, what: str, earlier: Sequence[object]
) -> None:
    answer, expected = {**FOUND, **OF_JOBS}[what]
    found = [followed(world, make, switch, mode, [*earlier, answer, THERE]) for switch in SWITCHES]
    assert found == list(expected)


@every_sensor
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("event", [TIMED_OUT, FINAL], ids=["in the triggerer", "in the worker"])
def test_a_timeout_fails_or_skips_in_every_mode(
    world: World, make: Make, mode: str, event: Mapping[str, object]
) -> None:
    world.answers = [NOT_YET]
    found = [
        outcome(make(timeout=0, **MODES[mode], **({switch: True} if switch else {})), event) for switch in SWITCHES
    ]
    assert found == ["failed", "skipped", "failed", "skipped"]


@every_sensor
@pytest.mark.parametrize("kind", [Unavailable, BadRequest, AuthenticationFailed, ProtocolError])
def test_what_a_triggerer_alone_gives_up_for_can_pass(world: World, make: Make, kind: type[MediaxError]) -> None:
    """The worker has just looked, so connection and keys are good."""
    event = JobEvent("error", {}, kind("x")).payload()
    found = [followed(world, make, switch, "deferred", [NOT_YET, NOT_YET, THERE], event=event) for switch in SWITCHES]
    assert found == list(PASSING)


@every_sensor
def test_what_a_triggerer_cannot_read_whole_a_worker_waits_for(world: World, make: Make) -> None:
    event = JobEvent("error", {}, AnswerTooLarge("x")).payload()
    for switch in SWITCHES:
        world.looks = 0
        assert followed(world, make, switch, "deferred", [NOT_YET, NOT_YET, NOT_YET, THERE], event=event) == "done"
        assert world.looks == 4


@every_sensor
@pytest.mark.parametrize(
    ("reason", "expected"),
    [("Trigger timeout", ("failed", "skipped", "failed", "skipped")), ("Trigger failure", PASSING)],
)
def test_a_deferral_that_airflow_ends_is_followed_by_a_look(
    world: World, make: Make, reason: str, expected: Sequence[str]
) -> None:
    for switch, follows in zip(SWITCHES, expected, strict=True):
        sensor = make(timeout=3600, deferrable=True, **({switch: True} if switch else {}))
        world.answers = [NOT_YET, THERE]
        assert outcome(sensor, first=ended_by_airflow(sensor, reason)) == follows
        world.answers = [THERE]
        assert outcome(sensor, first=ended_by_airflow(sensor, reason)) == "done"


@every_sensor
def test_a_passing_fault_of_the_last_look_loses_nothing(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LAST_LOOK_SECONDS", 60.0)
    world.answers = [ProtocolError("x"), Unavailable("x"), THERE]
    assert make().resume(context(), FINAL)
    world.answers = [AnswerTooLarge("x"), THERE]  # it will not get shorter
    with pytest.raises(AnswerTooLarge):
        make().resume(context(), FINAL)


@every_sensor
@pytest.mark.parametrize("wrong", ["maybe", "{{ var.value.wait }}", 2, "yes", ""])
def test_a_switch_of_the_mode_that_is_neither_true_nor_false_is_refused(
    world: World, make: Make, wrong: object
) -> None:
    world.answers = [THERE]
    with pytest.raises(BadRequest, match=r"^deferrable="):
        make(deferrable=wrong).execute(context())
    assert world.looks == 0


@every_sensor
@pytest.mark.parametrize(("given", "defers"), [("True", True), (1, True), ("false", False), (0, False), (None, False)])
def test_the_mode_is_read_like_every_boolean(world: World, make: Make, given: object, defers: bool) -> None:
    world.answers = [NOT_YET, THERE]
    if defers:
        with pytest.raises(TaskDeferred):
            make(deferrable=given).execute(context())
    else:
        assert make(deferrable=given).execute(context())


@pytest.mark.parametrize(("given", "stored"), [({}, 5.0), ({"poke_interval": 7}, 7.0), ({"poke_interval": 0}, 1.0)])
@pytest.mark.parametrize("where", ["argument", "default_args"])
def test_a_deferred_job_sensor_polls_as_its_user_or_else_as_operators_do(
    world: World, given: dict[str, float], stored: float, where: str
) -> None:
    options: dict[str, Any] = given if where == "argument" else {"default_args": given}
    sensor = ScriptedJobSensor(task_id="wait", job_id="job-1", **options)
    assert sensor.make_trigger(0.0).poll_interval == stored
    assert sensor.poke_interval == given.get("poke_interval", 60)


def test_a_job_sensor_returns_the_manifest_that_is_made_of_the_job(world: World) -> None:
    world.answers = [THERE]
    found: Manifest | Mapping[str, str] = a_job_sensor().execute(context())
    assert found == {"job_id": "job-1"}
