"""
One poll loop for all waiting triggers of one event loop and one service connection.

The loop runs in an empty context, so that its log lines go to the triggerer's log and not to the task that
happened to start it; each trigger writes its own state changes to its own task's log.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import AuthenticationFailed, MediaxError, ProtocolError, Unreachable
from airflow_provider_mediax.jobs.service import JobService
from airflow_provider_mediax.jobs.waiting import Outcome, Wait, batches, unknown_jobs
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job

T = TypeVar("T")

log = logging.getLogger(__name__)

IN_FLIGHT = 32
"""Polls under way at once; the rate limit paces them, this bounds what a slow service can pile up."""

LINGER = 30.0
"""Seconds that session and connection are kept for the next trigger after the last one has gone."""

TURN = 0.05
"""Seconds between two turns at least: a turn looks at every wait, and many polls end at nearly the same time."""

RECONNECT_SECONDS = 20.0
"""How often at most the connection is looked up anew when it seems to be out of date."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A service and the client to drive it with, made from one look-up of the connection."""

    service: JobService[Any]
    client: AsyncClient


News: TypeAlias = Job | MediaxError | Outcome
"""A job whose state has changed, a failure that is borne, or the end."""

Open: TypeAlias = Callable[[], Awaitable[Opened]]


@dataclass(eq=False, slots=True)
class _Waiter:
    """A wait, and the queue to its trigger."""

    wait: Wait
    news: asyncio.Queue[News] = field(default_factory=asyncio.Queue)
    polls: int = 0

    def due(self, together: bool) -> float:
        """
        Return when the next poll is due, in epoch seconds.

        :param together: the service describes several jobs in one call, so waits meet at common moments: up to a
            second late, never early.
        """
        step = min(1.0, self.wait.poll_interval / 5)
        return math.ceil(self.wait.due / step) * step if together else self.wait.due


