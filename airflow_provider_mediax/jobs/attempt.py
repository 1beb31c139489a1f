"""
One attempt of a task at its job: acquire it, wait for it, collect it, and cancel it when the task is killed.

An operator is the Airflow adapter of this: it coerces arguments, opens the hook, defers, and stores what is handed to
it. Nothing here knows Airflow.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.client.retry import ONE_TRY, PATIENT, Patience
from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    BadRequest,
    MediaxError,
    ProtocolError,
    ResultMissing,
    Stopped,
    WaitTimeout,
)
from airflow_provider_mediax.jobs.cancellation import cancel_flow, describe_outcome
from airflow_provider_mediax.jobs.claims import Claims
from airflow_provider_mediax.jobs.ending import given_up, require_success
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.manifest import Manifest
from airflow_provider_mediax.jobs.ownership import Acquisition, Log, Owned, RecordStore
from airflow_provider_mediax.jobs.schedule import durations_of
from airflow_provider_mediax.jobs.stored import (
    JOB_ID_KEY,
    MANIFEST_KEY,
    WAIT_KEY,
    JobEvent,
    Owner,
    Pending,
    Unreadable,
)
from airflow_provider_mediax.jobs.waiting import Wait, absolute_deadline, announced, wait_flow
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import JobService, R

T = TypeVar("T")

CANCEL_SECONDS = 3.0
"""How long a kill in a worker takes at most: Airflow sends SIGKILL 5 s after SIGTERM."""

LAST_READ_SECONDS = 60.0
"""How long a job is asked for after its deadline, if the answers fail: it may have ended in time."""


class ServiceHook(Protocol[R]):
    """A hook of a job service, as far as an attempt needs it."""

    @property
    def service(self) -> JobService[R]:
        """The service with the connection's keys."""

    @property
    def longest_send(self) -> float:
        """Seconds from the begin of a submit after which the service has received it or never will."""

    @property
    def claims(self) -> Claims | None:
        """Where the right to submit is claimed, None where it is not."""

    def callback(self, marker: str, until: float) -> str | None:
        """Return where the service can tell of a job's end, None where it cannot."""

    def collected(self, marker: str) -> None:
        """Take in that a job was collected; a hint about its end is of no use any more."""

    def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        """Carry a flow out."""

    def run_apart(self, flow: Flow[T], seconds: float) -> T:
        """Carry a flow out within ``seconds``, with a session of its own."""

    def manifest(self, job: Job, owner: Owner | None, *, reattached: bool) -> Manifest:
        """Describe a job."""

    def found(self, manifest: Manifest) -> str:
        """Say in one line what a job found and where its files lie."""

    def check_outputs(self, job: Job) -> None:
        """
        Look for the files that a finished job promises.

        :raises ResultMissing: one is missing or empty.
        """


class Notes(Protocol):
    """What Airflow keeps for the attempt from its deferral to its resume, and for other tasks (XCom)."""

    def write(self, key: str, value: Any) -> None:
        """Keep a value."""

    def read(self, key: str) -> Any:
        """Return what this attempt has kept, None if nothing."""


class Meter(Protocol):
    """Counts what happens to jobs, by the capability that they compute."""

    def count(self, what: str, capability: str, number: int = 1) -> None:
        """Add to a counter."""

    def time(self, what: str, capability: str, seconds: float) -> None:
        """Record how long something took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInstance:
    """
    What an attempt needs to know of the task instance that it runs for.

    :param generation: ``max_tries``, which moves with every clear.
    :param started: epoch seconds at which this try of the task started.
    :param execution_timeout: seconds that Airflow gives the try, None for no limit.
    :param earliest: epoch seconds before which no try of the task can have begun.
    """

    owner: Owner
    try_number: int
    generation: int
    started: float
    execution_timeout: float | None = None
    earliest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The arguments that all job operators share, rendered and coerced; see ``operators.base``."""

    deferrable: bool = False
    wait_for_completion: bool = True
    poll_interval: float = 5.0
    wait_timeout: float = 86400.0
    cancel_on_kill: bool = True
    reuse: bool = False
    retry_failed_jobs: bool = False
    verify_outputs: bool = True
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Deferral:
    """
    The attempt is to be continued by :meth:`Attempt.resume` after a trigger has waited for the job.

    :param capability: the kind of the job, which says how long it may take.
    """

    pending: Pending
    cancel_on_kill: bool
    capability: str


