"""Promise 4: one poll loop serves all waiting triggers of a connection, and no trigger can harm another."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import Patience
from airflow_provider_mediax.exceptions import MediaxError, ProtocolError, Unavailable
from airflow_provider_mediax.jobs import watcher as watcher_module
from airflow_provider_mediax.jobs.waiter import WaitUpdate
from airflow_provider_mediax.jobs.waiting import Outcome, Wait
from airflow_provider_mediax.jobs.watcher import Open, Opened, Watcher, watcher_for
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import JobService
from tests.unit.jobs.virtual_time import in_virtual_time, now

WHO = contextvars.ContextVar("WHO", default="nobody")


@dataclass
class Client:
    """A service and its client in one: answers ``describe`` from a table, fails on demand."""

    states: dict[str, JobState] = field(default_factory=dict)
    polled: list[list[str]] = field(default_factory=list)
    seen_as: set[str] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)
    hang: asyncio.Event | None = None
    opened: int = 0
    closed: int = 0
    describe_limit: int = 1
    pacing: Pacing = field(default_factory=lambda: Pacing(1000.0))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> Opened:
        self.opened += 1
        return Opened(cast("JobService[Any]", self), cast("AsyncClient", self))

    def describe(self, ids: list[str]) -> list[str]:
        return ids

    async def run(self, ids: list[str], patience: object) -> Mapping[str, Job]:
        self.polled.append(ids)
        self.seen_as.add(WHO.get())
        self.changed.set()
        if self.hang is not None:
            await self.hang.wait()
        if self.errors:
            raise self.errors.pop(0)
        return {
            job_id: Job(id=job_id, state=state, state_name=state.value)
            for job_id in ids
            if (state := self.states.get(job_id, JobState.OPEN))
        }

    async def close(self) -> None:
        self.closed += 1
        self.changed.set()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "LINGER", 0.1)


def a_wait(*job_ids: str, seconds: float = 20.0, **more: Any) -> Wait:
    terms: dict[str, Any] = {
        "job_ids": job_ids,
        "deadline": now() + seconds,
        "poll_interval": 0.02,
        "started": now(),
        **more,
    }
    return Wait(**terms)


def a_watcher(open_service: Open) -> Watcher:
    return Watcher(open_service, "test", clock=now)


async def outcome(watching: AsyncIterator[WaitUpdate]) -> Outcome:
    last = [news async for news in watching][-1]
    assert isinstance(last, Outcome)
    return last


@in_virtual_time
async def test_fifty_waits_share_one_connection_look_up_and_one_client(client: Client) -> None:
    watcher = a_watcher(client.open)
    waits = [asyncio.create_task(outcome(watcher.watch(a_wait(f"j{number}")))) for number in range(50)]
    async with asyncio.timeout(10):
        while len({ids[0] for ids in client.polled}) < 50:
            client.changed.clear()
            await client.changed.wait()
        client.states = {f"j{number}": JobState.SUCCEEDED for number in range(50)}
        ended = await asyncio.gather(*waits)
    assert {end.status for end in ended} == {"final"}
    assert client.opened == 1


@in_virtual_time
async def test_jobs_are_described_together_where_the_service_can(client: Client) -> None:
    client.describe_limit = 10
    client.states = {f"j{number}": JobState.SUCCEEDED for number in range(25)}
    watcher = a_watcher(client.open)
    waits = [a_wait(f"j{number}", rng=lambda: 0.0) for number in range(25)]
    async with asyncio.timeout(10):
        await asyncio.gather(*(outcome(watcher.watch(wait)) for wait in waits))
    assert len(client.polled) <= 4


@in_virtual_time
async def test_a_hundred_waits_cost_a_tenth_of_the_requests_where_ten_jobs_go_into_a_call(client: Client) -> None:
    client.describe_limit = 10
    watcher = a_watcher(client.open)
    waits = [a_wait(f"j{number}", seconds=3.0, poll_interval=1.0) for number in range(100)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(outcome(watcher.watch(wait)) for wait in waits))
    # Three intervals; ten requests would do for each, and no wait is asked for early.
    assert 20 <= len(client.polled) <= 60
    assert max(sum(f"j{number}" in ids for ids in client.polled) for number in range(100)) <= 4


@in_virtual_time
async def test_the_loop_runs_in_a_context_of_nobody(client: Client) -> None:
    client.states["a"] = JobState.SUCCEEDED
    WHO.set("the first trigger")
    async with asyncio.timeout(10):
        await outcome(a_watcher(client.open).watch(a_wait("a")))
    assert client.seen_as == {"nobody"}


@in_virtual_time
async def test_a_trigger_that_is_cancelled_does_not_disturb_the_others(client: Client) -> None:
    watcher = a_watcher(client.open)
    doomed = asyncio.create_task(outcome(watcher.watch(a_wait("a"))))
    other = asyncio.create_task(outcome(watcher.watch(a_wait("b"))))
    async with asyncio.timeout(10):
        while ["a"] not in client.polled:
            client.changed.clear()
            await client.changed.wait()
        doomed.cancel()
        await asyncio.gather(doomed, return_exceptions=True)
        client.states["b"] = JobState.SUCCEEDED
        assert (await other).status == "final"


@in_virtual_time
async def test_the_deadline_holds_while_a_poll_hangs(client: Client) -> None:
    client.hang = asyncio.Event()
    started = now()
    async with asyncio.timeout(10):
        ended = await outcome(a_watcher(client.open).watch(a_wait("a", seconds=0.2)))
    assert ended.status == "timeout"
    assert now() - started == pytest.approx(0.2, abs=watcher_module.TURN)


@in_virtual_time
async def test_failures_are_reported_and_borne(client: Client) -> None:
    client.errors = [Unavailable("first"), Unavailable("second")]
    client.states["a"] = JobState.SUCCEEDED
    async with asyncio.timeout(10):
        news = [item async for item in a_watcher(client.open).watch(a_wait("a"))]
    assert [item.what for item in news if isinstance(item, MediaxError)] == ["first", "second"]
    assert isinstance(news[-1], Outcome)
    assert news[-1].status == "final"


@in_virtual_time
async def test_a_job_that_the_service_does_not_know_is_a_failure_and_no_busy_loop(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def knows_nothing(ids: list[str], patience: Patience) -> Mapping[str, Job]:
        client.polled.append(ids)
        return {}

    monkeypatch.setattr(client, "run", knows_nothing)
    async with asyncio.timeout(10):
        ended = await outcome(a_watcher(client.open).watch(a_wait("a", seconds=0.5, poll_interval=0.1)))
    assert ended.status == "timeout"
    assert 1 <= len(client.polled) <= 7


@in_virtual_time
async def test_the_loop_ends_after_the_last_wait_and_starts_again_for_the_next(client: Client) -> None:
    watcher = a_watcher(client.open)
    client.states["a"] = JobState.SUCCEEDED
    async with asyncio.timeout(10):
        await outcome(watcher.watch(a_wait("a")))
        while not client.closed:
            client.changed.clear()
            await client.changed.wait()
        assert (await outcome(watcher.watch(a_wait("a")))).status == "final"
    assert client.opened == 2


@in_virtual_time
async def test_a_wait_that_comes_while_the_loop_ends_is_served(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = a_watcher(client.open)
    client.states["a"] = JobState.SUCCEEDED
    closing = asyncio.Event()

    async def slow_close() -> None:
        closing.set()
        await asyncio.sleep(0.2)

    monkeypatch.setattr(client, "close", slow_close)
    async with asyncio.timeout(10):
        await outcome(watcher.watch(a_wait("a")))
        await closing.wait()
        assert (await outcome(watcher.watch(a_wait("a")))).status == "final"


@in_virtual_time
async def test_triggers_of_one_connection_share_a_watcher_and_others_do_not(client: Client) -> None:
    one = watcher_for(("mediax", "a", None, None), client.open, "a")
    assert watcher_for(("mediax", "a", None, None), client.open, "a") is one
    assert watcher_for(("mediax", "b", None, None), client.open, "b") is not one


async def test_the_log_names_the_connection_of_a_watcher(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.errors = [ZeroDivisionError("x")]
    watcher = watcher_for(("mediax", "a", None, None), client.open, "mediax at a")
    wait = Wait(job_ids=["a"], deadline=steady() + 3600, poll_interval=0.02, started=steady())
    async with contextlib.aclosing(watcher.watch(wait)) as told:
        assert isinstance(await anext(told), ProtocolError)
    assert "The watcher of mediax at a failed" in caplog.text


@in_virtual_time
async def test_a_cancel_is_never_lost_to_a_change_that_it_meets(client: Client) -> None:
    """A triggerer that shuts down cancels the loop and the triggers at once, and each trigger that leaves wakes it."""
    watcher = a_watcher(client.open)
    wait = asyncio.create_task(outcome(watcher.watch(a_wait("a", poll_interval=60.0, rng=lambda: 0.0))))
    await client.changed.wait()
    await asyncio.sleep(4 * watcher_module.TURN)  # until the loop sleeps for its minute
    loop = watcher._loop_task
    assert loop is not None
    watcher._changed.set()
    await asyncio.sleep(0)
    loop.cancel()
    done, _ = await asyncio.wait([loop], timeout=10)
    assert done
    wait.cancel()
