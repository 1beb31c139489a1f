"""A music platform in memory: answers the calls of real flows, loses answers on demand, and has a clock of its own."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience, Send, TransportFailure, attempts
from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.protocol.exchange import Call, Flow, Reply
from airflow_provider_mediax.protocol.job import JobList
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput, Repository
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from airflow_provider_mediax.protocol.service import Prepared
from tests.unit.jobs.clocks import Clocks, Time
from tests.unit.jobs.fake_service import Find

T = TypeVar("T")

SUBMITTED, PROCESSING, COMPLETED, ERROR, CANCELED = 1, 2, 3, 4, 5

TIMEOUT = 35.0
"""Seconds until a worker gives a call up: connect and read timeout of the default connection."""

LONGEST_SEND = 65.0
"""Seconds from the begin of a send after which the platform has received it or never will."""


class Killed(BaseException):
    """The worker is gone in the middle of a call."""


@dataclass
class FakePlatform:
    """
    Faults are taken in order, one for each call of their action.

    ``lost`` carries the call out and loses the answer, ``dropped`` loses the call itself, ``late`` carries it out
    ``late_by`` seconds after it was sent, when nobody waits for the answer any more, ``killed`` is the end of the
    worker after the call was carried out, ``refused`` means that no connection came about, ``short`` is a list that
    leaves jobs out, a number an HTTP status, ``error`` an errorResponse, ``html`` an unreadable page. ``done:`` before
    one of the last three carries the call out all the same.

    :param created_as: the state of a job that was just submitted.
    :param finds: what the engine asked for, in order.
    """

    time: Time = field(default_factory=Time)
    pacing: Pacing = field(default_factory=lambda: Pacing(1e9))
    list_lag: float = 0.0
    late_by: float = LONGEST_SEND
    created_as: int = SUBMITTED
    jobs: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, deque[str | int]] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    finds: list[Find] = field(default_factory=list)

    @property
    def now(self) -> float:
        return self.time.now

    @property
    def pauses(self) -> list[float]:
        return self.time.pauses

    def fail(self, action: str, *faults: str | int) -> None:
        self.faults.setdefault(action, deque()).extend(faults)

    def add(self, marker: str, state: int = PROCESSING, *, created: float | None = None, **more: Any) -> str:
        job_id = f"job-{len(self.jobs) + 1}"
        at = self.now if created is None else created
        timing = {"createdAt": str(int(at * 1000)), "startedAt": "0", "completedAt": "0"}
        self.jobs.append({"id": job_id, "state": state, "customId": marker, "timing": timing, **more})
        return job_id

    def end(self, job_id: str, state: int) -> None:
        next(job for job in self.jobs if job["id"] == job_id)["state"] = state

    def count(self, action: str) -> int:
        return self.actions.count(action)

    def answer(self, call: Call) -> Reply:
        self.actions.append(call.action)
        queue = self.faults.get(call.action)
        said = queue.popleft() if queue else None
        done, _, named = str(said).rpartition(":") if said is not None else ("", "", "")
        fault: str | int | None = int(named) if named.isdigit() else named or None
        if fault in ("refused", "dropped"):
            raise TransportFailure(str(fault), sent=fault == "dropped")
        carried_out = None
        if done or not (isinstance(fault, int) or fault in ("html", "error")):
            carried_out = _reply(getattr(self, f"_{call.action}")(json.loads(call.body), fault))
        if isinstance(fault, int):
            return Reply(fault, {}, b'{"message": "on demand"}')
        if fault == "html":
            return Reply(200, {}, b"<html>")
        if fault == "error":
            return _reply({"errorResponse": {"message": "on demand"}})
        if fault == "late":
            self.time.now += TIMEOUT
        if fault == "killed":
            raise Killed
        if fault in ("lost", "late"):
            raise TransportFailure(str(fault), sent=True)
        assert carried_out is not None
        return carried_out

    def run(self, flow: Flow[T], patience: Patience = PATIENT, monotonic: Callable[[], float] | None = None) -> T:
        sends: list[float] = []
        monotonic = monotonic or Clocks(self.time).monotonic
        steps = attempts(_stamped(flow, sends), self.pacing, patience)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Send):
                    sends.append(monotonic())
                    try:
                        reply = self.answer(step.call)
                    except TransportFailure as failure:
                        step = steps.throw(failure)
                    else:
                        step = steps.send(reply)
                else:
                    self.time.pause(step.seconds)
                    step = steps.send(None)
        except StopIteration as end:
            result: T = end.value
            return result

    def _CreateJob(self, body: dict[str, Any], fault: object) -> dict[str, Any]:
        request = body["createJobRequest"]
        created = self.now + (self.late_by if fault == "late" else 0.0)
        echoed = {"inputs": request.get("inputs", []), "outputs": request["outputs"]}
        self.add(request["customId"], self.created_as, created=created, **echoed)
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


class WatchedService(MediaxService):
    """The real service, which notes what it is asked to find."""

    finds: list[Find]

    def jobs_of(
        self, marker: str, *, prepared: Prepared[Any] | None = None, since: float | None = None
    ) -> Flow[JobList]:
        self.finds.append(Find(marker, prepared.request if prepared else None, since))
        return (yield from super().jobs_of(marker, prepared=prepared, since=since))


def service(platform: FakePlatform | None = None) -> MediaxService:
    gateway = Gateway(base_url="http://platform.invalid", platform_keys=PlatformKeys("id", "key"))
    watched = WatchedService(gateway, Repository(content_id="repository", bucket="music-1"))
    object.__setattr__(watched, "finds", platform.finds if platform else [])
    return watched


def tags_of(path: str = "in/a.mp3", **options: Any) -> CapabilityRequest:
    return CapabilityRequest(capability=MusicTag(), input=MediaxInput(path=path), **options)


def _stamped(flow: Flow[T], sends: list[float]) -> Flow[T]:
    """Let an error say when its request was sent by the worker's own clock, as the client does by the machine's."""
    try:
        step = next(flow)
        while True:
            sends.clear()
            try:
                reply = yield step
            except MediaxError as error:
                error.sent_at = sends[-1] if sends else None
                step = flow.throw(error)
            else:
                step = flow.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


def _reply(body: dict[str, Any]) -> Reply:
    return Reply(200, {}, json.dumps({"requestId": "r-1", **body}).encode())
