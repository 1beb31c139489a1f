"""What both services say about a job, in one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.json_body import text
from airflow_provider_mediax.protocol.urls import shown_line


class JobState(Enum):
    """What a state of either service means to the one who waits."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"
    """A state that the reference does not name: not final, polled on to the deadline."""

    @property
    def final(self) -> bool:
        """Whether the job will not change any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A job as the service describes it.

    :param id: the service's id.
    :param state: what its state means.
    :param state_name: the service's own word for it, or the raw value where it has none.
    :param marker: the idempotency key that the job carries, if any.
    :param message: why the job failed, where the service says so.
    :param raw: everything the service sent about the job.
    """

    id: str
    state: JobState
    state_name: str
    marker: str | None = None
    message: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)

    @property
    def summary(self) -> str:
        """One sentence for a log: the state, and how long it took to come to it where the service says so."""
        unknown = ", which is not a state that is known; waiting on" if self.state is JobState.UNKNOWN else ""
        return f"Job {self.id} is {shown_line(self.state_name)}{unknown}{self._took()}"

    @property
    def seconds_queued(self) -> float | None:
        """Seconds that the job has waited at the service; None while it does, and where the service does not say."""
        return _seconds(self.created_at, self.started_at)

    @property
    def seconds(self) -> float | None:
        """Seconds from its creation to its end; None while it is open, and where the service does not say."""
        return _seconds(self.created_at, self.completed_at)

    def _took(self) -> str:
        queued, whole = self.seconds_queued, self.seconds
        if self.state.final and whole is not None:
            return f", {whole:.1f} s after it was created" + (f" ({queued:.1f} s in the queue)" if queued else "")
        return "" if queued is None or self.state.final else f", after {queued:.1f} s in the queue"


@dataclass(frozen=True, slots=True)
class JobList:
    """
    The jobs that carry one marker.

    :param jobs: newest first.
    :param complete: False when the service holds more than it listed.
    """

    jobs: Sequence[Job]
    complete: bool


def shown_time(epoch: float) -> str:
    """Return a moment for people, in UTC and to the second; seconds that no calendar has are said to be none."""
    moment = from_epoch_ms(epoch * 1000)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "no readable time"


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds between two moments of the service's clock; None if it does not say them in their order."""
    seconds = (end - begin).total_seconds() if begin is not None and end is not None else -1.0
    return seconds if seconds >= 0 else None


def from_epoch_ms(value: object) -> datetime | None:
    """
    Read a time in epoch milliseconds, sent as text or number; ``"0"``, absent and unreadable mean "not yet".

    MediaX, reference section 6.
    """
    try:
        milliseconds = float(text(value) or "0")
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
