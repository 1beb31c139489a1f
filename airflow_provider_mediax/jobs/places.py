"""How many polls may be under way at once: as few as keep up, since each is a connection."""

from __future__ import annotations

import math

FEWEST = 4
"""While these suffice there are no more: a connection with TLS takes about 400 KB."""

MOST = 32
"""The rate limit paces the polls; this bounds what a slow service can pile up."""

GROW_AFTER = 0.1
"""Seconds without a break in which waits stand in line for a place before there is one more."""

SHRINK_AFTER = 5.0
"""Seconds in which none stands in line before there is one less."""


class Places:
    """
    Places for polls under way.

    :ivar number: how many there are, from :data:`FEWEST` to :data:`MOST`.
    """

    def __init__(self) -> None:
        self.number = FEWEST
        self._too_few = False
        self._since = -math.inf

    def note(self, now: float, *, too_few: bool) -> None:
        """
        Take in what a turn of the poll loop has found.

        :param now: seconds of a clock that never jumps.
        :param too_few: waits stand in line that the rate limit would let go.
        """
        if too_few is not self._too_few:
            self._too_few, self._since = too_few, now
        elif too_few and now - self._since >= GROW_AFTER:
            self.number, self._since = min(MOST, self.number + 1), now
        elif not too_few and now - self._since >= SHRINK_AFTER:
            self.number, self._since = max(FEWEST, self.number - 1), now
