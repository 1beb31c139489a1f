"""
A folder in a bucket where a service leaves an object for each job that has ended.

What lies there is a hint and never believed: it makes a wait ask at once, and as long as hints come, waits ask less
often by themselves.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.protocol.cos_objects import CosObjects
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.mailbox import append_address
from airflow_provider_mediax.protocol.urls import CosAddress

LOOK_SECONDS = 2.0
"""Between two looks into the folder, however many wait."""

LONGEST_BETWEEN_LOOKS = 60.0
"""Seconds to which they grow while the folder cannot be read."""

VALID_AFTER = 86400
"""Seconds that an address holds after the deadline of the attempt that has made it."""

STRETCH = 10.0
"""How many times as long a wait leaves a job alone, as long as hints come."""

LEAST_STRETCHED = 100.0
"""Seconds for which it does so at least: most jobs end within that, and are asked for once then."""

LONGEST_STRETCHED = 600.0
"""Seconds between two questions at most, because of hints."""

DOUBT_SECONDS = 600.0
"""How long no interval is stretched after a hint was missed."""

ON_ITS_WAY = 10.0
"""Seconds after a job's end in which a hint that is not there yet is not missed."""

QUIET_SECONDS = 3600.0
"""A folder that cannot be read is logged once in this time."""

Seen: TypeAlias = tuple[list[str], str | None]
"""Markers, and the one after which the next look begins."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """
    The folder, as flows.

    :param folder: the keys begin with its key, which ends with a slash.
    """

    objects: CosObjects
    folder: CosAddress

    def address(self, marker: str, *, now: float, until: float) -> str | None:
        """
        Return where a service can leave its object, None if no such address can be made.

        :param now: COS's time in epoch seconds; ``until``, the deadline of the wait, likewise.
        """
        ahead = math.ceil(max(0.0, until - now)) + VALID_AFTER
        return append_address(self.objects, self._key(marker), now=now, ahead=ahead)

    def look(self, after: str | None) -> Flow[Seen]:
        """
        Return markers of up to a thousand objects, and the one after which the next look begins, None for the start.

        :param after: what the look before has returned.
        """
        page = yield from self.objects.page(self.folder.key, after=after and self._key(after))
        names = [found.key.removeprefix(self.folder.key) for found in page.objects]
        return names, page.following and page.following.removeprefix(self.folder.key)

    def remove(self, marker: str) -> Flow[None]:
        """Delete a job's object, if there is one."""
        yield from self.objects.delete(self._key(marker))

    def _key(self, marker: str) -> str:
        return f"{self.folder.key}{marker}"


@dataclass(slots=True, eq=False)
class Trust:
    """
    How far hints may stretch the intervals of a connection's waits.

    :param clock: seconds of the waits' clock.
    """

    clock: Callable[[], float]
    _proved: bool = False
    _doubted_until: float = -math.inf

    @property
    def relied_on(self) -> bool:
        """Whether hints have come, and none was missed lately."""
        return self._proved and self.clock() >= self._doubted_until

    def stretched(self, gap: float) -> float:
        """Return how long to leave a job alone that would be asked for after ``gap`` seconds."""
        if not self.relied_on:
            return gap
        return max(gap, min(LONGEST_STRETCHED, max(LEAST_STRETCHED, STRETCH * gap)))

    def note_end(self, *, hinted: bool, ended_ago: float) -> bool:
        """
        Take in that a job was found final.

        :param hinted: its object was there before.
        :param ended_ago: seconds since its end, as far as that is known.
        :return: whether a hint was missed that others had relied on.
        """
        if hinted:
            self._proved = True
            return False
        if ended_ago < ON_ITS_WAY or not self._proved:
            return False
        self._doubted_until = self.clock() + DOUBT_SECONDS
        return True


@dataclass(slots=True, eq=False)
class Reader:
    """
    Looks into a folder again and again, for all waits of a watcher.

    :param name: of the connection, for the log.
    :param clock: seconds of the waits' clock.
    :ivar pause: seconds until the next look.
    """

    name: str
    clock: Callable[[], float]
    pause: float = LOOK_SECONDS
    _after: str | None = None
    _told_at: float = -math.inf

    async def look(self, mailbox: Mailbox, carry_out: Callable[[Flow[Seen]], Awaitable[Seen]]) -> list[str]:
        """Return the markers of one page of the folder; none if it cannot be read, which ends no wait."""
        try:
            names, self._after = await carry_out(mailbox.look(self._after))
        except MediaxError as error:
            self.pause = min(LONGEST_BETWEEN_LOOKS, 2 * self.pause)
            self._after = None
            if self.clock() - self._told_at >= QUIET_SECONDS:
                self._told_at = self.clock()
                log.warning(
                    "The mailbox of %s cannot be read, so its jobs are asked for by time: %s", self.name, error.what
                )
            return []
        self.pause = LOOK_SECONDS
        return names
