"""
Pure decisions while waiting: when to ask again, what ends the wait, how many failures are borne.

A :class:`Wait` is fed answers and failures and says what to do. Worker (through :func:`wait_flow`), triggerer
(through ``jobs.watcher``) and sensor use the same one. All its times are seconds of one clock that never jumps,
:func:`client.clock.steady`; a stored deadline is turned into it once, by :func:`client.clock.on_steady_clock`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from airflow_provider_mediax.client.clock import on_steady_clock, steady
from airflow_provider_mediax.exceptions import AnswerTooLarge, MediaxError, ProtocolError, Throttled
from airflow_provider_mediax.jobs.schedule import Durations, Schedule, unlearned_gap
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.job import Job, shown_time
from airflow_provider_mediax.protocol.service import JobService, R

LONGEST_PAUSE = 60.0
"""Seconds to which the pauses after failures grow."""

JITTER = 0.1
"""Share by which a pause that a service has asked for is stretched at random; never shortened."""

SPREAD = 1.0
"""Seconds over which first questions are spread, so that waits taken over together do not ask together."""

FAILURE_BUDGET = 10
"""Failures in a row that are borne; with growing pauses between them about eight minutes of outage."""

LONGEST_WISH = 300.0
"""Seconds of ``Retry-After`` that are kept at a time; a service that still wants more says so again."""

LONGEST_SLEEP = 60.0
"""Seconds that a worker sleeps at a time: its timer may stand still while the machine sleeps, the clock does not."""

AFTER_A_HINT = (1.0, 2.0, 4.0)
"""Seconds between the questions after a hint: a state may lag behind what a service has posted."""

Status: TypeAlias = Literal["final", "answered", "timeout", "error"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a wait ended.

    :param states: the service's word for each job's state, as far as it is known.
    :param error: why it was given up.
    :param jobs: the last answer about each job, by id; for code in the same process, never stored.
    :param polls: how many answers the wait has got.
    """

    status: Status
    states: Mapping[str, str]
    error: MediaxError | None = None
    jobs: Mapping[str, Job] = field(default_factory=dict, repr=False)
    polls: int = field(default=0, compare=False)


