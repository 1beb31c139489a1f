"""Promise 4: what one request, one look-up or one client suffers ends no wait but through that wait's own budget."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    AuthenticationFailed,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.jobs import lookup
from airflow_provider_mediax.jobs import watcher as watcher_module
from airflow_provider_mediax.jobs.places import MOST
from airflow_provider_mediax.jobs.waiter import Shared, WaitUpdate
from airflow_provider_mediax.jobs.waiting import FAILURE_BUDGET, Outcome, Wait
from airflow_provider_mediax.jobs.watcher import FRESH_SECONDS, Watcher
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.jobs.cloud import Cloud, Request, a_job, throttled, too_large, unreachable
from tests.unit.jobs.virtual_time import in_virtual_time, now


class Waits:
    """Waits in one watcher, and what each of them has been told."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.watcher = Watcher(cloud.open, "test", clock=now)
        self.news: dict[str, list[WaitUpdate]] = {}
        self.tasks: dict[str, asyncio.Task[Outcome]] = {}

    def begin(
        self,
        *names: str,
        seconds: float = 86400.0,
        poll_interval: float = 5.0,
        **more: Any,
    ) -> None:
        for name in names:
            terms = {"job_ids": [name], "deadline": now() + seconds, "poll_interval": poll_interval, **more}
            self.news[name] = []
            self.tasks[name] = asyncio.create_task(self._wait(name, Wait(started=now(), **terms)))

    async def _wait(self, name: str, wait: Wait) -> Outcome:
        async for news in self.watcher.watch(wait):
            self.news[name].append(news)
        last = self.news[name][-1]
        assert isinstance(last, Outcome)
        return last

    async def leave(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await asyncio.gather(*(self.tasks[name] for name in names), return_exceptions=True)

    async def outcomes(self) -> list[Outcome]:
        return await asyncio.gather(*self.tasks.values())

    async def all_succeed(self) -> None:
        """End all jobs at the service, and check that every wait hears of it."""
        self.cloud.states = dict.fromkeys(self.tasks, JobState.SUCCEEDED)
        assert {(end.status, end.error) for end in await self.outcomes()} == {("final", None)}

    def failures(self, name: str) -> list[MediaxError]:
        return [news for news in self.news[name] if isinstance(news, MediaxError)]


def many(count: int) -> list[str]:
    return [f"j{number}" for number in range(count)]


@in_virtual_time
async def test_keys_exchanged_while_polls_queue_end_no_wait_and_are_used_no_more() -> None:
    cloud = Cloud()
    waits = Waits(cloud)
    waits.begin("early")
    await asyncio.sleep(60)
    waits.begin(*many(300))
    await asyncio.sleep(6)  # 300 polls at 10/s: most have not been sent
    cloud.key = cloud.connection = "new"
    exchanged = now()
    await asyncio.sleep(120)
    refused = [request for request in cloud.requests if request.at > exchanged and request.key == "old"]
    assert len(refused) <= 3
    assert len(cloud.look_ups) == 2
    assert not any(waits.failures(name) for name in waits.tasks)
    await waits.all_succeed()


@in_virtual_time
async def test_keys_refused_before_the_connection_is_edited_are_looked_up_again_and_again() -> None:
    cloud = Cloud(key="new")
    waits = Waits(cloud)
    waits.begin(*many(20))
    await asyncio.sleep(90)
    cloud.connection = "new"
    await waits.all_succeed()
    gaps = [later - earlier for earlier, later in zip(cloud.look_ups, cloud.look_ups[1:], strict=False)]
    assert min(gaps) > FRESH_SECONDS


@in_virtual_time
async def test_only_keys_that_stay_refused_end_a_wait_and_only_by_its_budget() -> None:
    cloud = Cloud(key="another")
    waits = Waits(cloud)
    waits.begin("a")
    (ended,) = await waits.outcomes()
    assert isinstance(ended.error, AuthenticationFailed)
    assert len(waits.failures("a")) == FAILURE_BUDGET
    assert now() > 300  # minutes, not moments
    assert len(cloud.look_ups) >= 5


@in_virtual_time
async def test_keys_refused_for_one_job_do_not_disturb_the_others() -> None:
    cloud = Cloud()
    waits = Waits(cloud)

    async def refuse(request: Request) -> None:
        if request.ids == ("bad",):
            raise AuthenticationFailed("not yours")

    cloud.answering = refuse
    waits.begin("bad", *many(20))
    assert isinstance((await waits.tasks.pop("bad")).error, AuthenticationFailed)
    assert not any(waits.failures(name) for name in waits.tasks)
    await waits.all_succeed()


@in_virtual_time
async def test_polls_of_waits_that_have_left_are_not_sent() -> None:
    cloud = Cloud()
    waits = Waits(cloud)
    waits.begin(*many(200), poll_interval=1.0)
    await asyncio.sleep(2)
    await waits.leave(*many(199))
    left = now()
    await asyncio.sleep(30)
    assert {request.ids for request in cloud.requests if request.at > left} <= {("j199",)}
    assert cloud.under_way <= 1
    await waits.leave("j199")


@in_virtual_time
async def test_a_connection_that_is_missing_for_seconds_ends_no_wait() -> None:
    cloud = Cloud(connection=None)
    waits = Waits(cloud)
    waits.begin(*many(50))
    await asyncio.sleep(7)
    assert all(waits.failures(name) for name in waits.tasks)
    assert len(cloud.look_ups) <= 3  # not one for each wait
    cloud.connection = "old"
    await waits.all_succeed()


@in_virtual_time
async def test_a_connection_that_stays_missing_ends_waits_by_their_budget_without_its_text() -> None:
    waits = Waits(Cloud(connection=None))
    waits.begin("a")
    (ended,) = await waits.outcomes()
    assert isinstance(ended.error, Unavailable)
    assert "RuntimeError" in ended.error.what
    assert "s3cret" not in str(ended.error)
    assert len(waits.failures("a")) == FAILURE_BUDGET


@in_virtual_time
async def test_deadlines_are_served_while_a_look_up_hangs_and_each_half_minute_is_a_failure() -> None:
    go_on = asyncio.Event()
    cloud = Cloud(look_up_hangs=go_on)
    waits = Waits(cloud)
    waits.begin("short", seconds=10.0)
    waits.begin("long")
    assert (await waits.tasks.pop("short")).status == "timeout"
    assert now() == pytest.approx(10, abs=0.5)
    await asyncio.sleep(110)
    assert 2 <= len(waits.failures("long")) <= 4
    assert len(cloud.look_ups) == 1
    go_on.set()
    await waits.all_succeed()


@in_virtual_time
async def test_a_look_up_is_canceled_after_three_minutes_and_the_next_one_serves() -> None:
    cloud = Cloud(look_up_hangs=asyncio.Event())
    waits = Waits(cloud)
    waits.begin("a")
    await asyncio.sleep(lookup.LONGEST_SECONDS - 1)
    assert len(cloud.look_ups) == 1
    cloud.look_up_hangs = None
    await waits.all_succeed()
    assert len(cloud.look_ups) == 2


@in_virtual_time
async def test_a_look_up_goes_on_when_those_who_waited_for_it_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "LINGER", 1.0)
    go_on = asyncio.Event()
    cloud = Cloud(look_up_hangs=go_on)
    waits = Waits(cloud)
    waits.begin("a")
    await asyncio.sleep(10)
    await waits.leave(*waits.tasks)
    await asyncio.sleep(10)  # the loop has ended
    waits.tasks.clear()
    waits.begin("b")
    await asyncio.sleep(10)
    go_on.set()
    await waits.all_succeed()
    assert len(cloud.look_ups) == 1


