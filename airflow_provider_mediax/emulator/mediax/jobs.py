"""Jobs and their life: submitted, processing, and one of the ends."""

from __future__ import annotations

import asyncio
import logging
import struct
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial

from airflow_provider_mediax.emulator.shared.accounts import Account
from airflow_provider_mediax.emulator.shared.clock import Clock
from airflow_provider_mediax.emulator.shared.plan import Plan, Span
from airflow_provider_mediax.emulator.shared.spoiling import Writer
from airflow_provider_mediax.emulator.shared.wire import JsonObject

log = logging.getLogger(__name__)


class State(IntEnum):
    """States on the wire; the last one is in no documentation, for clients to be tested against."""

    SUBMITTED = 1
    PROCESSING = 2
    COMPLETED = 3
    ERROR = 4
    CANCELED = 5
    UNKNOWN = 9


class JobFailed(Exception):
    """The job ends in ERROR; the text says why."""


@dataclass(slots=True)
class Job:
    """
    One job. Times are epoch milliseconds, 0 for not yet.

    :param request: ``createJobRequest`` as it was sent, already checked.
    :param capability: descriptor name of its first output.
    :param files: writes the job's files.
    :param results: ``smartContentResult`` per output, once it is completed.
    :param born: monotonic seconds, for what must not follow a shifted clock.
    """

    account: Account
    request: JsonObject
    capability: str
    created_at: int
    files: Writer
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: State = State.SUBMITTED
    started_at: int = 0
    completed_at: int = 0
    results: list[JsonObject] = field(default_factory=list)
    message: str | None = None
    born: float = field(default_factory=time.monotonic)

    @property
    def custom_id(self) -> str | None:
        """Return the caller's id, if it sent one."""
        custom_id = self.request.get("customId")
        return custom_id if isinstance(custom_id, str) else None

    @property
    def inputs(self) -> list[JsonObject]:
        """Return the inputs of the request."""
        return _objects(self.request.get("inputs"))

    @property
    def outputs(self) -> list[JsonObject]:
        """Return the outputs of the request."""
        return _objects(self.request.get("outputs"))

    def as_created(self) -> JsonObject:
        """Return the Job as CreateJob shows it."""
        return self._head() | self._echo() | {"timing": self._timing()}

    def as_read(self) -> JsonObject:
        """Return the Job as GetJob and ListJobs show it: other member order, with results or a reason."""
        echo = self._echo()
        if self.results:
            outputs = _objects(echo["outputs"])
            echo["outputs"] = [
                output | {"smartContentResult": result} for output, result in zip(outputs, self.results, strict=True)
            ]
        reason: JsonObject = {"message": self.message} if self.message is not None else {}
        return self._head() | {"timing": self._timing()} | echo | reason

    def for_ledger(self) -> JsonObject:
        """Return what tests want to know about the job; times in epoch seconds."""
        return {
            "id": self.id,
            "service": "mediax",
            "marker": self.custom_id,
            "custom_id": self.custom_id,
            "capability": self.capability,
            "state": self.state.name,
            "account": self.account.platform_id,
            "created_at": self.created_at / 1000,
            "finished_at": self.completed_at / 1000 if self.completed_at else None,
            "message": self.message,
        }

    def _head(self) -> JsonObject:
        echoed = {name: self.request[name] for name in ("customId", "callback") if name in self.request}
        return {"id": self.id, "state": int(self.state)} | echoed

    def _echo(self) -> JsonObject:
        return {name: _single_precision(self.request[name]) for name in ("inputs", "outputs") if name in self.request}

    def _timing(self) -> JsonObject:
        return {
            "createdAt": str(self.created_at),
            "startedAt": str(self.started_at),
            "completedAt": str(self.completed_at),
        }


Work = Callable[[Job], Awaitable[list[JsonObject]]]
"""Computes the results of a job, one per output; raises :class:`JobFailed`."""

Notify = Callable[[Job], Awaitable[None]]
"""Tells the job's callback address that it ended."""


