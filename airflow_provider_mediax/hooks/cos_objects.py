"""What COS says about an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from airflow_provider_mediax.exceptions import ProtocolError

_MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"


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


def described(key: str, headers: Mapping[str, str], *, with_size: bool = False) -> CosObject:
    """
    Read an answer's headers.

    :param headers: their names in lower case.
    :raises ProtocolError: one is missing that every such answer of COS has.
    """
    etag = headers.get("etag", "")
    # Servers may leave the length of nothing out.
    size = headers.get("content-length", "0" if etag.strip('"') == _MD5_OF_NOTHING else "")
    if not etag or (with_size and not size.isdecimal()):
        raise ProtocolError(f"The answer about {key} lacks what COS always says; a proxy may have given it")
    try:
        modified = parsedate_to_datetime(headers.get("last-modified", ""))
    except ValueError:
        modified = datetime.now(UTC)
    return CosObject(key, int(size) if size.isdecimal() else 0, etag, modified, headers)


def listed(entry: Mapping[str, str]) -> CosObject:
    """Read an entry of a listing."""
    modified = datetime.fromisoformat(entry["LastModified"])
    return CosObject(str(entry["Key"]), int(entry["Size"]), str(entry["ETag"]), modified)
