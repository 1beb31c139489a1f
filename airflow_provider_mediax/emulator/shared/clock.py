"""The emulator's idea of now."""

from __future__ import annotations

import time
from email.utils import formatdate


class Clock:
    """
    Wall clock that tests can shift.

    :ivar offset: seconds added to the machine's time.
    :ivar gateway_tolerance: seconds by which a signed ``Date`` may differ at the gateway; None checks nothing,
        which is what the gateway's documentation says.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Show the machine's time, and compare nothing at the gateway."""
        self.offset = 0.0
        self.gateway_tolerance: float | None = None

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time() + self.offset

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        return int(self.now() * 1000)

    def http_date(self) -> str:
        """Return now in the form of an HTTP ``Date`` header."""
        return formatdate(self.now(), usegmt=True)