@in_virtual_time
async def test_one_connect_timeout_breaks_no_poll_in_flight_and_leaves_no_session_open() -> None:
    cloud = Cloud(rate=1000.0, latency=3.0)
    waits = Waits(cloud)
    waits.begin("unlucky", *many(100))

    async def lose_one(request: Request) -> None:
        if request.ids == ("unlucky",) and len(cloud.look_ups) == 1 and now() > 20:
            raise unreachable()

    cloud.answering = lose_one
    await asyncio.sleep(120)
    assert len(cloud.look_ups) == 2
    first, second = cloud.clients
    async with asyncio.timeout(10):
        await first.closed.wait()
    assert (first.broken, second.broken, second.closed.is_set()) == (0, 0, False)
    assert not any(waits.failures(name) for name in many(100))
    await waits.all_succeed()


@in_virtual_time
async def test_a_session_that_breaks_is_a_failure_and_ends_no_wait() -> None:
    cloud = Cloud()
    waits = Waits(cloud)
    waits.begin(*many(20))
    await asyncio.sleep(10)

    async def fail_once(request: Request) -> None:
        cloud.answering = None
        raise RuntimeError("Session is closed, s3cret")

    cloud.answering = fail_once
    await asyncio.sleep(20)
    (failure,) = [failure for name in waits.tasks for failure in waits.failures(name)]
    assert isinstance(failure, ProtocolError)
    assert "s3cret" not in str(failure)
    await waits.all_succeed()


