"""
Whose job is it: identity, marker, the stored record, and which existing job is adopted instead of buying another.

The rules are those of promise 1 to 3: an attempt of a task submits only when nothing can exist for it, or when
the service has said that nothing does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol

from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    JobCanceled,
    LookupFailed,
    MediaxError,
    OutcomeUnknown,
    RequestChanged,
    Stopped,
)
from airflow_provider_mediax.jobs.cancellation import cancel_flow, describe_outcome
from airflow_provider_mediax.jobs.claims import Claims, KeptBack, MarkerClaims, entitled
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.patience import LIST_LAG, PATIENCE, PERSISTENCE, patience_after, patience_to
from airflow_provider_mediax.jobs.stored import RECORD_KEY, Earlier, Record, Unreadable, digest
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.job import Job, JobList, JobState
from airflow_provider_mediax.protocol.service import JobService, R

CLOCK_DOUBT = 3600.0
"""Seconds by which the clocks of workers, scheduler and service may differ before a look-up misses a job."""

EARLIER_KEPT = 20
"""Earlier generations that a record remembers: one for each clear."""

SUBMITS_PER_ATTEMPT = 2
"""One, and once more when the service says that the first created nothing."""


_BY_MAILBOX = "If it is the callback that is refused, empty the connection's field mailbox."


class RecordStore(Protocol):
    """Airflow's task state store, as far as it is needed."""

    def get(self, key: str) -> Any:
        """Return the stored value, None if there is none."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""


class Log(Protocol):
    """A logger, of the standard library or of Airflow."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Log a line."""

    def warning(self, msg: str, /, *args: Any) -> Any:
        """Log a line that the user should see."""

    def error(self, msg: str, /, *args: Any) -> Any:
        """Log a line about why the task fails."""


@dataclass(frozen=True, slots=True)
class Owned:
    """
    A job that belongs to the task.

    :param reattached: whether it was there before this attempt.
    """

    job: Job
    marker: str
    reattached: bool


