"""
What to do after a reply or a failure: one pure decision, used by both drivers.

:func:`attempts` turns a flow into the two primitive steps that a driver carries out, :class:`Send` and
:class:`Pause`, so that nothing of pacing, signing and repeating is written twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.client.pacing import LARGEST_OFFSET, LONGEST_HOLD, Pacing
from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
    Unreachable,
)
from airflow_provider_mediax.protocol.exchange import Call, Flow, Pause, Repeat, Reply, unsigned

T = TypeVar("T")

CLOCK_TOLERANCE = 60.0
"""Seconds by which clocks may differ before a refused signature is blamed on them."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_LATEST = 4_000_000_000.0  # in the year 2096: whatever this machine takes the time for, it can be written as a date


@dataclass(frozen=True, slots=True)
class Send:
    """The step "send this once": the call, and its headers with a fresh signature."""

    call: Call
    headers: Mapping[str, str] = field(repr=False)


class TransportFailure(Exception):
    """
    No complete answer arrived. Raised by drivers, never seen outside ``client``.

    :param reason: what happened, free of addresses and payload.
    :param sent: False only if certainly nothing of the request reached the service.
    :param readable: False if an answer arrived that cannot be used.
    :param too_large: an answer arrived that is longer than the driver reads.
    """

    def __init__(self, reason: str, *, sent: bool, readable: bool = True, too_large: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.readable = readable
        self.too_large = too_large


def too_late(*, sent: bool) -> TransportFailure:
    """Return what a driver raises when a request does not end within its bound."""
    return TransportFailure("no whole answer in time" if sent else "no connection in time", sent=sent)


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long one call may take its time.

    :param attempts: how often a passing fault is met before it is reported.
    :param throttle_wait: seconds in all that the service may make the caller wait, by ``Retry-After`` or its limit.
    """

    attempts: int
    throttle_wait: float


PATIENT = Patience(attempts=4, throttle_wait=300.0)
"""For a call that somebody waits for in a worker."""

ONE_TRY = Patience(attempts=1, throttle_wait=0.0)
"""For a poll: the wait that it is made for has a budget of failures of its own."""


@dataclass(slots=True)
class Progress:
    """What the attempts at one call have used up so far."""

    attempts: int = 0
    throttled: int = 0
    asked_waited: float = 0.0
    clock_corrected: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """Decision: hand the reply to the flow."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Again:
    """
    Decision: try once more.

    :param delay: seconds to wait before it.
    :param offset: seconds to move the clock by, if that was learned.
    :param asked: seconds of ``delay`` that the service has asked for.
    :param throttled: it was no fault, but the rate limit.
    :param hold: seconds for which the service wants no other call either.
    """

    delay: float
    offset: float | None = None
    asked: float = 0.0
    throttled: bool = False
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Fail:
    """
    Decision: raise this into the flow.

    :param hold: seconds for which the service wants no other call either.
    """

    error: MediaxError
    hold: float = 0.0


Decision: TypeAlias = Use | Again | Fail


def decide(
    call: Call,
    outcome: Reply | TransportFailure,
    progress: Progress,
    patience: Patience,
    *,
    now: float,
    jitter: float,
) -> Decision:
    """
    Decide what follows an attempt.

    A call that must not be repeated is sent again only if it was certainly not carried out: no connection came
    about, or the answer proves the refusal.

    :param now: epoch seconds by the clock that signed the attempt.
    :param jitter: random number from 0 to 1.
    """
    may_repeat = call.repeat is Repeat.SAFE
    backoff = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** max(0, progress.attempts - 1)) * (0.5 + jitter / 2)
    if isinstance(outcome, TransportFailure):
        repeatable = (may_repeat or not outcome.sent) and not outcome.too_large  # it will not get shorter
        if repeatable and progress.attempts < patience.attempts:
            return Again(backoff)
        return Fail(_error(call, outcome))
    if call.throttled(outcome):
        return _throttled(call, outcome, progress, patience, now=now, jitter=jitter)
    if outcome.status in (401, 403) and call.sign is not unsigned and not progress.clock_corrected:
        server = _http_date(outcome.headers.get("date"))
        if server is not None and CLOCK_TOLERANCE < abs(server - now) <= LARGEST_OFFSET:
            return Again(0.0, offset=server - now)
    if outcome.status >= 500 and may_repeat and progress.attempts < patience.attempts:
        asked = min(retry_after(outcome, now) or 0.0, LONGEST_HOLD)
        if progress.asked_waited + asked <= patience.throttle_wait:
            return Again(max(backoff, asked), asked=asked)
    return Use(outcome)


def attempts(
    flow: Flow[T], pacing: Pacing, patience: Patience, clock: Callable[[], float] = steady
) -> Generator[Send | Pause, Reply | None, T]:
    """
    Turn a flow into the steps of a driver.

    The driver answers :class:`Send` with the reply or throws a :class:`TransportFailure`, and answers
    :class:`Pause` with None when the time has passed. The flow's result is the generator's return value.

    :param clock: monotonic seconds, by which the pauses pass.
    """
    try:
        step = next(flow)
        while True:
            if isinstance(step, Pause):
                yield step
                step = flow.send(None)
                continue
            try:
                reply = yield from _attempts_at(step, pacing, patience, clock)
            except MediaxError as error:
                step = flow.throw(error)
            else:
                step = flow.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


