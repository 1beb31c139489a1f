"""The object store's HTTP interface: put, get, head, delete, list."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from aiohttp import web

from airflow_provider_mediax.emulator import faults
from airflow_provider_mediax.emulator.accounts import Accounts
from airflow_provider_mediax.emulator.clock import Clock
from airflow_provider_mediax.emulator.faults import Faults
from airflow_provider_mediax.emulator.ledger import RequestRecord
from airflow_provider_mediax.emulator.objects import Bucket, Listing, NoSuchKey, ObjectStore, StoredObject
from airflow_provider_mediax.emulator.qsign_check import SignatureRefusal, check_qsign
from airflow_provider_mediax.emulator.wire import Target

_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9-]*)\.cos\.(?P<region>[a-z0-9-]+)\.myqcloud\.com")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_FAULT_CODES = {429: "SlowDown", 503: "SlowDown"}
_OBJECT_ACTIONS = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
# These change what a request means; answering it as a plain one would be a lie.
_SUB_RESOURCES = {
    "acl",
    "append",
    "ci-process",
    "cors",
    "delete",
    "lifecycle",
    "location",
    "partNumber",
    "policy",
    "restore",
    "select",
    "tagging",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
}


class CosError(Exception):
    """
    An error answer.

    :param status: HTTP status.
    :param code: COS error code.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def bucket_of(host: str) -> tuple[str, str] | None:
    """Return bucket and region of a COS host name, None for any other host."""
    found = _HOST.fullmatch(host)
    return (found["bucket"], found["region"]) if found else None


