"""Files of jobs that end in success and still are not as they should be: missing, empty or late."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial

from airflow_provider_mediax.emulator.shared.clock import Clock
from airflow_provider_mediax.emulator.shared.objects import Bucket

HOW = ("missing", "empty", "late")
"""What can become of a job's first file: never written, written without content, written after the job's end."""


@dataclass(frozen=True, slots=True)
class Spoiling:
    """
    What becomes of the first file of one job.

    :param how: one of :data:`HOW`.
    :param seconds: from the job's end until a late file is there.
    """

    how: str
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Writer:
    """
    Writes the files of one job.

    :param spoiling: None writes them as they are.
    """

    clock: Clock
    spoiling: Spoiling | None = None
    _late: list[partial[None]] = field(default_factory=list)

    def put(self, bucket: Bucket, key: str, data: bytes, content_type: str) -> None:
        """Write a file, or what the plan makes of it."""
        spoiling, self.spoiling = self.spoiling, None  # the first file only
        if spoiling is None:
            bucket.put(key, data, self.clock.now(), content_type)
        elif spoiling.how == "empty":
            bucket.put(key, b"", self.clock.now(), content_type)
        elif spoiling.how == "late":
            write = partial(self.put, bucket, key, data, content_type)
            self._late.append(partial(_after, spoiling.seconds, write))

    def job_ended(self) -> None:
        """Let the time of late files begin."""
        for begin in self._late:
            begin()


def _after(seconds: float, write: partial[None]) -> None:
    asyncio.get_running_loop().call_later(seconds, write)
