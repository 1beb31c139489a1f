"""The life of a chunk: decide what an earlier attempt has left open, send what is missing, wait, write the results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import BadRequest, MediaxError, Throttled, Unavailable
from airflow_provider_mediax.jobs import ownership, patience
from airflow_provider_mediax.jobs.batch.folder import Store, as_line, passing
from airflow_provider_mediax.jobs.batch.items import Item
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger, Bought, Chunk, End, State
from airflow_provider_mediax.jobs.batch.plan import Line
from airflow_provider_mediax.jobs.batch.sending import (
    CLAIM_SECONDS,
    Client,
    Sent,
    assigned,
    look_up,
    moments_after,
    send_wave,
)
from airflow_provider_mediax.jobs.cancellation import cancel_flow
from airflow_provider_mediax.jobs.ending import given_up
from airflow_provider_mediax.jobs.schedule import durations_of
from airflow_provider_mediax.jobs.stored import Owner, manifest
from airflow_provider_mediax.jobs.waiting import Outcome, Wait, batches
from airflow_provider_mediax.jobs.watcher import Watcher
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import JobRequest, JobService, Prepared

CLOCKS = 2.0
"""Seconds that are added where times of several machines, in whole seconds, are compared."""

NOTE_SECONDS = 1.0
"""A chunk's ``.jobs`` is written this often at most while its sends go on."""

FRUITLESS = 10
"""Waves in a row of which nothing was sent, before the attempt ends."""

ENDS: Mapping[str, State] = MappingProxyType(
    {"jobs.succeeded": "done", "jobs.failed": "failed", "jobs.canceled": "canceled"}
)
"""What is counted of a chunk that is done, by the names of the metrics."""

LONGEST_PAUSE = 60.0
"""Seconds to which the pauses between such waves grow."""


class Requests(Protocol):
    """Makes requests of items, by the rules of the typed operators."""

    def build(self, capability: str, item: Item, folder: str | None) -> JobRequest:
        """
        Return the request.

        :param folder: of the batch's files, in which each item has one of its own; None while nothing is bought yet.
        :raises BadRequest: an argument breaks a rule.
        """


@dataclass(slots=True, kw_only=True)
class Lane:
    """
    One service of the batch, as the event loop uses it.

    :param client: sends and looks up.
    :param watcher: waits.
    :param markers: of each job that is waited for, by its id; the watcher reads by them.
    :param longest_send: seconds from the begin of a send after which the service has received it or never will.
    """

    service: JobService[Any]
    client: Client
    watcher: Watcher
    markers: dict[str, str]
    longest_send: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """
    What all chunks of a batch have in common.

    :param folder: of the batch's files at the service.
    :param started: epoch seconds at which this attempt began.
    :param count: is given what happens: the metric's name, the capability, how often.
    :param clock: seconds that never jump; ``epoch``: seconds since 1970.
    """

    ledger: BatchLedger
    store: Store
    requests: Requests
    owner: Owner
    folder: str
    poll_interval: float
    wait_timeout: float
    started: float
    at_once: asyncio.Semaphore
    sending: asyncio.Lock
    stopped: Callable[[], bool]
    sends: bool
    may_send: Callable[[], Awaitable[None]]
    sent: Callable[[ChunkWork], Awaitable[None]]
    changed: Callable[[], None]
    ended: Callable[[Line, End], None]
    count: Callable[[str, str, int], None]
    log: ownership.Log
    clock: Callable[[], float]
    epoch: Callable[[], float]


