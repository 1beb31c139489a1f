"""The watcher with the real client, against a server on the loopback: sessions end after their last poll."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.exceptions import AuthenticationFailed
from airflow_provider_mediax.jobs.waiting import Outcome, Wait
from airflow_provider_mediax.jobs.watcher import Opened, Watcher
from airflow_provider_mediax.protocol.exchange import Call, Flow
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import JobService


class Server(ThreadingHTTPServer):
    """Answers a job's state; while it is told to hold, answers to "slow" wait."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.slow_came, self.go_on = threading.Event(), threading.Event()
        self.refused = {"old"}
        self.seen: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, key, job_id = self.path.split("/")
        self.server.seen.append((key, job_id))
        if job_id == "slow":
            self.server.slow_came.set()
            self.server.go_on.wait(60)
        status = 401 if key in self.server.refused and job_id != "slow" else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Client(AsyncClient):
    """The real client, which tells when it has been closed."""

    def __init__(self) -> None:
        super().__init__(Transport(read_timeout=60.0), Pacing(1e6))
        self.closed = asyncio.Event()

    async def close(self) -> None:
        await super().close()
        self.closed.set()


class Service:
    """A service of one connection."""

    describe_limit = 1

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        reply = yield Call(action="Describe", method="GET", url=f"{self.url}/{self.key}/{ids[0]}")
        assert reply is not None
        if reply.status == 401:
            raise AuthenticationFailed("refused")
        return {job_id: Job(id=job_id, state=JobState.SUCCEEDED, state_name="COMPLETED") for job_id in ids}


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_a_replaced_session_serves_the_calls_in_flight_and_is_closed_after_them(server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    keys, clients = iter(["old", "new"]), []

    async def open_service() -> Opened:
        client = Client()
        clients.append(client)
        return Opened(cast("JobService[Any]", Service(url, next(keys))), client)

    ages = [0.0]  # seconds that the watcher's clock is ahead, so that keys grow old without a pause
    watcher = Watcher(open_service, "test", clock=lambda: steady() + ages[0])

    async def outcome(job_id: str) -> Outcome:
        start = steady() + ages[0]
        wait = Wait(job_ids=[job_id], deadline=start + 3600, poll_interval=0.1, started=start)
        last = [news async for news in watcher.watch(wait)][-1]
        assert isinstance(last, Outcome)
        return last

    async with asyncio.timeout(60):
        # A call that others do not wait for: a kill's, which no exchange of keys may break.
        kill = asyncio.create_task(watcher.run(lambda service: service.describe(["slow"])))
        await asyncio.to_thread(server.slow_came.wait, 30)
        ages[0] = 100.0
        assert (await outcome("a")).status == "final"
        assert [key for key, job_id in server.seen if job_id == "a"] == ["old", "new"]
        assert not kill.done()
        session = clients[0]._session
        assert session is not None
        assert not session.closed
        server.go_on.set()
        assert list(await kill) == ["slow"]
        await clients[0].closed.wait()
        assert session.closed
    loop = watcher._loop_task
    assert loop is not None
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
