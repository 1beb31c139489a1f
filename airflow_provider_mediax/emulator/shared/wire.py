"""A request as it came over the wire, decoded once and the same way for every service."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus, urlsplit

from aiohttp import web

from airflow_provider_mediax.emulator.shared.browsers import host_name

JsonObject = dict[str, object]


class Undecodable(ValueError):
    """The path or the query is not UTF-8 once percent-decoded."""


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """
    What a request addresses.

    :param method: upper-case HTTP method.
    :param host: host name in lower case, without port.
    :param path: percent-decoded path with its leading slash.
    :param raw_query: query as sent, without the question mark.
    :param headers: header names in lower case.
    """

    method: str
    host: str
    path: str
    raw_query: str
    headers: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        """Return the decoded query; a name without ``=`` has an empty value, the last of equal names wins."""
        return dict(query_pairs(self.raw_query))


def query_pairs(raw: str) -> list[tuple[str, str]]:
    """
    Decode a query string into names and values, in their order and as often as they stand there.

    :raises Undecodable: a name or value is not UTF-8.
    """
    pairs = (part.partition("=") for part in raw.split("&") if part)
    try:
        return [(unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")) for name, _, value in pairs]
    except UnicodeDecodeError as error:
        raise Undecodable(str(error)) from None


def decode_path(raw: str) -> str:
    """
    Percent-decode a path; ``+`` stays what it is.

    :raises Undecodable: the path is not UTF-8.
    """
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        raise Undecodable(str(error)) from None


def target_of(request: web.Request) -> RequestTarget:
    """
    Read a request's target from the raw request line, since keys must not be normalized.

    :raises Undecodable: path or query is not UTF-8.
    """
    raw, host = request.raw_path, request.headers.get("Host", "")
    if not raw.startswith("/"):  # absolute form, as sent to a proxy
        parts = urlsplit(raw)
        host = parts.netloc or host
        raw = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path, _, query = raw.partition("?")
    return RequestTarget(
        method=request.method,
        host=host_name(host),
        path=decode_path(path),
        raw_query=query,
        headers={name.lower(): _readable(value) for name, value in request.headers.items()},
    )


def _readable(value: str) -> str:
    """Replace what is not UTF-8 in a header value; aiohttp keeps such bytes as lone surrogates."""
    return value.encode(errors="surrogateescape").decode(errors="replace")


def request_id() -> str:
    """Make a value for ``x-cos-request-id`` and ``x-ci-request-id``."""
    return base64.b64encode(uuid.uuid4().bytes).decode()