@in_virtual_time
async def test_a_rate_limit_holds_all_polls_and_is_no_failure() -> None:
    cloud = Cloud()
    waits = Waits(cloud)

    async def refuse(request: Request) -> None:
        raise throttled(10.0)

    cloud.answering = refuse
    waits.begin(*many(200))
    await asyncio.sleep(100)
    # What is on its way when the first answer comes is the client's to hold back.
    assert len(cloud.requests) <= 10 * (MOST + 1)
    cloud.answering = None
    await waits.all_succeed()


@in_virtual_time
async def test_a_hold_beyond_the_deadline_ends_that_wait_at_once_with_its_reason() -> None:
    cloud = Cloud()
    waits = Waits(cloud)

    async def refuse(request: Request) -> None:
        raise throttled(100.0)

    cloud.answering = refuse
    waits.begin("short", seconds=60.0, poll_interval=20.0)  # is not asked for before the hold
    waits.begin("asked", poll_interval=1.0, rng=lambda: 0.0)
    assert isinstance((await waits.tasks.pop("short")).error, Throttled)
    assert now() <= 21
    assert [request.ids for request in cloud.requests] == [("asked",)]
    cloud.answering = None
    await waits.all_succeed()
    assert now() > 100


@pytest.mark.parametrize("limit", [1, 10])
def test_a_slow_service_cannot_pile_up_polls_and_every_wait_gets_its_turn(limit: int) -> None:
    @in_virtual_time
    async def scenario() -> None:
        cloud = Cloud(rate=1000.0, latency=30.0, describe_limit=limit)
        waits = Waits(cloud)
        waits.begin(*many(500), poll_interval=1.0)
        await asyncio.sleep(30 * 500 / MOST + 120)
        assert cloud.most_under_way == MOST
        assert {job_id for request in cloud.requests for job_id in request.ids} == set(many(500))
        await waits.leave(*waits.tasks)

    scenario()


@in_virtual_time
async def test_one_outage_is_one_failure_of_a_wait_for_many_jobs() -> None:
    cloud = Cloud(rate=1000.0)
    waits = Waits(cloud)
    jobs = many(200)
    waits.begin("batch", job_ids=jobs, finish_at=200)

    async def fail(request: Request) -> None:
        raise Unavailable("down")

    await asyncio.sleep(20)
    cloud.answering = fail
    await asyncio.sleep(30)
    assert 1 <= len(waits.failures("batch")) <= 4
    cloud.answering = None
    cloud.states = dict.fromkeys(jobs, JobState.SUCCEEDED)
    (ended,) = await waits.outcomes()
    assert ended.status == "final"
    assert set(ended.jobs) == set(jobs)


