"""Addresses of inputs and files: what of them identifies, what may be shown, what lies where in COS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_COS_HOST = re.compile(r"([a-z0-9-]+)\.cos\.[a-z0-9-]+\.myqcloud\.com")
_ADDRESS_IN_TEXT = re.compile(r"://[^\s\"'<>]+")
"""Without the scheme, so that looking for one costs nothing in a long text without addresses."""


class _Family(NamedTuple):
    """Parameters that make a signed URL: their names, or the beginnings of their names, in lower case."""

    names: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()


def _named(names: str) -> _Family:
    return _Family(frozenset(names.split()))


_FAMILIES = {
    "q-signature": _Family(prefixes=("q-", "x-cos-")),
    "x-amz-signature": _Family(prefixes=("x-amz-",)),
    "x-goog-signature": _Family(prefixes=("x-goog-",)),
    "x-oss-signature": _Family(prefixes=("x-oss-",)),
    "signature": _named(
        "signature expires ossaccesskeyid awsaccesskeyid googleaccessid key-pair-id policy"
        " security-token x-amz-security-token"
    ),
    "sig": _named("sig se sp sv sr st spr sip ss srt si sdd skoid sktid skt ske sks skv saoid suoid scid"),
}
"""
What signs a URL, by the parameter that holds the signature itself.

Without that parameter the others are names like any: ``?se=1`` may well be the first season. So are ``sig`` and
``signature`` without any of the others, which no scheme leaves out.
"""


class CosAddress(NamedTuple):
    """An object in COS."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"cos://{self.bucket}/{self.key}"


class Located(NamedTuple):
    """
    An object in COS, and the region of its bucket.

    :param region: None if it is not known.
    """

    address: CosAddress
    region: str | None


def cos_address(url: str) -> CosAddress | None:
    """
    Return which object ``cos://[conn_id@]bucket/key`` is about; anything else is None.

    Who reads or sends it with a connection calls ``names.own_address`` instead, which compares the id.
    """
    parts = split_cos_address(url)
    return parts[1] if parts else None


def split_cos_address(url: str) -> tuple[str | None, CosAddress] | None:
    """
    Read ``cos://[conn_id@]bucket/key`` into the connection's id and the object; anything else is None.

    The key is taken as it stands, nothing is decoded. ``cos://conn_id@/bucket/key`` and ``cos:///bucket/key`` are
    read too: so ``ObjectStoragePath`` writes them on Airflow 3.1.
    """
    if not url.startswith("cos://"):
        return None
    authority, _, rest = url.removeprefix("cos://").partition("/")
    conn_id, at, bucket = authority.rpartition("@")
    if not bucket:
        bucket, _, rest = rest.partition("/")
    return (conn_id if at else None, CosAddress(bucket, rest)) if bucket and rest else None


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
    Return the part of a URL that says what it points to: without fragment, password and what signs it.

    A presigned URL is made anew on every try, and must not buy the same job again. An address in COS loses the id of
    the connection.
    """
    if url.startswith("cos://"):
        return str(cos_address(url) or url)
    try:
        parts = urlsplit(url)
        # surrogateescape keeps bytes that are no UTF-8 apart, where a replacement character would make them alike
        query = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
        names = {name.lower() for name, _ in query}
        families = [family for name, value in query if value and (family := _family_of(name.lower(), names))]
        kept = [(name, value) for name, value in query if not _signs(name.lower(), families)]
        user, _, host = parts.netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}@{host}" if user else host
        return urlunsplit((parts.scheme, netloc, parts.path, urlencode(kept, errors="surrogateescape"), ""))
    except ValueError:
        return url


def shown_url(url: str) -> str:
    """Return a URL that may be logged and stored: no user, password, query or fragment, any of which may be secret."""
    if url.startswith("cos://"):
        authority, slash, rest = url.removeprefix("cos://").partition("/")
        return f"cos://{authority.rpartition('@')[2]}{slash}{rest}"
    try:
        parts = urlsplit(url)
        _ = parts.port  # a password with a slash in it looks like a host with a wrong port
    except ValueError:
        return "(an unreadable address)"
    if not parts.netloc:
        return url.partition("?")[0].partition("#")[0].rpartition("@")[2]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def named_url(url: str) -> str:
    """
    Return what a URL is called where it may be shown and must differ from others: as :func:`shown_url` has it.

    A query that is no signature says which object it is: 16 hex digits stand for it.
    """
    shown, unsigned = shown_url(url), unsigned_url(url)
    if shown == url or "?" not in unsigned:
        return shown
    return f"{shown}?{sha256(unsigned.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def shown_text(said: str) -> str:
    """Return a text in which every address may be shown; it may repeat a signed one."""
    return _ADDRESS_IN_TEXT.sub(lambda found: shown_url(f"http{found.group()}").removeprefix("http"), said)


def shown_line(said: str, secrets: Iterable[str | None] = ()) -> str:
    """
    Return a service's words as one line that may be shown: they can hold line breaks and repeat what was sent.

    :param secrets: what is blanked, besides the signatures of addresses; None and empty texts are left out.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        said = said.replace(secret, "***")
    line = " ".join(shown_text(said).split())
    return "".join(character if character.isprintable() else "?" for character in line)


def _family_of(name: str, names: Set[str]) -> _Family | None:
    """Return the family that a parameter is the signature of, if it is one among all ``names`` of a URL."""
    family = _FAMILIES.get(name)
    return family if family and (family.prefixes or names & (family.names - {name})) else None


def _signs(name: str, families: Sequence[_Family]) -> bool:
    return any(name in family.names or name.startswith(family.prefixes) for family in families)