def _attempts_at(
    call: Call, pacing: Pacing, patience: Patience, clock: Callable[[], float]
) -> Generator[Send | Pause, Reply | None, Reply]:
    progress = Progress()
    submit = call.repeat is Repeat.NEVER
    while True:
        yield from _turn(call, pacing, patience, progress, clock)
        offset = pacing.clock_offset
        now = max(0.0, min(_LATEST, time.time() + offset))
        outcome: Reply | TransportFailure | None
        began = clock()
        try:
            outcome = yield Send(call, {**call.headers, **call.sign(now)})
        except TransportFailure as failure:
            outcome = failure
        if outcome is None:
            raise TypeError("a driver must answer Send with a Reply")
        progress.attempts += 1
        decision = decide(call, outcome, progress, patience, now=now, jitter=random.random())  # noqa: S311 - spread
        if isinstance(decision, Use):
            asked = retry_after(decision.reply, now) if decision.reply.status >= 500 else None
            return decision.reply if asked is None else replace(decision.reply, retry_after=min(asked, LONGEST_HOLD))
        if decision.hold and call.paced:
            pacing.hold(decision.hold, clock(), submits_only=submit)
        if isinstance(decision, Fail):
            decision.error.sent_at = began
            raise decision.error
        if decision.offset is not None:
            # Measured against the clock that signed: others may have learned the same meanwhile.
            pacing.clock_offset = offset + decision.offset
            progress.clock_corrected = True
        if decision.throttled:
            # A pause that the service asks for is not a fault of the call, so it uses up time and no attempt.
            progress.attempts -= 1
            progress.throttled += 1
        progress.asked_waited += decision.asked
        if decision.delay:
            yield Pause(decision.delay)


def _turn(
    call: Call, pacing: Pacing, patience: Patience, progress: Progress, clock: Callable[[], float]
) -> Generator[Send | Pause, Reply | None, None]:
    """
    Wait until the service holds the call no more, it has a place within the rate, and it is entitled to be sent.

    :raises Throttled: that would take longer than the caller waits.
    """
    submit = call.repeat is Repeat.NEVER
    while True:
        if call.paced:
            yield from _place(call, pacing, patience, progress, clock)
        if call.entitle is None:
            return
        yield from attempts(call.entitle(), pacing, patience, clock)
        if not (call.paced and pacing.held(clock(), submit=submit)):  # that may have taken a while
            return


def _place(
    call: Call, pacing: Pacing, patience: Patience, progress: Progress, clock: Callable[[], float]
) -> Generator[Pause, None, None]:
    submit = call.repeat is Repeat.NEVER
    placed = False
    while (held := pacing.held(clock(), submit=submit)) or not placed:
        if held:  # perhaps at the answer to another call while this one waited for its place, which is gone then
            placed = False
            if progress.asked_waited + held > patience.throttle_wait:
                raise _throttled_error(f"{call.action} was not sent, because the service asked for a pause", held)
            progress.asked_waited += held
            yield Pause(held)
            continue
        placed = True
        if delay := pacing.reserve(clock()):
            yield Pause(delay)


def retry_after(reply: Reply, now: float) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, given as a number or as a date; None without it."""
    value = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        date = _http_date(value)
        if date is None:
            return None
        # Measured from the answer's own date, so that a wrong clock here does not matter.
        seconds = date - (_http_date(reply.headers.get("date")) or now)
    return max(0.0, seconds) if seconds < 1e9 else None


def _throttled(
    call: Call, reply: Reply, progress: Progress, patience: Patience, *, now: float, jitter: float
) -> Decision:
    wanted = retry_after(reply, now)
    hold = min(wanted or 0.0, LONGEST_HOLD)
    delay = min(60.0, 2.0**progress.throttled) if wanted is None else wanted
    delay *= 1 + 0.1 * jitter  # upwards only: never earlier than asked
    if delay <= 0 and progress.throttled >= 3:
        delay = 1.0  # "at once", time and again, must not become a loop without a pause
    if progress.asked_waited + delay <= patience.throttle_wait:
        return Again(delay, asked=delay, throttled=True, hold=hold)
    what = f"{call.action} was refused for the rate limit"
    return Fail(_throttled_error(what, None if wanted is None else hold, status=reply.status), hold=hold)


def _throttled_error(what: str, wait: float | None, status: int | None = None) -> Throttled:
    error = Throttled(what, status=status)
    error.retry_after = wait
    return error


def _error(call: Call, failure: TransportFailure) -> MediaxError:
    host = urlsplit(call.url).netloc
    if failure.too_large:
        return AnswerTooLarge(f"{host} answered {call.action} with {failure.reason}")
    if not failure.readable:
        return ProtocolError(f"{host} answered {call.action} with something unusable: {failure.reason}")
    if failure.sent:
        return Unavailable(f"{host} did not answer {call.action}: {failure.reason}")
    return Unreachable(f"No connection to {host} for {call.action}: {failure.reason}")


def _http_date(value: str | None) -> float | None:
    try:
        date = parsedate_to_datetime(value) if value else None
        # HTTP dates are in UTC; one that does not say so would be taken for this machine's local time.
        return None if date is None else (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