class Acquisition(Generic[R]):
    """
    Gets the task its one job: adopts the one that exists, or submits it.

    :param store: None where Airflow has no task state store (3.1).
    :param claims: where the right to submit is claimed; None without the connection's ``claims``.
    :param callback: makes the address that the job of a marker is posted to at its end, if there is one.
    :param try_number: of this attempt, from 1.
    :param resumed: the attempt goes on after a deferral and has lost what it waited for, so a job may exist.
    :param longest_send: seconds from the begin of a submit after which the service has received it or never will.
    :param earliest: epoch seconds before which no attempt of this task can have begun.
    :param retry_failed: replace a failed or canceled job instead of adopting it.
    :param replaced: ids of jobs that are to be replaced, although the service calls them a success.
    :param may_cancel: this task may cancel its own jobs: what a clear has left unfinished, before another job is
        submitted; and a job that was canceled before it started is taken for one of these, and replaced.
    :param clock: epoch seconds.
    :param monotonic: seconds of a clock that nobody sets, and that errors date the begin of a sending by.
    :raises BadRequest: the request breaks a rule; nothing is recorded or sent.
    """

    def __init__(
        self,
        service: JobService[R],
        request: R,
        identity: Identity,
        *,
        store: RecordStore | None,
        claims: Claims | None = None,
        callback: Callable[[str], str | None] = lambda marker: None,
        try_number: int,
        longest_send: float,
        resumed: bool = False,
        earliest: float | None = None,
        retry_failed: bool = False,
        replaced: Sequence[str] = (),
        may_cancel: bool = True,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = steady,
        log: Log = logging.getLogger(__name__),  # noqa: B008 - the same logger every time
    ) -> None:
        self._service = service
        self._store = store
        self._claims = claims
        self._callback = callback
        self._claims_say = False
        self._record: Record | None = None
        self._nothing_before = try_number <= 1 and not resumed
        self._longest_send = longest_send
        self._earliest = earliest
        self._identity = identity
        self._retry_failed = retry_failed
        self._may_cancel = may_cancel and service.cancellable
        self._clock = clock
        self._monotonic = monotonic
        self._log = log
        self._prepared = service.prepare(request)
        content = self._prepared.identity
        self.marker = identity.marker(digest(content))
        self._fields = {name: digest(value)[:16] for name, value in content.items()}
        self._abandoned = list(replaced)
        self._earlier: list[Earlier] = []

    def run(self) -> Flow[Owned]:
        """
        Return the task's job.

        :raises RequestChanged: an earlier try of this generation, or another task with this key, asked for something
            else.
        :raises JobCanceled: somebody else canceled the job that exists.
        :raises LookupFailed: a job may exist, and the service cannot say.
        :raises OutcomeUnknown: two submits without an answer, and no job listed for them.
        """
        stored = Record.read(self._store.get(RECORD_KEY)) if self._store is not None else None
        record = self._record = self._matching(stored)
        if record is not None:
            # The marker that was sent, should another version have made another one of the same request.
            self.marker = record.marker
            self._abandoned = [*record.abandoned, *self._abandoned]
            self._earlier = list(record.earlier)
        elif isinstance(stored, Record):
            self._earlier = list(stored.earlier)
            if stored.generation != self._identity.generation:
                self._earlier = [*self._earlier, stored.as_earlier()][-EARLIER_KEPT:]
                yield from self._leave_behind(stored)
        elif isinstance(stored, Unreadable):
            self._log.warning("The record of this task's job cannot be read: %s", stored.reason)
        # What an attempt with claims has sent, its claim shows; one whose record is gone may have had none.
        self._claims_say = self._claims is not None and (record.claimed if record is not None else self._store is None)
        adopted = yield from self._existing(record, may_exist=self._may_exist(stored))
        return self._adopt(adopted) if adopted is not None else (yield from self._submit())

    def _adopt(self, job: Job) -> Owned:
        self._log.info("%s; it was there before this attempt, marker %s", job.summary, self.marker)
        self._write(job_id=job.id)
        return Owned(job, self.marker, reattached=True)

    def _matching(self, record: Record | Unreadable | None) -> Record | None:
        """
        Return the stored record if it speaks of the same work and a job may exist for it.

        :raises RequestChanged: it is of this generation and asked for something else.
        """
        if not isinstance(record, Record):
            return None
        changed = sorted(
            name for name in {*record.fields, *self._fields} if record.fields.get(name) != self._fields.get(name)
        )
        same_generation = record.generation == self._identity.generation
        if same_generation and record.refused:
            return None if changed else record
        if changed and same_generation:
            raise RequestChanged(
                f"An earlier try of this task asked for something else; what changed: {', '.join(changed)}",
                job_id=record.job_id,
                marker=record.marker,
            )
        # After a clear, a job of another key is not the task's: another key is how shared work is done again.
        spans_clears = self._identity.reuse if self._identity.key is None else record.marker == self.marker
        return record if not changed and (same_generation or spans_clears) else None

    def _may_exist(self, stored: Record | Unreadable | None) -> bool:
        """Tell whether an attempt of this generation may have submitted a job."""
        if isinstance(stored, Record):
            # Every submit is preceded by an intent of its generation, so an older record means that there was none.
            return stored.generation == self._identity.generation and not stored.refused
        # Airflow runs a first try once; only what follows it, or resumes it, can have a predecessor.
        return isinstance(stored, Unreadable) or not self._nothing_before

    def _existing(self, record: Record | None, *, may_exist: bool) -> Flow[Job | None]:
        """Return the job that exists for this work, None if a new one is to be submitted."""
        if record is not None and record.job_id is not None:
            replaced = record.job_id in self._abandoned
            job = None if replaced else (yield from self._bought(record, record.job_id))
            # One that is described as failed is to be replaced; another attempt may have done so already.
            return job or (yield from self._look_up(patience=PATIENCE[:1], record=record))
        if may_exist or (record is not None and not record.refused):
            return None if self._claims_say else (yield from self._look_up(record=record))
        self._claims_say = False
        if self._identity.key is not None or self._identity.reuse:
            # No record knows of other runs. With "reuse", a run that was deleted and made again finds its job too.
            return (yield from self._look_up(patience=PATIENCE[:1], record=record))
        return None

    def _bought(self, record: Record, job_id: str) -> Flow[Job | None]:
        """
        Return the job that a record names, None if it is to be replaced.

        :raises LookupFailed: neither its id nor its marker leads to a job. It was paid for, so none is submitted.
        """
        refused: BadRequest | None = None
        try:
            job = (yield from self._service.describe([job_id])).get(job_id)
        except BadRequest as error:
            refused, job = error, None
        except MediaxError as error:
            error.about(job_id=job_id)
            raise
        if job is not None:
            if self._serves(job, record):
                return job
            self._abandoned.append(job.id)
            return None
        reason = f": {refused.what}" if refused else ""
        self._log.warning("The service does not describe the recorded job %s%s", job_id, reason)
        job = yield from self._look_up(record=record)
        if job is None and job_id not in self._abandoned:
            raise LookupFailed(
                f"Job {job_id} was submitted for this task, and the service does not know it{reason}",
                advice="The connection may point to another account, host or job_path than before.",
                job_id=job_id,
                marker=self.marker,
            ) from refused
        return job

    def _leave_behind(self, left: Record) -> Flow[None]:
        """Cancel the unfinished job of the generation before; what fails here does not keep the new one waiting."""
        if left.shared or left.refused:
            return  # other runs may share that job, or there is none
        if not self._may_cancel:
            self._log.info("The job from before the clear (%s) is left as it is", left.job_id or left.marker)
            return
        try:
            if left.job_id is None:
                jobs = (yield from self._service.jobs_of(left.marker, since=self._since(left.at))).jobs
            else:
                jobs = [*(yield from self._service.describe([left.job_id])).values()]
        except MediaxError as failure:
            self._note_left_behind(failure)
            return
        unfinished = [job.id for job in jobs if not job.state.final]
        for job in (yield from cancel_flow(self._service, unfinished, self._note_left_behind)):
            self._log.info("From before the clear: %s", describe_outcome(job))

    def _note_left_behind(self, failure: MediaxError) -> None:
        self._log.warning("The job from before the clear could not be canceled: %s", failure.what)

    def _serves(self, job: Job, record: Record | None = None) -> bool:
        """
        Tell whether a job that exists is as good as a new one.

        :raises JobCanceled: somebody else canceled it.
        """
        if job.state not in (JobState.FAILED, JobState.CANCELED):
            return True
        # A clear is the user's word that it should be paid for again. Without a record the two look alike,
        # and only with "reuse" can a clear lead here at all.
        cleared = self._identity.reuse if record is None else record.generation != self._identity.generation
        if self._retry_failed or cleared:
            return False
        if job.state is JobState.CANCELED:
            if self._may_cancel and job.started_at is None:
                return False  # an earlier attempt of this task gave it up; it has cost nothing
            raise JobCanceled(f"The job ended as {job.state_name}", job_id=job.id, marker=self.marker)
        return True

    def _look_up(
        self,
        *,
        patience: Sequence[float] | None = None,
        record: Record | None = None,
        just_sent: bool = False,
    ) -> Flow[Job | None]:
        """
        Ask the service for the marker, and return the job to adopt; None means that it was not created.

        :param patience: when to ask, in seconds from now; the last answer decides. None is :data:`PATIENCE`.
        :param just_sent: this attempt's own submit is looked for, and found whatever became of it.
        :raises LookupFailed: neither the last question nor two more brought a complete list.
        """
        began = self._monotonic()
        doubt: MediaxError | None = None
        for seconds in PATIENCE if patience is None else patience:
            if (pause := began + seconds - self._monotonic()) > 0:
                yield Pause(pause)
            job, doubt = yield from self._ask(record, just_sent)
            if job is not None:
                return job
        for pause in PERSISTENCE:
            if doubt is None:
                break
            yield Pause(pause)
            job, doubt = yield from self._ask(record, just_sent)
            if job is not None:
                return job
        if doubt is None:
            return None
        raise LookupFailed(
            f"A job may exist for this task, and the service cannot say: {doubt.what}",
            marker=self.marker,
            status=doubt.status,
            request_id=doubt.request_id,
        ) from doubt

    def _ask(self, record: Record | None, just_sent: bool) -> Flow[tuple[Job | None, MediaxError | None]]:
        """Ask once; return the job to adopt, and what keeps the answer from proving that there is none."""
        try:
            listed = yield from self._listed(record)
        except Stopped:
            raise
        except MediaxError as failure:
            self._log.warning("The service cannot say whether a job exists for %s: %s", self.marker, failure.what)
            return None, failure
        job = self._pick(listed.jobs, record, just_sent)
        return job, None if listed.complete else LookupFailed("The service listed fewer jobs than it holds")

    def _listed(self, record: Record | None) -> Flow[JobList]:
        # What is shared by a key, or by all clears of a task, may have been submitted long ago.
        old = self._identity.key is not None or (self._identity.reuse and record is None)
        since = None if old else self._since(record.at if record is not None else None)
        return (yield from self._service.jobs_of(self.marker, prepared=self._prepared, since=since))

    def _since(self, sent: float | None) -> float | None:
        """Return when the job that is looked for can have been created at the earliest, by any clock."""
        known = [moment for moment in (sent, self._earliest) if moment is not None]
        return min(*known, self._clock()) - CLOCK_DOUBT if known else None

    def _pick(self, jobs: Sequence[Job], record: Record | None, just_sent: bool) -> Job | None:
        """
        Choose the newest job that serves; failed ones that do not are remembered as replaced.

        :raises RequestChanged: the key is another request's as well.
        :raises JobCanceled: somebody else canceled the only job there is.
        """
        candidates = [job for job in jobs if job.id not in self._abandoned]
        if self._identity.key is not None and candidates:
            fitting = [job for job in candidates if self._service.matches(job, self._prepared)]
            if not fitting:
                raise RequestChanged(
                    "The idempotency_key of this task was used for another request before",
                    job_id=candidates[0].id,
                    marker=self.marker,
                )
            candidates = fitting
        alive = [job for job in candidates if job.state not in (JobState.FAILED, JobState.CANCELED)]
        chosen = next(iter(alive), None)
        if chosen is None:
            chosen = next((job for job in candidates if just_sent or self._serves(job, record)), None)
        others = [f"{job.id} ({job.state_name})" for job in candidates if job is not chosen]
        if others:
            self._log.warning("Further jobs carry the marker %s: %s", self.marker, ", ".join(others))
        if chosen is None:
            self._abandoned.extend(job.id for job in candidates)
        return chosen

    def _submit(self) -> Flow[Owned]:
        claims = self._claims.of(self.marker, self._identity.owner) if self._claims is not None else None
        unknown: MediaxError | None = None
        address = self._callback(self.marker)
        prepared = self._service.called_back(self._prepared, address) if address else self._prepared
        for _ in range(SUBMITS_PER_ATTEMPT):
            sending = self._service.submit(prepared, self.marker)
            if claims is None:
                self._write()
            else:
                sending = entitled(sending, partial(self._entitled, claims))
            try:
                job = yield from sending
            except Stopped:
                raise
            except KeptBack as kept:
                if kept.job is not None:
                    return self._adopt(kept.job)
                raise kept.trouble or kept from kept.__cause__
            except MediaxError as failure:
                failure.about(marker=self.marker)
                if address and isinstance(failure, BadRequest):
                    failure.advice = f"{failure.advice} {_BY_MAILBOX}".strip()
                if failure.nothing_done:
                    if claims is None or claims.asked:  # else it is not known what other attempts have sent
                        self._write(refused=True)
                    raise
                unknown = failure
                found = yield from self._after(failure)
            else:
                found = job
            if found is not None:
                self._log.info("%s; new, marker %s", found.summary, self.marker)
                self._write(job_id=found.id)
                return Owned(found, self.marker, reattached=False)
        raise OutcomeUnknown(
            f"The job was submitted {SUBMITS_PER_ATTEMPT} times without an answer, and the service lists none",
            marker=self.marker,
        ) from unknown

    def _entitled(self, claims: MarkerClaims) -> Flow[None]:
        """
        Claim the right to a send that begins now.

        :raises KeptBack: another attempt has submitted a job meanwhile, or may have, or the bucket fails.
        """
        job: Job | None = None
        try:
            while not claims.entitled and job is None:
                self._write()  # each send has an intent of its own, and the last one may have been minutes ago
                job = yield from self._claimed(claims)
        except Stopped:
            raise
        except MediaxError as error:
            raise KeptBack(None, error) from error.__cause__
        if job is not None:
            raise KeptBack(job)

    def _claimed(self, claims: MarkerClaims) -> Flow[Job | None]:
        """Ask for one claim, and then the service, if another attempt may have submitted a job."""
        foreign = yield from claims.ask()
        said, self._claims_say = self._claims_say, False
        if foreign is not None:
            until = time.strftime("%H:%M:%S", time.localtime(self._clock() + foreign.seconds + LIST_LAG))
            self._log.info(
                "Waiting until %s for claim .%d of another attempt (%s)", until, foreign.number, foreign.owner
            )
            return (yield from self._look_up(patience=patience_after(foreign.seconds), record=self._record))
        if said and claims.first:  # nobody has sent with claims, so lists lag behind nothing
            return (yield from self._look_up(patience=PATIENCE[:1], record=self._record))
        return None

    def _after(self, failure: MediaxError) -> Flow[Job | None]:
        """
        Look for the job of a submit whose outcome is not known; None means that it was not created.

        :raises MediaxError: the service refused the submit in words that prove nothing, and has no such job.
        """
        if not isinstance(failure, (BadRequest, AuthenticationFailed)):
            self._log.warning("The outcome of the submit is not known (%s); looking it up", failure.what)
            began = failure.sent_at if failure.sent_at is not None else self._monotonic()
            return (yield from self._look_up(patience=self._patience_after(began), just_sent=True))
        self._log.warning("The service refused the submit (%s); asking whether a job exists", failure.what)
        try:
            listed = yield from self._listed(None)
        except (BadRequest, AuthenticationFailed):
            raise failure from None  # it refuses everything; the intent stays
        except Stopped:
            raise
        except MediaxError:
            job = None
        else:
            job = self._pick(listed.jobs, None, just_sent=True)
        job = job or (yield from self._look_up(just_sent=True))
        if job is None:
            raise failure
        return job

    def _patience_after(self, began: float) -> list[float]:
        """
        Return when to ask after an own submit without an answer: it may still be carried out for a while.

        :param began: when its sending began, by the monotonic clock.
        """
        return patience_to(began + self._longest_send + LIST_LAG - self._monotonic())

    def _write(self, *, job_id: str | None = None, refused: bool = False) -> None:
        """
        Store the record and, for an intent, see that it is really there.

        Airflow can run this attempt beside the one that has replaced it; the store then swallows what it is given.
        """
        if self._store is None:
            return
        record = Record(
            generation=self._identity.generation,
            marker=self.marker,
            fields=self._fields,
            at=self._clock(),
            job_id=job_id,
            claimed=self._claims is not None,
            refused=refused,
            shared=self._identity.key is not None,
            abandoned=self._abandoned,
            earlier=self._earlier,
        )
        self._store.set(RECORD_KEY, record.written())
        if job_id is None and not refused and Record.read(self._store.get(RECORD_KEY)) != record:
            raise LookupFailed(
                "The intent to submit could not be recorded, because another attempt of this task has taken over",
                marker=self.marker,
            )
