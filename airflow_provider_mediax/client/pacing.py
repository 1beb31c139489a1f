"""How fast this process may call a service, and how far its clock is off: shared by all clients of one service."""

from __future__ import annotations

import math
import threading

BURST = 5
"""Requests that may go at once after a quiet time, before the rate counts."""


class Pacing:
    """
    A rate limit and a clock offset, shared by the threads of a process.

    :param rate: requests per second, above 0.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._lock = threading.Lock()
        self._free_at = -math.inf  # not 0: the clock of a machine that has just booted is younger than the burst
        self.clock_offset = 0.0

    def reserve(self, now: float) -> float:
        """Take the next free place and return how many seconds from ``now`` it lies."""
        with self._lock:
            free_at = max(self._free_at, now - (BURST - 1) * self._interval)
            self._free_at = free_at + self._interval
            return max(0.0, free_at - now)

    def change_rate(self, rate: float) -> None:
        """Follow a connection whose ``requests_per_second`` was edited."""
        with self._lock:
            self._interval = 1.0 / rate


_shared: dict[str, Pacing] = {}
_shared_lock = threading.Lock()


def shared_pacing(service: str, rate: float) -> Pacing:
    """
    Return this process's pacing for a service.

    :param service: what the limit is counted for: the service's name and host.
    :param rate: requests per second; the last one given counts.
    """
    with _shared_lock:
        pacing = _shared.setdefault(service, Pacing(rate))
    pacing.change_rate(rate)
    return pacing
