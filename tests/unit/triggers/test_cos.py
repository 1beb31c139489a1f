"""Promise 4 for waits for objects: no single fault ends one, and its deadline is served whatever hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import pytest

from airflow_provider_mediax.client import clock
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, Unavailable
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.jobs.waiting import FAILURE_BUDGET
from airflow_provider_mediax.triggers import cos
from airflow_provider_mediax.triggers.cos import CosKeyTrigger
from tests.unit.jobs.virtual_time import in_virtual_time, now

P = ParamSpec("P")
T = TypeVar("T")

FOUND = ["cos://music-1250000000/a"]


class AtOnce(Executor):
    """Carries everything out where it is handed in, so that no thread is waited for in virtual time."""

    def __init__(self, *_: int, **__: str) -> None:
        pass

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed over
            future.set_exception(error)
        return future


class Bucket:
    """COS and the connection to it: what they answer, one after the other; the last answer stays."""

    def __init__(self) -> None:
        self.answers: list[Any] = [None]
        self.connections: list[Any] = [object()]
        self.looked: list[float] = []
        self.look_ups: list[float] = []
        self.hangs: asyncio.Event | None = None

    def look(self, *_: object) -> list[str] | None:
        self.looked.append(now())
        found: list[str] | None = _next(self.answers)
        return found

    async def look_up(self, conn_id: str) -> object:
        self.look_ups.append(now())
        if self.hangs is not None:
            await self.hangs.wait()
        return _next(self.connections)


def _next(answers: list[Any]) -> Any:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    bucket = Bucket()
    monkeypatch.setattr(clock, "steady", lambda: now())
    monkeypatch.setattr(cos, "steady", lambda: now())
    monkeypatch.setattr(cos, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(cos, "_QUEUES", WeakKeyDictionary())
    monkeypatch.setattr(cos, "_look", bucket.look)
    monkeypatch.setattr(MediaxConnection, "alook_up", bucket.look_up)
    return bucket


def a_wait(seconds: float = 86400.0, poll_interval: float = 10.0) -> Coroutine[Any, Any, dict[str, Any]]:
    deadline = time.time() + seconds
    return CosKeyTrigger(conn_id="c", addresses=FOUND, deadline=deadline, poll_interval=poll_interval).wait()


@pytest.mark.parametrize(
    "fault",
    [Unavailable("x"), BadRequest("x"), AuthenticationFailed("x"), RuntimeError("s3cret"), TimeoutError()],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("where", ["answers", "connections"])
def test_no_single_fault_of_a_question_or_a_look_up_ends_a_wait(bucket: Bucket, where: str, fault: Exception) -> None:
    @in_virtual_time
    async def scenario() -> None:
        bucket.answers = [FOUND]
        setattr(bucket, where, [fault, *getattr(bucket, where)])
        event = await a_wait()
        assert (event["status"], event["addresses"]) == ("found", FOUND)

    scenario()


@in_virtual_time
async def test_faults_that_stay_end_a_wait_by_its_budget_without_their_text(bucket: Bucket) -> None:
    bucket.answers = [RuntimeError("s3cret")]
    event = await a_wait()
    assert event["status"] == "error"
    assert "s3cret" not in str(event)
    assert len(bucket.looked) == FAILURE_BUDGET + 1
    assert now() > 300


@in_virtual_time
async def test_the_deadline_is_served_while_a_look_up_hangs_and_one_look_up_serves_all(bucket: Bucket) -> None:
    bucket.hangs = asyncio.Event()
    bucket.answers = [FOUND]
    waits = [asyncio.create_task(a_wait()) for _ in range(20)]
    assert (await a_wait(seconds=15.0))["status"] == "timeout"
    assert now() == pytest.approx(15, abs=1)
    await asyncio.sleep(100)
    bucket.hangs.set()
    assert {event["status"] for event in await asyncio.gather(*waits)} == {"found"}
    assert len(bucket.look_ups) == 1


@in_virtual_time
async def test_a_refused_key_is_looked_up_anew_before_the_next_question(bucket: Bucket) -> None:
    bucket.answers = [AuthenticationFailed("old"), FOUND]
    assert (await a_wait())["status"] == "found"
    assert len(bucket.look_ups) == 2


@in_virtual_time
async def test_keys_that_worked_before_are_exchanged_at_no_cost_to_the_budget(bucket: Bucket) -> None:
    """As the engine has it for jobs: a failure is what the connection's present keys are refused for."""
    bucket.answers = [None]
    wait = asyncio.create_task(a_wait())
    await asyncio.sleep(60)
    asked = len(bucket.looked)
    bucket.answers = [AuthenticationFailed("old"), None]
    await asyncio.sleep(bucket.looked[-1] + 15 - now())  # one interval of 10 s and its jitter, and not two
    assert len(bucket.looked) == asked + 2  # the second one at once, with new keys
    assert bucket.looked[-1] == bucket.looked[-2]
    assert len(bucket.look_ups) == 2
    bucket.answers = [AuthenticationFailed("revoked")]
    event = await wait
    assert (event["status"], event["error"]["class"]) == ("error", "AuthenticationFailed")
    assert len(bucket.looked) == asked + 2 + 1 + FAILURE_BUDGET + 1  # one more: the first refusal met old keys


@in_virtual_time
async def test_a_connection_that_is_out_of_date_serves_while_there_is_no_newer_one(bucket: Bucket) -> None:
    bucket.connections = [object(), RuntimeError("no such connection")]
    wait = asyncio.create_task(a_wait())
    await asyncio.sleep(2 * cos.CONNECTION_SECONDS)
    bucket.answers = [FOUND]
    assert (await wait)["status"] == "found"
    assert len(bucket.look_ups) > 1


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_wall_clock_that_jumps_stops_no_question_and_moves_no_deadline(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    real = time.time

    @in_virtual_time
    async def scenario() -> None:
        wait = a_wait(seconds=600.0)
        monkeypatch.setattr(time, "time", lambda: real() + (jump if now() > 1 else 0.0))
        assert (await wait)["status"] == "timeout"
        assert now() == pytest.approx(600, abs=60)
        assert len(bucket.looked) > 30

    scenario()


@in_virtual_time
async def test_waits_that_begin_together_do_not_ask_together(bucket: Bucket) -> None:
    waits = [asyncio.create_task(a_wait()) for _ in range(20)]
    await asyncio.sleep(11)
    assert max(bucket.looked) - min(bucket.looked) > 1
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
