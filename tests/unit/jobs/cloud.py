"""
A service in memory with keys that can be exchanged, a rate limit, and clients that break when they are closed.

For :func:`tests.unit.jobs.virtual_time.in_virtual_time`: everything takes its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.exceptions import AnswerTooLarge, AuthenticationFailed, Throttled, Unreachable
from airflow_provider_mediax.jobs.watcher import Opened
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import JobService
from tests.unit.jobs.virtual_time import now


class Request(NamedTuple):
    """What has reached the service."""

    at: float
    key: str
    ids: tuple[str, ...]


class Flow(NamedTuple):
    """Stands for the flow of a describe: like the real one it holds the keys of the service that made it."""

    key: str
    ids: tuple[str, ...]


@dataclass
class Cloud:
    """
    The service, and the connection that says how to reach it.

    :ivar key: what the service accepts.
    :ivar connection: the key in the connection; None is a connection that is missing.
    :ivar latency: seconds that an answer takes.
    :ivar look_up_hangs: look-ups do not end before it is set.
    :ivar answering: answers in the service's place, if it returns anything.
    """

    key: str = "old"
    connection: str | None = "old"
    rate: float = 10.0
    latency: float = 0.05
    describe_limit: int = 1
    states: dict[str, JobState] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    look_ups: list[float] = field(default_factory=list)
    look_up_hangs: asyncio.Event | None = None
    answering: Callable[[Request], Awaitable[Mapping[str, Job] | None]] | None = None
    clients: list[Client] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def open(self) -> Opened:
        """Look the connection up and open a client."""
        self.look_ups.append(now())
        key = self.connection
        if self.look_up_hangs is not None:
            await self.look_up_hangs.wait()
            key = self.connection
        if key is None:
            raise RuntimeError("The conn_id isn't defined; its secret is s3cret")
        client = Client(self)
        self.clients.append(client)
        return Opened(cast("JobService[Any]", Service(key, self.describe_limit)), cast("AsyncClient", client))

    async def answer(self, flow: Flow) -> Mapping[str, Job]:
        """Carry one request out."""
        request = Request(now(), flow.key, flow.ids)
        self.requests.append(request)
        await asyncio.sleep(self.latency)
        if self.answering is not None and (answer := await self.answering(request)) is not None:
            return answer
        if flow.key != self.key:
            raise AuthenticationFailed(f"The key {flow.key} is refused")
        return {job_id: a_job(job_id, self.states.get(job_id, JobState.OPEN)) for job_id in flow.ids}


@dataclass
class Service:
    """The service with one connection's keys."""

    key: str
    describe_limit: int

    def describe(self, ids: Sequence[str]) -> Flow:
        return Flow(self.key, tuple(ids))


@dataclass(eq=False)
class Client:
    """A session: closed under calls in flight it breaks them, as the real one does."""

    cloud: Cloud
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    broken: int = 0

    def __post_init__(self) -> None:
        self.pacing = Pacing(self.cloud.rate)

    async def run(self, flow: Flow, patience: object = None) -> Mapping[str, Job]:
        cloud = self.cloud
        cloud.under_way += 1
        cloud.most_under_way = max(cloud.most_under_way, cloud.under_way)
        try:
            await asyncio.sleep(self.pacing.reserve(now()))
            self._check()
            answer = await cloud.answer(flow)
            self._check()
        finally:
            cloud.under_way -= 1
        return answer

    def _check(self) -> None:
        if self.closed.is_set():
            self.broken += 1
            raise RuntimeError("Session is closed")

    async def close(self) -> None:
        self.closed.set()


def a_job(job_id: str, state: JobState) -> Job:
    return Job(id=job_id, state=state, state_name=state.value)


def throttled(retry_after: float | None) -> Throttled:
    error = Throttled("slow down")
    error.retry_after = retry_after
    return error


def too_large() -> AnswerTooLarge:
    return AnswerTooLarge("an answer above the limit")


def unreachable() -> Unreachable:
    return Unreachable("no connection")
