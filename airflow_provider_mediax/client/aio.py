"""Drives protocol flows in a triggerer, with aiohttp."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import MAX_BODY, PATIENT, Patience, Send, TransportFailure, attempts
from airflow_provider_mediax.client.transport import IDLE_SECONDS, USER_AGENT, Transport, names_host, tls_context
from airflow_provider_mediax.protocol.exchange import Flow, Reply

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")


class AsyncClient:
    """One pooled session, for one event loop and connection. Also an async context manager."""

    def __init__(self, transport: Transport, pacing: Pacing) -> None:
        self._transport = transport
        self._pacing = pacing
        self._session: aiohttp.ClientSession | None = None

    async def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        """
        Carry a flow out and return its result.

        :raises MediaxError: whatever the flow raises.
        """
        steps = attempts(flow, self._pacing, patience)
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

    async def close(self) -> None:
        """Close the session's connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _send(self, step: Send) -> Reply:
        if not names_host(step.call.url):
            raise TransportFailure("the host cannot be looked up by that name", sent=False)
        if self._session is None:
            # Half a second of importing and of reading certificates, for which the event loop must not stand still.
            await asyncio.to_thread(_prepare, self._transport)
        import aiohttp

        call = step.call
        read_timeout = call.read_timeout or self._transport.read_timeout
        if self._session is None:
            self._session = _new_session(self._transport)
        timeout = aiohttp.ClientTimeout(
            total=self._transport.connect_timeout + 2 * read_timeout,
            connect=None,  # waiting for a free place in the pool is no fault of the service
            sock_connect=self._transport.connect_timeout,
            sock_read=read_timeout,
        )
        try:
            async with self._session.request(
                call.method,
                call.url,
                data=call.body,
                headers=dict(step.headers),
                timeout=timeout,
                allow_redirects=False,
                proxy=self._transport.proxy_for(call.url),
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise TransportFailure(f"an answer above {MAX_BODY} bytes", sent=True, readable=False)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, headers, bytes(body))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError) as error:
            raise TransportFailure(type(error).__name__, sent=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransportFailure(type(error).__name__, sent=True) from None


def _prepare(transport: Transport) -> None:
    importlib.import_module("aiohttp")
    tls_context(transport.verify)


def _new_session(transport: Transport) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls_context(transport.verify), keepalive_timeout=IDLE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
    )
