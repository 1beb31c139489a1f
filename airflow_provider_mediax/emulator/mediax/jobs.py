"""Jobs of the platform: their states, and how answers show them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from airflow_provider_mediax.emulator.shared.jobs import EmulatedJob, Lifecycle
from airflow_provider_mediax.emulator.shared.wire import JsonObject


class State(IntEnum):
    """States on the wire; the last one is in no documentation, for clients to be tested against."""

    SUBMITTED = 1
    PROCESSING = 2
    COMPLETED = 3
    ERROR = 4
    CANCELED = 5
    UNKNOWN = 9

    def __str__(self) -> str:
        """Return the name, which the ledger shows."""
        return self.name


LIFECYCLE = Lifecycle(
    waiting=State.SUBMITTED,
    running=State.PROCESSING,
    routes={
        "COMPLETED": (State.PROCESSING, State.COMPLETED),
        "ERROR": (State.PROCESSING, State.ERROR),
        "CANCELED": (State.PROCESSING, State.CANCELED),
        "NEVER": (State.PROCESSING,),
        "UNKNOWN": (State.UNKNOWN,),
    },
    ends=frozenset({State.COMPLETED, State.ERROR, State.CANCELED}),
    failed=State.ERROR,
    canceled=None,
    reported=frozenset({State.COMPLETED, State.ERROR}),
)
"""The platform has no call that cancels a job; CANCELED is its own doing."""


@dataclass(slots=True, eq=False, kw_only=True)
class MediaxJob(EmulatedJob):
    """
    One job.

    :param request: ``createJobRequest`` as it was sent, already checked.
    :ivar results: ``smartContentResult`` per output, shown once the job is completed.
    """

    service: ClassVar[str] = "mediax"

    request: JsonObject
    results: list[JsonObject] = field(default_factory=list)

    @property
    def custom_id(self) -> str | None:
        """Return the caller's id, if it sent one."""
        return self.marker

    @property
    def inputs(self) -> list[JsonObject]:
        """Return the inputs of the request."""
        return _objects(self.request.get("inputs"))

    @property
    def outputs(self) -> list[JsonObject]:
        """Return the outputs of the request."""
        return _objects(self.request.get("outputs"))

    def as_created(self) -> JsonObject:
        """Return the Job as CreateJob shows it."""
        return self._head() | self._echo() | {"timing": self._timing()}

    def as_read(self) -> JsonObject:
        """Return the Job as GetJob and ListJobs show it: other member order, with results or a reason."""
        echo = self._echo()
        if self.phase is State.COMPLETED:
            outputs = _objects(echo["outputs"])
            echo["outputs"] = [
                output | {"smartContentResult": result} for output, result in zip(outputs, self.results, strict=True)
            ]
        reason: JsonObject = {"message": str(self.failure)} if self.failure else {}
        return self._head() | {"timing": self._timing()} | echo | reason

    def _head(self) -> JsonObject:
        echoed = {name: self.request[name] for name in ("customId", "callback") if name in self.request}
        return {"id": self.id, "state": self.state.value} | echoed

    def _echo(self) -> JsonObject:
        return {name: _single_precision(self.request[name]) for name in ("inputs", "outputs") if name in self.request}

    def _timing(self) -> JsonObject:
        """Return the times in milliseconds, as text; 0 stands for not yet."""
        return {
            "createdAt": _milliseconds(self.created),
            "startedAt": _milliseconds(self.started),
            "completedAt": _milliseconds(self.ended),
        }


def _milliseconds(seconds: float | None) -> str:
    return str(int((seconds or 0) * 1000))


def _objects(value: object) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _single_precision(value: object) -> object:
    """Round every float as the platform does when it echoes a request: 0.2 comes back as 0.20000000298023224."""
    match value:
        case float():
            try:
                return float(struct.unpack("f", struct.pack("f", value))[0])
            except OverflowError:
                return value
        case dict():
            return {name: _single_precision(item) for name, item in value.items()}
        case list():
            return [_single_precision(item) for item in value]
    return value
