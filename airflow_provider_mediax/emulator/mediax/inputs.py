"""Getting hold of what a job is to process."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from airflow_provider_mediax.emulator.cos.errors import CosError
from airflow_provider_mediax.emulator.cos.service import CosEndpoint, bucket_of
from airflow_provider_mediax.emulator.shared.accounts import Customer
from airflow_provider_mediax.emulator.shared.jobs import WorkFailed
from airflow_provider_mediax.emulator.shared.objects import NoSuchKey, ObjectStore
from airflow_provider_mediax.emulator.shared.outgoing import LocalNetwork, Outgoing
from airflow_provider_mediax.emulator.shared.wire import JsonObject, RequestTarget, Undecodable, decode_path

SIZE_LIMIT = 512 * 1024 * 1024
"""Bytes of an input."""

_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10, sock_read=30)


@dataclass(frozen=True, slots=True)
class Input:
    """
    A fetched input.

    :param name: file name without folder and extension.
    :param is_text: whether it is the request's own ``sourceData``.
    """

    name: str
    data: bytes = field(repr=False)
    is_text: bool = False


NO_INPUT = Input("song", b"")
"""What a capability works on that takes no input."""


class Fetcher:
    """
    Reads inputs from the repository, from COS addresses, or over HTTP.

    :param cos: answers addresses on COS hosts, which never leave this process.
    :param store: where repositories are.
    :param outgoing: asks other hosts.
    """

    def __init__(self, cos: CosEndpoint, store: ObjectStore, outgoing: Outgoing) -> None:
        self._cos = cos
        self._store = store
        self._outgoing = outgoing

    async def fetch(self, account: Customer, wanted: JsonObject) -> Input:
        """
        Fetch one element of ``inputs``.

        :raises WorkFailed: it cannot be had.
        """
        source, url, text = wanted.get("source"), wanted.get("url"), wanted.get("sourceData")
        if isinstance(text, str):
            return Input("text", text.encode(), is_text=True)
        if isinstance(source, dict):
            return self._from_repository(account, source)
        return await self._from_url(str(url))

    def _from_repository(self, account: Customer, source: Mapping[str, object]) -> Input:
        path = str(source["path"])
        bucket = self._store.find(account.bucket, account.region)
        try:
            if bucket is None:
                raise NoSuchKey(path)
            return Input(_stem(path), bucket.get(path.removeprefix("/")).data)
        except NoSuchKey:
            raise WorkFailed(f"the repository has no {path!r}") from None

    async def _from_url(self, url: str) -> Input:
        try:
            parts = urlsplit(url)
            path, host = decode_path(parts.path), parts.hostname or ""
        except ValueError:
            raise WorkFailed("the input address cannot be read") from None
        if parts.scheme not in ("http", "https") or not host:
            raise WorkFailed("the input address must start with http:// or https://")
        if bucket_of(host):
            try:
                data = self._cos.read(RequestTarget("GET", host, path, parts.query, {"host": host}))
            except CosError as error:
                raise WorkFailed(f"the input answered {error.status} {error.code}") from None
            except Undecodable:
                raise WorkFailed("the input address cannot be read") from None
        else:
            data = await _download(url, self._outgoing)
        return Input(_stem(path), data)


async def _download(url: str, outgoing: Outgoing) -> bytes:
    try:
        async with outgoing.request("GET", url, _TIMEOUT) as answer:
            if answer.status != 200:
                raise WorkFailed(f"the input answered {answer.status}")
            parts, size = [], 0
            async for chunk in answer.content.iter_chunked(1 << 20):
                size += len(chunk)
                if size > SIZE_LIMIT:
                    raise WorkFailed(f"the input is larger than {SIZE_LIMIT} bytes")
                parts.append(chunk)
            return b"".join(parts)
    except LocalNetwork:
        raise WorkFailed("the input address belongs to a local network") from None
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        # Only the class: the text may hold the whole address with its signature.
        raise WorkFailed(f"the input cannot be downloaded ({type(error).__name__})") from None


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0] or "input"