class Watcher:
    """
    Polls for every waiting trigger that shares it. Get one with :func:`watcher_for`.

    :param open_service: looks the connection up and opens a client; called once, and again when the keys seem
        to have changed.
    """

    def __init__(self, open_service: Open, name: str) -> None:
        self._open = open_service
        self._name = name
        self._waiters: set[_Waiter] = set()
        self._polls: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(IN_FLIGHT)
        self._loop_task: asyncio.Task[None] | None = None
        self._opened: Opened | None = None
        self._opened_at = 0.0

    async def watch(self, wait: Wait) -> AsyncGenerator[News]:
        """Yield what happens and, last, the outcome."""
        waiter = _Waiter(wait)
        self._waiters.add(waiter)
        self._changed.set()
        if self._loop_task is None:
            self._loop_task = asyncio.get_running_loop().create_task(
                self._run(), name=f"mediax watcher {self._name}", context=contextvars.Context()
            )
        try:
            while True:
                news = await waiter.news.get()
                yield news
                if isinstance(news, Outcome):
                    return
        finally:
            self._waiters.discard(waiter)
            self._changed.set()

    async def run(self, make_flow: Callable[[JobService[Any]], Flow[T]]) -> T:
        """
        Carry a flow out on the connection that the polls share, or on a new one when nobody polls.

        :param make_flow: is given the service.
        """
        if self._opened is not None:
            return await self._opened.client.run(make_flow(self._opened.service))
        opened = await self._open()
        try:
            return await opened.client.run(make_flow(opened.service))
        finally:
            await opened.client.close()

    async def _run(self) -> None:
        try:
            while await self._has_waiters():
                self._changed.clear()
                await self._take_turn()
                await self._sleep()
                await asyncio.sleep(TURN)
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the waits, not leave them hanging
            self._end_in_fault(set(self._waiters), error)
        finally:
            # Before the first await, so that whoever comes while this loop ends starts a new one.
            opened, self._opened, self._loop_task = self._opened, None, None
            for poll in self._polls:
                poll.cancel()
            if opened is not None:
                await opened.client.close()

    async def _has_waiters(self) -> bool:
        """Tell whether there is anybody to poll for, giving the next one some time to come."""
        if self._waiters:
            return True
        self._changed.clear()
        await self._changed_within(LINGER)
        return bool(self._waiters)

    @property
    def _together(self) -> bool:
        return self._opened is not None and self._opened.service.describe_limit > 1

    async def _take_turn(self) -> None:
        """End the waits that are over and start the polls that are due."""
        now = time.time()
        due: dict[str, list[_Waiter]] = {}
        for waiter in list(self._waiters):
            if (outcome := waiter.wait.ended(now)) is not None:
                self._end(waiter, outcome)
            elif waiter.due(self._together) <= now and not waiter.polls:
                for job_id in waiter.wait.open_ids:
                    due.setdefault(job_id, []).append(waiter)
        if not due:
            return
        opened = await self._ready(due)
        if opened is None:
            return
        for ids in batches(list(due), opened.service.describe_limit):
            waiters = {waiter for job_id in ids for waiter in due[job_id]}
            for waiter in waiters:
                waiter.polls += 1
            poll = asyncio.create_task(self._poll(opened, ids, waiters))
            self._polls.add(poll)
            poll.add_done_callback(self._polls.discard)

    async def _poll(self, opened: Opened, ids: list[str], waiters: set[_Waiter]) -> None:
        try:
            async with self._places:
                jobs = await opened.client.run(opened.service.describe(ids), ONE_TRY)
        except MediaxError as error:
            if not self._reopen_soon(error, waiters):
                self._fail(waiters, error)
        except Exception as error:  # noqa: BLE001 - likewise
            self._end_in_fault(waiters, error)
        else:
            now = time.time()
            for waiter in waiters:
                mine = [jobs[job_id] for job_id in waiter.wait.job_ids if job_id in jobs]
                if not mine:
                    self._fail({waiter}, unknown_jobs(ids))
                for job in waiter.wait.on_jobs(mine, now) if mine else ():
                    waiter.news.put_nowait(job)
        finally:
            for waiter in waiters:
                waiter.polls -= 1
            self._changed.set()

    async def _ready(self, due: dict[str, list[_Waiter]]) -> Opened | None:
        """Return the open service; when it cannot be opened, the waits bear it as a failure."""
        if self._opened is None:
            begun = time.time()
            try:
                self._opened = await self._open()
                self._opened_at = begun
            except MediaxError as error:
                self._fail({waiter for waiters in due.values() for waiter in waiters}, error)
        return self._opened

    def _reopen_soon(self, error: MediaxError, waiters: set[_Waiter]) -> bool:
        """
        Drop a connection whose keys or address may have been edited, and tell whether that was done.

        A wait that is younger than the look-up comes from a worker that may have seen newer keys, and used them.
        """
        stale = time.time() - self._opened_at > RECONNECT_SECONDS
        stale = stale or any(waiter.wait.started > self._opened_at for waiter in waiters)
        if not (stale and isinstance(error, (AuthenticationFailed, Unreachable)) and self._opened is not None):
            return False
        log.info("Looking up the connection of %s again: %s", self._name, error.what)
        client, self._opened = self._opened.client, None
        closing = asyncio.create_task(client.close())
        self._polls.add(closing)
        closing.add_done_callback(self._polls.discard)
        return True

    def _fail(self, waiters: set[_Waiter], error: MediaxError) -> None:
        now = time.time()
        for waiter in waiters:
            outcome = waiter.wait.on_error(error, now)
            if outcome is not None:
                self._end(waiter, outcome)
            else:
                waiter.news.put_nowait(error)

    def _end_in_fault(self, waiters: set[_Waiter], error: Exception) -> None:
        """End waits for a fault of ours, whose text may hold anything and stays in the triggerer's log."""
        log.error("The watcher of %s failed", self._name, exc_info=error)
        failure = ProtocolError(f"The watcher failed with {type(error).__name__}; see the triggerer's log")
        for waiter in waiters:
            self._end(waiter, Outcome("error", dict(waiter.wait.states), failure))

    def _end(self, waiter: _Waiter, outcome: Outcome) -> None:
        self._waiters.discard(waiter)
        waiter.news.put_nowait(outcome)

    async def _sleep(self) -> None:
        """Sleep until somebody comes, a poll has ended, or the next wait has its turn."""
        turns = [waiter.wait.deadline if waiter.polls else waiter.wait.next_turn for waiter in self._waiters]
        pause = max(0.01, min(turns) - time.time()) if turns else LINGER
        await self._changed_within(pause)

    async def _changed_within(self, seconds: float) -> None:
        """
        Wait for a change.

        Not by ``wait_for``: in Python 3.11 it loses a cancel that meets the change, and when a triggerer shuts down
        the last trigger that leaves is such a change.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


_watchers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Watcher]] = weakref.WeakKeyDictionary()


def watcher_for(key: Hashable, open_service: Open, name: str) -> Watcher:
    """
    Return the running event loop's watcher for a service connection, made on first use.

    :param key: what the triggers that share a watcher have in common: service, connection, bucket, region.
    :param name: for the log; holds no secret.
    """
    watchers = _watchers.setdefault(asyncio.get_running_loop(), {})
    if key not in watchers:
        watchers[key] = Watcher(open_service, name)
    return watchers[key]
