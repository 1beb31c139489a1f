"""Addresses of inputs and files: what of them identifies, what may be shown, what lies where in COS."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_QUERY = re.compile(r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]+")
_COS_HOST = re.compile(r"([a-z0-9-]+)\.cos\.[a-z0-9-]+\.myqcloud\.com")
_SIGNATURE_PREFIXES = ("q-", "x-cos-", "x-amz-", "x-goog-")
_SIGNATURE_NAMES = frozenset(
    ("signature", "expires", "ossaccesskeyid", "sig", "se", "sp", "sv", "sr", "token", "sign"),
)


_ADDRESS_IN_TEXT = re.compile(r"(?i)\bhttps?://[^\s\"'<>]+")


class CosAddress(NamedTuple):
    """An object in COS."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"cos://{self.bucket}/{self.key}"


def cos_address(url: str) -> CosAddress | None:
    """Read ``cos://bucket/key``; anything else is None. The key is taken as it stands, nothing is decoded."""
    if not url.startswith("cos://"):
        return None
    bucket, _, key = url.removeprefix("cos://").partition("/")
    return CosAddress(bucket, key) if bucket and key else None


def object_url(address: CosAddress, region: str, query: str = "") -> str:
    """Return the address of an object at its own host."""
    return f"https://{address.bucket}.cos.{region}.myqcloud.com/{quote(address.key, safe='/-_.~')}?{query}".rstrip("?")


def object_address(url: str) -> CosAddress | None:
    """Return which object a URL of COS is about; any other URL is None."""
    try:
        parts = urlsplit(url)
        host = _COS_HOST.fullmatch(parts.hostname or "")
    except ValueError:
        return None
    key = unquote(parts.path).lstrip("/")
    return CosAddress(host[1], key) if host and key else None


def unsigned_url(url: str) -> str:
    """
    Return the part of a URL that says what it points to: without fragment and without signature parameters.

    A presigned URL is made anew on every try, and must not buy the same job again.
    """
    if url.startswith("cos://"):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _signs(name)]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept), ""))


def shown_url(url: str) -> str:
    """Return a URL that may be logged and stored: no user, password, query or fragment, any of which may be secret."""
    if url.startswith("cos://"):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an unreadable address)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def shown_text(said: str) -> str:
    """Return a text of the service in which every address may be shown; it may repeat a signed one."""
    return _ADDRESS_IN_TEXT.sub(lambda found: shown_url(found.group()), said)


def hide_queries(said: str) -> str:
    """Return a text of the service's with the queries of all URLs cut off: they may be signatures."""
    return _QUERY.sub(r"\1?...", said)


def _signs(name: str) -> bool:
    lower = name.lower()
    return lower in _SIGNATURE_NAMES or lower.startswith(_SIGNATURE_PREFIXES)
