"""Jobs of Cloud Infinite: their states, what they ask for and what they have made."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from airflow_provider_mediax.emulator.ci.queues import SmartAudioQueue
from airflow_provider_mediax.emulator.ci.submit import Submission
from airflow_provider_mediax.emulator.shared.jobs import EmulatedJob, Lifecycle
from airflow_provider_mediax.emulator.sound.separation import AudioFacts


class State(StrEnum):
    """States on the wire; the last one is in no documentation, for clients to be tested against."""

    SUBMITTED = "Submitted"
    RUNNING = "Running"
    PAUSE = "Pause"
    SUCCESS = "Success"
    FAILED = "Failed"
    CANCEL = "Cancel"
    UNKNOWN = "Archived"


KNOWN_STATES = tuple(state for state in State if state is not State.UNKNOWN)
"""The documented ones."""

LIFECYCLE = Lifecycle(
    waiting=State.SUBMITTED,
    running=State.RUNNING,
    routes={
        "COMPLETED": (State.RUNNING, State.SUCCESS),
        "ERROR": (State.RUNNING, State.FAILED),
        "CANCELED": (State.CANCEL,),
        "NEVER": (State.RUNNING,),
        "UNKNOWN": (State.UNKNOWN,),
    },
    ends=frozenset({State.SUCCESS, State.FAILED, State.CANCEL}),
    failed=State.FAILED,
    canceled=State.CANCEL,
    reported=frozenset({State.SUCCESS, State.FAILED}),
)
"""A job that waits in a paused queue is shown in Pause; its way through the states is the same."""


@dataclass(frozen=True, slots=True)
class StemFile:
    """
    A written result.

    :param md5: hexadecimal.
    :param facts: what the file holds.
    """

    key: str
    md5: str
    size: int
    facts: AudioFacts


@dataclass(slots=True, eq=False, kw_only=True)
class CiJob(EmulatedJob):
    """
    One job.

    :param owner: the bucket in whose name the job was submitted.
    :param region: of that bucket.
    :param cos_id: key id of the caller.
    :ivar stems: the files that the job has written, shown once it is in Success.
    """

    service: ClassVar[str] = "ci"

    region: str
    cos_id: str
    submission: Submission
    queue: SmartAudioQueue
    id: str = field(default_factory=lambda: f"j{uuid.uuid4().hex}")
    stems: list[StemFile] = field(default_factory=list)

    @property
    def state(self) -> State:
        """Return the state, which for a waiting job depends on its queue."""
        waits = self.phase is State.SUBMITTED
        return State.PAUSE if waits and self.queue.paused else State(self.phase.value)

    async def may_start(self) -> None:
        """Wait until the queue is not paused."""
        while self.queue.paused:
            await self.queue.active.wait()
