"""The object store's HTTP interface."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from xml.etree.ElementTree import Element, SubElement

from aiohttp import web

from airflow_provider_mediax.emulator.cos import multipart as cos_multipart
from airflow_provider_mediax.emulator.cos.answers import (
    PAGE_LIMIT,
    check_md5,
    content,
    error_answer,
    fill,
    iso_time,
    lifecycle,
    listing,
    number,
    range_of,
    read_xml,
    xml_answer,
)
from airflow_provider_mediax.emulator.cos.errors import CosError
from airflow_provider_mediax.emulator.cos.multipart import upload_named
from airflow_provider_mediax.emulator.shared.faults import Refusal
from airflow_provider_mediax.emulator.shared.ledger import RequestRecord
from airflow_provider_mediax.emulator.shared.objects import Bucket, NoSuchKey, StoredObject, StoreFull, Versioning
from airflow_provider_mediax.emulator.shared.q_sign import SignatureRefusal, signer_of
from airflow_provider_mediax.emulator.shared.wire import RequestTarget, Undecodable, decode_path, request_id
from airflow_provider_mediax.emulator.shared.world import World

TOKEN = "x-cos-security-token"  # noqa: S105 - the name of a header

_COPY_SOURCE = "x-cos-copy-source"
_FORBID_OVERWRITE = "x-cos-forbid-overwrite"
_HOST = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9-]*)\.cos\.(?P<region>[a-z0-9-]+)\.myqcloud\.com")
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
_BUCKET_ACTIONS = {
    ("GET", ""): "ListObjects",
    ("HEAD", ""): "HeadBucket",
    ("GET", "lifecycle"): "GetBucketLifecycle",
    ("GET", "uploads"): "ListMultipartUploads",
    ("POST", "delete"): "DeleteObjects",
}
_OBJECT_ACTIONS = {
    ("PUT", ""): "PutObject",
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("DELETE", ""): "DeleteObject",
    ("POST", "append"): "AppendObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "partNumber uploadId"): "UploadPart",
    ("GET", "uploadId"): "ListParts",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
}
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}


@dataclass(slots=True)
class _Asked:
    """One request on its way: who asks for what."""

    target: RequestTarget
    query: Mapping[str, str]
    body: bytes
    bucket: Bucket
    cos_id: str
    key: str


def bucket_of(host: str) -> tuple[str, str] | None:
    """Return bucket and region of a COS host name, None for any other host."""
    found = _HOST.fullmatch(host)
    return (found["bucket"], found["region"]) if found else None


class CosEndpoint:
    """
    Answers requests to ``<bucket>.cos.<region>.myqcloud.com``.

    :param world: accounts, objects, time, and what tests decided.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._answers: dict[str, Callable[[_Asked], web.Response]] = {
            "PutObject": self._put,
            "GetObject": self._get,
            "HeadObject": self._get,
            "DeleteObject": self._delete,
            "AppendObject": self._append,
            "CopyObject": self._copy,
            "CreateMultipartUpload": self._begin_upload,
            "UploadPart": self._upload_part,
            "UploadPartCopy": self._copy_part,
            "ListParts": self._list_parts,
            "CompleteMultipartUpload": self._complete_upload,
            "AbortMultipartUpload": self._abort_upload,
            "ListObjects": lambda asked: listing(asked.query, asked.bucket),
            "ListMultipartUploads": lambda asked: cos_multipart.list_uploads(asked.bucket, asked.query),
            "DeleteObjects": self._delete_several,
            "HeadBucket": _head_bucket,
            "GetBucketLifecycle": lambda asked: lifecycle(asked.bucket),
        }

    async def handle(self, request: web.Request, target: RequestTarget, record: RequestRecord) -> web.StreamResponse:
        """Answer one request."""
        record.action = action_of(target)
        body = await request.read()  # a request is refused or dropped only when it has arrived

        async def act() -> web.Response:
            try:
                response = self._act(target, body, record.action)
            except CosError as error:
                response = error_answer(target, error.status, error.code, error.message)
            except StoreFull as error:
                full = CosError("EmulatorFull", str(error))
                response = error_answer(target, full.status, full.code, full.message)
            response.headers.setdefault("x-cos-request-id", request_id())  # what answers in the place of COS has none
            return response

        def refuse(refusal: Refusal) -> web.Response:
            match refusal.status:
                case HTTPStatus.OK:  # COS has no error in a 200
                    return error_answer(target, 400, refusal.code, refusal.message)
                case HTTPStatus.UNAUTHORIZED:
                    return error_answer(target, 403, "AccessDenied", "Access Denied.")
                case HTTPStatus.SERVICE_UNAVAILABLE:
                    return error_answer(target, 503, "SlowDown", refusal.message)
            return error_answer(target, refusal.status, refusal.code, refusal.message)

        return await self._world.faults.answer(request, record, act, refuse)

    def read(self, target: RequestTarget) -> bytes:
        """
        Return the object that a signed address names, for jobs whose input it is.

        :raises CosError: as the same request over HTTP would be answered.
        """
        bucket, _ = self._admit(target)
        return _existing(bucket, target.path[1:]).data

    def _admit(self, target: RequestTarget) -> tuple[Bucket, str]:
        place = bucket_of(target.host)
        bucket = self._world.store.find(*place) if place else None
        if bucket is None:
            raise CosError("NoSuchBucket", "The specified bucket does not exist.")
        try:
            cos_id = signer_of(target, self._world.accounts, self._world.clock.now(), TOKEN)
        except SignatureRefusal as refusal:
            raise CosError(refusal.code, refusal.message) from None
        if not self._world.accounts.may_use(cos_id, bucket.name):
            raise CosError("AccessDenied", "Access Denied.")
        return bucket, cos_id

    def _act(self, target: RequestTarget, body: bytes, action: str) -> web.Response:
        bucket, cos_id = self._admit(target)
        answer = self._answers.get(action)
        if answer is None:
            raise CosError("NotImplemented", "The emulator does not have this operation.")
        return answer(_Asked(target, target.query, body, bucket, cos_id, target.path[1:]))

    def _put(self, asked: _Asked) -> web.Response:
        headers = asked.target.headers
        check_md5(headers, asked.body)
        _check_overwrite(asked)
        stored = asked.bucket.put(
            asked.key, asked.body, self._world.clock.now(), headers.get("content-type", ""), _metadata(headers)
        )
        return web.Response(headers={"ETag": stored.etag, **_version(asked.bucket)})

    def _append(self, asked: _Asked) -> web.Response:
        bucket = asked.bucket
        if bucket.many_zones:
            raise CosError("MethodNotAllowed", "The bucket lies in several availability zones.")
        check_md5(asked.target.headers, asked.body)
        old = bucket.get(asked.key) if bucket.holds(asked.key) else None
        if old is not None and not old.appendable:
            raise CosError("ObjectNotAppendable", "The object is not appendable")
        if "position" not in asked.query or number(asked.query, "position", 0) != (len(old.data) if old else 0):
            raise CosError("AppendPositionErr", "Position not equal object length")
        content_type = asked.target.headers.get("content-type", "")
        stored = bucket.append(asked.key, asked.body, self._world.clock.now(), content_type)
        return web.Response(headers={"ETag": stored.etag, "x-cos-next-append-position": str(len(stored.data))})

    def _get(self, asked: _Asked) -> web.Response:
        return content(_existing(asked.bucket, asked.key), asked.target)

    def _delete(self, asked: _Asked) -> web.Response:
        asked.bucket.delete(asked.key)
        return web.Response(status=204)

    def _delete_several(self, asked: _Asked) -> web.Response:
        if "content-md5" not in asked.target.headers:
            raise CosError("MissingContentMD5", "The Content-MD5 header is required.")
        check_md5(asked.target.headers, asked.body)
        wanted = read_xml(asked.body, "Delete")
        keys = [each.findtext("Key") for each in wanted.findall("Object")]
        if not 1 <= len(keys) <= PAGE_LIMIT or None in keys or "" in keys:
            raise CosError("MalformedXML", f"1 to {PAGE_LIMIT} objects with a Key must be named.")
        root = Element("DeleteResult")
        for key in keys:
            asked.bucket.delete(key or "")
            if wanted.findtext("Quiet") != "true":
                fill(SubElement(root, "Deleted"), {"Key": key or ""})
        return xml_answer(root)

    def _source(self, asked: _Asked) -> StoredObject:
        """Return the object that a copy names, which its caller must be allowed to read."""
        headers = asked.target.headers
        host, _, path = headers[_COPY_SOURCE].partition("/")
        if "?" in path or any(name.startswith(f"{_COPY_SOURCE}-if-") for name in headers):
            raise CosError("NotImplemented", "The emulator copies without versions and conditions only.")
        place = bucket_of(host)
        bucket = self._world.store.find(*place) if place else None
        if bucket is None:
            raise CosError("NoSuchBucket", "The specified bucket does not exist.")
        if not self._world.accounts.may_use(asked.cos_id, bucket.name):
            raise CosError("AccessDenied", "Access Denied.")
        try:
            return _existing(bucket, decode_path(path))
        except Undecodable:
            raise CosError("InvalidArgument", f"{_COPY_SOURCE} cannot be read") from None

    def _copy(self, asked: _Asked) -> web.Response:
        source, headers = self._source(asked), asked.target.headers
        content_type, metadata = source.content_type, source.metadata
        if headers.get("x-cos-metadata-directive", "Copy").lower() == "replaced":
            content_type, metadata = headers.get("content-type", ""), _metadata(headers)
        now = self._world.clock.now()
        stored = asked.bucket.put(asked.key, source.data, now, content_type, metadata)
        return _copied("CopyObjectResult", stored)

    def _begin_upload(self, asked: _Asked) -> web.Response:
        headers = asked.target.headers
        upload = asked.bucket.begin_upload(
            asked.key, self._world.clock.now(), headers.get("content-type", ""), _metadata(headers)
        )
        return cos_multipart.initiated(asked.bucket, upload)

    def _upload_part(self, asked: _Asked) -> web.Response:
        upload = upload_named(asked.bucket, asked.key, asked.query)
        check_md5(asked.target.headers, asked.body)
        part = cos_multipart.store_part(asked.bucket, upload, asked.query, asked.body, self._world.clock.now())
        return web.Response(headers={"ETag": part.etag})

    def _copy_part(self, asked: _Asked) -> web.Response:
        upload, source = upload_named(asked.bucket, asked.key, asked.query), self._source(asked)
        part = range_of(asked.target.headers.get(f"{_COPY_SOURCE}-range", ""), len(source.data))
        start, end = part or (0, len(source.data))
        data, now = source.data[start:end], self._world.clock.now()
        return _copied("CopyPartResult", cos_multipart.store_part(asked.bucket, upload, asked.query, data, now))

    def _list_parts(self, asked: _Asked) -> web.Response:
        upload = upload_named(asked.bucket, asked.key, asked.query)
        return cos_multipart.list_parts(asked.bucket, upload, asked.query)

    def _complete_upload(self, asked: _Asked) -> web.Response:
        upload = upload_named(asked.bucket, asked.key, asked.query)
        _check_overwrite(asked)
        return cos_multipart.complete(asked.bucket, upload, asked.body, self._world.clock.now())

    def _abort_upload(self, asked: _Asked) -> web.Response:
        asked.bucket.abort(upload_named(asked.bucket, asked.key, asked.query))
        return web.Response(status=204)