class JobBoard:
    """
    All jobs of one emulator.

    :param work: what a job does while it is PROCESSING.
    :param notify: called once for every job that ends COMPLETED or ERROR.
    """

    def __init__(self, clock: Clock, plan: Plan, work: Work, notify: Notify) -> None:
        self._clock = clock
        self._plan = plan
        self._work = work
        self._notify = notify
        self._jobs: dict[str, Job] = {}
        self._by_custom_id: defaultdict[tuple[str, str], list[Job]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()

    async def reset(self) -> None:
        """Stop and forget all jobs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._jobs.clear()
        self._by_custom_id.clear()

    def create(self, account: Account, request: JsonObject, capability: str) -> Job:
        """Create a job and start its life. The same ``customId`` twice makes two jobs, as on the platform."""
        files = Writer(self._clock, self._plan.next_spoiling(capability))
        job = Job(account, request, capability, self._clock.now_ms(), files)
        self._jobs[job.id] = job
        if job.custom_id is not None:
            self._by_custom_id[account.platform_id, job.custom_id].append(job)
        span, outcome = self._plan.span(capability), self._plan.next_outcome(capability)
        task = asyncio.create_task(self._live(job, span, outcome))
        self._tasks.add(task)
        task.add_done_callback(partial(self._settle, job))
        return job

    def get(self, account: Account, job_id: str) -> Job | None:
        """Find a job of the account."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.account.platform_id == account.platform_id else None

    def having(self, account: Account, custom_id: str) -> list[Job]:
        """Return the account's jobs with that ``customId``, newest first."""
        mine = self._by_custom_id.get((account.platform_id, custom_id), [])
        return [job for job in reversed(mine) if self._plan.shows(job.born)]

    def all(self) -> list[Job]:
        """Return every job, oldest first."""
        return [*self._jobs.values()]

    def _settle(self, job: Job, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A fault of the emulator ends job %s", job.id, exc_info=error)
            job.message = f"a fault of the emulator: {type(error).__name__}"
            self._end(job, State.ERROR)

    async def _live(self, job: Job, span: Span, outcome: str) -> None:
        limit = job.request.get("timeout")
        try:
            async with asyncio.timeout(limit if isinstance(limit, int) else None):
                await self._process(job, span, outcome)
        except TimeoutError:
            job.message = f"the job took longer than its timeout of {limit} s"
            self._end(job, State.ERROR)
        except JobFailed as failure:
            job.message = str(failure)
            self._end(job, State.ERROR)
        if job.state in (State.COMPLETED, State.ERROR):
            await self._notify(job)

    async def _process(self, job: Job, span: Span, outcome: str) -> None:
        await span.wait()
        job.state, job.started_at = State.PROCESSING, self._clock.now_ms()
        if outcome == "NEVER":
            await asyncio.Event().wait()
        if outcome == "UNKNOWN":
            job.state = State.UNKNOWN
            return
        rest = asyncio.create_task(span.run())
        try:
            if outcome == "COMPLETED":
                results = await self._work(job)
            await rest
        finally:
            rest.cancel()
        if outcome == "COMPLETED":
            job.results = results
            self._end(job, State.COMPLETED)
        elif outcome == "CANCELED":
            self._end(job, State.CANCELED)
        else:
            raise JobFailed("the emulator was told to let this job fail")

    def _end(self, job: Job, state: State) -> None:
        job.state, job.completed_at = state, self._clock.now_ms()
        job.files.job_ended()
        log.info(
            "Job %s of %s ended %s%s", job.id, job.capability, state.name, f": {job.message}" if job.message else ""
        )


def _objects(value: object) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _single_precision(value: object) -> object:
    """Round every float as the platform does when it echoes a request: 0.2 comes back as 0.20000000298023224."""
    match value:
        case float():
            try:
                return float(struct.unpack("f", struct.pack("f", value))[0])
            except OverflowError:
                return value
        case dict():
            return {name: _single_precision(item) for name, item in value.items()}
        case list():
            return [_single_precision(item) for item in value]
    return value
