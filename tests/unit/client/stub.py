"""A scripted HTTP server on the loopback, and the two drivers behind one face."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import Patience
from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.protocol.exchange import Flow

T = TypeVar("T")


@dataclass
class Seen:
    """A request as the server saw it."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """
    What the server does with one request.

    :param data: the bytes it sends, as they are.
    :param then: ``keep`` the connection, ``close`` it, or ``hang`` until the client goes.
    """

    data: bytes = b""
    then: str = "keep"


def http(body: bytes, status: int = 200, **headers: str) -> bytes:
    """Return the bytes of a well-formed answer."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class StubServer:
    """Answers request after request from its script; the last answer serves all further ones."""

    script: Sequence[Answer] = ()
    tls: ssl.SSLContext | None = None
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """Answer nothing until :meth:`release`."""
        self._loop.call_soon_threadsafe(self._free.clear)

    def release(self) -> None:
        """Answer what was held, and everything from now on."""
        self._loop.call_soon_threadsafe(self._free.set)

    def __enter__(self) -> StubServer:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)))
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Base address."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # broken handshakes are part of the script
        self._over = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = server.sockets[0].getsockname()[1]
        started.set()
        await self._over.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.left.set()
            self._tasks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        answer = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(Seen(first.split(" ")[1], headers, body))
        self.arrived.set()
        await self._free.wait()
        writer.write(answer.data)
        await writer.drain()
        if answer.then == "hang":
            await reader.read()
        return answer.then == "keep"


class RawServer:
    """
    Hands each connection to a function, on a thread of its own.

    :param serve: is given the connection and the event that ends the test; its connection is closed after it.
    """

    def __init__(self, serve: Callable[[socket.socket, threading.Event], object]) -> None:
        self.connections = 0
        self.came = threading.Event()
        self.left = threading.Event()
        self._serve = serve
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._threads = [threading.Thread(target=self._accept)]
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> RawServer:
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                connection.settimeout(120)  # longer than any test's bound: no end of a call is owed to it
                self.connections += 1
                self.came.set()
                self._threads.append(threading.Thread(target=self._carry_out, args=(connection,)))
                self._threads[-1].start()

    def _carry_out(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._serve(connection, self._over)
        self.left.set()


def read_request(connection: socket.socket) -> bytes:
    """Read headers and body of one request; empty if the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class Driver:
    """One of the two drivers; both are called in the same way."""

    def __init__(self, kind: str, transport: Transport, pacing: Pacing | None = None) -> None:
        self.kind = kind
        self.transport = transport
        self.pacing = pacing or Pacing(1e6)

    def run(self, *flows: Callable[[], Flow[T]], patience: Patience) -> list[T]:
        """Carry the flows out one after the other with one client."""
        if self.kind == "sync":
            with SyncClient(self.transport, self.pacing) as client:
                return [client.run(flow(), patience) for flow in flows]

        async def run() -> list[T]:
            async with AsyncClient(self.transport, self.pacing) as client:
                return [await client.run(flow(), patience) for flow in flows]

        return asyncio.run(run())


def stopping_client(stop: StopSignal, **settings: Any) -> SyncClient:
    """Return a worker's client that heeds a stop signal."""
    return SyncClient(Transport(**settings), Pacing(1e6), stop)
