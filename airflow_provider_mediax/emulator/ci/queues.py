"""The smart-audio queue of each bucket."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_mediax.emulator.ci.errors import CiError, invalid
from airflow_provider_mediax.emulator.ci.wire import Tree, Value, page_of, read_request, time_text

_NOTIFY = ("Url", "State", "Type", "Event", "ResultFormat", "MqMode", "MqRegion", "MqName")
_NOTIFY_VALUES = {"State": ("On", "Off"), "Type": ("Url", "TDMQ"), "ResultFormat": ("XML", "JSON")}


@dataclass(slots=True, eq=False)
class SmartAudioQueue:
    """
    A queue. Times are epoch seconds.

    :param notify: nodes of ``NotifyConfig``.
    :ivar active: set while the queue is not paused.
    """

    id: str
    created: float
    updated: float
    name: str = "queue-smart-audio-1"
    notify: Mapping[str, str] = field(default_factory=lambda: {"State": "Off"})
    active: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def paused(self) -> bool:
        """Tell whether its jobs wait."""
        return not self.active.is_set()

    def set_paused(self, paused: bool) -> None:
        """Let the jobs that have not started wait, or go on."""
        if paused:
            self.active.clear()
        else:
            self.active.set()

    def as_tree(self) -> Tree:
        """Return the node ``Queue``; neither size nor concurrency is enforced."""
        return {
            "QueueId": self.id,
            "Name": self.name,
            "State": "Paused" if self.paused else "Active",
            "NotifyConfig": self.notify,
            "MaxSize": "10000",
            "MaxConcurrent": "10",
            "UpdateTime": time_text(self.updated),
            "CreateTime": time_text(self.created),
            "Category": "Speeching",
        }


class Queues:
    """One queue per bucket, made when it is first asked for."""

    def __init__(self) -> None:
        self._queues: dict[str, SmartAudioQueue] = {}

    def reset(self) -> None:
        """Forget every queue."""
        self._queues.clear()

    def of(self, bucket: str, now: float) -> SmartAudioQueue:
        """Return the queue of the bucket, always under the same id."""
        if bucket not in self._queues:
            identity = "p" + hashlib.md5(bucket.encode(), usedforsecurity=False).hexdigest()
            self._queues[bucket] = SmartAudioQueue(identity, now, now)
            self._queues[bucket].active.set()
        return self._queues[bucket]

    def update(self, bucket: str, queue_id: str, body: bytes, now: float) -> SmartAudioQueue:
        """
        Change name, state or notification of the queue.

        :raises CiError: the request is wrong, or the bucket has no such queue.
        """
        queue = self.of(bucket, now)
        if queue.id != queue_id:
            raise unknown_queue(queue_id)
        request = read_request(body, ("Name", "State", "NotifyConfig"))
        state = request.one_of("State", ("Active", "Paused"))
        name = request.text("Name")
        notify = request.node("NotifyConfig", _NOTIFY)
        if notify is not None:
            for member, allowed in _NOTIFY_VALUES.items():
                notify.one_of(member, allowed)
            queue.notify = {member: text for member in _NOTIFY if (text := notify.text(member)) is not None}
        queue.name, queue.updated = name or queue.name, now
        if state is not None:
            queue.set_paused(state == "Paused")
        return queue


def queue_page(queues: list[SmartAudioQueue], query: Mapping[str, str]) -> Tree:
    """
    Return the queues that were asked for.

    :param query: ``queueIds``, ``state``, ``pageNumber``, ``pageSize``.
    :raises CiError: a value is not one that they may have.
    """
    state = query.get("state") or "All"
    if state not in ("All", "Active", "Paused"):
        raise invalid("state must be All, Active or Paused")
    ids = [each for each in query.get("queueIds", "").split(",") if each]
    wanted = [
        queue
        for queue in queues
        if (not ids or queue.id in ids) and state in ("All", "Paused" if queue.paused else "Active")
    ]
    shown, counts = page_of(wanted, query)
    tree: dict[str, Value] = {**counts, "QueueList": [queue.as_tree() for queue in shown]}
    missing = [each for each in ids if each not in {queue.id for queue in queues}]
    if missing:
        tree["NonExistPIDs"] = {"QueueID": missing}
    return tree


def unknown_queue(queue_id: str | None) -> CiError:
    """Return the error for a queue that does not exist, or that was not named though it must be."""
    message = "The QueueId is required." if queue_id is None else f"The queue {queue_id} does not exist."
    return CiError("QueueNotFound", message)
