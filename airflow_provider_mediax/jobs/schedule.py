"""
When to ask for a job again: learned from what jobs of its kind have lately taken, and a rule for as long as nothing is.

Everything here is arithmetic on ages, in seconds since a job was created. What is learned lives in the process and is
stored nowhere: the first jobs after a restart are asked for by the rule.
"""

from __future__ import annotations

import math
import weakref
from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import Protocol

LONGEST = 34.0
"""Seconds between two questions at most, as long as nothing is learned, unless the user's own interval is longer."""

SHARE_OF_AGE = 0.25
"""The interval is this share of the job's age, as long as nothing is learned."""

JITTER = 0.05
"""Share by which an interval is stretched at random; never shortened, so no wait asks more often than its interval."""

ENOUGH = 20
"""Durations from which on they say when jobs end."""

KEPT = 500
"""Durations that are kept; of more the latest."""

KEPT_SECONDS = 2 * 86400.0
"""How long a duration counts: what a nightly run took is known to the next one."""

_CHANCE = 2 / 21
"""Share of all jobs that ends between two questions: each has the same chance."""

_WIDEST = 3 / 20
"""Share of the usual duration between two questions at most, while jobs end."""

_HOLE = 1 / 10
"""Share of the usual duration: where no job has ended for longer than that, nothing is asked."""

_FEW = 0.1
"""Share of jobs: after the last hump of so many the ends lie far apart, and what lies between them is no hole."""

_EARLIEST = 0.0075
"""Share of jobs that may end before what is learned says that jobs begin to."""

_TAIL = 0.985
"""Share of jobs after which those that are left are asked for at a steady pace."""

_TAIL_INTERVAL = 1 / 10
"""That pace, as a share of the usual duration."""

_LOST = 2.0
"""A job older than this many times the longest duration is none of those that were learned from."""


class Followed(Protocol):
    """A wait for one job, as far as it is learned from."""

    @property
    def seen_open(self) -> float:
        """The job's age when it was last seen open."""

    def __hash__(self) -> int:
        """Tell one wait from the other."""


class Schedule(Protocol):
    """Says when to ask for a job again."""

    def gap(self, age: float, poll_interval: float, jitter: float) -> float:
        """
        Return the seconds from now to the next question, at least ``poll_interval``.

        :param age: seconds since the job was created.
        :param poll_interval: seconds; the user's shortest distance between two questions.
        :param jitter: random number from 0 to 1.
        """

    def likely(self, age: float) -> float:
        """
        Return the age at which a job is as likely as not to have ended.

        :param age: seconds; the job's age when it was last seen open.
        """

    def follow(self, wait: Followed) -> None:
        """Learn from a wait that has begun."""

    def learn(self, wait: Followed, seconds: float, now: float) -> None:
        """
        Take in that a job has ended.

        :param seconds: from its creation to its end.
        :param now: seconds of a clock that never jumps, by which durations grow old.
        """


def unlearned_gap(age: float, poll_interval: float, jitter: float) -> float:
    """Return the interval as long as nothing is learned: it grows with the age; see :meth:`Schedule.gap`."""
    longest = max(LONGEST, poll_interval)
    return min(longest, max(poll_interval, SHARE_OF_AGE * age)) * (1 + JITTER * jitter)


class Evenly:
    """Asks at the user's interval, whatever the age: for what has no duration."""

    def gap(self, age: float, poll_interval: float, jitter: float) -> float:
        """Return ``poll_interval``, stretched at random."""
        return poll_interval * (1 + JITTER * jitter)

    def likely(self, age: float) -> float:
        """Return the age itself: any moment is as good as another."""
        return age

    def follow(self, wait: Followed) -> None:
        """Follow nothing."""

    def learn(self, wait: Followed, seconds: float, now: float) -> None:
        """Learn nothing."""


