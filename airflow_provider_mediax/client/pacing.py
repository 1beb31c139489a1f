"""How fast this process may call a service, when it must not, and how far its clock is off."""

from __future__ import annotations

import math
import threading

BURST = 5
"""Requests that may go at once after a quiet time, before the rate counts."""

LONGEST_HOLD = 300.0
"""Seconds that a service can hold this process's calls at a time; it may say so again afterwards."""

LARGEST_OFFSET = 86400.0
"""
Seconds that the clock is corrected by at most. Wrong time zones make 14 hours; a machine that is further off than a day
has certificates that are not valid either, and an answer that claims so is not believed.
"""


class Account:
    """
    What this process has learned from a service about one account: shared by every connection to it.

    All times are by the monotonic clock, so that a clock that is set moves none of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0
        self._free_at = -math.inf
        self._submits_free_at = -math.inf

    @property
    def clock_offset(self) -> float:
        """Seconds by which the service's clock is ahead of this machine's, within :data:`LARGEST_OFFSET`."""
        return self._offset

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        self._offset = max(-LARGEST_OFFSET, min(LARGEST_OFFSET, seconds))

    def hold(self, until: float, *, submits_only: bool) -> None:
        """Let no call go before ``until``, or no submit; a hold that lasts longer stays."""
        with self._lock:
            self._submits_free_at = max(self._submits_free_at, until)
            if not submits_only:
                self._free_at = max(self._free_at, until)

    def free_at(self, *, submit: bool) -> float:
        """Return when a call may go; a time in the past if nothing holds it."""
        return self._submits_free_at if submit else self._free_at


class Pacing:
    """
    A rate limit, shared by the threads of a process, and the account that it is kept for.

    :param rate: requests per second, above 0.
    :param account: what is known of the account; one of its own if absent.
    :ivar holds: how often the service has asked for a pause.
    """

    def __init__(self, rate: float, account: Account | None = None) -> None:
        self._interval = 1.0 / rate
        self._lock = threading.Lock()
        self._free_at = -math.inf  # not 0: the clock of a machine that has just booted is younger than the burst
        self._account = account or Account()
        self.holds = 0

    @property
    def clock_offset(self) -> float:
        """Seconds by which the service's clock is ahead of this machine's, within a day."""
        return self._account.clock_offset

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        self._account.clock_offset = seconds

    def hold(self, seconds: float, now: float, *, submits_only: bool) -> None:
        """
        Let no call to the account go for a while.

        :param seconds: at most :data:`LONGEST_HOLD` count.
        :param submits_only: it was a submit that was refused, which says nothing about other calls.
        """
        self.holds += 1
        until = now + min(seconds, LONGEST_HOLD)
        self._account.hold(until, submits_only=submits_only)
        if not submits_only:
            with self._lock:
                self._free_at = max(self._free_at, until)  # the time of a hold earns no burst

    def held(self, now: float, *, submit: bool) -> float:
        """Return for how many seconds from ``now`` the service holds such a call."""
        return max(0.0, self._account.free_at(submit=submit) - now)

    def reserve(self, now: float) -> float:
        """Take the next free place and return how many seconds from ``now`` it lies."""
        with self._lock:
            free_at = self._next_place(now)
            self._free_at = free_at + self._interval
            return max(0.0, free_at - now)

    @property
    def rate(self) -> float:
        """Calls per second that the limit allows."""
        return 1.0 / self._interval

    def free_in(self, now: float) -> float:
        """Return in how many seconds from ``now`` there is :meth:`room`."""
        return 0.0 if self.held(now, submit=False) else max(0.0, self._next_place(now) - now)

    def room(self, now: float, seconds: float) -> int:
        """
        Return how many places are free within so many seconds, without taking them.

        While the service holds all calls it is one, since a call that is made then says for how long.
        """
        if self.held(now, submit=False):
            return 1
        return max(0, 1 + math.floor((now + seconds - self._next_place(now)) / self._interval))

    def _next_place(self, now: float) -> float:
        return max(self._free_at, now - (BURST - 1) * self._interval)


_accounts: dict[tuple[str, str, str], Account] = {}
_limits: dict[tuple[str, str, str, float], Pacing] = {}
_shared_lock = threading.Lock()


def shared_pacing(service: str, host: str, key_id: str, rate: float) -> Pacing:
    """
    Return this process's pacing for an account.

    Connections that allow different rates each have a limit of their own; what the service itself says counts for
    all of them.

    :param host: where the requests really go.
    :param key_id: which account they are counted for. It is a secret: it is compared and never shown.
    :param rate: requests per second.
    """
    with _shared_lock:
        account = _accounts.setdefault((service, host, key_id), Account())
        return _limits.setdefault((service, host, key_id, rate), Pacing(rate, account))
