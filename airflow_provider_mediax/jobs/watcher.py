"""
One poll loop for all waiting triggers of one event loop and one service connection.

The loop runs in an empty context, so that its log lines go to the triggerer's log and not to the task that
happened to start it; each trigger writes its own state changes to its own task's log.

What one request, one look-up or one client suffers is a failure of the waits that it was made for, and ends none of
them by itself: how many failures a wait bears is its own decision (``jobs.waiting``).

No turn of the loop looks at waits that are not due: two heaps say whose deadline and whose question comes next. What
is due waits in a third one for a place within the rate limit, so that the limit is spent on what has most likely ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
import logging
import math
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    AuthenticationFailed,
    MediaxError,
    ProtocolError,
    Throttled,
    Unreachable,
)
from airflow_provider_mediax.jobs.lookup import Lookup
from airflow_provider_mediax.jobs.mailbox import Mailbox, Reader, Trust
from airflow_provider_mediax.jobs.places import Places
from airflow_provider_mediax.jobs.waiter import Heap, Poll, Shared, Waiter, WaitUpdate
from airflow_provider_mediax.jobs.waiting import LONGEST_WISH, Outcome, Wait, batches, unknown_jobs
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.service import JobService

T = TypeVar("T")

log = logging.getLogger(__name__)

LINGER = 30.0
"""Seconds that session and connection are kept for the next trigger after the last one has gone."""

TURN = 0.05
"""Seconds between two turns at least: many polls end at nearly the same time."""

SHORT_TURN = 0.01
"""The same while waits stand in line for polls under way to end."""

PATIENCE = 5.0
"""
Intervals that a wait which is due stands back behind those that have more likely ended; or, if that is longer, the time
in which the rate limit lets every wait be asked for once.
"""

FRESH_SECONDS = 5.0
"""Keys looked up within this time are the connection's own: if they are refused, that is a failure."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A service and the client to drive it with, made from one look-up of the connection."""

    service: JobService[Any]
    client: AsyncClient
    mailbox: Mailbox | None = None


Open: TypeAlias = Callable[[], Awaitable[Opened]]


