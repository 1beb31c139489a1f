"""
Whose job is it: identity, marker, the stored record, and which existing job is adopted instead of buying another.

The rules are those of promise 1 to 3: an attempt of a task submits only when nothing can exist for it, or when
the service has said that nothing does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Protocol

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    LookupFailed,
    MediaxError,
    OutcomeUnknown,
    RequestChanged,
    Throttled,
    Unreachable,
)
from airflow_provider_mediax.jobs.cancellation import cancel_flow, told
from airflow_provider_mediax.jobs.service import JobService, R
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.job import Job, JobState

RECORD_KEY = "mediax_job"
"""Where the record lies in Airflow's task state store."""

RECORD_SCHEMA = 1

LOOKUP_SECONDS = (2.0, 4.0, 8.0, 16.0)
"""When the service is asked after an unknown outcome, counted from it: its lists may lag."""

CLOCK_DOUBT = 3600.0
"""Seconds by which the clocks of workers, scheduler and service may differ before a look-up misses a job."""

EARLIER_KEPT = 20
"""Earlier generations that a record remembers: one for each clear."""

SUBMITS_PER_ATTEMPT = 2
"""One, and once more when the service says that the first created nothing."""

_NOT_CREATED = (BadRequest, AuthenticationFailed, Throttled, Unreachable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The task instance that a job belongs to, whatever its try."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    What all tries of one piece of work have in common.

    :param namespace: the deployment, so that staging and production on one account stay apart.
    :param generation: ``max_tries``, which moves with every clear and with nothing else.
    :param reuse: ``on_clear="reuse"``: a clear is to find the old job again, so the generation does not count.
    :param key: replaces everything but the namespace: whoever shares it shares one job.
    """

    namespace: str | None
    owner: Owner
    generation: int
    reuse: bool = False
    key: str | None = None

    def marker(self, fingerprint: str) -> str:
        """Return the idempotency key that the job carries at the service."""
        if self.key is not None:
            return "mx1-" + digest(["key", self.namespace, self.key])[:40]
        owner = self.owner
        parts = [self.namespace, owner.dag_id, owner.run_id, owner.task_id, owner.map_index]
        return "mx1-" + digest([*parts, None if self.reuse else self.generation, fingerprint])[:40]


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, in hex."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


_NOT_GIVEN = digest(None)[:16]
"""What the first records hold for a field that was not given."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What a clear has left behind: the job of an earlier generation, or only the intent to submit one."""

    generation: int
    marker: str
    job_id: str | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """
    What the task state store knows of a job: an intent before the submit, completed by its id after the answer.

    :param fields: digest of each field of the request, so that a change can be named without storing values.
    :param at: epoch seconds of the intent.
    :param job_id: None as long as it is only an intent.
    :param abandoned: ids of failed jobs that were replaced on purpose.
    :param earlier: the generations before this one, oldest first.
    """

    schema: int = RECORD_SCHEMA
    generation: int
    marker: str
    fields: dict[str, str]
    at: float
    job_id: str | None = None
    abandoned: list[str] = field(default_factory=list)
    earlier: list[Earlier] = field(default_factory=list)

    @classmethod
    def read(cls, stored: object) -> Record | None:
        """Read a stored record; one that somebody edited beyond recognition is None."""
        if not isinstance(stored, dict):
            return None
        try:
            digests = {str(name): str(value) for name, value in dict(stored["fields"]).items()}
            fields = {name: value for name, value in digests.items() if value != _NOT_GIVEN}
            return cls(
                generation=int(stored["generation"]),
                marker=str(stored["marker"]),
                fields=fields,
                at=float(stored["at"]),
                job_id=str(stored["job_id"]) if stored.get("job_id") else None,
                abandoned=[str(job_id) for job_id in stored.get("abandoned") or ()],
                earlier=[
                    Earlier(
                        generation=int(left["generation"]),
                        marker=str(left["marker"]),
                        job_id=str(left["job_id"]) if left.get("job_id") else None,
                    )
                    for left in stored.get("earlier") or ()
                ],
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def as_earlier(self) -> Earlier:
        """Return what the next generation's record keeps of this one."""
        return Earlier(generation=self.generation, marker=self.marker, job_id=self.job_id)


class RecordStore(Protocol):
    """Airflow's task state store, as far as it is needed."""

    def get(self, key: str) -> Any:
        """Return the stored value, None if there is none."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""

    def delete(self, key: str) -> None:
        """Forget a value."""


class Log(Protocol):
    """A logger, of the standard library or of Airflow."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Log a line."""

    def warning(self, msg: str, /, *args: Any) -> Any:
        """Log a line that the user should see."""


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
    :param try_number: of this attempt, from 1.
    :param earliest: epoch seconds before which no attempt of this task can have begun.
    :param retry_failed: replace a failed job instead of adopting it.
    :param cancel_earlier: cancel what a clear has left unfinished before another job is submitted.
    :param clock: epoch seconds.
    :raises BadRequest: the request breaks a rule; nothing is recorded or sent.
    """

    def __init__(
        self,
        service: JobService[R],
        request: R,
        identity: Identity,
        *,
        store: RecordStore | None,
        try_number: int,
        earliest: float | None = None,
        retry_failed: bool = False,
        cancel_earlier: bool = True,
        clock: Callable[[], float] = time.time,
        log: Log = logging.getLogger(__name__),  # noqa: B008 - the same logger every time
    ) -> None:
        self._service = service
        self._request = request
        self._store = store
        self._first_try = try_number <= 1
        self._earliest = earliest
        self._identity = identity
        self._retry_failed = retry_failed
        self._cancel_earlier = cancel_earlier
        self._clock = clock
        self._log = log
        service.check(request)
        # Without what is not given, so that a field that a later version adds does not make another request.
        content = {name: value for name, value in request.identity().items() if value is not None}
        self.marker = identity.marker(digest(content))
        self._fields = {name: digest(value)[:16] for name, value in content.items()}
        self._abandoned: list[str] = []
        self._earlier: list[Earlier] = []
        self._before: Record | None = None

    def run(self) -> Flow[Owned]:
        """
        Return the task's job.

        :raises RequestChanged: an earlier try of this generation asked for something else.
        :raises LookupFailed: a job may exist, and the service cannot say.
        :raises OutcomeUnknown: two submits without an answer, and no job listed for them.
        """
        stored = Record.read(self._store.get(RECORD_KEY)) if self._store is not None else None
        record = self._matching(stored)
        self._before = stored
        if record is not None:
            # The marker that was sent, should another version have made another one of the same request.
            self.marker = record.marker
            self._abandoned, self._earlier = list(record.abandoned), list(record.earlier)
        elif stored is not None:
            self._earlier = [*stored.earlier, stored.as_earlier()][-EARLIER_KEPT:]
            yield from self._leave_behind(stored)
        adopted = yield from self._existing(record)
        if adopted is None:
            return (yield from self._submit())
        self._log.info("Adopting job %s (%s), marker %s", adopted.id, adopted.state_name, self.marker)
        self._write(adopted.id)
        return Owned(adopted, self.marker, reattached=True)

    def _matching(self, record: Record | None) -> Record | None:
        """
        Return the stored record if it speaks of the same work.

        :raises RequestChanged: it is of this generation and asked for something else.
        """
        if record is None:
            return None
        changed = sorted(
            name for name in {*record.fields, *self._fields} if record.fields.get(name) != self._fields.get(name)
        )
        same_generation = record.generation == self._identity.generation
        if changed and same_generation:
            named = ", ".join(changed)
            raise RequestChanged(
                f"An earlier try of this task asked for something else; what changed: {named}",
                job_id=record.job_id,
                marker=record.marker,
            )
        spans_clears = self._identity.reuse or self._identity.key is not None
        return record if not changed and (same_generation or spans_clears) else None

    def _existing(self, record: Record | None) -> Flow[Job | None]:
        """Return the job that exists for this work, None if a new one is to be submitted."""
        if record is not None and record.job_id is not None:
            job = yield from self._described(record.job_id)
            if job is not None and self._serves(job, record):
                return job
            if job is not None:
                self._abandoned.append(job.id)
        if record is not None and record.job_id is None:
            return (yield from self._look_up(since=record.at, must_know=True))
        if record is not None or self._identity.key is not None:
            return (yield from self._look_up(must_know=True))
        if self._first_try and not self._identity.reuse:
            return None
        # With "reuse" a run that was deleted and made again finds its job: the store has forgotten it, the service not.
        return (yield from self._look_up(must_know=self._store is None))

    def _leave_behind(self, left: Record) -> Flow[None]:
        """Cancel the unfinished job of the generation before; what fails here does not keep the new one waiting."""
        if self._identity.key is not None:
            return  # other runs may share that job
        if not (self._cancel_earlier and self._service.cancellable):
            self._log.info("Job %s of before the clear is left as it is", left.job_id or left.marker)
            return
        try:
            if left.job_id is None:
                jobs = (yield from self._service.find(left.marker, since=left.at - CLOCK_DOUBT)).jobs
            else:
                jobs = [*(yield from self._service.describe([left.job_id])).values()]
        except MediaxError as failure:
            self._note_left_behind(failure)
            return
        unfinished = [job.id for job in jobs if not job.state.final]
        for job in (yield from cancel_flow(self._service, unfinished, self._note_left_behind)):
            self._log.info("Left behind by a clear: %s", told(job))

    def _note_left_behind(self, failure: MediaxError) -> None:
        self._log.warning("What the clear left behind could not be canceled: %s", failure.what)

    def _described(self, job_id: str) -> Flow[Job | None]:
        try:
            jobs = yield from self._service.describe([job_id])
        except BadRequest as refused:
            self._log.warning("The service does not know the recorded job %s: %s", job_id, refused.what)
            return None
        return jobs.get(job_id)

    def _serves(self, job: Job, record: Record | None = None) -> bool:
        """Tell whether a job that exists is as good as a new one."""
        if job.state is JobState.CANCELED:
            return False
        if job.state is JobState.FAILED:
            # A retry must not pay again for what failed; a clear is the user's word that it should. Without a
            # record the two cannot be told apart, and only with "reuse" can a clear lead here at all.
            cleared = self._identity.reuse if record is None else record.generation != self._identity.generation
            return not (self._retry_failed or cleared)
        return True

    def _look_up(self, *, since: float | None = None, must_know: bool, just_sent: bool = False) -> Flow[Job | None]:
        """
        Ask the service for the marker.

        :param since: when a submit was last on its way; until the lists have had time, asking goes on.
        :param must_know: a job may exist, so "cannot say" is an error.
        :param just_sent: this attempt's own submit is looked for, and found whatever became of it.
        """
        doubt: MediaxError | None = None
        shared = self._identity.key is not None
        old = shared or (self._identity.reuse and since is None)
        for wait in self._lookup_waits(since):
            if wait > 0:
                yield Pause(wait)
            try:
                # A shared key may have been used long ago, by a run that asked for something else.
                listed = yield from self._service.find(
                    self.marker, request=None if shared else self._request, since=None if old else self._since(since)
                )
            except MediaxError as failure:
                self._log.warning("The service cannot say whether a job exists for %s: %s", self.marker, failure.what)
                doubt = failure
                continue
            if (job := self._pick(listed.jobs, just_sent)) is not None:
                return job
            doubt = None if listed.complete else LookupFailed("The service listed fewer jobs than it holds")
        if doubt is not None and must_know:
            raise LookupFailed(
                f"A job may exist for this task, and the service cannot say: {doubt.what}",
                marker=self.marker,
                status=doubt.status,
                request_id=doubt.request_id,
            ) from doubt
        return None

    def _since(self, sent: float | None) -> float | None:
        """Return when the job that is looked for can have been created at the earliest, by any clock."""
        known = [moment for moment in (sent, self._earliest) if moment is not None]
        return min(known) - CLOCK_DOUBT if known else None

    def _lookup_waits(self, since: float | None) -> Iterator[float]:
        """Yield the pauses before each question: those still to come, or one question at once."""
        now = self._clock()
        ahead = [] if since is None else [since + offset - now for offset in LOOKUP_SECONDS if since + offset > now]
        waited = 0.0
        for moment in ahead or [0.0]:
            yield max(0.0, moment - waited)
            waited = moment

    def _pick(self, jobs: Sequence[Job], just_sent: bool) -> Job | None:
        """Choose the newest job that serves; failed ones that do not are remembered as replaced."""
        candidates = [job for job in jobs if job.id not in self._abandoned]
        alive = [job for job in candidates if job.state not in (JobState.FAILED, JobState.CANCELED)]
        chosen = next(iter(alive), None) or next((job for job in candidates if just_sent or self._serves(job)), None)
        others = [f"{job.id} ({job.state_name})" for job in candidates if job is not chosen]
        if others:
            self._log.warning("Further jobs carry the marker %s: %s", self.marker, ", ".join(others))
        if chosen is None:
            self._abandoned.extend(job.id for job in candidates)
        return chosen

    def _submit(self) -> Flow[Owned]:
        unknown: MediaxError | None = None
        for _ in range(SUBMITS_PER_ATTEMPT):
            self._write(None)
            try:
                job = yield from self._service.submit(self._request, self.marker)
            except _NOT_CREATED as refused:
                self._forget_intent()
                raise refused.about(marker=self.marker) from None
            except MediaxError as failure:
                unknown = failure
                self._log.warning("The outcome of the submit is not known (%s); looking it up", failure.what)
                found = yield from self._look_up(since=self._clock(), must_know=True, just_sent=True)
            else:
                found = job
            if found is not None:
                self._log.info("Job %s is submitted, marker %s", found.id, self.marker)
                self._write(found.id)
                return Owned(found, self.marker, reattached=False)
        raise OutcomeUnknown(
            f"The job was submitted {SUBMITS_PER_ATTEMPT} times without an answer, and the service lists none",
            marker=self.marker,
        ) from unknown

    def _forget_intent(self) -> None:
        """Put back what was recorded before: nothing was bought, so nothing needs to be looked for."""
        if self._store is None:
            return
        if self._before is None:
            self._store.delete(RECORD_KEY)
        else:
            self._store.set(RECORD_KEY, asdict(self._before))

    def _write(self, job_id: str | None) -> None:
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
            abandoned=self._abandoned,
            earlier=self._earlier,
        )
        self._store.set(RECORD_KEY, asdict(record))
        if job_id is None and Record.read(self._store.get(RECORD_KEY)) != record:
            raise LookupFailed(
                "The intent to submit could not be recorded, because another attempt of this task has taken over",
                marker=self.marker,
            )
