"""What COS says about objects and refusals, and what a key may be."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    NotFound,
    ProtocolError,
    Unavailable,
)

if TYPE_CHECKING:
    import requests

KEY_LIMIT = 850
"""Bytes of a key, as UTF-8."""

_MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
# What a passing fault of the way or the server is called with a status below 500.
_PASSING = {"BadDigest", "IncompleteBody", "RequestTimeout", "SlowDown"}
_PASSING_STATUSES = (200, 408, 409, 412, 429)


class CosUnavailable(Unavailable):
    """COS could not do what was asked, and may be able to a little later."""


@dataclass(frozen=True, slots=True)
class CosObject:
    """
    What COS says about an object.

    :param size: bytes.
    :param etag: quoted, as COS gives it: the MD5 of the content, unless it came in parts or is encrypted.
    :param modified: time of the last write. Objects are never changed, only replaced.
    :param headers: all headers in lower case, where the object itself was asked about; empty in listings.
    """

    key: str
    size: int
    etag: str
    modified: datetime
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Redirected(Exception):
    """COS does not redirect, a proxy in its place may; the SDK would take that for success."""


def described(key: str, answer: Mapping[str, Any], *, with_size: bool = False) -> CosObject:
    """
    Read an answer's headers.

    :raises ProtocolError: it lacks what every such answer of COS has, so somebody else answered.
    """
    headers = {str(name).lower(): str(value) for name, value in answer.items() if name != "Body"}
    etag = headers.get("etag", "")
    # Servers may leave the length of nothing out.
    size = headers.get("content-length", "0" if etag.strip('"') == _MD5_OF_NOTHING else "")
    if not etag or (with_size and not size.isdecimal()):
        raise ProtocolError(f"The answer about {key} lacks what COS always says; a proxy may have given it")
    try:
        modified = parsedate_to_datetime(headers.get("last-modified", ""))
    except ValueError:
        modified = datetime.now(UTC)
    return CosObject(plain_key(key), int(size) if size.isdecimal() else 0, etag, modified, headers)


def listed(entry: Mapping[str, str]) -> CosObject:
    """Read an entry of a listing."""
    modified = datetime.fromisoformat(entry["LastModified"])
    return CosObject(str(entry["Key"]), int(entry["Size"]), str(entry["ETag"]), modified)


def refuse_redirect(response: requests.Response, *_: Any, **__: Any) -> None:
    """Raise instead of letting the SDK take a redirect for success."""
    if response.is_redirect:
        raise Redirected


def refusal(error: Any, address: str, verb: str) -> MediaxError:
    """Turn an answer of COS into a typed error."""
    facts: dict[str, Any] = {"status": int(error.get_status_code()), "code": str(error.get_error_code())}
    with contextlib.suppress(KeyError):
        facts["request_id"] = str(error.get_request_id())
    refused = f"COS refused to {verb} {address}"
    if facts["status"] in (401, 403):
        advice = "Check cos_secret_id, cos_secret_key, cos_token and the rights of their user on the bucket."
        return AuthenticationFailed(refused, advice=advice, **facts)
    if facts["status"] == 404:
        return NotFound(f"There is no {address}", filename=address, **facts)
    if facts["status"] == 412:
        return CosUnavailable(f"{refused}: the object was replaced meanwhile", **facts)
    passing = (
        (facts["status"] >= 500 and facts["status"] != 501)
        or facts["status"] in _PASSING_STATUSES
        or facts["code"] in _PASSING
    )
    return (CosUnavailable if passing else BadRequest)(refused, **facts)


def plain_key(key: str) -> str:
    """Return the key without the slash that paths of the platform begin with."""
    return key.lstrip("/")


def checked_key(key: str) -> str:
    """
    Return the key as it is stored, without the slash that paths of the platform begin with.

    :raises BadRequest: such a key would address the bucket or another object, or is too long.
    """
    name = plain_key(key)
    # Of a dot at the end the HTTP library would make the folder above; inside a key the SDK protects it.
    if not name or name.rpartition("/")[2] in (".", ".."):
        raise BadRequest.field("key", key, "it must name an object.")
    if len(name.encode()) > KEY_LIMIT:
        raise BadRequest.field("key", key, f"it must have at most {KEY_LIMIT} bytes.")
    return name