class Attempt(Generic[R]):
    """
    One attempt of a task.

    :param hook: the service, with the task's stop signal.
    :param build: makes the request from the task's arguments; called only if a job may have to be submitted.
    :param notes: what outlives a deferral.
    :param store: Airflow's task state store, None where there is none (3.1).
    :param meter: counts what was bought, what became of it, and how long it was waited for.
    :param clock: epoch seconds.
    :param monotonic: seconds of a clock that nobody sets.
    :ivar job: the job as it was described last; None before there is one.
    """

    def __init__(
        self,
        hook: ServiceHook[R],
        build: Callable[[], R],
        terms: Terms,
        task: TaskInstance,
        *,
        namespace: str | None,
        notes: Notes,
        store: RecordStore | None,
        log: Log,
        meter: Meter,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = steady,
    ) -> None:
        self._hook = hook
        self._build = build
        self._terms = terms
        self._task = task
        self._namespace = namespace
        self._notes = notes
        self._store = store
        self._log = log
        self._meter = meter
        self._clock = clock
        self._monotonic = monotonic
        self.job: Job | None = None
        self._observed: tuple[str, str] | None = None
        self._held: str | None = None
        self._given_up = False
        self._replaced: list[str] = []

    def begin(self, *, resumed: bool = False) -> Manifest | Deferral:
        """
        Get the job, and wait for it.

        :param resumed: the attempt goes on after a deferral and has lost what it waited for.
        :return: the manifest, or the order to defer.
        :raises BadRequest: before anything is sent.
        """
        while True:
            owned = self._acquire(resumed)
            try:
                return self._follow(owned)
            except ResultMissing as error:
                # One that was found in that state is replaced like one that was found failed.
                if not (self._terms.retry_failed_jobs and owned.reattached and owned.job.state.final):
                    raise
                self._held = None
                self._replaced.append(owned.job.id)
                self._log.warning("Job %s is replaced, as retry_failed_jobs says: %s", owned.job.id, error.what)

    def resume(self, event: object) -> Manifest | Deferral:
        """
        Go on after a trigger's event.

        The event is a hint: the job is read again, and its own state decides.
        """
        pending = Pending.read(self._notes.read(WAIT_KEY))
        if not isinstance(pending, Pending):
            why = f"cannot be read ({pending.reason})" if isinstance(pending, Unreadable) else "is lost"
            self._log.warning("What this task waited for %s; looking its job up", why)
            return self.begin(resumed=True)
        self._held = pending.job_id
        said = JobEvent.read(event, pending.job_id)
        if pending.job_id in said.states:
            self._observed = (pending.job_id, said.states[pending.job_id])  # the trigger has logged it
        job = self._read(pending)
        self._count_polls(said.polls, job)
        if not job.state.final:
            if said.status == "timeout" or self._clock() >= pending.deadline:
                job = self._at_deadline(pending, job)
            elif isinstance(said.error, AnswerTooLarge):
                job = self._wait_here(pending, job)  # a worker reads more than a triggerer
            elif said.error is not None:
                raise given_up(said.error).about(job_id=pending.job_id, marker=pending.marker)
            else:
                self._log.warning("The event says nothing about the end of job %s; waiting on", pending.job_id)
        return self._go_on(pending, job)

    def kill(self) -> None:
        """
        Cancel the job where the service can; for a signal handler.

        A submit that is on its way is left alone: whatever comes next finds it by its marker.
        """
        job_id = self._held
        if job_id is None:
            return
        if not self.may_cancel:
            reason = "the service has no call to cancel it"
            if self._hook.service.cancellable:
                reason = "cancel_on_kill is off" if not self._terms.cancel_on_kill else "other tasks may share it"
            self._log.warning("Job %s goes on and costs money, because %s", job_id, reason)
            return
        troubles: list[MediaxError] = []
        self._given_up = True
        try:
            jobs = self._hook.run_apart(cancel_flow(self._hook.service, [job_id], troubles.append), CANCEL_SECONDS)
        except TimeoutError:
            self._log.warning("Whether job %s could be canceled is not known: no answer yet", job_id)
            return
        for error in troubles:  # logged here: the other thread might wait for a lock that this one holds
            self._note_uncanceled(error)
        for job in jobs:
            self._log.info(describe_outcome(job))

    def release(self) -> None:
        """Forget the job: from here on a kill of this process does not concern it."""
        self._held = None

    @property
    def may_cancel(self) -> bool:
        """Whether the end of this task may end its job: other tasks may wait for one that is shared by a key."""
        terms = self._terms
        return self._hook.service.cancellable and terms.cancel_on_kill and terms.idempotency_key is None

    def observe(self, job: Job) -> None:
        """Note a change of the job's state: the one place that every change passes."""
        self.job = job
        if self._observed != (job.id, job.state_name):
            self._observed = (job.id, job.state_name)
            self._log.info(job.summary)

    def _follow(self, owned: Owned) -> Manifest | Deferral:
        """Wait for a job that was acquired."""
        job = owned.job
        self._held = job.id
        self.job, self._observed = job, (job.id, job.state_name)  # logged with its marker
        self._notes.write(JOB_ID_KEY, job.id)
        if not self._terms.wait_for_completion:
            return self._hook.manifest(job, self._task.owner, reattached=owned.reattached)
        pending = Pending(
            job_id=job.id,
            marker=owned.marker,
            deadline=absolute_deadline(
                self._clock(),
                self._terms.wait_timeout,
                task_started=self._task.started,
                execution_timeout=self._task.execution_timeout,
            ),
            reattached=owned.reattached,
        )
        if not owned.reattached:  # what was adopted has just been described
            job = self._first_look(pending, job)
        return self._go_on(pending, job)

    def _acquire(self, resumed: bool) -> Owned:
        terms, task = self._terms, self._task
        request = self._build()
        self._log.info("%s is asked for %s", self._hook.service.title, request.summary)
        identity = Identity(
            namespace=self._namespace,
            owner=task.owner,
            generation=task.generation,
            reuse=terms.reuse,
            key=terms.idempotency_key,
        )
        acquisition = Acquisition(
            self._hook.service,
            request,
            identity,
            store=self._store,
            claims=self._hook.claims,
            callback=self._callback,
            try_number=task.try_number,
            resumed=resumed,
            longest_send=self._hook.longest_send,
            earliest=task.earliest,
            retry_failed=terms.retry_failed_jobs,
            replaced=self._replaced,
            may_cancel=self.may_cancel,
            clock=self._clock,
            monotonic=self._monotonic,
            log=self._log,
        )
        try:
            owned = self._hook.run(acquisition.run())
        except MediaxError as error:
            raise error.about(marker=acquisition.marker) from error.__cause__
        self._meter.count("jobs.adopted" if owned.reattached else "jobs.bought", request.capability_name)
        return owned

    def _callback(self, marker: str) -> str | None:
        """Return the address for a job that a triggerer waits for: nobody else looks there."""
        waits = self._terms.deferrable and self._terms.wait_for_completion
        return self._hook.callback(marker, self._clock() + self._terms.wait_timeout) if waits else None

    def _go_on(self, pending: Pending, job: Job) -> Manifest | Deferral:
        """Return the manifest of a job that is final, or wait for it in the triggerer or here."""
        if not job.state.final:
            if self._terms.deferrable:
                self._notes.write(WAIT_KEY, pending.written())
                self._held = None  # from here on the trigger's
                return Deferral(pending, self.may_cancel, self._hook.service.capability(job))
            job = self._wait_here(pending, job)
        return self._collect(pending, job)

    def _collect(self, pending: Pending, job: Job) -> Manifest:
        capability = self._hook.service.capability(job)
        self._meter.count(f"jobs.{job.state.value}", capability)
        self._meter.time("waited", capability, max(0.0, self._clock() - self._begun(pending)))
        try:
            if job.state is JobState.CANCELED and self._given_up:
                raise WaitTimeout("This attempt canceled the job, which had not started, when it had to end")
            require_success(job)
            manifest = self._hook.manifest(job, self._task.owner, reattached=pending.reattached)
            if self._terms.verify_outputs:
                self._verify(job, manifest)
        except MediaxError as error:
            raise error.about(job_id=pending.job_id, marker=pending.marker) from error.__cause__
        self._held = None
        if self._terms.deferrable:
            self._hook.collected(pending.marker)
        self._log.info("Job %s has found: %s", job.id, self._hook.found(manifest))
        return manifest

    def _verify(self, job: Job, manifest: Manifest) -> None:
        try:
            self._hook.check_outputs(job)
        except ResultMissing:
            self._notes.write(MANIFEST_KEY, manifest)
            raise

    def _wait_here(self, pending: Pending, job: Job) -> Job:
        if self._clock() < pending.deadline:  # a slow submit or first look may have used the time up
            job = self._asked_until(pending, pending.deadline, job)
        return job if job.state.final else self._at_deadline(pending, job)

    def _read(self, pending: Pending) -> Job:
        """Describe the job once, bearing failures like the wait did: to the deadline, and for a moment after it."""
        return self._asked_until(pending, max(pending.deadline, self._clock() + LAST_READ_SECONDS), answers=1)

    def _asked_until(
        self, pending: Pending, deadline: float, known: Job | None = None, *, answers: float = math.inf
    ) -> Job:
        """
        Ask for the job until it is final.

        :param deadline: epoch seconds; then the job is returned as it is.
        :param known: the last answer about it.
        :param answers: how many answers are enough, whatever they say.
        :raises MediaxError: the service failed more often than a wait bears, or said nothing up to the deadline.
        """
        service = self._hook.service
        wait = Wait(
            job_ids=[pending.job_id],
            known=known,
            deadline=self._moment(deadline),
            poll_interval=self._terms.poll_interval,
            started=self._monotonic(),
            answers=answers,
            schedule=durations_of(service.name, service.capability(known) if known is not None else None),
            moment=self._moment,
        )
        if answers == math.inf:
            first = self._clock() + max(0.0, wait.due - self._monotonic())
            self._log.info(announced(pending.job_id, deadline, first))
        troubles: list[MediaxError] = []

        def note(trouble: MediaxError) -> None:
            troubles.append(trouble)
            self._note_trouble(trouble)

        waiting = wait_flow(service, wait, clock=self._monotonic, on_change=self.observe, on_trouble=note)
        outcome = self._hook.run(waiting, ONE_TRY)
        job = outcome.jobs.get(pending.job_id)
        self._count_polls(outcome.polls, job or known)
        if outcome.error is not None or job is None:
            silent = ProtocolError("The service did not describe the job up to the deadline")
            raise _retryable(outcome.error or (troubles[-1] if troubles else silent), pending)
        return job

    def _first_look(self, pending: Pending, job: Job) -> Job:
        """
        Ask for a new job once before the slot is given up.

        A failure here ends nothing, because the wait that follows bears failures, and knows the deadline.
        """
        try:
            described = self._hook.run(self._hook.service.describe([pending.job_id]), ONE_TRY).get(pending.job_id)
        except Stopped:
            raise
        except MediaxError as error:
            self._note_trouble(error)
            return job
        if described is None:
            return job
        if described.state.final or not self._terms.deferrable:
            self.observe(described)  # an open state is the first thing that the trigger logs
        return described

    def _at_deadline(self, pending: Pending, job: Job) -> Job:
        """
        Cancel a job that has not started, where the service can; return one that has come to its end by itself.

        :raises WaitTimeout: it goes on, or this attempt has canceled it.
        """
        if self.may_cancel and job.started_at is None:
            self._given_up = True
            for job in self._hook.run(cancel_flow(self._hook.service, [pending.job_id], self._note_uncanceled)):
                self.observe(job)
        if not job.state.final:
            what = f"The job is still {job.state_name} at the deadline of this attempt"
            raise WaitTimeout(what, job_id=pending.job_id, marker=pending.marker)
        return job

    def _begun(self, pending: Pending) -> float:
        """Return when the wait began, in epoch seconds; a resume may know its own start alone (Airflow 3.1)."""
        limits = (self._terms.wait_timeout, self._task.execution_timeout)
        return pending.deadline - min(limit for limit in limits if limit is not None)

    def _count_polls(self, polls: int, job: Job | None) -> None:
        self._meter.count("polls", self._hook.service.capability(job) if job is not None else "", polls)

    def _moment(self, epoch: float) -> float:
        """Turn epoch seconds into seconds of the clock that nobody sets."""
        return self._monotonic() + (epoch - self._clock())

    def _note_trouble(self, error: MediaxError) -> None:
        self._log.warning("Asking for the job failed, trying again: %s", error.what)

    def _note_uncanceled(self, error: MediaxError) -> None:
        self._log.warning("Canceling the job failed: %s", error.what)


def _retryable(error: MediaxError, pending: Pending) -> MediaxError:
    """Return what a wait was given up for: a refusal to describe a job is no reason to lose one that exists."""
    if isinstance(error, BadRequest):
        refused = ProtocolError(f"The service will not describe the job: {error.what}", **error.facts())
        refused.__cause__ = error
        error = refused
    return error.about(job_id=pending.job_id, marker=pending.marker)