def action_of(target: RequestTarget) -> str:
    """Name the operation of a request, ``Unknown`` if the emulator does not have it."""
    asked = (target.method, " ".join(sorted(_SUB_RESOURCES.intersection(target.query))))
    action = (_BUCKET_ACTIONS if target.path == "/" else _OBJECT_ACTIONS).get(asked, "Unknown")
    return _COPIES.get(action, "Unknown") if _COPY_SOURCE in target.headers else action


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("x-cos-meta-")}


def _check_overwrite(asked: _Asked) -> None:
    """
    Refuse to replace an object where the request forbids it; a bucket that ever had versioning ignores that.

    :raises CosError: there is one.
    """
    forbidden = asked.target.headers.get(_FORBID_OVERWRITE, "").lower() == "true"
    if forbidden and asked.bucket.versioning is Versioning.NEVER and asked.bucket.holds(asked.key):
        raise CosError("FileAlreadyExists", "The file already exists.")


def _version(bucket: Bucket) -> dict[str, str]:
    return {"x-cos-version-id": request_id()} if bucket.versioning is Versioning.ENABLED else {}


def _head_bucket(asked: _Asked) -> web.Response:
    zones = {"x-cos-bucket-az-type": "MAZ"} if asked.bucket.many_zones else {}
    return web.Response(headers={"x-cos-bucket-region": asked.bucket.region, **zones})


def _existing(bucket: Bucket, key: str) -> StoredObject:
    try:
        return bucket.get(key)
    except NoSuchKey:
        raise CosError("NoSuchKey", "The specified key does not exist.") from None


def _copied(root: str, stored: StoredObject) -> web.Response:
    element = Element(root)
    fill(element, {"ETag": stored.etag, "LastModified": iso_time(stored.modified)})
    return xml_answer(element)
