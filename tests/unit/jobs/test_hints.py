"""A watcher with a mailbox: told of an end it asks at once, relying on that it asks less, and misses nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_provider_mediax.exceptions import Unavailable
from airflow_provider_mediax.jobs.mailbox import LEAST_STRETCHED, LOOK_SECONDS, Mailbox
from airflow_provider_mediax.jobs.waiting import Outcome, Wait
from airflow_provider_mediax.jobs.watcher import Opened, Watcher
from airflow_provider_mediax.protocol.job import JobState
from tests.unit.jobs.cloud import Cloud, Flow
from tests.unit.jobs.virtual_time import in_virtual_time, now


class Look(NamedTuple):
    """Stands for the flow of a look into the folder."""

    after: str | None


@dataclass(frozen=True)
class Folder(Mailbox):
    """A folder that is looked into by the cloud's clients."""

    def look(self, after: str | None) -> Any:
        return Look(after)


@dataclass
class Town(Cloud):
    """
    The service, and a folder in which it leaves the names of jobs that have ended.

    :ivar broken: the folder cannot be read.
    """

    letters: set[str] = field(default_factory=set)
    looks: int = 0
    broken: bool = False

    async def open(self) -> Opened:
        opened = await super().open()
        return Opened(opened.service, opened.client, Folder(objects=None, folder=None))  # type: ignore[arg-type]

    async def answer(self, flow: Flow | Look) -> Any:
        if isinstance(flow, Flow):
            return await super().answer(flow)
        self.looks += 1
        if self.broken:
            raise Unavailable("the bucket is down")
        return sorted(self.letters), None

    def end(self, name: str, *, told: bool = True) -> None:
        self.states[name] = JobState.SUCCEEDED
        if told:
            self.letters.add(name)

    def asked(self, name: str) -> list[float]:
        return [request.at for request in self.requests if name in request.ids]


class Waits:
    """Waits in one watcher."""

    def __init__(self, town: Town) -> None:
        self.watcher = Watcher(town.open, "test", clock=now)
        self.tasks: dict[str, asyncio.Task[tuple[Outcome, float]]] = {}

    def begin(self, *names: str, poll_interval: float = 5.0, named: bool = True) -> None:
        for name in names:
            wait = Wait(
                job_ids=[name],
                marker=name if named else None,
                deadline=now() + 86400.0,
                poll_interval=poll_interval,
                started=now(),
                moment=lambda epoch: epoch,
                rng=lambda: 0.5,
            )
            self.tasks[name] = asyncio.create_task(self._wait(wait))

    async def ended(self, name: str) -> float:
        outcome, at = await self.tasks[name]
        assert outcome.status == "final"
        return at

    async def _wait(self, wait: Wait) -> tuple[Outcome, float]:
        async for news in self.watcher.watch(wait):
            if isinstance(news, Outcome):
                return news, now()
        raise AssertionError("no outcome")


async def warmed_up(town: Town) -> Waits:
    """Return waits of a connection whose first hint has come."""
    waits = Waits(town)
    waits.begin("first")
    await asyncio.sleep(20)
    town.end("first")
    await waits.ended("first")
    return waits


@in_virtual_time
async def test_a_job_that_is_told_of_is_asked_for_within_a_look() -> None:
    town = Town()
    waits = Waits(town)
    waits.begin("a", poll_interval=500.0)
    await asyncio.sleep(100)
    town.end("a")
    assert await waits.ended("a") - 100 <= LOOK_SECONDS + 1.0
    assert len(town.asked("a")) == 2


@in_virtual_time
async def test_jobs_are_asked_for_once_each_when_hints_have_proved_good() -> None:
    town = Town()
    waits = await warmed_up(town)
    names = [f"j{number}" for number in range(50)]
    waits.begin(*names)
    await asyncio.sleep(60)
    ended = {}
    for name in names:
        town.end(name)
        ended[name] = now()
        await asyncio.sleep(0.25)
    await asyncio.gather(*map(waits.ended, names))
    assert max(town.asked(name)[-1] - ended[name] for name in names) <= LOOK_SECONDS + 0.5
    assert sum(len(town.asked(name)) for name in names) <= 1.2 * len(names)


@in_virtual_time
async def test_without_a_hint_nobody_hears_of_an_end_later_than_by_asking_alone() -> None:
    told, silent = Town(), Town()
    ends = []
    for town, named in ((told, True), (silent, False)):
        waits = Waits(town)
        waits.begin("a", named=named)
        begun = now()
        await asyncio.sleep(61)
        town.end("a", told=False)
        ends.append(await waits.ended("a") - begun)
    assert ends[0] <= ends[1] + 2.0


@in_virtual_time
async def test_one_missed_hint_has_all_others_ask_by_their_interval_again() -> None:
    town = Town()
    waits = await warmed_up(town)
    waits.begin("early")
    await asyncio.sleep(LEAST_STRETCHED / 2)
    waits.begin("late")
    town.end("early", told=False)
    await waits.ended("early")
    missed_at = now()
    town.end("late", told=False)
    assert await waits.ended("late") - missed_at <= 20.0


@in_virtual_time
async def test_a_folder_that_cannot_be_read_ends_no_wait_and_is_looked_into_less_often() -> None:
    town = Town(broken=True)
    waits = Waits(town)
    waits.begin("a")
    await asyncio.sleep(600)
    assert town.looks <= 20
    town.end("a", told=False)
    await waits.ended("a")


@in_virtual_time
async def test_without_waits_that_can_be_told_nobody_looks() -> None:
    town = Town()
    waits = Waits(town)
    waits.begin("a", named=False)
    await asyncio.sleep(60)
    town.end("a")
    await waits.ended("a")
    assert town.looks == 0


@in_virtual_time
async def test_a_letter_that_comes_before_the_state_is_asked_about_again_soon() -> None:
    town = Town()
    waits = Waits(town)
    waits.begin("a", poll_interval=500.0)
    await asyncio.sleep(100)
    town.letters.add("a")
    await asyncio.sleep(4)
    town.states["a"] = JobState.SUCCEEDED
    assert await waits.ended("a") <= 110


@in_virtual_time
async def test_a_letter_left_before_the_wait_began_is_found_by_it() -> None:
    town = Town()
    waits = await warmed_up(town)
    town.end("a")
    waits.begin("a")
    begun = now()
    assert await waits.ended("a") - begun <= 2 * LOOK_SECONDS
