"""What really leaves the machine, with both drivers: Host header, address and body are what was signed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.protocol.ci.operations import CloudInfinite
from airflow_provider_mediax.protocol.ci.requests import AudioConfig
from airflow_provider_mediax.protocol.cos_signature import SIGNATURE_SECONDS, authorization
from tests.unit.protocol.helpers import MARKER, TEMPORARY, answer, ci, job_xml, request, submitted


@dataclass
class Received:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name]


class Server:
    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[tuple[int, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.received.append(Received(self.command, self.path, self.headers.items(), body))
                status, said = outer.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(params=["requests", "aiohttp"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return a coroutine function that carries a flow out with one of the drivers."""

    async def carry_out(flow: Generator[Any, Any, Any]) -> Any:
        if request.param == "requests":
            with SyncClient(Transport(), Pacing(1e9)) as client:
                return client.run(flow)
        async with AsyncClient(Transport(), Pacing(1e9)) as client:
            return await client.run(flow)

    return carry_out


def assert_signed(received: Received) -> None:
    """The signature holds for what arrived, decoded as a server decodes it."""
    (given,) = received.header("authorization")
    fields = dict(pair.split("=", 1) for pair in given.split("&"))
    path, _, asked = received.target.partition("?")
    signed = {name: received.header(name)[0] for name in fields["q-header-list"].split(";")}
    again = authorization(
        TEMPORARY,
        received.method,
        unquote(path),
        query=dict(parse_qsl(asked, keep_blank_values=True)),
        headers=signed,
        now=float(fields["q-sign-time"].partition(";")[0]) + 60,
        ahead=SIGNATURE_SECONDS,
    )
    assert given == again
    assert {"host", "x-ci-security-token"} <= signed.keys()
    assert not received.body or {"content-type", "content-length"} <= signed.keys()


def calls(on: CloudInfinite) -> dict[str, Any]:
    key = "in/é +&=%2F,'~(1).mp3"
    template = AudioConfig()
    return {
        "submit": (submitted(on, request(source=key, user_data="a&b"), MARKER), 200, answer(job_xml("j1")).body),
        "describe": (on.describe(["j1", "j-2", "j_3"]), 200, answer().body),
        "list": (
            on.list_jobs(start=1.7e9, input_object=key, states="Success,Failed", next_token="a+/=;&x"),
            200,
            answer().body,
        ),
        "cancel": (on.cancel(["j1", "j2"]), 200, b""),
        "template": (
            on.create_template("人声", "IsAudio", template),
            200,
            answer("<Template><TemplateId>t1</TemplateId></Template>").body,
        ),
        "templates": (on.get_templates(ids=["t1", "t2"], name="人声-*_"), 200, answer().body),
        "queues": (on.queues(), 200, answer().body),
    }


@pytest.mark.parametrize("name", list(calls(ci())))
async def test_what_is_signed_is_what_arrives(server: Server, run: Callable[..., Any], name: str) -> None:
    on = ci(endpoint=server.endpoint, keys=TEMPORARY)
    flow, status, body = calls(on)[name]
    server.answers.append((status, body))
    await run(flow)
    (received,) = server.received
    assert received.header("host") == [on.host]
    assert_signed(received)
    if received.body:
        assert received.header("content-type") == ["application/xml"]
        assert received.header("content-length") == [str(len(received.body))]
    else:
        assert received.header("content-length") in ([], ["0"])


async def test_the_source_key_arrives_as_it_is(server: Server, run: Callable[..., Any]) -> None:
    on = ci(endpoint=server.endpoint, keys=TEMPORARY)
    flow, status, body = calls(on)["list"]
    server.answers.append((status, body))
    await run(flow)
    asked = dict(parse_qsl(server.received[0].target.partition("?")[2]))
    assert asked["inputObject"] == "in/é +&=%2F,'~(1).mp3"
    assert asked["startCreationTime"] == "2023-11-15T06:13:20+0800"
    assert asked["nextToken"] == "a+/=;&x"


async def test_a_submit_is_repeated_after_slow_down_and_signed_anew(
    server: Server, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_mediax.client import retry

    monkeypatch.setattr(retry, "retry_after", lambda reply, now: 0.0)
    slow = b"<Error><Code>SlowDown</Code></Error>"
    server.answers += [(503, slow), (503, slow), (200, answer(job_xml("j1")).body)]
    job = await run(submitted(ci(endpoint=server.endpoint, keys=TEMPORARY), request(), MARKER))
    assert job.id == "j1"
    assert len(server.received) == 3
    for received in server.received:
        assert_signed(received)


async def test_a_submit_is_sent_once_whatever_else_happens(server: Server, run: Callable[..., Any]) -> None:
    from airflow_provider_mediax.exceptions import MediaxError

    for status, body in [(503, b""), (500, b"<Error><Code>InternalError</Code></Error>"), (200, b"<Resp"), (200, b"")]:
        server.received.clear()
        server.answers[:] = [(status, body)]
        with pytest.raises(MediaxError):
            await run(submitted(ci(endpoint=server.endpoint, keys=TEMPORARY), request(), MARKER))
        assert len(server.received) == 1