@in_virtual_time
async def test_a_fault_of_the_service_looks_up_no_connection() -> None:
    cloud = Cloud()
    waits = Waits(cloud)
    waits.begin("one")
    await asyncio.sleep(60)

    async def fail(_: Request) -> None:
        raise Unavailable("503")

    cloud.answering = fail
    await asyncio.sleep(30)
    assert waits.failures("one")
    assert len(cloud.look_ups) == 1
    cloud.answering = None
    await waits.all_succeed()


@in_virtual_time
async def test_a_failure_that_ends_one_wait_of_a_poll_is_one_of_the_others_too() -> None:
    cloud = Cloud(describe_limit=10)
    waits = Waits(cloud)

    async def fail(_: Request) -> None:
        raise Unavailable("503")

    cloud.answering = fail
    waits.begin("a", "b", "c", rng=lambda: 0.0)
    assert {end.status for end in await waits.outcomes()} == {"error"}
    assert [request.ids for request in cloud.requests] == [("a", "b", "c")] * (FAILURE_BUDGET + 1)


@in_virtual_time
async def test_an_answer_that_is_too_large_ends_only_the_wait_whose_job_is_large() -> None:
    cloud = Cloud(describe_limit=10)
    waits = Waits(cloud)

    async def refuse(request: Request) -> None:
        if "large" in request.ids:
            raise too_large()

    cloud.answering = refuse
    waits.begin("large", *many(9), rng=lambda: 0.0)
    ended = await waits.tasks.pop("large")
    assert (ended.status, type(ended.error)) == ("error", AnswerTooLarge)
    await asyncio.sleep(20)
    assert not any(waits.failures(name) for name in waits.tasks)
    await waits.all_succeed()


@in_virtual_time
async def test_a_job_that_the_service_does_not_know_is_named_alone() -> None:
    cloud = Cloud(describe_limit=10)
    waits = Waits(cloud)

    async def forget(request: Request) -> dict[str, Job]:
        return {job_id: a_job(job_id, JobState.OPEN) for job_id in request.ids if job_id != "gone"}

    cloud.answering = forget
    waits.begin("gone", "j1", "j2", rng=lambda: 0.0)
    await asyncio.sleep(3)
    assert [failure.what for failure in waits.failures("gone")] == ["The service does not know gone"]
    assert not waits.failures("j1")
    await waits.leave(*waits.tasks)


@in_virtual_time
async def test_a_fault_of_the_loop_is_borne_and_stays_out_of_the_waits_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Cloud()
    waits = Waits(cloud)

    def fail(*_: Shared | float) -> None:
        raise ZeroDivisionError("s3cret")

    with monkeypatch.context() as broken:
        broken.setattr(waits.watcher, "_start_polls", fail)
        waits.begin("a")
        await asyncio.sleep(30)
    assert waits.failures("a")[0].what == "The watcher failed with ZeroDivisionError; see the triggerer's log"
    assert "The watcher of test failed" in caplog.text
    await waits.all_succeed()


@in_virtual_time
async def test_kills_without_polls_share_a_look_up_and_leave_no_session_open() -> None:
    cloud = Cloud()
    watcher = Watcher(cloud.open, "test", clock=now)

    async def ask(name: str) -> Mapping[str, Job]:
        return await watcher.run(lambda service: service.describe([name]))

    answers = await asyncio.gather(*(ask(name) for name in "abc"))
    assert [list(answer) for answer in answers] == [["a"], ["b"], ["c"]]
    assert len(cloud.look_ups) == 1
    async with asyncio.timeout(10):
        await cloud.clients[0].closed.wait()
    assert cloud.clients[0].broken == 0


