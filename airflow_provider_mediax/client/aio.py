"""Drives protocol flows in a triggerer, with aiohttp."""

from __future__ import annotations

import asyncio
import importlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider_mediax.client.answer import ACCEPT_ENCODING, Body
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience, Send, TransportFailure, attempts, too_late
from airflow_provider_mediax.client.transport import (
    IDLE_SECONDS,
    USER_AGENT,
    Proxy,
    Transport,
    names_host,
    reason_of,
    tls_context,
)
from airflow_provider_mediax.exceptions import MediaxError, Unreachable
from airflow_provider_mediax.protocol.exchange import Flow, Reply

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

MAX_BODY = 4 * 1024 * 1024
"""Bytes; to parse more would hold the event loop up, even from a thread: a worker reads it."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Progress:
    """
    How far a request has come.

    :param connected: it has a connection, so that from now on any of it may be sent.
    """

    connected: bool = False


class AsyncClient:
    """
    One pooled session, for one event loop and connection. Also an async context manager.

    :ivar pacing: the limit that its calls wait for.
    """

    def __init__(self, transport: Transport, pacing: Pacing) -> None:
        self.pacing = pacing
        self._transport = transport
        self._proxies: dict[str, Proxy | None] = {}
        self._session: aiohttp.ClientSession | None = None
        self._running = 0
        self._closing = False
        self._closed = asyncio.Event()

    async def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        """
        Carry a flow out and return its result.

        :raises Unreachable: the client was closed before.
        :raises MediaxError: whatever the flow raises.
        """
        if self._closing:
            flow.close()
            raise Unreachable("The client is closed, so nothing was sent")
        self._running += 1
        steps = attempts(flow, self.pacing, patience)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Send):
                    try:
                        reply = await self._send(step)
                    except TransportFailure as failure:
                        step = steps.throw(failure)
                    else:
                        step = steps.send(reply)
                else:
                    await asyncio.sleep(step.seconds)
                    step = steps.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()
            self._running -= 1
            await self._close_if_last()

    async def close(self) -> None:
        """Take no more flows, and close the session when the last running one has left; return then."""
        self._closing = True
        await self._close_if_last()
        await self._closed.wait()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _close_if_last(self) -> None:
        if not self._closing or self._running or self._closed.is_set():
            return
        session, self._session = self._session, None
        try:
            if session is not None:
                await session.close()
        finally:
            self._closed.set()

    async def _send(self, step: Send) -> Reply:
        """
        Send once.

        :raises TransportFailure: whatever happens instead of an answer within the bound.
        """
        call, progress = step.call, _Progress()
        self._check_host(call.url)
        session = await self._ready()
        import aiohttp

        proxy = self._proxy_for(call.url)
        headers = dict(step.headers)
        login: dict[str, str] = {}
        if proxy is not None and proxy.authorization:
            # A tunnel is asked for with headers of its own; without one, the proxy reads the request's.
            tunnel = urlsplit(call.url).scheme == "https"
            (login if tunnel else headers)["Proxy-Authorization"] = proxy.authorization

        steps = aiohttp.ClientTimeout(
            total=None,  # aiohttp rounds it up to whole seconds and does not say how far the request came
            sock_connect=self._transport.connect_timeout,
            sock_read=call.read_timeout or self._transport.read_timeout,
        )
        body = Body(MAX_BODY)
        try:
            async with (
                asyncio.timeout(self._transport.bound(call.read_timeout)),
                session.request(
                    call.method,
                    call.url,
                    data=call.body,
                    headers=headers,
                    timeout=steps,
                    allow_redirects=False,
                    proxy=None if proxy is None else proxy.address,
                    proxy_headers=login,
                    trace_request_ctx=progress,
                ) as response,
            ):
                async for part in response.content.iter_any():
                    body.add(part)
                return body.reply(response.status, response.headers.items())
        except (TransportFailure, MediaxError):
            raise
        except TimeoutError:
            raise too_late(sent=progress.connected) from None
        except Exception as error:  # noqa: BLE001 - a hostile answer may raise anything in a library
            raise TransportFailure(reason_of(error), sent=progress.connected) from None

    def _check_host(self, url: str) -> None:
        """
        Look at a host's name once in a session.

        :raises TransportFailure: there can be no such host.
        """
        if _origin(url) not in self._proxies and not names_host(url):
            raise TransportFailure("the host cannot be looked up by that name", sent=False)

    def _proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy on the way to a host, looked for once in a session."""
        origin = _origin(url)
        if origin not in self._proxies:
            self._proxies[origin] = self._transport.proxy_for(url)
        return self._proxies[origin]

    async def _ready(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Half a second of importing and of reading certificates, for which the event loop must not stand still.
            await asyncio.to_thread(_prepare, self._transport)
        if self._session is None:  # unless another call was faster
            self._session = _new_session(self._transport)
        return self._session


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _prepare(transport: Transport) -> None:
    importlib.import_module("aiohttp")
    importlib.import_module("requests.utils")
    tls_context(transport.verify)


def _new_session(transport: Transport) -> aiohttp.ClientSession:
    """Return a session that sends nothing twice: the one place that makes them."""
    session = _session(transport, keepalive_timeout=IDLE_SECONDS)
    # When a kept connection breaks, aiohttp sends GET and PUT again by itself; no public setting prevents it.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False
        return session
    log.warning("This version of aiohttp cannot be kept from sending twice, so every request has its own connection")
    session.detach()
    return _session(transport, force_close=True)


def _session(transport: Transport, **connections: Any) -> aiohttp.ClientSession:
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_note_connected)
    trace.on_connection_reuseconn.append(_note_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls_context(transport.verify), **connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPT_ENCODING},
        auto_decompress=False,
        trace_configs=[trace],
    )


async def _note_connected(session: aiohttp.ClientSession, context: Any, params: object) -> None:
    context.trace_request_ctx.connected = True
