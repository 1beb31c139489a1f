"""
Pure decisions while waiting: when to ask again, what ends the wait, how many failures are borne.

A :class:`Wait` is fed answers and failures and says what to do. Worker (through :func:`wait_flow`), triggerer
(through ``jobs.watcher``) and sensor use the same one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from airflow_provider_mediax.exceptions import AuthenticationFailed, MediaxError, ProtocolError, Throttled
from airflow_provider_mediax.jobs.service import JobService, R
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.job import Job

LONGEST_INTERVAL = 60.0
"""Seconds to which the interval grows, unless the user's own is longer."""

GROWTH = 0.1
"""The interval is at least this share of the time waited: an hour-long job is not asked for every 5 s."""

JITTER = 0.1
"""Share by which an interval is stretched at random; never shortened, so no wait asks more often than told."""

FAILURE_BUDGET = 10
"""Failures in a row that are borne; with growing pauses between them about eight minutes of outage."""

Status: TypeAlias = Literal["final", "answered", "timeout", "error"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a wait ended.

    :param states: the service's word for each job's state, as far as it is known.
    :param error: why it was given up.
    :param jobs: the jobs as they were described last; the answer that says that one has ended need not be asked for
        again.
    """

    status: Status
    states: Mapping[str, str]
    error: MediaxError | None = None
    jobs: Mapping[str, Job] = field(default_factory=dict, repr=False)


@dataclass(kw_only=True)
class Wait:
    """
    One wait for one or more jobs.

    :param deadline: epoch seconds.
    :param poll_interval: seconds; the first interval, and the shortest.
    :param started: epoch seconds from which the growth of the interval counts.
    :param finish_at: number of final jobs that ends the wait.
    :param answers: number of answers that end the wait, whatever they say; the first of a few is asked for at once.
    :param rng: source of jitter, 0 to 1.
    """

    job_ids: Sequence[str]
    deadline: float
    poll_interval: float
    started: float
    finish_at: int = 1
    answers: float = math.inf
    rng: Callable[[], float] = random.random
    due: float = field(init=False)
    states: dict[str, str] = field(init=False, default_factory=dict)
    _final: set[str] = field(init=False, default_factory=set)
    _failures: int = field(init=False, default=0)
    _answered: int = field(init=False, default=0)
    jobs: dict[str, Job] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Spread the first poll, so that waits taken over together do not ask together."""
        spread = self.rng() * self.poll_interval if self.answers == math.inf else 0.0
        self.due = self.started + spread

    @property
    def open_ids(self) -> list[str]:
        """The jobs that are still to be asked for."""
        return [job_id for job_id in self.job_ids if job_id not in self._final]

    @property
    def next_turn(self) -> float:
        """When something is to be done: the next poll or the deadline, epoch seconds."""
        return min(self.due, self.deadline)

    def on_jobs(self, jobs: Iterable[Job], now: float) -> list[Job]:
        """Take the service's answer in, and return the jobs whose state has changed."""
        self._failures = 0
        self._answered += 1
        changed = []
        for job in jobs:
            self.jobs[job.id] = job
            if self.states.get(job.id) != job.state_name:
                changed.append(job)
                self.states[job.id] = job.state_name
            if job.state.final:
                self._final.add(job.id)
        self.due = now + self._interval(now)
        return changed

    def on_error(self, error: MediaxError, now: float) -> Outcome | None:
        """Take a failure in; the wait ends with it if waiting on makes no sense."""
        if isinstance(error, Throttled):
            # Being told to wait is no failure; being told to wait for longer than there is time, is.
            pause = max(error.retry_after or 0.0, self._interval(now))
            if error.retry_after is not None and now + error.retry_after > self.deadline:
                return Outcome("error", dict(self.states), error)
            self.due = now + pause * (1 + JITTER * self.rng())
            return None
        self._failures += 1
        # Keys that worked before are being exchanged: account and connection cannot change at the same moment.
        wrong_keys = isinstance(error, AuthenticationFailed) and not self._answered
        if wrong_keys or self._failures > FAILURE_BUDGET:
            return Outcome("error", dict(self.states), error)
        grown = min(LONGEST_INTERVAL, self._interval(now) * 2.0 ** (self._failures - 1))
        self.due = now + max(grown, self.poll_interval)
        return None

    def ended(self, now: float) -> Outcome | None:
        """Tell whether the wait is over: enough jobs are final, or the deadline has passed."""
        if len(self._final) >= min(self.finish_at, len(self.job_ids)):
            return Outcome("final", dict(self.states), jobs=self.jobs)
        if self._answered >= self.answers:
            return Outcome("answered", dict(self.states), jobs=self.jobs)
        return Outcome("timeout", dict(self.states), jobs=self.jobs) if now >= self.deadline else None

    def _interval(self, now: float) -> float:
        longest = max(LONGEST_INTERVAL, self.poll_interval)
        grown = min(longest, max(self.poll_interval, GROWTH * (now - self.started)))
        return grown * (1 + JITTER * self.rng())


def wait_flow(
    service: JobService[R],
    wait: Wait,
    *,
    clock: Callable[[], float],
    on_change: Callable[[Job], Any],
    on_trouble: Callable[[MediaxError], Any],
) -> Flow[Outcome]:
    """
    Wait in one flow: for a worker that holds its slot.

    :param on_change: is given each job whose state has changed.
    :param on_trouble: is given each failure that is borne.
    """
    while (outcome := wait.ended(clock())) is None:
        if (pause := wait.next_turn - clock()) > 0:
            yield Pause(pause)
            continue
        for ids in batches(wait.open_ids, service.describe_limit):
            try:
                jobs = yield from service.describe(ids)
                if not jobs:
                    raise unknown_jobs(ids)
            except MediaxError as error:
                outcome = wait.on_error(error, clock())
                if outcome is not None:
                    return outcome
                on_trouble(error)
                break
            for job in wait.on_jobs(jobs.values(), clock()):
                on_change(job)
    return outcome


def unknown_jobs(ids: Sequence[str]) -> ProtocolError:
    """Return the failure that it is when the service does not know what is waited for."""
    return ProtocolError(f"The service does not know {', '.join(ids)}")


def batches(ids: Sequence[str], size: int) -> list[list[str]]:
    """Cut a list of ids into lists that one describe call takes."""
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]


def absolute_deadline(
    started: float, wait_timeout: float, *, task_started: float, execution_timeout: float | None
) -> float:
    """
    Return this attempt's deadline in epoch seconds.

    Airflow does not keep ``execution_timeout`` across a deferral, so it is folded in here.
    """
    deadline = started + wait_timeout
    return deadline if execution_timeout is None else min(deadline, task_started + execution_timeout)
