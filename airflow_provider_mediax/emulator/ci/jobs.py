"""Jobs of Cloud Infinite and their life: submitted or paused, running, and one of the ends."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from airflow_provider_mediax.emulator.ci.queues import Queue
from airflow_provider_mediax.emulator.ci.submit import Submission
from airflow_provider_mediax.emulator.shared.accounts import Account
from airflow_provider_mediax.emulator.shared.clock import Clock
from airflow_provider_mediax.emulator.shared.plan import Plan, Span
from airflow_provider_mediax.emulator.shared.spoiling import Writer
from airflow_provider_mediax.emulator.shared.wire import JsonObject
from airflow_provider_mediax.emulator.sound.separation import AudioFacts

log = logging.getLogger(__name__)

CAPABILITY = "VoiceSeparate"
"""Name under which tests decide about these jobs."""


class State(StrEnum):
    """States on the wire; the last one is in no documentation, for clients to be tested against."""

    SUBMITTED = "Submitted"
    RUNNING = "Running"
    PAUSE = "Pause"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCEL = "Cancel"
    UNKNOWN = "Archived"


KNOWN_STATES = tuple(state for state in State if state is not State.UNKNOWN)
"""The documented ones."""


class CiJobFailed(Exception):
    """
    The job ends in Failed.

    :param code: what its ``Code`` becomes; the documentation lists none for jobs.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class StemFile:
    """
    A written result.

    :param md5: hexadecimal.
    :param facts: what the file holds.
    """

    key: str
    md5: str
    size: int
    facts: AudioFacts


@dataclass(slots=True, eq=False)
class CiJob:
    """
    One job. Times are epoch seconds, None for not yet.

    :param number: counts the jobs of the emulator, oldest first.
    :param bucket: in whose name it was submitted; ``region`` is that of the bucket.
    :param cos_id: key id of the caller.
    :param writer: writes the job's files.
    :param code: only meaningful for a failed job; it says Success before, as the service does.
    :param born: monotonic seconds, for what must not follow a shifted clock.
    """

    number: int
    account: Account
    bucket: str
    region: str
    cos_id: str
    submission: Submission
    queue: Queue
    created: float
    writer: Writer
    id: str = field(default_factory=lambda: f"j{uuid.uuid4().hex}")
    phase: State = State.SUBMITTED
    started: float | None = None
    ended: float | None = None
    code: str = "Success"
    message: str = ""
    files: list[StemFile] = field(default_factory=list)
    born: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> State:
        """Return the state, which for a waiting job depends on its queue."""
        return State.PAUSE if self.phase is State.SUBMITTED and self.queue.paused else self.phase

    def for_ledger(self) -> JsonObject:
        """Return what tests want to know about the job; times in epoch seconds."""
        return {
            "id": self.id,
            "service": "ci",
            "marker": self.submission.marker,
            "custom_id": None,
            "capability": CAPABILITY,
            "state": self.state.value,
            "account": self.account.platform_id,
            "created_at": self.created,
            "finished_at": self.ended,
            "message": self.message or None,
        }


Work = Callable[[CiJob], Awaitable[list[StemFile]]]
"""Separates what the job names and writes the stems; raises :class:`CiJobFailed`."""

Notify = Callable[[CiJob], Awaitable[None]]
"""Tells the job's callback address that it ended."""


class CiJobBoard:
    """
    All Cloud Infinite jobs of one emulator.

    :param work: what a job does while it is Running.
    :param notify: called once for every job that ends in Success or Failed.
    """

    def __init__(self, clock: Clock, plan: Plan, work: Work, notify: Notify) -> None:
        self._clock = clock
        self._plan = plan
        self._work = work
        self._notify = notify
        self._jobs: dict[str, CiJob] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def reset(self) -> None:
        """Stop and forget all jobs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._jobs.clear()

    def create(
        self, account: Account, bucket: str, region: str, cos_id: str, submission: Submission, queue: Queue
    ) -> CiJob:
        """Create a job and start its life. The same submit twice makes two jobs, as at the service."""
        number, writer = len(self._jobs) + 1, Writer(self._clock, self._plan.next_spoiling(CAPABILITY))
        job = CiJob(number, account, bucket, region, cos_id, submission, queue, self._clock.now(), writer)
        self._jobs[job.id] = job
        span, outcome = self._plan.span(CAPABILITY), self._plan.next_outcome(CAPABILITY)
        task = asyncio.create_task(self._live(job, span, outcome))
        self._tasks[job.id] = task
        task.add_done_callback(partial(self._settle, job))
        return job

    def get(self, bucket: str, job_id: str) -> CiJob | None:
        """Find a job of the bucket."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.bucket == bucket else None

    def listed(self, bucket: str) -> list[CiJob]:
        """Return the jobs of the bucket that lists show, oldest first."""
        return [job for job in self._jobs.values() if job.bucket == bucket and self._plan.shows(job.born)]

    def all(self) -> list[CiJob]:
        """Return every job, oldest first."""
        return [*self._jobs.values()]

    def cancel(self, job: CiJob) -> bool:
        """Cancel a job that has not started; tell whether that was so."""
        if job.phase is not State.SUBMITTED:
            return False
        self._end(job, State.CANCEL)
        self._tasks[job.id].cancel()
        return True

    def _settle(self, job: CiJob, task: asyncio.Task[None]) -> None:
        self._tasks.pop(job.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A fault of the emulator ends job %s", job.id, exc_info=error)
            job.code, job.message = "InternalError", f"a fault of the emulator: {type(error).__name__}"
            self._end(job, State.FAILED)

    async def _live(self, job: CiJob, span: Span, outcome: str) -> None:
        try:
            await self._process(job, span, outcome)
        except CiJobFailed as failure:
            job.code, job.message = failure.code, str(failure)
            self._end(job, State.FAILED)
        if job.phase in (State.SUCCESS, State.FAILED):
            await self._notify(job)

    async def _process(self, job: CiJob, span: Span, outcome: str) -> None:
        await span.wait()
        while job.queue.paused:
            await job.queue.active.wait()
        if outcome == "CANCELED":
            self._end(job, State.CANCEL)
            return
        job.phase, job.started = State.RUNNING, self._clock.now()
        if outcome == "NEVER":
            await asyncio.Event().wait()
        if outcome == "UNKNOWN":
            job.phase = State.UNKNOWN
            return
        rest = asyncio.create_task(span.run())
        try:
            if outcome == "COMPLETED":
                files = await self._work(job)
            await rest
        finally:
            rest.cancel()
        if outcome != "COMPLETED":
            raise CiJobFailed("InternalError", "the emulator was told to let this job fail")
        job.files = files
        self._end(job, State.SUCCESS)

    def _end(self, job: CiJob, state: State) -> None:
        job.phase, job.ended = state, self._clock.now()
        job.writer.job_ended()
        log.info("Job %s of %s ended in %s%s", job.id, job.bucket, state, f": {job.message}" if job.message else "")
