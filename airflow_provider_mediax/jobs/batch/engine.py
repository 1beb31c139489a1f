"""
The loop of a batch: take up what an earlier attempt has left, open chunks while something may be sent, wait.

Everything that it knows it has from the ledger; whatever ends it, the next one goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.exceptions import Stopped, WaitTimeout
from airflow_provider_mediax.jobs import ownership, patience
from airflow_provider_mediax.jobs.batch.chunk import ChunkWork, Lane, Requests, Setting
from airflow_provider_mediax.jobs.batch.folder import Store
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger, End, Range
from airflow_provider_mediax.jobs.batch.plan import Index, Line, Lines
from airflow_provider_mediax.jobs.batch.sending import look_up
from airflow_provider_mediax.jobs.stored import Owner

CHUNK = 50
"""Jobs that carry one marker, as long as the service's lists have room for them."""

PROBE = "probe.json"
LEASE = "lease.json"
PROGRESS = "progress.json"

TURN = 1.0
"""Seconds between two looks at what has changed, at most."""

QUIET_SECONDS = 5.0
"""Seconds without an end after which the slot is given back: a resume costs as much, and small batches end here."""

PROGRESS_SECONDS = 60.0
"""A line about the progress is written this often at most."""

MOST_NAMED = 20
"""Items that are named in the log of a task when they fail; the outcome names all."""

RESERVE = 5.0
"""Seconds before ``execution_timeout`` at which the loop ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    The operator's arguments that the loop goes by.

    :param folder: of the batch's files at the services.
    :param marker: what the markers of its chunks begin with.
    :param attempt: try number and number of resumes; a later one takes over from an earlier one.
    :param sends: whether anything may be bought; else only what is bought is collected.
    :param ends_at: epoch seconds at which the task's ``execution_timeout`` strikes, None for no limit.
    """

    folder: str
    marker: str
    owner: Owner
    attempt: tuple[int, int] = (1, 0)
    poll_interval: float = 5.0
    wait_timeout: float = 86400.0
    collect_interval: float = 60.0
    max_in_flight: int = 1000
    submit_concurrency: int = 8
    max_new_jobs: int | None = None
    deferrable: bool = False
    sends: bool = True
    ends_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """
    There is nothing to do but to wait.

    :param service: name of the service whose jobs are waited for.
    :param jobs: marker of each job, by its id.
    :param finish_at: number of final jobs that ends the wait.
    :param not_before: epoch seconds before which it does not end, unless ``deadline`` is earlier.
    :param deadline: epoch seconds of the earliest deadline of a job.
    """

    service: str
    jobs: Mapping[str, str]
    finish_at: int
    not_before: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Worked:
    """All that may be done is done; lines that no chunk holds were not submitted, because the budget was spent."""

    ends: Mapping[str, int]


Result: TypeAlias = Deferred | Worked


@dataclass(slots=True)
class Tally:
    """How many items have ended how, and what was bought."""

    ends: Counter[str] = field(default_factory=Counter)
    bought: int = 0
    adopted: int = 0

    def add(self, end: End) -> None:
        """Count an item."""
        self.ends[end.state] += 1
        self.adopted += end.adopted
        self.bought += end.job_id is not None and not end.adopted