class Durations:
    """
    What jobs of one kind have lately taken, and when to ask for the next one.

    Those that are still open count as well: of a thousand jobs that were created together the shortest end first, and
    they alone would say that all jobs are short. So what is learned is an estimate of survival (Kaplan and Meier): a
    job weighs as much as all that were seen open at its age.

    Used by all waits of an event loop, and by one thread at a time.
    """

    def __init__(self) -> None:
        self._lately: deque[tuple[float, float]] = deque()
        self._durations: list[float] = []
        self._followed: weakref.WeakSet[Followed] = weakref.WeakSet()
        self._changes = 0
        self._estimate = _Estimate([], [])

    def follow(self, wait: Followed) -> None:
        """Learn from a wait, unless enough others are followed: all that begin are alike, those that end are not."""
        if len(self._followed) < KEPT:
            self._followed.add(wait)

    def learn(self, wait: Followed, seconds: float, now: float) -> None:
        """Take in what a job has taken, if its wait was followed; what is no duration is left out."""
        if wait not in self._followed:
            return
        self._followed.discard(wait)
        if not 0 <= seconds < math.inf:
            return
        while self._lately and (len(self._lately) >= KEPT or self._lately[0][0] < now - KEPT_SECONDS):
            _, old = self._lately.popleft()
            del self._durations[bisect_left(self._durations, old)]
        self._lately.append((now, seconds))
        insort(self._durations, seconds)
        self._changes += 1

    def gap(self, age: float, poll_interval: float, jitter: float) -> float:
        """Return the seconds to the next question; see :meth:`Schedule.gap`."""
        self._changes += 1
        question = self._current().question(age, poll_interval, jitter)
        if question is None:
            return unlearned_gap(age, poll_interval, jitter)
        return max(poll_interval * (1 + JITTER * jitter), question - age)

    def likely(self, age: float) -> float:
        """Return the age at which half of the jobs that were open at ``age`` have ended."""
        return self._current().likely(age)

    def _current(self) -> _Estimate:
        """Return what is learned; made anew when a tenth of it has changed, for it takes a fifth of a millisecond."""
        if len(self._durations) >= ENOUGH and self._changes > len(self._durations) / 10:
            self._changes = 0
            self._estimate = _Estimate(self._durations.copy(), sorted(wait.seen_open for wait in self._followed))
        return self._estimate


class _Estimate:
    """
    Which share of jobs has ended at which age.

    :param ended: ages at which jobs have ended, in order.
    :param seen_open: ages at which others were last seen open, in order.
    """

    def __init__(self, ended: list[float], seen_open: list[float]) -> None:
        self._ages = ended
        self._shares: list[float] = []
        survival, younger = 1.0, 0
        for place, age in enumerate(ended):
            while younger < len(seen_open) and seen_open[younger] < age:
                younger += 1
            survival *= 1 - 1 / (len(ended) - place + len(seen_open) - younger)
            self._shares.append(1 - survival)
        # The mean of the middle half: where jobs are of two lengths, the median lies anywhere between them.
        half = ended[bisect_left(self._shares, 0.25) : bisect_left(self._shares, 0.75)] or ended[-1:]
        self._usual = sum(half) / len(half) if half else 0.0
        self._hole = _HOLE * self._usual
        # Of each age the last one of its hump.
        self._ends = list(range(len(ended)))
        for place in reversed(range(len(ended) - 1)):
            if ended[place + 1] - ended[place] <= self._hole:
                self._ends[place] = self._ends[place + 1]
        self._last_of_many, place = -1, 0
        while place < len(ended):
            end = self._ends[place]
            if self._shares[end] - (self._shares[place - 1] if place else 0.0) >= _FEW:
                self._last_of_many = end
            place = end + 1

    def question(self, age: float, poll_interval: float, jitter: float) -> float | None:
        """
        Return the age at which to ask; None if nothing is known of jobs that are as old.

        :param age: at which the job was seen open.
        :param poll_interval: seconds between two questions at least.
        :param jitter: random number from 0 to 1.
        """
        ages, shares = self._ages, self._shares
        place = bisect_right(ages, age)
        before = shares[place - 1] if place else 0.0
        late = before >= _TAIL or (place == len(ages) and before >= 1 - _FEW)
        if late and age <= _LOST * ages[-1]:
            return age + _TAIL_INTERVAL * self._usual * (1 + JITTER * jitter)
        if place == len(ages):
            return None
        first = ages[max(place, bisect_left(shares, _EARLIEST, hi=len(shares) - 1))]
        begin = first if first - age > self._hole and place <= self._last_of_many else age
        end = self._ends[place]
        if ages[end] - begin <= poll_interval:  # one question is all that fits in
            return max(begin, ages[end])
        enough = max(place, min(end, bisect_right(shares, before + _CHANCE) - 1))
        question = min(max(begin, ages[enough]), begin + _WIDEST * self._usual)
        # Stretched is only the part in which jobs end: a share of the hours before it would miss all of them.
        return question + JITTER * jitter * max(question - begin, _HOLE * self._hole)

    def likely(self, age: float) -> float:
        """Return the age at which half of the jobs that were open at ``age`` have ended."""
        place = bisect_right(self._ages, age)
        before = self._shares[place - 1] if place else 0.0
        half = bisect_left(self._shares, before + (1 - before) / 2)
        return self._ages[half] if place < half < len(self._ages) else age * (1 + SHARE_OF_AGE)


_learned: dict[tuple[str, str], Durations] = {}


def durations_of(service: str, capability: str | None) -> Durations:
    """
    Return what this process has learned of a kind of jobs.

    :param service: name of the service.
    :param capability: None if it is not known; such jobs are a kind of their own.
    """
    return _learned.setdefault((service, capability or ""), Durations())
