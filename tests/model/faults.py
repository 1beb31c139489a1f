"""What may happen, and at which steps of an attempt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Stopped,
    Throttled,
    Unavailable,
    Unreachable,
)

STANDSTILL = 400.0
"""Seconds that an attempt stands still which Airflow takes for dead: every other attempt has ended by then."""

THROTTLE = 250.0
"""Seconds that a submit waits for its turn after it was refused for the rate limit."""


@dataclass(frozen=True)
class Fault:
    """
    One thing that happens.

    :param error: what the engine is told.
    :param carried_out: seconds after which what was sent is carried out all the same, as late as can be at most.
    :param silent: no answer comes, and the client waits for as long as it does.
    """

    name: str
    error: Callable[[], MediaxError] | None = None
    carried_out: float | None = None
    silent: bool = False

    def __str__(self) -> str:
        return self.name

    def failure(self) -> MediaxError:
        """Return a new error of its kind."""
        assert self.error is not None
        return self.error()


@dataclass(frozen=True)
class Point:
    """
    A step that was reached.

    :param place: number of the attempt, and of the step in it.
    :param zombie: the attempt was replaced by another one.
    """

    place: tuple[int, int]
    kind: str
    zombie: bool


def _not_proven() -> MediaxError:
    error = BadRequest("errorResponse")
    error.nothing_done = False
    return error


DIES = Fault("dies before it")
DIES_AFTER = Fault("dies after it")
STOPPED = Fault("is told to stop", lambda: Stopped("stopped"))
STANDS_STILL = Fault("stands still before it, and Airflow begins another attempt")

FAILED = Fault("the job has failed")
CANCELED = Fault("somebody has canceled the job")
GIVEN_UP = Fault("the job was canceled before it started")
SUCCEEDED = Fault("the job has succeeded")

BROKEN = Fault("the store fails")
BROKEN_AFTER = Fault("the store fails after it has taken the record")
EDITED = Fault("the record is unreadable")
EXPIRED = Fault("the record is gone")

FAILS = Fault("503", lambda: Unavailable("503"))
DOWN = Fault("the service fails from here on", lambda: Unavailable("down"))
REFUSED = Fault("refused", lambda: BadRequest("refused"))
WRONG_KEYS = Fault("401", lambda: AuthenticationFailed("401"))
SHORT = Fault("a list that leaves jobs out")
NOT_KNOWN = Fault("the id is not known")
ELSEWHERE = Fault("the connection points to another account")

DIES_SENDING = Fault("dies after it was sent", carried_out=0.1)
LOST = Fault("lost on the way", lambda: Unavailable("timeout"), silent=True)
ANSWER_LOST = Fault("carried out, the answer lost", lambda: Unavailable("timeout"), carried_out=0.1, silent=True)
LATE = Fault("carried out as late as can be", lambda: Unavailable("timeout"), carried_out=math.inf, silent=True)
AFTER_ALL = Fault("carried out just after the timeout", lambda: Unavailable("timeout"), carried_out=36.0, silent=True)
ERROR_500 = Fault("500, nothing done", lambda: Unavailable("500"))
ERROR_500_DONE = Fault("500, carried out", lambda: Unavailable("500"), carried_out=0.1)
DIES_SENDING_LATE = Fault("dies after it was sent, carried out as late as can be", carried_out=math.inf)
SLOW = Fault("carried out at once, the answer late", carried_out=0.1)
UNREADABLE_DONE = Fault("an unreadable answer, carried out", lambda: ProtocolError("html"), carried_out=0.1)
PROVED = Fault("refused, provably", lambda: BadRequest("400"))
UNPROVED = Fault("refused, nothing done", _not_proven)
UNPROVED_DONE = Fault("refused, carried out", _not_proven, carried_out=0.1)
THROTTLED_FOR_LONG = Fault("429, sent again much later")
THROTTLED = Fault("429, no more time", lambda: Throttled("429"))
NOT_REACHED = Fault("no connection", lambda: Unreachable("refused"))

SUBMIT = (
    *(DIES, STOPPED, STANDS_STILL, DIES_SENDING, LOST, ANSWER_LOST, LATE, AFTER_ALL, ERROR_500, ERROR_500_DONE),
    *(UNREADABLE_DONE, PROVED, WRONG_KEYS, UNPROVED, UNPROVED_DONE, THROTTLED_FOR_LONG, THROTTLED, NOT_REACHED),
)

MENU: dict[str, tuple[Fault, ...]] = {
    "begin": (FAILED, CANCELED, GIVEN_UP, SUCCEEDED, DIES),
    "get": (DIES, BROKEN, EDITED, EXPIRED),
    "set": (DIES, DIES_AFTER, BROKEN, BROKEN_AFTER),
    "pause": (DIES, STOPPED, STANDS_STILL),
    "find": (DIES, STOPPED, STANDS_STILL, FAILS, SHORT, REFUSED, WRONG_KEYS, DOWN),
    "describe": (DIES, STOPPED, STANDS_STILL, FAILS, REFUSED, WRONG_KEYS, NOT_KNOWN, ELSEWHERE),
    "cancel": (DIES, FAILS, REFUSED),
    "submit": SUBMIT,
    "claimed submit": (*SUBMIT, DIES_SENDING_LATE),
    "put": (
        *(DIES, STOPPED, STANDS_STILL, DIES_SENDING, DIES_SENDING_LATE, LOST, ANSWER_LOST, LATE, AFTER_ALL, SLOW),
        *(ERROR_500, ERROR_500_DONE, WRONG_KEYS, THROTTLED, NOT_REACHED),
    ),
    "read": (DIES, STOPPED, STANDS_STILL, FAILS, WRONG_KEYS),
}
"""By kind of step."""


def possible(point: Point) -> tuple[Fault, ...]:
    """Return what may happen at a point; what becomes of a replaced attempt's last steps is left to it."""
    return () if point.zombie else MENU[point.kind]
