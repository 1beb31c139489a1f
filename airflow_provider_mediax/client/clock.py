"""
The clock that waiting is measured with.

The wall clock can be set back and forth, and a wait that follows it stops asking or ends too early. What is stored
stays in epoch seconds, since no other clock is shared between processes; inside a process it is turned into seconds
of this clock once.
"""

from __future__ import annotations

import sys
import time

if sys.platform == "linux":

    def steady() -> float:
        """Return seconds since the machine has started, those that it slept included; they never jump."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)  # time.monotonic() stands still while Linux sleeps

else:

    def steady() -> float:
        """Return seconds from some moment in the past; they never jump."""
        return time.monotonic()


def on_steady_clock(moment: float) -> float:
    """
    Return when a moment comes, in seconds of :func:`steady`.

    :param moment: epoch seconds.
    """
    return steady() + (moment - time.time())
