"""The job board of both services: how a job lives. Which states it passes, each service says as data."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import ClassVar, Generic, TypeVar

from airflow_provider_mediax.emulator.shared.accounts import Customer
from airflow_provider_mediax.emulator.shared.clock import Clock
from airflow_provider_mediax.emulator.shared.objects import StoreFull
from airflow_provider_mediax.emulator.shared.plan import Plan, Span
from airflow_provider_mediax.emulator.shared.spoiling import Writer
from airflow_provider_mediax.emulator.shared.wire import JsonObject

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """
    The states of a service's jobs, and how a job passes from one to the next.

    :param waiting: the first state of every job.
    :param running: the state in which the work is done; a job whose route ends here stays in it.
    :param routes: the states after ``waiting``, by what a test decided about the job, one of ``plan.OUTCOMES``.
    :param ends: the states that no job leaves.
    :param failed: the end of a job whose work fails.
    :param canceled: the end of a waiting job that is canceled; None where the service has no such call.
    :param reported: the ends that a callback tells about.
    """

    waiting: Enum
    running: Enum
    routes: Mapping[str, tuple[Enum, ...]]
    ends: frozenset[Enum]
    failed: Enum
    canceled: Enum | None
    reported: frozenset[Enum]


class WorkFailed(Exception):
    """
    A job cannot do its work and ends as failed; the text says why.

    :param code: what Cloud Infinite shows as the job's ``Code``; MediaX shows none.
    """

    def __init__(self, message: str, code: str = "InternalError") -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True, eq=False, kw_only=True)
class EmulatedJob:
    """
    One job of either service. Times are epoch seconds, None for not yet.

    :cvar service: ``mediax`` or ``ci``.
    :param capability: name under which tests decide about the job.
    :param owner: who may see the job: the platform id of an account, or a bucket.
    :param marker: how the caller's own bookkeeping knows the job.
    :param timeout: seconds after which the job fails.
    :ivar number: counts the jobs of the board, oldest first; this and the next two are set by the board.
    :ivar files: writes the job's files.
    :ivar phase: where the job is on its way.
    :ivar failure: why it ended as failed.
    :ivar born: monotonic seconds, for what must not follow a shifted clock.
    """

    service: ClassVar[str]

    account: Customer
    capability: str
    owner: str
    marker: str | None
    timeout: float | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    number: int = field(init=False)
    created: float = field(init=False)
    files: Writer = field(init=False)
    phase: Enum = field(init=False)
    started: float | None = None
    ended: float | None = None
    failure: WorkFailed | None = None
    born: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> Enum:
        """Return the state as the service shows it."""
        return self.phase

    @property
    def custom_id(self) -> str | None:
        """Return the ``customId``, which only MediaX has."""
        return None

    async def may_start(self) -> None:
        """Wait until nothing outside the job holds it back."""

    def for_ledger(self) -> JsonObject:
        """Return what tests want to know about the job."""
        return {
            "id": self.id,
            "service": self.service,
            "marker": self.marker,
            "custom_id": self.custom_id,
            "capability": self.capability,
            "state": str(self.state),
            "account": self.account.platform_id,
            "created_at": self.created,
            "finished_at": self.ended,
            "message": str(self.failure) if self.failure else None,
        }


J = TypeVar("J", bound=EmulatedJob)


class JobBoard(Generic[J]):
    """
    All jobs of one service.

    :param limit: how many jobs are kept; the oldest is stopped and forgotten, whatever its state.
    :param life: the states of the service.
    :param work: what a job does while it is running; raises :class:`WorkFailed`.
    :param notify: called once for every job that ends in a state that a callback tells about.
    """

    def __init__(
        self,
        clock: Clock,
        plan: Plan,
        limit: int,
        life: Lifecycle,
        work: Callable[[J], Awaitable[None]],
        notify: Callable[[J], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._plan = plan
        self._limit = limit
        self._life = life
        self._work = work
        self._notify = notify
        self._jobs: dict[str, J] = {}
        self._listed: defaultdict[tuple[str, str | None], dict[str, J]] = defaultdict(dict)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._count = 0

    async def reset(self) -> None:
        """Stop and forget all jobs."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._jobs.clear()
        self._listed.clear()
        self._count = 0

    def start(self, job: J) -> J:
        """Let the life of a new job begin. The same request twice makes two jobs, as at the services."""
        self._count += 1
        job.number, job.created, job.phase = self._count, self._clock.now(), self._life.waiting
        job.files = Writer(self._clock, self._plan.next_spoiling(job.capability))
        if len(self._jobs) == self._limit:
            self._forget(next(iter(self._jobs.values())))
        self._jobs[job.id] = job
        for key in self._keys(job):
            self._listed[key][job.id] = job
        span, outcome = self._plan.span(job.capability), self._plan.next_outcome(job.capability)
        task = self._tasks[job.id] = asyncio.create_task(self._live(job, span, outcome))
        task.add_done_callback(partial(self._settle, job))
        return job

    def get(self, owner: str, job_id: str) -> J | None:
        """Find a job of the owner."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.owner == owner else None

    def listed(self, owner: str, marker: str | None = None) -> list[J]:
        """Return the owner's jobs that lists show already, oldest first: those with that marker, or all."""
        return [job for job in self._listed.get((owner, marker), {}).values() if self._plan.shows(job.born)]

    def all(self) -> list[J]:
        """Return every job, oldest first."""
        return [*self._jobs.values()]

    def cancel(self, job: J) -> bool:
        """Cancel a job that has not started; tell whether that was so."""
        if self._life.canceled is None or job.phase is not self._life.waiting:
            return False
        self._enter(job, self._life.canceled)
        self._tasks[job.id].cancel()
        return True

    def _keys(self, job: J) -> set[tuple[str, str | None]]:
        return {(job.owner, None), (job.owner, job.marker)}

    def _forget(self, job: J) -> None:
        del self._jobs[job.id]
        for key in self._keys(job):
            del self._listed[key][job.id]
            if not self._listed[key]:
                del self._listed[key]
        if task := self._tasks.get(job.id):
            task.cancel()

    def _settle(self, job: J, task: asyncio.Task[None]) -> None:
        self._tasks.pop(job.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A fault of the emulator ends job %s", job.id, exc_info=error)
            self._fail(job, WorkFailed(f"a fault of the emulator: {type(error).__name__}"))

    async def _live(self, job: J, span: Span, outcome: str) -> None:
        try:
            async with asyncio.timeout(job.timeout):
                await self._pass(job, span, outcome)
        except TimeoutError:
            self._fail(job, WorkFailed(f"the job took longer than its timeout of {job.timeout:g} s"))
        except WorkFailed as failure:
            self._fail(job, failure)
        except StoreFull as error:
            self._fail(job, WorkFailed(str(error)))
        if job.phase in self._life.reported:
            await self._notify(job)

    async def _pass(self, job: J, span: Span, outcome: str) -> None:
        await span.wait()
        await job.may_start()
        route = self._life.routes[outcome]
        for state in route:
            if state is self._life.failed:
                raise WorkFailed("a test decided that this job fails")
            self._enter(job, state)
            if state is self._life.running:
                await self._run(job, span, does_work=outcome == "COMPLETED")
        if route[-1] is self._life.running:
            await asyncio.Event().wait()

    async def _run(self, job: J, span: Span, does_work: bool) -> None:
        rest = asyncio.create_task(span.run())
        try:
            if does_work:
                await self._work(job)
            await rest
        finally:
            rest.cancel()

    def _fail(self, job: J, failure: WorkFailed) -> None:
        job.failure = failure
        self._enter(job, self._life.failed)

    def _enter(self, job: J, state: Enum) -> None:
        job.phase = state
        if state in self._life.ends:
            job.ended = self._clock.now()
            job.files.job_ended()
            log.info("Job %s (%s) ended %s%s", job.id, job.capability, state, f": {job.failure}" if job.failure else "")
        elif job.started is None:
            job.started = self._clock.now()
