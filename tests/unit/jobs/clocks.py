"""Time that only pauses move, and the clocks that a worker reads it by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

NOON = 1_800_000_000.0
"""True time at the begin of a test, in epoch seconds."""


@dataclass
class Time:
    """The true time; also the service's own clock."""

    now: float = NOON
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        """Let time pass, as a flow asked for it."""
        assert seconds >= 0
        self.pauses.append(seconds)
        # Beside the seconds since 1970 a nanosecond is nothing, and what waits for it would wait for ever.
        self.now = max(self.now + seconds, math.nextafter(self.now, math.inf) if seconds else self.now)


@dataclass
class Clocks:
    """
    What one worker believes about the time.

    :param wrong_by: seconds by which its epoch clock is fast; slow if negative.
    :param booted: true time at which its monotonic clock read 0: another machine's reads something else.
    """

    time: Time
    wrong_by: float = 0.0
    booted: float = NOON - 1000.0

    def epoch(self) -> float:
        """Read the clock on the wall."""
        return self.time.now + self.wrong_by

    def monotonic(self) -> float:
        """Read the clock that nobody sets."""
        return self.time.now - self.booted