@dataclass(kw_only=True, slots=True, eq=False)
class Pace:
    """
    When to ask again, and how many failures are borne, whatever is waited for.

    :param deadline: seconds of the wait's clock.
    :param poll_interval: seconds; the shortest distance between two questions.
    :param started: seconds of the wait's clock at which the wait begins.
    :param not_before: seconds of the wait's clock before which an answer is of no use, so nothing is asked.
    :param schedule: says when to ask for what has a certain age.
    :param rng: source of jitter, 0 to 1.
    :ivar stretched: returns how long to leave alone what would be asked for after so many seconds.
    :ivar unstretched: when to ask next without it.
    :ivar due: when to ask next, in seconds of the wait's clock.
    :ivar begun: since when what is waited for goes on, as far as it is known.
    """

    deadline: float
    poll_interval: float
    started: float
    not_before: float = -math.inf
    schedule: Schedule = field(default_factory=Durations)
    rng: Callable[[], float] = random.random
    due: float = field(init=False)
    begun: float = field(init=False)
    stretched: Callable[[float], float] = field(init=False, default=float)
    unstretched: float = field(init=False)
    _failures: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Ask soon, since what was taken over may have ended long ago."""
        self.begun = self.started
        self.due = max(self.started, self.not_before) + self.rng() * min(SPREAD, self.poll_interval)
        self.unstretched = self.due

    @property
    def next_turn(self) -> float:
        """When something is to be done: the next poll or the deadline."""
        return min(self.due, self.deadline)

    def answered(self, now: float) -> None:
        """Take in that the service has answered: it makes up for all failures before."""
        self._failures = 0
        gap = self.schedule.gap(now - self.begun, self.poll_interval, self.rng())
        self.unstretched = max(now + gap, self.not_before)
        self.due = max(now + self.stretched(gap), self.not_before)

    def bears(self, error: MediaxError, now: float) -> bool:
        """
        Take a failure in, and tell whether waiting on makes sense.

        Nothing but the number of failures in a row ends a wait, not even refused keys: they may be exchanged at this
        moment, and the next question comes with the new ones.
        """
        wish = min(LONGEST_WISH, error.retry_after or 0.0)
        # Not by what is learned: it says when an answer is worth the question, and here there was none.
        pause = unlearned_gap(now - self.begun, self.poll_interval, self.rng())
        if isinstance(error, Throttled):
            # A pause that the service asks for is no failure; one that is longer than the time left ends the wait.
            self.due = self.unstretched = now + max(wish, pause) * (1 + JITTER * self.rng())
            return now + wish <= self.deadline
        self._failures += 1
        grown = min(LONGEST_PAUSE, pause * 2.0 ** (self._failures - 1))
        self.due = self.unstretched = now + max(grown, self.poll_interval, wish)
        return self._failures <= FAILURE_BUDGET

    def held(self, until: float, now: float) -> bool:
        """
        Ask nothing before ``until``, as the service answered another call; and tell whether there is time for that.

        It is no failure. Who waits for the same moment does not ask in the same moment.
        """
        self.due = self.unstretched = now + (until - now) * (1 + JITTER * self.rng())
        return until <= self.deadline


@dataclass(kw_only=True, slots=True, eq=False, weakref_slot=True)
class Wait(Pace):
    """
    One wait for one or more jobs.

    :param job_ids: what is waited for.
    :param marker: of the one job, under which a hint about its end may come.
    :param known: the last answer about a job, if there is one: it is not asked for again before it may have changed.
    :param finish_at: number of final jobs that ends the wait.
    :param with_results: keep what the jobs have found, for a waiter that reads it; thousands of waits in a triggerer
        would hold it for nothing.
    :param answers: number of answers that end the wait, whatever they say; the first of a few is asked for at once.
    :param moment: turns epoch seconds into seconds of the wait's clock.
    :ivar jobs: the last answer about each job, by id.
    :ivar hinted: whether a hint about the job's end has come.
    :ivar likely: when it is as likely as not that the wait has ended, in seconds of its clock.
    """

    job_ids: Sequence[str]
    marker: str | None = None
    known: Job | None = None
    finish_at: int = 1
    with_results: bool = False
    answers: float = math.inf
    moment: Callable[[float], float] = on_steady_clock
    jobs: dict[str, Job] = field(init=False, default_factory=dict)
    likely: float = field(init=False)
    hinted: bool = field(init=False, default=False)
    _quick: list[float] = field(init=False, default_factory=list)
    _final: set[str] = field(init=False, default_factory=set)
    _answers: int = field(init=False, default=0)
    _asked: float = field(init=False)
    _asked_before: float = field(init=False)

    def __post_init__(self) -> None:
        """Ask soon, unless an answer is there; at once, if an answer is wanted now."""
        super(Wait, self).__post_init__()
        self._asked = self._asked_before = self.started
        if self.answers != math.inf:
            self.due = self.started
        elif self.known is not None:
            self._note_age(self.known)
            self.answered(self.started)
        self.likely = self.begun + self.schedule.likely(self.seen_open)
        if len(self.job_ids) == 1:
            self.schedule.follow(self)

    @property
    def seen_open(self) -> float:
        """The age at which what is waited for was last seen open."""
        return self._asked - self.begun

    @property
    def open_ids(self) -> list[str]:
        """The jobs that are still to be asked for."""
        return [job_id for job_id in self.job_ids if job_id not in self._final]

    def on_jobs(self, jobs: Iterable[Job], now: float) -> list[Job]:
        """Take the service's answer in, and return the jobs whose state has changed."""
        self._answers += 1
        changed = []
        for job in jobs:
            if job.id in self._final:
                continue  # a copy that lags behind takes no final answer back
            before = self.jobs.get(job.id)
            if before is None or before.state_name != job.state_name:
                changed.append(job)
            self.jobs[job.id] = job
            if before is None:
                self._note_age(job)
            if job.state.final:
                self._final.add(job.id)
                self._learn(job, now)
        self._asked_before, self._asked = self._asked, now
        self.likely = self.begun + self.schedule.likely(self.seen_open)
        self.answered(now)
        if self._quick:
            self.due = self.unstretched = max(now + self._quick.pop(0), self.not_before)
        return changed

    def rely_on_hints(self, stretched: Callable[[float], float]) -> None:
        """
        Leave the job alone for longer, since a hint would tell of its end, also of one before this wait.

        :param stretched: returns for how long, given the seconds without hints.
        """
        self.stretched = stretched
        self.due = max(self.due, self.due + stretched(self.poll_interval) - self.poll_interval)

    def on_hint(self, now: float) -> bool:
        """Take in that the job is said to have ended, and tell whether that is news: it is asked for now then."""
        if self.hinted:
            return False
        self.hinted, self._quick = True, list(AFTER_A_HINT)
        self.due = self.unstretched = self.likely = max(now, self.not_before)
        return True

    def ended_ago(self, now: float) -> float:
        """Return how many seconds ago the job has ended; in the middle between two questions, if it does not say."""
        ends = [job.completed_at for job in self.jobs.values() if job.completed_at is not None]
        return max((now - self.moment(end.timestamp()) for end in ends), default=(now - self._asked_before) / 2)

    def on_error(self, error: MediaxError, now: float) -> Outcome | None:
        """Take a failure in; the wait ends with it if waiting on makes no sense here."""
        # An answer that is too large for this process is one that another process has to read.
        if self.bears(error, now) and not isinstance(error, AnswerTooLarge):
            return None
        return self._outcome("error", error)

    def on_hold(self, error: MediaxError, until: float, now: float) -> Outcome | None:
        """Take in that nothing may be asked before ``until``; the wait ends with it if its deadline is earlier."""
        return None if self.held(until, now) else self._outcome("error", error)

    def ended(self, now: float) -> Outcome | None:
        """Tell whether the wait is over: enough jobs are final, or the deadline has passed."""
        if len(self._final) >= min(self.finish_at, len(self.job_ids)):
            return self._outcome("final")
        if self._answers >= self.answers:
            return self._outcome("answered")
        return self._outcome("timeout") if now >= self.deadline else None

    def _note_age(self, job: Job) -> None:
        """Count the age from the oldest job's creation; the service's clock may be ahead of ours."""
        if job.created_at is not None:
            self.begun = min(self.begun, self.moment(job.created_at.timestamp()))

    def _learn(self, job: Job, now: float) -> None:
        if job.created_at is not None and job.completed_at is not None:
            self.schedule.learn(self, (job.completed_at - job.created_at).total_seconds(), now)
        else:  # it has ended at some moment since it was last seen open
            self.schedule.learn(self, now - self.begun - self.rng() * (now - self._asked), now)

    def _outcome(self, status: Status, error: MediaxError | None = None) -> Outcome:
        states = {job_id: job.state_name for job_id, job in self.jobs.items()}
        return Outcome(status, states, error, dict(self.jobs), self._answers)


def wait_flow(
    service: JobService[R],
    wait: Wait,
    *,
    clock: Callable[[], float] = steady,
    on_change: Callable[[Job], Any],
    on_trouble: Callable[[MediaxError], Any],
) -> Flow[Outcome]:
    """
    Wait in one flow: for a worker that holds its slot.

    :param clock: the clock of the wait's times.
    :param on_change: is given each job whose state has changed.
    :param on_trouble: is given each failure that is borne.
    """
    while (outcome := wait.ended(clock())) is None:
        if (pause := wait.next_turn - clock()) > 0:
            yield Pause(min(pause, LONGEST_SLEEP))
            continue
        for ids in batches(wait.open_ids, service.describe_limit):
            if wait.ended(clock()) is not None:
                break
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


def announced(what: str, deadline: float, first: float) -> str:
    """
    Return the line that says for how long a task waits.

    :param what: the ids of the jobs, or how many there are.
    :param deadline: epoch seconds; ``first``, of the first question, likewise.
    """
    return f"Waiting for {what} until {shown_time(deadline)}; the first question comes at {shown_time(first)}"


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