class Watcher:
    """
    Polls for every waiting trigger that shares it. Get one with :func:`watcher_for`.

    :param open_service: looks the connection up and opens a client; called once, and again when the connection seems
        to have changed.
    :param clock: the clock of the waits' times.
    """

    def __init__(self, open_service: Open, name: str, clock: Callable[[], float] = steady) -> None:
        self._open = open_service
        self._name = name
        self._clock = clock
        self._lookup = Lookup(self._renew, name)
        self._waiters: set[Waiter] = set()
        self._deadlines: list[tuple[float, int, Waiter]] = []
        self._entered = itertools.count()
        self._waiting = Heap()
        self._ready = Heap()
        self._polls: set[Poll] = set()
        self._others: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._shared: Shared | None = None
        self._held_until = -math.inf
        self._held_by: Throttled | None = None
        self._places = Places()
        self._reader = Reader(name, clock)
        self._trust = Trust(clock)
        self._reading: asyncio.Task[None] | None = None

    async def watch(self, wait: Wait) -> AsyncGenerator[WaitUpdate]:
        """Yield what happens and, last, the outcome."""
        waiter = Waiter(wait)
        self._enter(waiter)
        if self._loop_task is None:
            self._loop_task = asyncio.get_running_loop().create_task(
                self._run(), name=f"mediax watcher {self._name}", context=contextvars.Context()
            )
        try:
            while True:
                update = await waiter.next_update()
                yield update
                if isinstance(update, Outcome):
                    return
        finally:
            self._leave(waiter)

    async def run(self, make_flow: Callable[[JobService[Any]], Flow[T]]) -> T:
        """
        Carry a flow out on the connection that the polls share, or on a new one when nobody polls.

        :param make_flow: is given the service.
        """
        shared = self._shared or await self._lookup.answer()
        # A task of its own, so that a client can be closed after its last user.
        task = asyncio.create_task(shared.run(make_flow))
        shared.users.add(task)
        task.add_done_callback(shared.users.discard)
        try:
            return await task
        finally:
            if self._loop_task is None and self._shared is shared:
                self._replace(None)

    async def _run(self) -> None:
        try:
            while await self._has_waiters():
                self._changed.clear()
                try:
                    self._take_turn()
                except Exception as fault:  # noqa: BLE001 - a fault of ours must not leave the waits hanging
                    self._fail_in_fault(self._waiters, fault)
                    for waiter in [waiter for waiter in self._waiters if not waiter.place and not waiter.polls]:
                        self._line_up(waiter)
                await self._changed_within(self._pause())
                await asyncio.sleep(SHORT_TURN if self._is_full() else TURN)
        finally:
            # Before the first await, so that a wait that begins while this loop ends starts a new one.
            shared, self._shared, self._loop_task = self._shared, None, None
            for poll in self._polls:
                poll.task.cancel()
            for task in (self._looking, self._reading):
                if task is not None:
                    task.cancel()
            self._reading = None
            if shared is not None:
                await shared.close()

    async def _has_waiters(self) -> bool:
        """Tell whether there is anybody to poll for, giving the next one some time to come."""
        if self._waiters:
            return True
        self._changed.clear()
        await self._changed_within(LINGER)
        return bool(self._waiters)

    def _enter(self, waiter: Waiter) -> None:
        self._waiters.add(waiter)
        if waiter.wait.marker is not None:
            waiter.wait.rely_on_hints(self._trust.stretched)
            if self._reading is None:
                self._reading = asyncio.create_task(self._read_mailbox(), context=contextvars.Context())
        heapq.heappush(self._deadlines, (waiter.wait.deadline, next(self._entered), waiter))
        if not self._end_if_over(waiter, self._clock()):
            self._line_up(waiter)
        self._changed.set()

    def _line_up(self, waiter: Waiter) -> None:
        """Let a wait stand where its next round of questions, or the rest of this one, is taken from."""
        if waiter.to_ask:
            self._make_ready(waiter)
        elif not waiter.polls:
            together = self._shared is not None and self._shared.service.describe_limit > 1
            self._waiting.push(waiter.due(together), waiter)

    def _make_ready(self, waiter: Waiter) -> None:
        """Let a wait stand in line for a place within the rate: in the order in which jobs have likely ended."""
        wait = waiter.wait
        patience = PATIENCE * wait.poll_interval
        if self._shared is not None:
            rate = self._shared.client.pacing.rate * self._shared.service.describe_limit
            patience = max(patience, len(self._waiters) / rate)
        self._ready.push(max(wait.due, min(wait.likely, wait.due + patience)), waiter)

    def _take_turn(self) -> None:
        """End the waits whose time is up and start as many of the polls that are due as there are places."""
        now = self._clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, waiter = heapq.heappop(self._deadlines)
            if waiter in self._waiters:
                self._end_if_over(waiter, now)
        while (due := self._waiting.pop(now)) is not None:
            self._make_ready(due)
        if self._held_by is not None and now < self._held_until:
            self._hold(self._held_by, now)
        elif self._ready.first() < math.inf:
            if self._shared is None:
                self._look_up()
            else:
                self._start_polls(self._shared, now)

    def _end_if_over(self, waiter: Waiter, now: float) -> bool:
        outcome = waiter.wait.ended(now)
        if outcome is not None:
            self._end(waiter, outcome)
            if outcome.status == "final":
                self._note_end(waiter, now)
        return outcome is not None

    def _hold(self, error: Throttled, now: float) -> None:
        """Put off what is due: the service answered another poll that it must not be asked before a moment."""
        while (waiter := self._ready.pop()) is not None:
            waiter.to_ask.clear()
            if (outcome := waiter.wait.on_hold(error, self._held_until, now)) is not None:
                self._end(waiter, outcome)
            else:
                self._line_up(waiter)

    def _start_polls(self, shared: Shared, now: float) -> None:
        """Start the polls that have a place: no task is made that would only wait for the limit."""
        limit = shared.service.describe_limit
        room = shared.client.pacing.room(now, TURN)
        places = min(self._places.number - len(self._polls), room)
        left = places * limit
        taken: list[Waiter] = []
        askers: dict[str, list[Waiter]] = {}
        alone: set[str] = set()
        while left > 0 and (waiter := self._ready.pop()) is not None:
            taken.append(waiter)
            if not waiter.to_ask:
                waiter.to_ask = dict.fromkeys(waiter.wait.open_ids)
            for job_id in itertools.islice(waiter.to_ask, left):
                if job_id not in askers:
                    left -= limit if waiter.alone else 1
                askers.setdefault(job_id, []).append(waiter)
                if waiter.alone:
                    alone.add(job_id)
        calls = batches(list(alone), 1) + batches([job_id for job_id in askers if job_id not in alone], limit)
        for ids in calls[:places]:
            self._start_poll(shared, ids, askers)
        for waiter in taken:
            self._line_up(waiter)
        self._places.note(now, too_few=places < room and self._ready.first() < math.inf)

    def _is_full(self) -> bool:
        """Tell whether as many polls are under way as there may be."""
        return len(self._polls) >= self._places.number

    def _start_poll(self, shared: Shared, ids: list[str], askers: Mapping[str, Iterable[Waiter]]) -> None:
        task = asyncio.create_task(shared.run(lambda service: service.describe(ids), patience=ONE_TRY))
        poll = Poll(shared, {}, len(ids) > 1, task)
        self._polls.add(poll)
        shared.users.add(task)
        for job_id in ids:
            for waiter in askers[job_id]:
                del waiter.to_ask[job_id]
                waiter.polls.add(poll)
                poll.waiters.setdefault(waiter, []).append(job_id)
        task.add_done_callback(lambda _: self._end_poll(poll))

    def _end_poll(self, poll: Poll) -> None:
        self._polls.discard(poll)
        poll.shared.users.discard(poll.task)
        for waiter in poll.waiters:
            waiter.polls.discard(poll)
        self._changed.set()
        try:
            if not poll.task.cancelled():
                self._judge(poll)
        except Exception as fault:  # noqa: BLE001 - likewise
            self._fail_in_fault(poll.waiters, fault)
        for waiter in poll.waiters:
            if waiter in self._waiters and not waiter.place:
                self._line_up(waiter)

    def _judge(self, poll: Poll) -> None:
        error = poll.task.exception()
        if error is None:
            self._take_in(poll, poll.task.result())
        elif poll.shared is self._shared:  # an error of a client that has been replaced counts for nobody
            self._bear(poll, error)

    async def _read_mailbox(self) -> None:
        """Let waits ask at once whose jobs are said to have ended; what goes wrong here ends none of them."""
        while True:
            await asyncio.sleep(self._reader.pause)
            shared = self._shared
            if shared is None or shared.mailbox is None:
                continue
            named = [waiter for waiter in self._waiters if waiter.wait.marker is not None]
            if not named:
                continue
            try:
                hinted = set(await self._reader.look(shared.mailbox, self._on_client))
                for waiter in named:
                    if waiter.wait.marker in hinted and waiter in self._waiters and waiter.wait.on_hint(self._clock()):
                        self._bring_forward(waiter)
            except Exception:
                log.exception("Reading the mailbox of %s failed", self._name)

    async def _on_client(self, flow: Flow[T]) -> T:
        return await self.run(lambda _: flow)

    def _bring_forward(self, waiter: Waiter) -> None:
        """Let a wait stand where its next question is due; one whose poll is under way is lined up at its end."""
        if not waiter.polls and not waiter.to_ask:
            self._line_up(waiter)
        self._changed.set()

    def _note_end(self, waiter: Waiter, now: float) -> None:
        """Judge by a job's end whether hints can be relied on; if one was missed, nobody does so any more."""
        wait = waiter.wait
        if wait.marker is None or not self._trust.note_end(hinted=wait.hinted, ended_ago=wait.ended_ago(now)):
            return
        for other in self._waiters:
            if other.wait.due > other.wait.unstretched:
                other.wait.due = other.wait.unstretched
                self._bring_forward(other)

    def _take_in(self, poll: Poll, jobs: Mapping[str, Job]) -> None:
        now = self._clock()
        for waiter, asked in list(poll.waiters.items()):
            found = [jobs[job_id] for job_id in asked if job_id in jobs]
            if not waiter.wait.with_results:
                found = [replace(job, raw={}) for job in found]
            if not found:
                self._fail({waiter}, unknown_jobs(asked))
                continue
            for job in waiter.wait.on_jobs(found, now):
                waiter.tell(job)
            self._end_if_over(waiter, now)

    def _bear(self, poll: Poll, error: BaseException) -> None:
        """Decide what an error of the client that is in use means: for it, for all, for the waits of the poll."""
        if not isinstance(error, MediaxError):
            self._fail_in_fault(poll.waiters, error)
            return
        now = self._clock()
        fresh = now - poll.shared.asked_at <= FRESH_SECONDS
        if isinstance(error, AuthenticationFailed) and not fresh:
            log.info("Looking up the connection of %s again: %s", self._name, error.what)
            self._replace(None)
            return
        if isinstance(error, Unreachable) and not fresh:
            self._look_up()  # the address may have been edited; until that is known, this client serves the others
        if isinstance(error, Throttled) and error.retry_after is not None:
            self._held_by = error
            self._held_until = max(self._held_until, now + min(LONGEST_WISH, error.retry_after))
        if isinstance(error, AnswerTooLarge) and poll.together:
            for waiter in poll.waiters:
                waiter.alone = True
            return
        self._fail(poll.waiters, error)

    def _look_up(self) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._await_look_up())

    async def _await_look_up(self) -> None:
        try:
            await self._lookup.answer()
        except MediaxError as error:
            if self._shared is None:
                self._fail(self._waiters, error)
        finally:
            self._looking = None
            self._changed.set()

    async def _renew(self) -> Shared:
        """Look the connection up and put what it opens in the place of what was there."""
        asked_at = self._clock()
        opened = await self._open()
        shared = Shared(opened.service, opened.client, asked_at, opened.mailbox)
        self._replace(shared)
        return shared

    def _replace(self, shared: Shared | None) -> None:
        """
        Let another client take the place of the one in use, which is closed once nobody uses it any more.

        :param shared: None if its keys are refused: then what waits for the rate limit must not be sent with them.
        """
        old, self._shared = self._shared, shared
        if old is None:
            return
        for poll in self._polls:
            if shared is None and poll.shared is old:
                poll.task.cancel()
        closing = asyncio.create_task(self._close(old))
        self._others.add(closing)
        closing.add_done_callback(self._others.discard)

    async def _close(self, shared: Shared) -> None:
        try:
            await shared.close()
        except Exception:
            log.exception("Closing a client of %s failed", self._name)

    def _fail(self, waiters: Iterable[Waiter], error: MediaxError) -> None:
        """Let waits bear a failure; those that are not due have been answered in this round, or borne one."""
        now = self._clock()
        for waiter in [waiter for waiter in waiters if waiter.wait.due <= now]:
            if (outcome := waiter.wait.on_error(error, now)) is not None:
                self._end(waiter, outcome)
                continue
            waiter.tell(error)
            if waiter.place:  # it stands in line for the round that has failed
                self._line_up(waiter)

    def _fail_in_fault(self, waiters: Iterable[Waiter], fault: BaseException) -> None:
        """Let waits bear a fault of ours, whose text may hold anything and stays in the triggerer's log."""
        log.error("The watcher of %s failed", self._name, exc_info=fault)
        self._fail(waiters, ProtocolError(f"The watcher failed with {type(fault).__name__}; see the triggerer's log"))

    def _end(self, waiter: Waiter, outcome: Outcome) -> None:
        self._leave(waiter)
        waiter.tell(outcome)

    def _leave(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)
        waiter.place = 0
        for poll in waiter.polls:
            poll.waiters.pop(waiter, None)
            if not poll.waiters:
                poll.task.cancel()
        waiter.polls.clear()
        # Who has left stands in that heap until the deadline; but no more than half of it may be such entries.
        if len(self._deadlines) > 2 * len(self._waiters) + 64:
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self._waiters]
            heapq.heapify(self._deadlines)
        self._changed.set()

    def _pause(self) -> float:
        """Return the seconds until the next deadline, round or place; whatever else is due waits for a change."""
        now = self._clock()
        moment = min(self._waiting.first(), self._deadlines[0][0] if self._deadlines else math.inf)
        if self._shared is not None and not self._is_full() and self._ready.first() < math.inf:
            moment = min(moment, now + self._shared.client.pacing.free_in(now) - TURN)
        return max(0.0, min(LINGER, moment - now))

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
