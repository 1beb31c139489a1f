"""What tests decided about the jobs to come, of both services."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass

from airflow_provider_mediax.emulator.shared.spoiling import Spoiling

DEFAULT_DURATION = 1.0
"""Seconds from submission to the end of a job, unless a test decides otherwise."""

WAITING_SHARE = 0.2
"""Part of a job's duration before it starts, unless a test decides otherwise."""

OUTCOMES = ("COMPLETED", "ERROR", "CANCELED", "NEVER", "UNKNOWN")
"""What a test may decide about a job's end. NEVER goes on processing, UNKNOWN stays in a state without a name."""

SYNONYMS = {"Success": "COMPLETED", "Failed": "ERROR", "Cancel": "CANCELED"}
"""Cloud Infinite's own words for the same ends."""


@dataclass(frozen=True, slots=True)
class Span:
    """
    The time that one job takes.

    :param waiting: seconds of it before it starts.
    :param running: seconds from there to its end.
    :param over: set when somebody decides that the time is over.
    """

    waiting: float
    running: float
    over: asyncio.Event

    async def wait(self) -> None:
        """Let the time before the start pass."""
        await self._pass(self.waiting)

    async def run(self) -> None:
        """Let the time from the start to the end pass."""
        await self._pass(self.running)

    async def _pass(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()


TOTALS = ("all", "page", "none")
"""What ``total`` of a list says: how many jobs there are, how many it holds, or nothing."""

ORDERS = ("newest", "oldest")


@dataclass(frozen=True, slots=True)
class Lists:
    """
    How MediaX lists the jobs of a ``customId``; how it really does is documented nowhere.

    :param page: jobs that a list holds at most, None for all.
    :param total: one of :data:`TOTALS`.
    :param order: one of :data:`ORDERS`: which jobs a list begins with.
    :param finished: whether jobs that have ended are listed.
    """

    page: int | None = None
    total: str = "all"
    order: str = "newest"
    finished: bool = True


CALLBACKS = ("sent", "lost", "twice", "late", "put", "get", "wrapped")
"""What can become of a callback: as it should be, never sent, sent twice, late, by another method, inside an answer."""


@dataclass(frozen=True, slots=True)
class CallbackFate:
    """
    What becomes of one callback.

    :param how: one of :data:`CALLBACKS`.
    :param seconds: how late a late one is.
    """

    how: str = "sent"
    seconds: float = 0.0


class Plan:
    """
    Durations and ends of jobs to come.

    :ivar list_lag: seconds for which lists do not show a new job.
    :ivar lists: how MediaX lists jobs.
    :ivar canned: seconds that every track is taken to have, so that nothing is fetched or decoded; None looks at it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything that was decided."""
        self._durations: dict[str, tuple[float, float]] = {}
        self._outcomes: defaultdict[str, list[str]] = defaultdict(list)
        self._spoilings: defaultdict[str, list[Spoiling]] = defaultdict(list)
        self._callbacks: list[CallbackFate] = []
        self.list_lag = 0.0
        self.lists = Lists()
        self.canned: float | None = None
        self._over = asyncio.Event()

    def span(self, capability: str) -> Span:
        """Return the time of a job of the capability that is submitted now."""
        usual = _parts(DEFAULT_DURATION, None)
        return Span(*self._durations.get(capability, self._durations.get("*", usual)), self._over)

    def finish(self) -> None:
        """Let the time of all jobs that have started be over."""
        self._over.set()
        self._over = asyncio.Event()

    def set_duration(self, capability: str, seconds: float, waiting: float | None = None) -> None:
        """
        Let the capability's jobs (``*``: those of every other one) take that long from now on.

        :param waiting: seconds of it before they start; None is a fifth.
        """
        self._durations[capability] = _parts(seconds, waiting)

    def expect(self, capability: str, outcome: str, times: int) -> None:
        """Decide the end of the capability's (``*``: any) next jobs."""
        self._outcomes[capability].extend([outcome] * times)

    def next_outcome(self, capability: str) -> str:
        """Use up what was decided for the next job; one of :data:`OUTCOMES`."""
        for name in (capability, "*"):
            if self._outcomes[name]:
                return self._outcomes[name].pop(0)
        return "COMPLETED"

    def spoil(self, capability: str, spoiling: Spoiling, times: int) -> None:
        """Decide what becomes of the first file of the capability's (``*``: any) next jobs."""
        self._spoilings[capability].extend([spoiling] * times)

    def next_spoiling(self, capability: str) -> Spoiling | None:
        """Use up what was decided for the files of the next job."""
        for name in (capability, "*"):
            if self._spoilings[name]:
                return self._spoilings[name].pop(0)
        return None

    def spoil_callbacks(self, fate: CallbackFate, times: int) -> None:
        """Decide what becomes of the next callbacks."""
        self._callbacks.extend([fate] * times)

    def next_callback(self) -> CallbackFate:
        """Use up what was decided for the next callback."""
        return self._callbacks.pop(0) if self._callbacks else CallbackFate()

    def shows(self, born: float) -> bool:
        """Tell whether lists show a job already; ``born`` is in monotonic seconds, which no test shifts."""
        return self.list_lag <= 0 or born <= time.monotonic() - self.list_lag


def _parts(seconds: float, waiting: float | None) -> tuple[float, float]:
    before = WAITING_SHARE * seconds if waiting is None else min(waiting, seconds)
    return before, seconds - before