@in_virtual_time
async def test_a_kill_that_is_under_way_keeps_its_session_when_the_polls_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "LINGER", 1.0)
    cloud = Cloud()
    waits = Waits(cloud)
    waits.begin("a")
    await asyncio.sleep(10)
    cloud.latency = 20.0
    kill = asyncio.create_task(waits.watcher.run(lambda service: service.describe(["a"])))
    await asyncio.sleep(1)
    await waits.leave("a")
    assert list(await kill) == ["a"]
    async with asyncio.timeout(10):
        await cloud.clients[0].closed.wait()


@in_virtual_time
async def test_a_triggerer_that_shuts_down_leaves_nothing_behind() -> None:
    cloud = Cloud(latency=3.0)
    waits = Waits(cloud)
    waits.begin(*many(20))
    await asyncio.sleep(10)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
    assert cloud.clients[0].closed.is_set()
    assert cloud.under_way == 0


@in_virtual_time
async def test_an_error_of_a_client_that_has_been_replaced_counts_for_nobody() -> None:
    cloud = Cloud(rate=1000.0)
    waits = Waits(cloud)
    waits.begin("lost", "late", rng=lambda: 0.0)
    await asyncio.sleep(20)
    first = cloud.look_ups.copy()

    async def fail(request: Request) -> None:
        if cloud.look_ups == first and request.ids == ("lost",):
            raise unreachable()
        if cloud.look_ups == first:
            await asyncio.sleep(10)
            raise Unavailable("down")

    cloud.answering = fail
    await asyncio.sleep(60)
    assert len(cloud.look_ups) == 2
    assert len(waits.failures("lost")) == 1
    assert waits.failures("late") == []
    await waits.all_succeed()


@in_virtual_time
async def test_a_look_up_that_fails_while_the_old_client_serves_is_nobodys_failure() -> None:
    cloud = Cloud(rate=1000.0, latency=3.0)
    waits = Waits(cloud)
    waits.begin("unlucky", *many(50))
    await asyncio.sleep(20)

    async def lose_one(request: Request) -> None:
        if request.ids == ("unlucky",):
            cloud.answering = None
            raise unreachable()

    cloud.answering, cloud.connection = lose_one, None
    await asyncio.sleep(30)
    assert len(cloud.look_ups) == 2
    assert not any(waits.failures(name) for name in many(50))
    await waits.all_succeed()


@in_virtual_time
async def test_polls_that_end_one_after_the_other_do_not_cost_a_turn_each(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud(rate=1000.0)
    waits = Waits(cloud)
    turns, take_turn = [], waits.watcher._take_turn

    def counted() -> None:
        turns.append(now())
        take_turn()

    monkeypatch.setattr(waits.watcher, "_take_turn", counted)
    waits.begin(*many(1000), poll_interval=2.0)
    await asyncio.sleep(10)
    assert len(cloud.requests) > 1000
    assert len(turns) <= len(cloud.requests) / 3
    await waits.leave(*waits.tasks)


@in_virtual_time
async def test_a_kill_beside_polls_uses_their_session_and_leaves_it_to_them() -> None:
    cloud = Cloud()
    waits = Waits(cloud)
    waits.begin("a")
    await asyncio.sleep(10)
    assert list(await waits.watcher.run(lambda service: service.describe(["b"]))) == ["b"]
    await asyncio.sleep(30)
    assert len(cloud.look_ups) == 1
    assert not cloud.clients[0].closed.is_set()
    await waits.all_succeed()


@pytest.mark.parametrize("interval", [5e-324, 1e-305])
@in_virtual_time
async def test_the_smallest_poll_interval_of_one_wait_harms_no_other(interval: float) -> None:
    cloud = Cloud(describe_limit=10, rate=1000.0)
    waits = Waits(cloud)
    waits.begin("tiny", poll_interval=interval)
    waits.begin("usual")
    await asyncio.sleep(60)
    assert not any(waits.failures(name) for name in waits.tasks)
    await waits.all_succeed()
