"""
Which jobs no task owns any more, and what can be done about them: a pure decision, without Airflow and I/O.

A job is owned when the current record of a task instance names it and the task is not over, or has collected it.
Jobs that have failed or were canceled need nobody. Of the others the best known tie to a task says why they are
orphans.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from airflow_provider_mediax.jobs.stored import Owner, Record
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import MARKER_PREFIX

REMOVED = "removed"
"""Airflow's state of a task that its DAG has no more; here also of one that the database has no more."""

OVER = frozenset(("success", "failed", "skipped", "upstream_failed", REMOVED))
"""States in which Airflow will not run the task again by itself."""

NEED_NOBODY = frozenset((JobState.FAILED, JobState.CANCELED))
"""Neither to be canceled nor to be collected."""

STRANGER = "this Airflow does not know it: its run was deleted, or may belong to another deployment with this account"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """
    What Airflow knows of one task instance and its jobs.

    :param region: which pass of a task group it is of, where Airflow has such passes (3.4): part of no owner's name.
    :param state: Airflow's word for the task's state, None before it is scheduled.
    :param record: of the task state store; where there is none, what XComs say, in the same form.
    :param stored: whether it is of the store, so that a clear with ``on_clear="reuse"`` finds it.
    :param succeeded: when the try ended that succeeded, by generation.
    :param returned: ids of the jobs that the task's manifest names.
    :param run_after: of the run: before that, no job of it can have been created.
    """

    owner: Owner
    region: str = ""
    state: str | None
    record: Record
    stored: bool = True
    succeeded: Mapping[int, datetime | None] = field(default_factory=dict)
    returned: frozenset[str] = frozenset()
    run_after: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether Airflow will not run the task again by itself."""
        return self.state in OVER

    @property
    def markers(self) -> set[str]:
        """Markers that jobs of this task instance may carry."""
        return {self.record.marker, *(left.marker for left in self.record.earlier)}

    def collected(self, job: Job, generation: int) -> bool:
        """Tell whether the task has had the job's result: a try has succeeded, and not before the job did."""
        if job.state is not JobState.SUCCEEDED or generation not in self.succeeded:
            return False
        ended = self.succeeded[generation]
        return ended is None or job.completed_at is None or job.completed_at <= ended


@dataclass(frozen=True, kw_only=True)
class Listed:
    """
    A job as a service lists it.

    :param sensor: name of the sensor class that collects it.
    :param cancellable: whether the service can cancel jobs at all.
    :param can_cancel: whether it will cancel this one.
    """

    service: str
    sensor: str
    cancellable: bool
    can_cancel: bool
    job: Job


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """
    A job that no task owns any more.

    :param owner: the task instance that it was made for, None if Airflow knows of none.
    :param reason: why nobody owns it, a part of a sentence.
    :param adoptable: whether a clear of the task can make it the task's own again.
    """

    listed: Listed
    owner: Owner | None
    reason: str
    adoptable: bool = False

    @property
    def todo(self) -> list[str]:
        """What can be done about it, each a part of a sentence; nothing about a job that was canceled meanwhile."""
        listed, job = self.listed, self.listed.job
        if job.state in NEED_NOBODY:
            return []
        ways = []
        if listed.can_cancel:
            ways.append(f"cancel it: {'--cancel' if self.owner else '--cancel-unknown'}")
        elif not job.state.final:
            started = "it has started, so it" if listed.cancellable else "it"
            ways.append(f"{started} cannot be canceled and ends by itself")
        if self.adoptable:
            ways.append('set on_clear="reuse" and clear the task to adopt it')
        return [*ways, f'collect its result with {listed.sensor}(job_id="{job.id}")']


@dataclass(frozen=True, slots=True)
class _Claim:
    """How a task instance is tied to a job; without a reason it owns it."""

    reason: str | None = None
    adoptable: bool = False


_OWNED = _Claim()


def orphans(jobs: Iterable[Listed], traces: Iterable[Trace], *, strangers: bool) -> list[Orphan]:
    """
    Return the jobs that no task owns, oldest first.

    :param traces: of every task instance that may own one of them.
    :param strangers: whether jobs that no trace names count as well.
    """
    named: dict[str, list[Trace]] = defaultdict(list)
    for trace in traces:
        for marker in trace.markers:
            named[marker].append(trace)
    found = []
    for listed in jobs:
        job = listed.job
        if job.state in NEED_NOBODY:
            continue
        ties = [(trace, _claim(job, trace)) for trace in named[job.marker or ""]]
        if any(claim is _OWNED for _, claim in ties):
            continue
        if ties:
            trace, claim = ties[0]
            found.append(Orphan(listed=listed, owner=trace.owner, reason=claim.reason or "", adoptable=claim.adoptable))
        elif strangers and (job.marker or "").startswith(MARKER_PREFIX):
            found.append(Orphan(listed=listed, owner=None, reason=STRANGER))
    return sorted(found, key=lambda orphan: orphan.listed.job.created_at or datetime.min.replace(tzinfo=UTC))


def in_span(job: Job, since: datetime | None, until: datetime | None) -> bool:
    """Tell whether a job was created in a span of time; one that does not say when, may have been."""
    created = job.created_at
    return created is None or ((since is None or created >= since) and (until is None or created <= until))


def _claim(job: Job, trace: Trace) -> _Claim:
    """Return how the task instance is tied to a job that carries one of its markers."""
    record = trace.record
    if job.id in trace.returned:
        return _OWNED
    if job.marker != record.marker:
        generations = [left.generation for left in record.earlier if left.marker == job.marker]
        if any(trace.collected(job, generation) for generation in generations):
            return _OWNED
        return _Claim("a clear of its task left it behind")
    if job.id in record.abandoned:
        return _Claim("another job has replaced it")
    if record.job_id not in (None, job.id):
        return _Claim(f"it is a second one beside the task's job {record.job_id}")
    if not trace.over or trace.collected(job, record.generation):
        return _OWNED
    missed = "has not collected it" if record.job_id else "never had the answer to the submit"
    return _Claim(f"its task is over ({trace.state}) and {missed}", adoptable=trace.stored and trace.state != REMOVED)
