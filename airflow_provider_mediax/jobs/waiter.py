"""A wait among others: what its trigger has not been given yet, where it stands in line, who asks for it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.jobs.mailbox import Mailbox
from airflow_provider_mediax.jobs.waiting import Outcome, Wait
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.service import JobService

T = TypeVar("T")

SHORTEST_STEP = 0.05
"""Seconds between two common moments at least: by the smallest floats nothing can be divided."""

WaitUpdate: TypeAlias = Job | MediaxError | Outcome
"""A job whose state has changed, a failure that is borne, or the end."""


@dataclass(eq=False, slots=True)
class Shared:
    """
    What one look-up has opened, for everybody until the next one.

    :param asked_at: when the look-up began, in seconds of the watcher's clock.
    :param mailbox: where the service tells of ends, if it does.
    :param users: what still uses the client.
    """

    service: JobService[Any]
    client: AsyncClient
    asked_at: float
    mailbox: Mailbox | None = None
    users: set[asyncio.Task[Any]] = field(default_factory=set)

    async def run(self, make_flow: Callable[[JobService[Any]], Flow[T]], **options: Any) -> T:
        """Carry out a flow that is made from the service, with the client's options for a run."""
        return await self.client.run(make_flow(self.service), **options)

    async def close(self) -> None:
        """Close the client once nobody uses it any more."""
        while self.users:
            await asyncio.wait(self.users)
        await self.client.close()


@dataclass(eq=False, slots=True)
class Waiter:
    """
    A wait, and where it stands.

    :ivar updates: what its trigger has not been given yet, in order.
    :ivar heard: is set when there is an update; None while nobody waits for one.
    :ivar place: number of its entry in the heap that it stands in; entries with another number are void.
    :ivar to_ask: ids that this round of questions has not reached yet; a dict for its order.
    :ivar polls: those under way for this wait; a round ends with the last of them.
    :ivar alone: its jobs are asked for one by one, because an answer about several was too large.
    """

    wait: Wait
    updates: list[WaitUpdate] = field(default_factory=list)
    heard: asyncio.Future[None] | None = None
    place: int = 0
    to_ask: dict[str, None] = field(default_factory=dict)
    polls: set[Poll] = field(default_factory=set)
    alone: bool = False

    def tell(self, update: WaitUpdate) -> None:
        """Keep an update for the trigger, and wake it."""
        self.updates.append(update)
        if self.heard is not None and not self.heard.done():
            self.heard.set_result(None)

    async def next_update(self) -> WaitUpdate:
        """Wait for an update and return it."""
        if not self.updates:
            self.heard = asyncio.get_running_loop().create_future()
            try:
                await self.heard
            finally:
                self.heard = None
        return self.updates.pop(0)

    def due(self, together: bool) -> float:
        """
        Return when the next round is due.

        :param together: the service describes several jobs in one call, so waits meet at common moments: up to a
            second late, never early.
        """
        step = min(1.0, max(SHORTEST_STEP, self.wait.poll_interval / 5))
        return math.ceil(self.wait.due / step) * step if together and not self.wait.hinted else self.wait.due


@dataclass(eq=False, slots=True)
class Poll:
    """One describe call, and what each wait wants to know by it; when all of them have left, it is canceled."""

    shared: Shared
    waiters: dict[Waiter, list[str]]
    together: bool
    task: asyncio.Task[Mapping[str, Job]]


class Heap:
    """Waits by the moment at which something is to be done for them; each stands in it once at most."""

    _places = itertools.count(1)  # 0 is no place

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Waiter]] = []

    def push(self, moment: float, waiter: Waiter) -> None:
        """Let a wait stand here and nowhere else."""
        waiter.place = next(self._places)
        heapq.heappush(self._entries, (moment, waiter.place, waiter))

    def first(self) -> float:
        """Return the earliest moment; infinity if there is none."""
        entries = self._entries
        while entries and entries[0][2].place != entries[0][1]:
            heapq.heappop(entries)
        return entries[0][0] if entries else math.inf

    def pop(self, now: float = math.inf) -> Waiter | None:
        """Take out the wait with the earliest moment, if that has come."""
        if self.first() > now or not self._entries:
            return None
        _, _, waiter = heapq.heappop(self._entries)
        waiter.place = 0
        return waiter