@dataclass(slots=True, eq=False)
class ChunkWork:
    """
    Carries a chunk from wherever it stands to its end.

    :ivar phase: ``deciding``, ``sending``, ``waiting``, ``finishing`` or ``done``.
    :ivar asked: whether the service has been asked for its jobs since the waiting began.
    :ivar manifests: of the items that are done.
    """

    chunk: Chunk
    marker: str
    lane: Lane
    setting: Setting
    phase: str = "deciding"
    asked: bool = False
    deadline: float = 0.0
    manifests: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _prepared: dict[int, Prepared[Any]] = field(default_factory=dict)
    _noted_at: float = 0.0
    _twice: set[int] = field(default_factory=set)

    async def run(self) -> None:
        """Carry the chunk to its end."""
        if self.chunk.undecided:
            await self._decide()
        await self._send_all()
        await self.setting.sent(self)
        await self._wait()
        await self._finish()
        self._enter("done")

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self.setting.changed()

    async def _decide(self) -> None:
        """Find out what became of the sends of a wave that nobody can ask any more."""
        setting, chunk = self.setting, self.chunk
        grace = CLAIM_SECONDS + self.lane.longest_send + CLOCKS
        pause = grace - (chunk.age or 0.0)
        if pause > 0:
            setting.log.info(
                "Chunk %d: an earlier attempt ended while it was sending; waiting %.0f s before asking for its jobs",
                chunk.number,
                pause,
            )
            await asyncio.sleep(pause)
        await setting.ledger.learn(chunk)
        if chunk.undecided:
            await self._settle(chunk.undecided, patience.PATIENCE)
            await self._note()

    async def _settle(self, places: Sequence[int], moments: Sequence[float]) -> None:
        """Look up the jobs of some lines: those that have none can be sent again, others the service cannot tell."""
        chunk, setting, service = self.chunk, self.setting, self.lane.service
        prepared = {place: self._request(place) for place in places}
        taken = {job.job_id for job in chunk.learned.jobs.values()}
        since = setting.epoch() - ownership.CLOCK_DOUBT - max(moments, default=0.0) - (chunk.age or 0.0)

        def enough(jobs: Any) -> bool:
            return len(assigned(service, jobs, prepared, taken)) == len(prepared)

        flow = look_up(
            service, self.marker, moments=moments, since=since, enough=enough, clock=setting.clock, log=setting.log
        )
        jobs, complete = await self.lane.client.run(flow)
        found = assigned(service, jobs, prepared, taken)
        for place, job in found.items():
            at = job.created_at.timestamp() if job.created_at else setting.epoch()
            chunk.learned.jobs[place] = Bought(job.id, at, adopted=True)
            setting.log.info("Item %s: adopting job %s (%s)", chunk.lines[place].id, job.id, job.state_name)
        self._count("jobs.adopted", len(found))
        left = [place for place in places if place not in found]
        if complete:
            chunk.take_back(left)
        else:
            for place in left:
                chunk.learned.unknown[place] = f"The list of the jobs of {self.marker} is not complete"

    async def _send_all(self) -> None:
        self._enter("sending")
        setting, chunk = self.setting, self.chunk
        fruitless = 0
        if not setting.sends:
            for place in chunk.missing:
                self._end(place, "not_submitted", None, None)
            return
        while places := chunk.missing:
            async with setting.sending:
                await setting.may_send()
                if (held := self.lane.client.pacing.held(setting.clock(), submit=True)) > 0:
                    await asyncio.sleep(held)
                    continue
                asked_at = setting.clock()
                places = places[: max(1, int(self.lane.client.pacing.rate * CLAIM_SECONDS * 0.8))]
                if not await setting.ledger.claim(chunk, places, self.lane.longest_send):
                    sent = None
                else:
                    sent = await self._send_wave(places, asked_at)
            if sent is None:
                await self._meet_another()
                continue
            await self._take_in(sent)
            fruitless = fruitless + 1 if len(sent.back) == len(places) else 0
            if fruitless:
                await self._pause_after(sent, fruitless)
        await self._note_at_last()

    async def _send_wave(self, places: Sequence[int], asked_at: float) -> Sent:
        setting = self.setting
        keeping = asyncio.ensure_future(self._keep_notes())
        try:
            return await send_wave(
                self.lane.client,
                self.lane.service,
                {place: self._request(place) for place in places},
                self.marker,
                asked_at=asked_at,
                at_once=setting.at_once,
                stopped=setting.stopped,
                clock=setting.clock,
                answered=self._bought,
            )
        finally:
            keeping.cancel()

    def _bought(self, place: int, job: Job) -> None:
        self.chunk.learned.jobs[place] = Bought(job.id, self.setting.epoch())
        self._count("jobs.bought", 1)
        self.setting.changed()

    async def _keep_notes(self) -> None:
        """Write what is bought once a second while the sends go on; what a failure loses, a look-up finds."""
        known = len(self.chunk.learned.jobs)
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            if len(self.chunk.learned.jobs) > known:
                known = len(self.chunk.learned.jobs)
                with contextlib.suppress(OSError, MediaxError):
                    await self.setting.ledger.note(self.chunk)

    async def _take_in(self, sent: Sent) -> None:
        chunk, setting = self.chunk, self.setting
        chunk.take_back(sent.back)
        if (error := sent.about_all) is not None and not chunk.learned.jobs:
            if sent.doubtful:
                await self._settle(list(sent.doubtful), patience.PATIENCE)
                await self._note()
            if not chunk.learned.jobs:
                raise error
        for place, error in sent.refused.items():
            chunk.learned.refused[place] = error.reason
        if sent.doubtful:
            setting.log.warning(
                "The outcome of %d submits is not known (%s); looking them up",
                len(sent.doubtful),
                next(iter(sent.doubtful.values())).what,
            )
            moments = moments_after(sent.began, self.lane.longest_send, setting.clock())
            if all(isinstance(error, BadRequest) for error in sent.doubtful.values()):
                moments = list(patience.PATIENCE)  # an answer that refuses is not late
            await self._settle(list(sent.doubtful), moments)
            for place, error in sent.doubtful.items():
                if place in chunk.claimed:
                    continue  # found, or not to be known
                if isinstance(error, BadRequest):
                    chunk.learned.refused[place] = error.reason
                elif place in self._twice:
                    chunk.learned.unknown[place] = f"It was sent twice without an answer: {error.what}"
                self._twice.add(place)
        if chunk.learned.jobs or chunk.learned.refused or chunk.learned.unknown:
            await self._note()

    async def _meet_another(self) -> None:
        """Another attempt has claimed the wave: the chunk is undecided."""
        chunk, setting = self.chunk, self.setting
        setting.log.warning("Chunk %d: another attempt of this task is sending it", chunk.number)
        names = await setting.ledger.names()
        other = await setting.ledger.open(chunk.number, names, None)
        if other.range != chunk.range:
            chunk.range, chunk.lines = other.range, other.lines
            self._prepared.clear()
        chunk.wave, chunk.claimed = other.wave, other.claimed | chunk.claimed & chunk.lines.keys()
        await setting.ledger.learn(chunk, names)
        self._enter("deciding")
        await self._decide()
        self._enter("sending")

    async def _pause_after(self, sent: Sent, fruitless: int) -> None:
        error = next(iter(sent.back.values()))
        if fruitless >= FRUITLESS:
            raise error if not isinstance(error, BadRequest) else Unavailable(error.what)
        wish = error.retry_after or 0.0 if isinstance(error, Throttled) else 0.0
        pause = max(wish, min(LONGEST_PAUSE, 2.0**fruitless / 2))
        self.setting.log.warning("Nothing could be sent (%s); trying again in %.0f s", error.what, pause)
        await asyncio.sleep(pause)

    async def _note(self) -> None:
        """Write what is known; if that fails it is written again, at the latest when all is sent."""
        try:
            await self.setting.ledger.note(self.chunk)
        except Exception as error:
            if not passing(error):
                raise

    async def _note_at_last(self) -> None:
        """Write what was bought, however long it takes: from here on only the ledger knows the jobs' lines."""
        for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            try:
                await self.setting.ledger.note(self.chunk)
            except Exception as error:
                if not passing(error):
                    raise
                await asyncio.sleep(pause)
            else:
                return
        await self.setting.ledger.note(self.chunk)

    async def _wait(self) -> None:
        """Wait for the jobs; those that have not ended by their deadline are asked for once more."""
        setting, chunk, service = self.setting, self.chunk, self.lane.service
        places = {job.job_id: place for place, job in chunk.learned.jobs.items() if place in chunk.lines}
        self.lane.markers.update(dict.fromkeys(places, self.marker))
        self._enter("waiting")
        if not places:
            return
        began = max([setting.started, *(job.at for job in chunk.learned.jobs.values())])
        self.deadline = began + setting.wait_timeout
        now, epoch = setting.clock(), setting.epoch()
        wait = Wait(
            job_ids=list(places),
            deadline=now + (self.deadline - epoch),
            poll_interval=setting.poll_interval,
            started=now,
            finish_at=len(places),
            with_results=True,
            schedule=durations_of(service.name, chunk.range.capability),
            moment=lambda moment: now + (moment - epoch),
        )
        outcome: Outcome | None = None
        async with contextlib.aclosing(self.lane.watcher.watch(wait)) as updates:
            async for update in updates:
                self.asked = True
                if isinstance(update, Outcome):
                    outcome = update
                elif isinstance(update, Job):
                    self._observe(places[update.id], update)
                else:
                    setting.log.warning("Asking for the jobs of chunk %d failed: %s", chunk.number, update.what)
                setting.changed()
        if outcome is not None and outcome.error is not None:
            raise given_up(outcome.error).about(marker=self.marker)
        await self._end_late(places)

    async def _end_late(self, places: Mapping[str, int]) -> None:
        late = [job_id for job_id, place in places.items() if place not in self.chunk.ends]
        service, client = self.lane.service, self.lane.client
        for ids in batches(late, service.describe_limit):
            with contextlib.suppress(MediaxError):
                jobs = await client.run(service.describe(ids), ONE_TRY)
                stuck = [job.id for job in jobs.values() if service.can_cancel(job)]
                if stuck:
                    flow = cancel_flow(service, stuck, lambda error: self._note_uncanceled(error))
                    jobs = {**jobs, **{job.id: job for job in await client.run(flow)}}
                for job in jobs.values():
                    if job.id not in stuck or job.state is not JobState.CANCELED:
                        self._observe(places[job.id], job)
        for job_id in late:
            if places[job_id] not in self.chunk.ends:
                self._end(places[job_id], "timeout", job_id, "It had not ended when wait_timeout had passed")

    def _note_uncanceled(self, error: MediaxError) -> None:
        self.setting.log.warning("Canceling a job failed: %s", error.what)

    def _observe(self, place: int, job: Job) -> None:
        if not job.state.final or place in self.chunk.ends:
            return
        adopted = self.chunk.learned.jobs[place].adopted
        if job.state is JobState.SUCCEEDED:
            self.manifests[place] = manifest(self.lane.service, job, self.setting.owner, reattached=adopted)
            self._end(place, "done", job.id, None)
        else:
            state: State = "canceled" if job.state is JobState.CANCELED else "failed"
            words = job.message[:500] if job.message else f"The job ended as {job.state_name}, without a reason"
            self._end(place, state, job.id, words)

    def _end(self, place: int, state: State, job_id: str | None, error: str | None) -> None:
        adopted = job_id is not None and self.chunk.learned.jobs[place].adopted
        end = self.chunk.ends[place] = End(state, job_id, error, adopted)
        self.setting.ended(self.chunk.lines[place], end)

    async def _finish(self) -> None:
        chunk, setting = self.chunk, self.setting
        self._enter("finishing")
        for place, words in chunk.learned.refused.items():
            if place in chunk.lines and place not in chunk.ends:
                self._end(place, "failed", None, words)
        for place, words in chunk.learned.unknown.items():
            if place in chunk.lines and place not in chunk.ends:
                self._end(place, "unknown", None, words)
        part = f"parts/{chunk.number:06d}.{setting.ledger.process}.jsonl" if self.manifests else None
        if part is not None:
            data = b"".join(as_line([place, self.manifests[place]]) for place in sorted(self.manifests))
            await setting.store.write_bytes(part, data)
        await setting.ledger.finish(chunk, part)
        for what, state in ENDS.items():
            self._count(what, sum(end.state == state for end in chunk.ends.values()))

    def _count(self, what: str, number: int) -> None:
        self.setting.count(what, self.chunk.range.capability, number)

    def _request(self, place: int) -> Prepared[Any]:
        """Return the request of a line; made when it is needed, since it may hold an address that passes."""
        if place not in self._prepared:
            line, setting = self.chunk.lines[place], self.setting
            request = setting.requests.build(self.chunk.range.capability, line.item, setting.folder)
            self._prepared[place] = self.lane.service.prepare(request)
        return self._prepared[place]