class Engine:
    """
    One run of the loop.

    :param index: the plan.
    :param lanes: by capability.
    :ivar counts: what this process has done, by metric and capability.
    :param clock: seconds that never jump; ``epoch``: seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        index: Index,
        lanes: Mapping[str, Lane],
        requests: Requests,
        terms: Terms,
        *,
        log: ownership.Log = logging.getLogger(__name__),  # noqa: B008 - the same logger every time
        clock: Callable[[], float] = steady,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._index = index
        self._lanes = lanes
        self._terms = terms
        self._log = log
        self._clock = clock
        self._epoch = epoch
        self._ledger = BatchLedger(store, Lines(store, index))
        self._works: dict[asyncio.Task[None], ChunkWork] = {}
        self._changed = asyncio.Event()
        self._stopping = False
        self._tally = Tally()
        self._before = Tally()
        self._began = clock()
        self._named = 0
        self._quiet = (-1, clock())
        self.counts: Counter[tuple[str, str]] = Counter()
        self._told_at = clock()
        self._told = -1
        self._number = 0
        self._last: ChunkWork | None = None
        self._at: tuple[int, int] = (0, 0)
        self._sizes: dict[str, int] = {}
        self._setting = Setting(
            ledger=self._ledger,
            store=store,
            requests=requests,
            owner=terms.owner,
            folder=terms.folder,
            poll_interval=terms.poll_interval,
            wait_timeout=terms.wait_timeout,
            started=epoch(),
            at_once=asyncio.Semaphore(terms.submit_concurrency),
            sending=asyncio.Lock(),
            stopped=lambda: self._stopping,
            may_send=self._may_send,
            sent=self._probe,
            sends=terms.sends,
            changed=self._changed.set,
            ended=self._ended,
            count=self._count_up,
            log=log,
            clock=clock,
            epoch=epoch,
        )

    def stop(self) -> None:
        """Send nothing more, and end."""
        self._stopping = True
        self._changed.set()

    def open_jobs(self, service: str) -> list[str]:
        """Return the ids of a service's jobs that have not ended, the newest first; for a signal handler."""
        works = [work for work in list(self._works.values()) if work.lane.service.name == service]
        jobs = [
            job
            for work in works
            for place, job in list(work.chunk.learned.jobs.items())
            if place not in work.chunk.ends
        ]
        return [job.job_id for job in sorted(jobs, key=lambda job: job.at, reverse=True)]

    async def run(self) -> Result:
        """
        Work until everything has ended, or until there is nothing to do but to wait.

        :raises Stopped: somebody stopped it.
        :raises WaitTimeout: the task's time is nearly over.
        """
        try:
            await self._restore()
            return await self._work()
        finally:
            await self._leave()

    async def _work(self) -> Result:
        while True:
            await self._open_chunks()
            if not self._works:
                break
            if self._terms.deferrable and self._only_waits() and self._is_quiet():
                return self._deferred()
            await self._next_change()
            self._check_time()
            self._reap()
            self._tell_progress()
        return Worked(dict(self._tally.ends))

    async def _restore(self) -> None:
        await self._store.write(LEASE, {"attempt": list(self._terms.attempt), "process": self._ledger.process})
        lease = [entry.modified for entry in await self._store.entries("") if entry.name == LEASE]
        now = lease[0] if lease else None
        self._sizes = {
            name: int(size) for name, size in ((await self._store.read(PROBE)) or {}).get("sizes", {}).items()
        }
        names = await self._ledger.names()
        await self._count(names.done)
        for number in sorted(set(names.waves) - names.done):
            chunk = await self._ledger.open(number, names, now)
            self._begin(ChunkWork(chunk, self._marker(number), self._lanes[chunk.range.capability], self._setting))
        self._number = names.next_number
        if self._number:
            last = await self._ledger.range_of(self._number - 1)
            self._at = (self._index.capabilities.index(last.capability), last.end)
            found = len(names.waves)
            self._log.info("The folder holds %d chunks, %d of them done", found, len(names.done))
        self._before = Tally(Counter(self._tally.ends), self._tally.bought, self._tally.adopted)

    async def _count(self, done: frozenset[int]) -> None:
        """
        Count the items of chunks that are done.

        The sums of chunks below which all are done never change, so they are kept, and a resume reads only the rest.
        """
        kept = await self._store.read(PROGRESS) or {"below": 0, "ends": {}, "bought": 0, "adopted": 0}
        self._tally = Tally(Counter(kept["ends"]), int(kept["bought"]), int(kept["adopted"]))
        below = int(kept["below"])
        together = asyncio.Semaphore(16)

        async def ends_of(number: int) -> list[End]:
            async with together:
                finished = await self._ledger.finished(number)
            return list(finished.ends.values()) if finished else []

        numbers = sorted(number for number in done if number >= below)
        for number, ends in zip(numbers, await asyncio.gather(*map(ends_of, numbers)), strict=True):
            if number == below:
                below += 1
            elif number > below and below >= 0:
                await self._keep(below)
                below = -1
            for end in ends:
                self._tally.add(end)
        if below > int(kept["below"]):
            await self._keep(below)

    async def _keep(self, below: int) -> None:
        tally = self._tally
        sums = {"below": below, "ends": dict(tally.ends), "bought": tally.bought, "adopted": tally.adopted}
        await self._store.write(PROGRESS, sums)

    def _begin(self, work: ChunkWork) -> None:
        self._works[asyncio.create_task(work.run(), name=f"chunk {work.chunk.number}")] = work

    async def _open_chunks(self) -> None:
        """Open chunks while lines are left, there is room in flight, and the last one has been sent."""
        while not self._stopping and (lines := self._next_range()) is not None:
            chunk = await self._ledger.begin(self._number, lines)
            if not chunk.lines:  # nothing of it is to be bought
                self._at = self._after(lines)
                continue
            self._number += 1
            self._last = ChunkWork(chunk, self._marker(chunk.number), self._lanes[lines.capability], self._setting)
            self._begin(self._last)

    def _next_range(self) -> Range | None:
        """Return the lines of the next chunk; None if there are none, or they have to wait."""
        last = self._last
        if not self._terms.sends:
            return None
        if last is not None:
            if last.chunk.wave == 0 or (last.phase == "sending" and last.chunk.missing):
                return None
            self._at = max(self._at, self._after(last.chunk.range))  # which another attempt may have fixed
        capabilities = self._index.capabilities
        number, first = self._at
        while number < len(capabilities) and first >= self._index.lines_of(capabilities[number]):
            number, first = number + 1, 0
        if number == len(capabilities):
            return None
        service = self._lanes[capabilities[number]].service
        size = self._sizes.get(service.name, CHUNK)
        if service.name not in self._sizes and not service.lists_by_time and self._works:
            return None  # the first chunk shows how long the service's lists are
        in_flight = sum(len(work.chunk.lines) - len(work.chunk.ends) for work in self._works.values())
        if in_flight and in_flight + size > self._terms.max_in_flight:
            return None
        size = min(size, self._terms.max_in_flight, self._index.lines_of(capabilities[number]) - first)
        if self._terms.max_new_jobs is not None:
            size = min(size, self._terms.max_new_jobs - self._tally.bought - self._reserved())
        return Range(capabilities[number], first, size) if size > 0 else None

    def _reserved(self) -> int:
        """Return how many jobs the open chunks may have to buy, or have bought, beside those that have ended."""
        return sum(
            1
            for work in self._works.values()
            for place in work.chunk.lines
            if place not in work.chunk.ends
            and not ((job := work.chunk.learned.jobs.get(place)) is not None and job.adopted)
        )

    def _after(self, lines: Range) -> tuple[int, int]:
        return self._index.capabilities.index(lines.capability), lines.end

    async def _probe(self, work: ChunkWork) -> None:
        """Learn from the first chunk of a service how many jobs its lists have room for."""
        service = work.lane.service
        if service.name in self._sizes or service.lists_by_time or not self._terms.sends:
            return
        ids = {job.job_id for job in work.chunk.learned.jobs.values()}
        if not ids:
            return
        flow = look_up(
            service,
            work.marker,
            moments=patience.PATIENCE,
            since=None,
            enough=lambda jobs: ids <= {job.id for job in jobs},
            clock=self._clock,
            log=self._log,
        )
        jobs, _ = await work.lane.client.run(flow)
        seen = len(ids & {job.id for job in jobs})
        self._sizes[service.name] = CHUNK if seen == len(ids) else max(1, seen)
        if seen < len(ids):
            self._log.warning(
                "The service lists %d of %d jobs of one marker, so %d carry one from here on",
                seen,
                len(ids),
                self._sizes[service.name],
            )
        await self._store.write(PROBE, {"sizes": self._sizes})

    def _marker(self, number: int) -> str:
        return f"{self._terms.marker}-{number:05d}"

    async def _may_send(self) -> None:
        """
        Let a wave begin, unless the task has to end or a later attempt has taken over.

        :raises Stopped: one of these.
        """
        if self._stopping:
            raise Stopped("The task has to end, so nothing more is sent")
        lease = await self._store.read(LEASE)
        if lease is not None and tuple(lease["attempt"]) > self._terms.attempt:
            raise Stopped("A later attempt of this task has taken over, so this one sends nothing more")

    def _count_up(self, what: str, capability: str, number: int) -> None:
        self.counts[what, capability] += number

    def _ended(self, line: Line, end: End) -> None:
        self._tally.add(end)
        if end.state not in ("done", "not_submitted") and self._named < MOST_NAMED:
            self._named += 1
            self._log.warning("Item %s is %s%s: %s", line.id, end.state, _of(end.job_id), end.error)
            if self._named == MOST_NAMED:
                self._log.warning("Further items that fail are named in the outcome only")

    async def _next_change(self) -> None:
        self._changed.clear()
        changed = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait({changed, *self._works}, timeout=TURN, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()

    def _check_time(self) -> None:
        if self._stopping:
            raise Stopped("The task was stopped; its jobs go on, and the next try takes them over")
        if self._terms.ends_at is not None and self._epoch() >= self._terms.ends_at - RESERVE:
            raise WaitTimeout("The time of this try (execution_timeout) is nearly over; the batch is not")

    def _reap(self) -> None:
        for task in [task for task in self._works if task.done()]:
            del self._works[task]
            task.result()

    def _only_waits(self) -> bool:
        return self._next_range() is None and all(
            work.phase == "waiting" and work.asked and work.chunk.open for work in self._works.values()
        )

    def _is_quiet(self) -> bool:
        """
        Tell whether nothing has ended for some seconds, so that the slot is held for nothing.

        Where this process has sent nothing, it has asked once and that is enough.
        """
        ended = sum(self._tally.ends.values())
        if ended != self._quiet[0]:
            self._quiet = ended, self._clock()
        quiet = max(QUIET_SECONDS, 2 * self._terms.poll_interval)  # a question lies between, at least
        return self._last is None or self._clock() - self._quiet[1] >= quiet

    def _deferred(self) -> Deferred:
        by_service: dict[str, dict[str, str]] = {}
        for work in self._works.values():
            jobs = by_service.setdefault(work.lane.service.name, {})
            jobs.update((job.job_id, work.marker) for job in work.chunk.open.values())
        service, jobs = max(by_service.items(), key=lambda found: len(found[1]))
        elapsed = max(1.0, self._clock() - self._began)
        ended = sum(self._tally.ends.values()) - sum(self._before.ends.values())
        expected = int(ended / elapsed * self._terms.collect_interval)
        deadline = min(work.deadline for work in self._works.values())
        if self._terms.ends_at is not None:
            deadline = min(deadline, self._terms.ends_at)
        return Deferred(
            service=service,
            jobs=jobs,
            finish_at=max(1, min(expected, len(jobs))),
            not_before=min(self._epoch() + self._terms.collect_interval, deadline),
            deadline=deadline,
        )

    def _tell_progress(self) -> None:
        ended = sum(self._tally.ends.values())
        now = self._clock()
        if now - self._told_at < PROGRESS_SECONDS or ended == self._told:
            return
        self._told_at, self._told = now, ended
        self._log.info("%s", self.progress())

    def progress(self) -> str:
        """Return how far the batch is, for a person."""
        ends, total = self._tally.ends, self._index.counts.new
        ended = sum(ends.values())
        running = sum(len(work.chunk.open) for work in self._works.values())
        said = f"{ended} of {total} items have ended ({100 * ended // max(1, total)} %): {ends['done']} done"
        said += "".join(f", {count} {state}" for state, count in sorted(ends.items()) if state != "done" and count)
        said += f"; {running} running"
        elapsed, here = self._clock() - self._began, ended - sum(self._before.ends.values())
        if here and elapsed > 0:
            rate = here / elapsed
            said += f"; {60 * rate:.0f} a minute, about {_span((total - ended) / rate)} left"
        return said

    async def _leave(self) -> None:
        """Give sends that are under way a moment, write what is known, and end everything."""
        self._stopping = True
        sending = [task for task, work in self._works.items() if work.phase == "sending"]
        for task, work in self._works.items():
            if work.phase != "sending":
                task.cancel()
        if sending:
            await asyncio.wait(sending, timeout=3.0)
        for task in self._works:
            task.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)


def _of(job_id: str | None) -> str:
    return f" (job {job_id})" if job_id else ""


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
