"""Waiting for something to become true: as long as anything moves, and never for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 300.0
"""
Seconds in which nothing has moved, after which waiting is given up.

Far more than one step takes, also on a machine that is busy with other things. It costs time only where something is
wrong, so no test needs a limit of its own.
"""

_INTERVAL = 0.2


def pause(seconds: float) -> None:
    """Let time pass."""
    threading.Event().wait(seconds)


def wait_until(
    what: str,
    look: Callable[[], T],
    *,
    movement: Callable[[], object] | None = None,
    explain: Callable[[], str] | None = None,
) -> T:
    """
    Look again and again until the answer is true, and return it.

    :param what: for the message, as in "waited for ...".
    :param movement: returns another value whenever something has come further; :data:`PATIENCE` begins anew then.
    :param explain: says more if the time runs out.
    """
    seen: object = None
    since = time.monotonic()
    while not (found := look()):
        if movement is not None and (now := movement()) != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            more = f"\n{explain()}" if explain else ""
            raise AssertionError(f"nothing moved for {PATIENCE:g} s of waiting for {what}; last seen: {found!r}{more}")
        pause(_INTERVAL)
    return found
