"""Waiting for something to become true, never for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.2


def pause(seconds: float) -> None:
    """Let time pass."""
    threading.Event().wait(seconds)


def wait_until(
    what: str,
    look: Callable[[], T],
    timeout: float = 60.0,
    *,
    interval: float = INTERVAL,
    explain: Callable[[], str] | None = None,
) -> T:
    """
    Look again and again until the answer is true, and return it.

    :param what: for the message, as in "waited for ...".
    :param explain: says more if the time runs out.
    """
    give_up = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > give_up:
            more = f"\n{explain()}" if explain else ""
            raise AssertionError(f"waited {timeout:g} s for {what}; last seen: {found!r}{more}")
        pause(interval)
    return found
