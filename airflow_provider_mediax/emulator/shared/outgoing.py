"""
Requests that the emulator itself makes, for the inputs of jobs and for callbacks.

The caller who submits a job gives their addresses, so they lead no further than the emulator's documentation says: to
loopback, where tests serve files, and to public addresses; never by a redirect.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL


class LocalNetwork(ValueError):
    """The address belongs to a local network."""


class Outgoing:
    """
    Sends requests to addresses that callers gave.

    :param local_network: whether private addresses are open as well.
    """

    def __init__(self, local_network: bool) -> None:
        self._local_network = local_network

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        limits: aiohttp.ClientTimeout,
        body: bytes | None = None,
        content_type: str = "",
        host: str = "",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """
        Send a request and yield the answer, whatever its status; redirects are answers.

        :param host: what the request calls the host, if not by the address.
        :raises LocalNetwork: the address, or what its name resolves to, is not open.
        :raises aiohttp.ClientError: there is no answer; or TimeoutError, or ValueError for an address that is none.
        """
        resolver = None if self._local_network else OpenResolver()
        if resolver is not None:
            _check(urlsplit(url).hostname or "")
        named = {"Content-Type": content_type, "Host": host}
        headers = {name: value for name, value in named.items() if value}
        async with (
            aiohttp.TCPConnector(resolver=resolver) as connector,
            aiohttp.ClientSession(connector=connector, timeout=limits) as session,
            session.request(
                method, URL(url, encoded=bool(host)), data=body, headers=headers, allow_redirects=False
            ) as answer,
        ):
            yield answer


class OpenResolver(AbstractResolver):
    """Resolves names to open addresses only, at the moment of the request."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """
        Resolve a name.

        :raises LocalNetwork: one of its addresses is not open.
        """
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            _check(each["host"])
        return found

    async def close(self) -> None:
        """Close the resolver that does the work."""
        await self._resolver.close()


def _check(host: str) -> None:
    """Refuse an address that is not open; a name passes, since the resolver checks what it stands for."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    if not is_open(address):
        raise LocalNetwork(f"{host} belongs to a local network")


def is_open(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether an address is of this machine alone or of the public internet."""
    inner = (address.ipv4_mapped or address.sixtofour) if isinstance(address, ipaddress.IPv6Address) else None
    return is_open(inner) if inner else address.is_loopback or (address.is_global and not address.is_multicast)
