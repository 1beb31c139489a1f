"""What the object store answers: objects, pages of keys, errors."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

from aiohttp import web

from airflow_provider_mediax.emulator.cos.errors import CosError
from airflow_provider_mediax.emulator.shared.objects import Bucket, KeyPage, StoredObject
from airflow_provider_mediax.emulator.shared.wire import RequestTarget, request_id

PAGE_LIMIT = 1000
"""Entries on one page of any list, and objects in one deletion."""

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def error_answer(target: RequestTarget, status: int, code: str, message: str) -> web.Response:
    """Return the answer to a request that went wrong."""
    identity = request_id()
    root = Element("Error")
    members = {
        "Code": code,
        "Message": message,
        "Resource": f"{target.host}{quote(target.path)}",
        "RequestId": identity,
        "TraceId": base64.b64encode(identity.encode()).decode(),
    }
    fill(root, members)
    return xml_answer(root, status, {"x-cos-request-id": identity})


def xml_answer(root: Element, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return XML as an answer."""
    body = tostring(root, encoding="utf-8", xml_declaration=True)
    return web.Response(status=status, body=body, content_type="application/xml", headers=headers)


def fill(parent: Element, members: Mapping[str, str]) -> None:
    """Add a child with a text for each member."""
    for name, text in members.items():
        SubElement(parent, name).text = text


def read_xml(body: bytes, root: str) -> Element:
    """
    Parse the body of a request.

    :raises CosError: it is not XML with that root.
    """
    try:
        if b"<!DOCTYPE" in body:
            raise ValueError("a document type is declared")
        element = fromstring(body)  # noqa: S314 - without a document type there are no entities to expand
    except (ParseError, ValueError):
        element = None
    if element is None or element.tag != root:
        raise CosError("MalformedXML", "The XML you provided was not well-formed.")
    return element


def content(stored: StoredObject, target: RequestTarget) -> web.Response:
    """
    Return an object, or the part of it that is asked for.

    :raises CosError: a condition of the request does not hold, or the part is not there.
    """
    headers = {
        "Content-Type": stored.content_type,
        "Content-Disposition": "attachment",  # as COS does under its own host names
        "ETag": stored.etag,
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "x-cos-object-type": "appendable" if stored.appendable else "normal",
        **stored.metadata,
    }
    if not _matches(target.headers.get("if-match", "*"), stored.etag):
        raise CosError("PreconditionFailed", "At least one of the preconditions you specified did not hold.")
    if _matches(target.headers.get("if-none-match", ""), stored.etag):
        return web.Response(status=304, headers=headers)
    part = range_of(target.headers.get("range", ""), len(stored.data))
    if part is None:
        return web.Response(body=stored.data, headers=headers)
    start, end = part
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(stored.data)}"
    return web.Response(status=206, body=stored.data[start:end], headers=headers)


def _matches(condition: str, etag: str) -> bool:
    named = {name.strip().strip('"') for name in condition.split(",")}
    return not named.isdisjoint({"*", etag.strip('"')})


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """
    Return start and end of the asked bytes, None for all of them: a malformed range is ignored, as HTTP says.

    :raises CosError: the range begins past the end.
    """
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size:
        raise CosError("InvalidRange", "The requested range is not satisfiable")
    return start, end


def check_md5(headers: Mapping[str, str], body: bytes) -> None:
    """
    Compare a body with its ``Content-MD5``, if that was sent.

    :raises CosError: they differ, or it is no MD5.
    """
    promised = headers.get("content-md5")
    if promised is not None and _decode_md5(promised) != hashlib.md5(body, usedforsecurity=False).digest():
        raise CosError("BadDigest", "The Content-MD5 you specified did not match what we received.")


def _decode_md5(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise CosError("InvalidDigest", "The Content-MD5 you specified is not valid.") from None


def listing(query: Mapping[str, str], bucket: Bucket) -> web.Response:
    """Return one page of the bucket's keys."""
    limit, encoded = page_size(query, "max-keys"), is_encoded(query)
    prefix, delimiter, marker = (query.get(name, "") for name in ("prefix", "delimiter", "marker"))
    page = bucket.page(prefix, delimiter, marker, limit)
    root = Element("ListBucketResult")
    fill(root, {"Name": bucket.name, **({"EncodingType": "url"} if encoded else {})})
    for name, value in (("Prefix", prefix), ("Marker", marker), ("Delimiter", delimiter)):
        SubElement(root, name).text = key_text(value, encoded)
    fill(root, {"MaxKeys": str(limit), "IsTruncated": "true" if page.next_marker else "false"})
    if page.next_marker:
        SubElement(root, "NextMarker").text = key_text(page.next_marker, encoded)
    _entries(root, page, encoded)
    return xml_answer(root)


def _entries(root: Element, page: KeyPage, encoded: bool) -> None:
    for key, stored in page.contents:
        entry = {
            "Key": key_text(key, encoded),
            "LastModified": iso_time(stored.modified),
            "ETag": stored.etag,
            "Size": str(len(stored.data)),
            "StorageClass": "STANDARD",
        }
        fill(SubElement(root, "Contents"), entry)
    for prefix in page.prefixes:
        fill(SubElement(root, "CommonPrefixes"), {"Prefix": key_text(prefix, encoded)})


def lifecycle(bucket: Bucket) -> web.Response:
    """
    Return the bucket's lifecycle rules.

    :raises CosError: it has none.
    """
    if not bucket.lifecycle:
        raise CosError("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist.")
    root = Element("LifecycleConfiguration")
    for rule in bucket.lifecycle:
        entry = SubElement(root, "Rule")
        fill(entry, {"ID": rule.name, "Status": "Enabled"})
        fill(SubElement(entry, "Filter"), {"Prefix": rule.prefix})
        fill(SubElement(entry, "Expiration"), {"Days": str(rule.days)})
    return xml_answer(root)


def page_size(query: Mapping[str, str], name: str) -> int:
    """
    Return how many entries a page may have.

    :raises CosError: it is no number.
    """
    return min(number(query, name, PAGE_LIMIT), PAGE_LIMIT)


def number(query: Mapping[str, str], name: str, default: int) -> int:
    """
    Return a parameter that is a number.

    :raises CosError: it is none.
    """
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise CosError("InvalidArgument", f"{name} must be a number")
    return int(text)


def is_encoded(query: Mapping[str, str]) -> bool:
    """
    Tell whether the keys of a page are asked for percent-encoded.

    :raises CosError: another encoding is asked for.
    """
    if query.get("encoding-type", "") not in ("", "url"):
        raise CosError("InvalidArgument", "encoding-type must be url")
    return query.get("encoding-type") == "url"


def key_text(text: str, encoded: bool) -> str:
    """Return a key as a page shows it."""
    return quote(text, safe="/-_.~") if encoded else text


def iso_time(seconds: float) -> str:
    """Return epoch seconds as pages show them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