class CosService:
    """
    Answers requests to ``<bucket>.cos.<region>.myqcloud.com``.

    :param accounts: whose keys are accepted.
    :param store: where the objects are.
    """

    def __init__(self, accounts: Accounts, store: ObjectStore, injected: Faults, clock: Clock) -> None:
        self._accounts = accounts
        self._store = store
        self._faults = injected
        self._clock = clock

    async def handle(self, request: web.Request, target: Target, record: RequestRecord) -> web.StreamResponse:
        """Answer one request."""
        record.action = action_of(target)
        await request.read()  # a request is refused or dropped only when it has arrived

        async def act() -> web.Response:
            try:
                return await self._act(request, target, record.action)
            except CosError as error:
                return _error(target, error.status, error.code, error.message)

        def refuse(status: int, message: str) -> web.Response:
            if status == HTTPStatus.OK:  # COS has no error in a 200
                return _error(target, 400, "InvalidArgument", message)
            if status == HTTPStatus.UNAUTHORIZED:
                return _error(target, 403, "AccessDenied", "Access Denied.")
            return _error(target, status, _FAULT_CODES.get(status, "InternalError"), message)

        fault = self._faults.take(record.action)
        record.fault = fault.kind if fault else None
        response = await faults.answer(request, fault, act, refuse)
        if not response.prepared:
            response.headers.setdefault("x-cos-request-id", request_id())
        return response

    def read(self, target: Target) -> bytes:
        """
        Return the object that a signed address names, for jobs whose input it is.

        :raises CosError: as the same request over HTTP would be answered.
        """
        bucket = self._authorized(target)
        return _existing(bucket, target.path[1:]).data

    def _authorized(self, target: Target) -> Bucket:
        place = bucket_of(target.host)
        bucket = self._store.find(*place) if place else None
        if place is None or bucket is None:
            raise CosError(404, "NoSuchBucket", "The specified bucket does not exist.")
        try:
            cos_id = check_qsign(target, self._accounts.cos_key, self._clock.now())
        except SignatureRefusal as refusal:
            raise CosError(403, refusal.code, refusal.message) from None
        if not self._accounts.may_use(cos_id, place[0]):
            raise CosError(403, "AccessDenied", "Access Denied.")
        return bucket

    async def _act(self, request: web.Request, target: Target, action: str) -> web.Response:
        body = await request.read()
        bucket = self._authorized(target)
        key = target.path[1:]
        match action:
            case "PutObject":
                return self._put(bucket, key, body, target)
            case "GetObject" | "HeadObject":
                return _content(_existing(bucket, key), target)
            case "DeleteObject":
                bucket.delete(key)
                return web.Response(status=204)
            case "ListObjects":
                return _listing(target, bucket)
            case "HeadBucket":
                return web.Response(headers={"x-cos-bucket-region": bucket.region})
        raise CosError(501, "NotImplemented", "The emulator does not have this operation.")

    def _put(self, bucket: Bucket, key: str, body: bytes, target: Target) -> web.Response:
        headers = target.headers
        promised = headers.get("content-md5")
        if promised is not None and _decode_md5(promised) != hashlib.md5(body, usedforsecurity=False).digest():
            raise CosError(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        metadata = {name: value for name, value in headers.items() if name.startswith("x-cos-meta-")}
        stored = bucket.put(key, body, self._clock.now(), headers.get("content-type", ""), metadata)
        return web.Response(headers={"ETag": stored.etag})


def action_of(target: Target) -> str:
    """Name the operation of a request, ``Unknown`` if the emulator does not have it."""
    if not _SUB_RESOURCES.isdisjoint(target.query) or "x-cos-copy-source" in target.headers:
        return "Unknown"
    if target.path == "/":
        return {"GET": "ListObjects", "HEAD": "HeadBucket"}.get(target.method, "Unknown")
    return _OBJECT_ACTIONS.get(target.method, "Unknown")


def request_id() -> str:
    """Make a value for ``x-cos-request-id``."""
    return base64.b64encode(uuid.uuid4().bytes).decode()


def _existing(bucket: Bucket, key: str) -> StoredObject:
    try:
        return bucket.get(key)
    except NoSuchKey:
        raise CosError(404, "NoSuchKey", "The specified key does not exist.") from None


def _content(stored: StoredObject, target: Target) -> web.Response:
    headers = {
        "Content-Type": stored.content_type,
        "ETag": stored.etag,
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        **stored.metadata,
    }
    part = _range(target.headers.get("range", ""), len(stored.data))
    if part is None:
        return web.Response(body=stored.data, headers=headers)
    start, end = part
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(stored.data)}"
    return web.Response(status=206, body=stored.data[start:end], headers=headers)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and end of the asked bytes, None for all of them: a malformed range is ignored, as HTTP says."""
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size:
        raise CosError(416, "InvalidRange", "The requested range is not satisfiable")
    return start, end


def _listing(target: Target, bucket: Bucket) -> web.Response:
    query = target.query
    limit = query.get("max-keys") or "1000"
    if not limit.isdecimal():
        raise CosError(400, "InvalidArgument", "max-keys must be a number")
    if query.get("encoding-type", "") not in ("", "url"):
        raise CosError(400, "InvalidArgument", "encoding-type must be url")
    prefix, delimiter, marker = (query.get(name, "") for name in ("prefix", "delimiter", "marker"))
    page = bucket.page(prefix, delimiter, marker, min(int(limit), 1000))
    place = bucket_of(target.host)
    root = Element("ListBucketResult")
    SubElement(root, "Name").text = place[0] if place else ""
    encoded = query.get("encoding-type") == "url"
    if encoded:
        SubElement(root, "EncodingType").text = "url"
    for name, value in (("Prefix", prefix), ("Marker", marker), ("Delimiter", delimiter)):
        SubElement(root, name).text = _key(value, encoded)
    SubElement(root, "MaxKeys").text = limit
    SubElement(root, "IsTruncated").text = "true" if page.next_marker else "false"
    if page.next_marker:
        SubElement(root, "NextMarker").text = _key(page.next_marker, encoded)
    _entries(root, page, encoded)
    return _xml(root)


def _entries(root: Element, page: Listing, encoded: bool) -> None:
    for key, stored in page.contents:
        entry = SubElement(root, "Contents")
        SubElement(entry, "Key").text = _key(key, encoded)
        modified = datetime.fromtimestamp(stored.modified, UTC)
        SubElement(entry, "LastModified").text = modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        SubElement(entry, "ETag").text = stored.etag
        SubElement(entry, "Size").text = str(len(stored.data))
        SubElement(entry, "StorageClass").text = "STANDARD"
    for prefix in page.prefixes:
        SubElement(SubElement(root, "CommonPrefixes"), "Prefix").text = _key(prefix, encoded)


def _key(text: str, encoded: bool) -> str:
    return quote(text, safe="/-_.~") if encoded else text


def _error(target: Target, status: int, code: str, message: str) -> web.Response:
    identity = request_id()
    root = Element("Error")
    members = {
        "Code": code,
        "Message": message,
        "Resource": f"{target.host}{quote(target.path)}",
        "RequestId": identity,
        "TraceId": base64.b64encode(identity.encode()).decode(),
    }
    for name, value in members.items():
        SubElement(root, name).text = value
    return _xml(root, status, {"x-cos-request-id": identity})


def _xml(root: Element, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = tostring(root, encoding="utf-8", xml_declaration=True)
    return web.Response(status=status, body=body, content_type="application/xml", headers=headers)


def _decode_md5(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise CosError(400, "InvalidDigest", "The Content-MD5 you specified is not valid.") from None
