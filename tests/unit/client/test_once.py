"""No library under the drivers sends anything again by itself: on a kept connection that the server then breaks."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_mediax.client import aio
from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.client.session import new_session
from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.exceptions import Unavailable
from airflow_provider_mediax.protocol.exchange import Call, Flow, Repeat, Reply

from .stub import Answer, Driver, RawServer, StubServer, http, read_request


def ask(url: str, method: str, repeat: Repeat = Repeat.SAFE) -> Flow[Reply]:
    reply = yield Call(action="Ask", method=method, url=url, repeat=repeat)
    assert reply is not None
    return reply


class Breaking:
    """Answers the first request of a connection, reads the second and breaks the connection."""

    def __init__(self, reset: bool) -> None:
        self.requests: list[bytes] = []
        self._reset = reset

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        while request := read_request(connection):
            self.requests.append(request.split(b" ")[0])
            if len(self.requests) == 2:
                break
            connection.sendall(http(b"{}"))
        if self._reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "POST"])
@pytest.mark.parametrize("repeat", Repeat)
def test_a_request_arrives_once_though_its_kept_connection_breaks(
    method: str, reset: bool, repeat: Repeat, driver: Callable[..., Driver]
) -> None:
    broken = Breaking(reset)
    with RawServer(broken) as server, pytest.raises(Unavailable):
        driver().run(lambda: ask(server.url, "POST"), lambda: ask(server.url, method, repeat), patience=ONE_TRY)
    assert (broken.requests, server.connections) == ([b"POST", method.encode()], 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_the_sdk_of_cos_sends_arrives_once_too(method: str) -> None:
    broken = Breaking(reset=False)
    with RawServer(broken) as server, new_session(Transport()) as session:
        session.request("GET", server.url, timeout=5)
        with pytest.raises(requests.ConnectionError):
            session.request(method, server.url, timeout=5)
    assert (broken.requests, server.connections) == ([b"GET", method.encode()], 1)


async def test_an_aiohttp_that_cannot_send_once_keeps_no_connection(
    serve: Callable[..., StubServer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = aio._session

    def without_the_switch(*args: Any, **options: Any) -> Any:
        session = made(*args, **options)
        del session._retry_connection
        return session

    monkeypatch.setattr(aio, "_session", without_the_switch)
    server = serve(Answer(http(b"{}")))
    with caplog.at_level(logging.WARNING):
        async with AsyncClient(Transport(), Pacing(1e6)) as client:
            for _ in range(3):
                # aiohttp reads the switch when it sends; one that does not have it does not.
                (await client._ready())._retry_connection = True
                await client.run(ask(server.url, "GET"), ONE_TRY)
    assert (len(server.requests), server.connections) == (3, 3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
