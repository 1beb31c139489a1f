"""Promise 7: what a thousand waits cost is counted, not timed: twice the waits must not be more than twice the work."""

from __future__ import annotations

import asyncio
import hmac
import itertools
from collections import Counter
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest

from airflow_provider_mediax.jobs import watcher as watcher_module
from airflow_provider_mediax.jobs.schedule import Evenly
from airflow_provider_mediax.jobs.waiting import Outcome, Wait
from airflow_provider_mediax.jobs.watcher import Watcher
from airflow_provider_mediax.protocol.ci.operations import CloudInfinite
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.exchange import Reply
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.protocol.mediax import gateway
from tests.unit.jobs.cloud import Cloud
from tests.unit.jobs.virtual_time import in_virtual_time, now


class CountedWait(Wait):
    """Counts how often the watcher looks at a wait."""

    looks: ClassVar[Counter[str]] = Counter()

    @property
    def poll_interval(self) -> float:
        self.looks["wait"] += 1
        return 5.0

    @poll_interval.setter
    def poll_interval(self, seconds: float) -> None: ...

    def ended(self, at: float) -> Outcome | None:
        self.looks["wait"] += 1
        return super().ended(at)


@pytest.mark.parametrize("rate", [10.0, 1000.0])
@in_virtual_time
async def test_the_watcher_looks_at_a_wait_when_it_comes_when_it_is_asked_for_and_no_more(rate: float) -> None:
    cloud = Cloud(rate=rate)
    watcher = Watcher(cloud.open, "test", clock=now)
    waits = [
        CountedWait(job_ids=[f"j{number}"], deadline=now() + 86400, poll_interval=5.0, started=now())
        for number in range(2000)
    ]
    CountedWait.looks.clear()
    tasks = [asyncio.create_task(anext(watcher.watch(wait))) for wait in waits]
    await asyncio.sleep(60)
    assert len(cloud.requests) >= 600
    assert CountedWait.looks["wait"] <= 8 * (len(waits) + len(cloud.requests))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@in_virtual_time
async def test_deadlines_of_ten_thousand_waits_are_served_while_the_limiter_is_behind() -> None:
    cloud = Cloud(rate=10.0)
    watcher = Watcher(cloud.open, "test", clock=now)

    async def lateness(number: int) -> float:
        wait = Wait(job_ids=[f"j{number}"], deadline=now() + 30 + number / 100, poll_interval=5.0, started=now())
        async for news in watcher.watch(wait):
            if getattr(news, "status", None) == "timeout":
                return now() - wait.deadline
        raise AssertionError("the wait did not end")

    late = await asyncio.gather(*(lateness(number) for number in range(10_000)))
    assert max(late) <= 2 * watcher_module.TURN
    assert len(cloud.requests) <= 10 * 140


class Hopeless(Evenly):
    """Says of every job that it ends in a year."""

    def likely(self, age: float) -> float:
        return age + 3e7


@pytest.mark.parametrize("rate", [2.0, 10.0])
@in_virtual_time
async def test_no_wait_is_starved_by_those_that_have_more_likely_ended(rate: float) -> None:
    cloud = Cloud(rate=rate)
    watcher = Watcher(cloud.open, "test", clock=now)
    schedules = {f"j{number}": Hopeless() if number % 4 == 0 else Evenly() for number in range(200)}
    tasks = []
    for name, schedule in schedules.items():
        wait = Wait(job_ids=[name], deadline=now() + 86400, poll_interval=5.0, started=now(), schedule=schedule)
        tasks.append(asyncio.create_task(anext(watcher.watch(wait))))
    await asyncio.sleep(1200)
    asked = {name: [0.0] for name in schedules}
    for request in cloud.requests:
        asked[request.ids[0]].append(request.at)
    gaps = [later - earlier for moments in asked.values() for earlier, later in itertools.pairwise([*moments, now()])]
    assert max(gaps) <= max(10 * 5.0, 2 * len(tasks) / rate) + 5.25 + 0.5  # from the moment at which it is due
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@in_virtual_time
async def test_no_poll_waits_in_a_task_for_its_place_within_the_limit() -> None:
    cloud = Cloud(rate=10.0)
    watcher = Watcher(cloud.open, "test", clock=now)
    waits = [
        Wait(job_ids=[f"j{number}"], deadline=now() + 86400, poll_interval=5.0, started=now()) for number in range(300)
    ]
    tasks = [asyncio.create_task(anext(watcher.watch(wait))) for wait in waits]
    most = 0
    for _ in range(200):
        await asyncio.sleep(0.1)
        most = max(most, cloud.under_way)
    assert most <= 6  # a burst, or what goes within one turn
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@in_virtual_time
async def test_waits_that_have_left_are_not_kept_until_their_deadline() -> None:
    cloud = Cloud(rate=1000.0)
    watcher = Watcher(cloud.open, "test", clock=now)
    cloud.states = {f"j{number}": JobState.SUCCEEDED for number in range(600)}
    for begin in range(0, 600, 100):
        waits = [
            Wait(job_ids=[f"j{number}"], deadline=now() + 86400, poll_interval=5.0, started=now())
            for number in range(begin, begin + 100)
        ]
        for wait in waits:
            [news async for news in watcher.watch(wait)]
    assert len(watcher._deadlines) <= 65


def test_one_signature_serves_every_call_of_its_second(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = gateway.GatewayKeys(source="s", secret_id="id", secret_key="a key of this test")
    signed, new = [], hmac.new

    def counted(*given: Any) -> hmac.HMAC:
        signed.append(given)
        return new(*given)

    monkeypatch.setattr(hmac, "new", counted)
    for call in range(500):
        assert "Authorization" in keys.sign(1_800_000_000 + call / 100)
    assert len(signed) == 5


def test_an_answer_about_ten_jobs_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed, fromstring = [], ElementTree.fromstring

    def counted(text: str | bytes) -> ElementTree.Element:
        parsed.append(text)
        return fromstring(text)

    monkeypatch.setattr(ElementTree, "fromstring", counted)
    ids = [f"a{number:031d}" for number in range(10)]
    jobs = "".join(f"<JobsDetail><JobId>{job_id}</JobId><State>Running</State></JobsDetail>" for job_id in ids)
    bucket = CloudInfinite(bucket="b-1250000000", region="ap-guangzhou", keys=CosKeys(secret_id="id", secret_key="key"))
    flow = bucket.describe(ids)
    next(flow)
    with pytest.raises(StopIteration) as end:
        flow.send(Reply(200, {}, f"<Response>{jobs}</Response>".encode()))
    assert list(end.value.value) == ids
    assert len(parsed) == 1
