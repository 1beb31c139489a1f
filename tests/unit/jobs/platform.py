"""A music platform in memory: answers the calls of real flows, loses answers on demand, and has a clock of its own."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience, Send, TransportFailure, attempts
from airflow_provider_mediax.jobs.mediax import MediaxService
from airflow_provider_mediax.protocol.capabilities import MusicTag
from airflow_provider_mediax.protocol.exchange import Call, Flow, Reply
from airflow_provider_mediax.protocol.gateway import Gateway, PlatformKeys
from airflow_provider_mediax.protocol.request import CapabilityRequest, MediaxInput, Repository

T = TypeVar("T")

SUBMITTED, PROCESSING, COMPLETED, ERROR, CANCELED = 1, 2, 3, 4, 5


@dataclass
class Platform:
    """
    Faults are taken in order, one for each call of their action:

    ``lost`` carries the call out and loses the answer, ``dropped`` loses the call itself, ``refused`` means that no
    connection came about, a number is an HTTP status, ``error`` an errorResponse, ``short`` a list that leaves
    jobs out, ``html`` an unreadable page.
    """

    now: float = 1_800_000_000.0
    list_lag: float = 0.0
    jobs: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, deque[str | int]] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def fail(self, action: str, *faults: str | int) -> None:
        self.faults.setdefault(action, deque()).extend(faults)

    def add(self, marker: str, state: int = PROCESSING, **more: Any) -> str:
        job_id = f"job-{len(self.jobs) + 1}"
        timing = {"createdAt": str(int(self.now * 1000)), "startedAt": "0", "completedAt": "0"}
        self.jobs.append({"id": job_id, "state": state, "customId": marker, "timing": timing, **more})
        return job_id

    def end(self, job_id: str, state: int) -> None:
        next(job for job in self.jobs if job["id"] == job_id)["state"] = state

    def count(self, action: str) -> int:
        return self.actions.count(action)

    def answer(self, call: Call) -> Reply:
        self.actions.append(call.action)
        queue = self.faults.get(call.action)
        fault = queue.popleft() if queue else None
        if fault in ("refused", "dropped"):
            raise TransportFailure(str(fault), sent=fault == "dropped")
        if isinstance(fault, int):
            return Reply(fault, {}, b'{"message": "on demand"}')
        if fault == "html":
            return Reply(200, {}, b"<html>")
        if fault == "error":
            return _reply({"errorResponse": {"message": "on demand"}})
        reply = _reply(getattr(self, f"_{call.action}")(json.loads(call.body), fault))
        if fault == "lost":
            raise TransportFailure("lost", sent=True)
        return reply

    def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        steps = attempts(flow, Pacing(1e9), patience)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Send):
                    try:
                        reply = self.answer(step.call)
                    except TransportFailure as failure:
                        step = steps.throw(failure)
                    else:
                        step = steps.send(reply)
                else:
                    self.pauses.append(step.seconds)
                    self.now += step.seconds
                    step = steps.send(None)
        except StopIteration as end:
            return end.value

    def _CreateJob(self, body: dict[str, Any], fault: object) -> dict[str, Any]:
        request = body["createJobRequest"]
        self.add(request["customId"], SUBMITTED, inputs=request.get("inputs", []), outputs=request["outputs"])
        return {"createJobResponse": {"job": self.jobs[-1]}}

    def _GetJob(self, body: dict[str, Any], fault: object) -> dict[str, Any]:
        wanted = body["getJobRequest"]["id"]
        found = [job for job in self.jobs if job["id"] == wanted]
        return {"getJobResponse": {"job": found[0]}} if found else {"errorResponse": {"message": "no such job"}}

    def _ListJobs(self, body: dict[str, Any], fault: object) -> dict[str, Any]:
        wanted = body["listJobsRequest"]["customId"]
        visible = [job for job in self.jobs if int(job["timing"]["createdAt"]) / 1000 <= self.now - self.list_lag]
        found = [job for job in visible if job["customId"] == wanted]
        shown = [] if fault == "short" else found
        return {"listJobsResponse": {"jobs": shown, "total": len(found) + (fault == "short")}}


class Store:
    """A task state store; a replaced task instance is one whose store swallows what it is given."""

    def __init__(self, *, replaced: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self._replaced = replaced

    def get(self, key: str) -> Any:
        stored = self.values.get(key)
        return None if stored is None else json.loads(stored)

    def set(self, key: str, value: Any) -> None:
        if not self._replaced:
            self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


def service() -> MediaxService:
    gateway = Gateway(base_url="http://platform.invalid", platform_keys=PlatformKeys("id", "key"))
    return MediaxService(gateway, Repository(content_id="repository", bucket="music-1"))


def tags_of(path: str = "in/a.mp3", **options: Any) -> CapabilityRequest:
    return CapabilityRequest(capability=MusicTag(), input=MediaxInput(path=path), **options)


def _reply(body: dict[str, Any]) -> Reply:
    return Reply(200, {}, json.dumps({"requestId": "r-1", **body}).encode())
