"""Objects in COS, through the official SDK (which is not used for jobs: it would resend paid submits)."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_mediax.client.retry import ONE_TRY, Patience
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    NotFound,
    ProtocolError,
    Unavailable,
)
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID, MediaxConnection
from airflow_provider_mediax.hooks.cos_client import CosAnswer, CosClient
from airflow_provider_mediax.hooks.cos_files import (
    COPY_PART_SIZE,
    PART_SIZE,
    SMALLEST_PART,
    Checksum,
    MultipartUpload,
    Part,
    Progress,
    copy_source,
    fits_checksum,
    in_parallel,
    parts_of,
    write_at,
)
from airflow_provider_mediax.hooks.cos_lineage import note_read, note_written
from airflow_provider_mediax.hooks.cos_objects import CosObject, described, listed
from airflow_provider_mediax.protocol.cos_answers import Target
from airflow_provider_mediax.protocol.cos_objects import FORBID_OVERWRITE, THERE_ALREADY, VERSION_ID
from airflow_provider_mediax.protocol.cos_signature import presigned_query
from airflow_provider_mediax.protocol.exchange import Reply
from airflow_provider_mediax.protocol.names import check, object_key, own_address
from airflow_provider_mediax.protocol.urls import CosAddress, object_url

COPY_LIMIT = 5 * 1024**3
"""Bytes; a larger object is copied in parts."""

_DELETE_LIMIT = 1000
_WILDCARD = re.compile(r"[*?\[]")


class CosHook(BaseHook):
    """
    Reads and writes objects; may be used by several threads at once.

    Wherever a method takes a key, it also takes ``cos://[conn_id@]bucket/key`` or an ``ObjectStoragePath``: that bucket
    wins over the hook's, and ``conn_id`` can only be the hook's own.

    :param mediax_conn_id: connection of type ``mediax``. It is looked up again when COS refuses its keys, so that a
        transfer survives the end of a temporary key if the connection has a new one by then.
    :param bucket: bucket with its APPID, for example ``music-1250000000``; default: the connection's.
    :param region: of the bucket, or of every bucket that an address names if ``bucket`` is absent, for example
        ``ap-guangzhou``; default: what the connection's ``bucket_regions`` says of a bucket, else its ``cos_region``.
    """

    conn_name_attr = "mediax_conn_id"
    default_conn_name = DEFAULT_CONN_ID

    def __init__(
        self, mediax_conn_id: str = DEFAULT_CONN_ID, bucket: str | None = None, region: str | None = None
    ) -> None:
        super().__init__()
        self.mediax_conn_id = mediax_conn_id
        self._bucket = bucket
        self._region = region
        self._client = CosClient(mediax_conn_id)

    @classmethod
    def opened(
        cls,
        connection: MediaxConnection,
        bucket: str | None = None,
        region: str | None = None,
        *,
        patience: Patience = ONE_TRY,
    ) -> CosHook:
        """
        Return a hook for a connection that was looked up already, as a triggerer has to do it by itself.

        :param patience: by default a request is not repeated, because a poll has a budget of failures of its own.
        """
        hook = cls(connection.conn_id, bucket, region)
        hook._client = CosClient(connection.conn_id, connection, patience)
        return hook

    @property
    def bucket(self) -> str:
        """
        The bucket of keys that are no address.

        :raises BadRequest: neither the hook nor the connection names one, or it is no bucket's name.
        """
        if self._bucket:
            return self._named("bucket", self._bucket)
        return self._named("cos_bucket", self._client.connection.cos.bucket)

    @property
    def region(self) -> str:
        """
        The region that the bucket is in.

        :raises BadRequest: neither the hook nor the connection names one, or it is no region's name.
        """
        return self._region_of(self.bucket)

    def read_bytes(self, key: str) -> bytes:
        """
        Read a whole object; what arrived is held against its checksum.

        :param key: the object's key in the bucket.
        :raises NotFound: there is no such object or bucket.
        """
        target = self._object(key)

        def fault(reply: Reply) -> str | None:
            checksum = Checksum(described(target.key, reply.headers))
            checksum.update(reply.body)
            return None if checksum.fits() else "the content does not fit its checksum"

        data = self._client.ask("read", target, "get_object", fault, Key=target.key).body
        note_read(self, target)
        return data

    def read_range(self, key: str, start: int, end: int, *, etag: str | None = None) -> bytes:
        """
        Read a part of an object.

        :param start: first byte.
        :param end: byte after the last; beyond the object's end is allowed.
        :param etag: the object's, so that a replacement in between is noticed.
        :raises BadRequest: there is no such object, or it is not longer than ``start``.
        :raises Unavailable: the object was replaced.
        """
        if end <= start:
            return b""
        target = self._object(key)

        def fault(reply: Reply) -> str | None:
            """Notice a part that is shorter than it says; one that was not asked for is no passing fault."""
            came = _range(reply)
            return None if came is None or came[1] + 1 - came[0] == len(reply.body) else "the part is not whole"

        asked: dict[str, Any] = {"Range": f"bytes={start}-{end - 1}", **({"IfMatch": etag} if etag else {})}
        answer = self._client.ask("read", target, "get_object", fault, Key=target.key, **asked)
        came = _range(answer)
        if came is None or came[0] != start or came[1] >= end:
            raise ProtocolError(f"COS did not answer with the asked part of {target}")
        return answer.body

    def write_bytes(self, key: str, data: bytes, *, content_type: str | None = None) -> None:
        """Write a whole object, replacing what is there; its MD5 is checked on arrival."""
        target = self._object(key)
        options: dict[str, Any] = {"ContentType": content_type} if content_type else {}
        answer = self._client.ask("write", target, "put_object", Key=target.key, Body=data, EnableMD5=True, **options)
        described(target.key, answer.headers)
        note_written(self, target)

    def create_bytes(self, key: str, data: bytes) -> bool:
        """
        Write a whole object unless there is one under the key; tell whether it was written.

        In a bucket with versioning COS replaces what is there, so this is refused there.

        :return: False also if the answer to a first, successful request was lost; then the content is this one.
        :raises BadRequest: the bucket has or had versioning; the object is written.
        """
        target = self._object(key)
        headers = {FORBID_OVERWRITE: "true"}
        try:
            answer = self._client.ask(
                "write", target, "put_object", Key=target.key, Body=data, EnableMD5=True, Metadata=headers
            )
        except MediaxError as error:
            if error.code == THERE_ALREADY:
                return False
            raise
        if answer.headers.get(VERSION_ID):
            raise BadRequest(
                f"{target.bucket} keeps versions of its objects, so nothing in it can be created only once",
                advice="Use a bucket that never had versioning.",
            )
        described(target.key, answer.headers)
        return True

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object; a missing bucket counts as no."""
        return self._found(self._object(key)) is not None

    def head(self, key: str) -> CosObject:
        """
        Return size, ETag, time and headers of an object.

        :raises NotFound: there is no such object or bucket.
        """
        return self._head(self._object(key))

    def check_bucket(self, bucket: str | None = None) -> None:
        """
        Ask for a bucket itself, since a missing one and a missing object look alike.

        :param bucket: default: the hook's.
        :raises NotFound: there is no such bucket. Lacking the right to ask is no error.
        """
        with contextlib.suppress(AuthenticationFailed):
            self.head_bucket(bucket)

    def head_bucket(self, bucket: str | None = None) -> None:
        """
        Ask for a bucket itself.

        :param bucket: default: the hook's.
        :raises NotFound: there is no such bucket.
        :raises AuthenticationFailed: the keys are refused, or lack the right ``HeadBucket``.
        :raises ProtocolError: something other than COS answered.
        """
        name = self._named("bucket", bucket) if bucket else self.bucket
        self._client.ask("look at", Target(name, self._region_of(name)), "head_bucket")

    def iter_keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, page by page and in their order, however many there are."""
        return (found.key for found in self.iter_objects(prefix))

    def iter_objects(self, prefix: str = "") -> Iterator[CosObject]:
        """Yield the objects whose keys begin with ``prefix``, page by page and in their order."""
        pages = self._pages(self._below(prefix), "")
        return (found for objects, _ in pages for found in objects)

    def iter_folder(self, prefix: str = "") -> Iterator[CosObject | str]:
        """Yield what lies directly below a prefix: objects, and as text the prefixes of deeper levels."""
        pages = self._pages(self._below(prefix), "/")
        return (found for page in pages for kind in page for found in kind)

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether any key begins with ``prefix``."""
        objects, _ = next(self._pages(self._below(prefix), "", page=1), ([], []))
        return bool(objects)

    def find(self, key: str, *, wildcard: bool = False, min_size: int = 0) -> Iterator[CosObject]:
        """
        Yield the objects that a key or a pattern names.

        :param key: a key, or a pattern in which ``*`` (also across slashes), ``?`` and ``[...]`` stand for others.
        :param wildcard: whether it is a pattern.
        :param min_size: bytes; smaller objects are left out.
        """
        candidates: Iterable[CosObject | None]
        if wildcard:
            below = self._below(key)
            name = below.key.lstrip("/")
            pattern = re.compile(fnmatch.translate(name))
            pages = self._pages(below._replace(key=_WILDCARD.split(name, maxsplit=1)[0]), "")
            candidates = (found for objects, _ in pages for found in objects if pattern.match(found.key))
        else:
            candidates = [self._found(self._object(key))]
        return (found for found in candidates if found is not None and found.size >= min_size)

    def copy(self, source: str, key: str, *, source_region: str | None = None) -> None:
        """
        Copy an object inside COS, replacing what is at ``key``.

        :param source: key in this bucket, or an address.
        :param source_region: region of the source's bucket; default: as for every other bucket.
        :raises NotFound: there is no such object.
        :raises Unavailable: it failed, or the source was replaced meanwhile.
        """
        origin, target = self._object(source), self._object(key)
        if source_region:
            origin = origin._replace(region=self._named("source_region", source_region, "region"))
        if (origin.bucket, origin.key) == (target.bucket, target.key):
            return
        found = self._head(origin)
        if found.size <= COPY_LIMIT:
            self._client.ask("copy to", target, "copy_object", Key=target.key, CopySource=copy_source(origin))
        else:
            self._copy_in_parts(origin, target, found)
        note_read(self, origin)
        note_written(self, target)

    def _copy_in_parts(self, origin: Target, target: Target, found: CosObject) -> None:
        parts = parts_of(found.size, COPY_PART_SIZE)
        with self._upload(target) as upload, Progress(self.log, f"Copying {origin}", found.size) as progress:
            in_parallel(parts, lambda part: progress.add(upload.copy_part(part, origin)))
            # Each part is asked for by itself; the same ETag before and after means that all are of one object.
            same = self._head(origin).etag == found.etag
            _require(same, "copy to", target, f"{origin} was replaced meanwhile")
            upload.complete()

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is no error."""
        target = self._object(key)
        self._client.ask("delete", target, "delete_object", Key=target.key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """
        Delete objects, a thousand with one request; missing ones are no error.

        :raises Unavailable: COS kept some of them; it names the first.
        """
        here = Target(self.bucket, self.region)
        left = iter(keys)
        while batch := [self._key_in(here, key) for key in islice(left, _DELETE_LIMIT)]:
            wanted = {"Quiet": "true", "Object": [{"Key": key} for key in batch]}
            answer = self._client.ask("delete", here._replace(key=batch[0]), "delete_objects", Delete=wanted).said
            if set(answer) - {"Deleted", "Error", "DeleteResult"}:
                raise ProtocolError(
                    f"COS was asked to delete {len(batch)} objects, and the answer is of something else"
                )
            if refused := [entry for entry in answer.get("Error") or () if isinstance(entry, Mapping)]:
                what = f"COS kept {len(refused)} of {len(batch)} objects, the first is {refused[0].get('Key')!r}"
                raise Unavailable(what, code=str(refused[0].get("Code")))

    def upload_file(
        self, path: str | os.PathLike[str], key: str, *, part_size: int = PART_SIZE, content_type: str | None = None
    ) -> None:
        """
        Upload a file, replacing what is at ``key``: the object is there whole and checked, or not at all.

        A file larger than ``part_size`` goes in parts, each with its MD5, in an upload of its own: an unfinished one
        of another task is never joined, and if this one fails, its parts are removed.

        :param part_size: bytes, at least 1 MiB; raised if the file would have more than 10 000 parts.
        :raises OSError: the file cannot be read.
        :raises Unavailable: it failed, or the file changed meanwhile.
        """
        target = self._object(key)
        with Path(path).open("rb") as file:
            before = os.fstat(file.fileno())
            if stat.S_ISDIR(before.st_mode):
                raise IsADirectoryError(os.fspath(path))
            if before.st_size <= part_size:
                self.write_bytes(key, file.read(), content_type=content_type)
                return
            parts = parts_of(before.st_size, max(part_size, SMALLEST_PART))
            what = f"Uploading {path} to {target}"
            with self._upload(target, content_type) as upload, Progress(self.log, what, before.st_size) as progress:

                def send(part: Part) -> None:
                    data = os.pread(file.fileno(), part.size, part.start)
                    _require(len(data) == part.size, "write", target, f"{path} became shorter meanwhile")
                    upload.send_part(part.number, data)
                    progress.add(part.size)

                in_parallel(parts, send)
                after = os.fstat(file.fileno())
                same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
                _require(same, "write", target, f"{path} changed meanwhile")
                upload.complete()
        same = self._head(target).size == before.st_size
        _require(same, "write", target, "it has another size now than the file")
        note_written(self, target)

    def download_file(self, key: str, path: str | os.PathLike[str], *, part_size: int = PART_SIZE) -> None:
        """
        Download an object: the file is there whole and checked, or as it was before.

        It is written beside its target, held against size and checksum, and then renamed.

        :param path: the file to write; its folder must exist.
        :param part_size: bytes; a larger object is read in parts side by side.
        :raises NotFound: there is no such object.
        :raises OSError: the file cannot be written.
        :raises Unavailable: it failed, or the object was replaced meanwhile.
        """
        file_path = Path(path)
        source = self._object(key)
        found = self.head(key)
        temporary = file_path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            what = f"Downloading {source} to {path}"
            with temporary.open("xb") as file, Progress(self.log, what, found.size) as progress:

                def fetch(part: Part) -> None:
                    data = self.read_range(key, part.start, part.start + part.size, etag=found.etag)
                    write_at(file.fileno(), data, part.start)
                    progress.add(part.size)

                in_parallel(parts_of(found.size, part_size), fetch)
            _require(temporary.stat().st_size == found.size, "read", source, "it did not arrive whole")
            _require(fits_checksum(temporary, found), "read", source, "the content does not fit its checksum")
            temporary.replace(file_path)
            note_read(self, source)
        finally:
            temporary.unlink(missing_ok=True)

    def start_upload(self, key: str, *, content_type: str | None = None) -> MultipartUpload:
        """Begin an upload in parts, which the caller completes or aborts."""
        return MultipartUpload(self._client, self._object(key), content_type)

    def presigned_url(self, key: str, *, method: str = "GET", expires: int = 3600) -> str:
        """
        Return an address that works without keys for a while. Nothing is sent; its signature is masked in logs.

        Everybody who has the address has the right that it gives: keep it out of XCom and logs.

        :param method: ``GET``, ``HEAD``, ``PUT`` or ``DELETE``.
        :param expires: seconds from now. A temporary key ends it earlier.
        :raises BadRequest: an argument is out of its range.
        """
        if method not in ("GET", "HEAD", "PUT", "DELETE"):
            raise BadRequest.field("method", method, "it must be GET, HEAD, PUT or DELETE.")
        if isinstance(expires, bool) or not isinstance(expires, int) or expires <= 0:
            raise BadRequest.field("expires", expires, "it must be a positive whole number of seconds.")
        target = self._object(key)
        keys = self._client.connection.cos_keys()
        headers = {"host": target.host}
        now = self._client.now()
        query = presigned_query(keys, method, f"/{target.key}", headers=headers, now=now, ahead=expires)
        # The signature alone makes the rest worthless; the token is known to the masker, but not as it stands here.
        mask_secret(query.partition("q-signature=")[2].partition("&")[0])
        if keys.token:
            mask_secret(quote(keys.token, safe=""))
        return object_url(CosAddress(target.bucket, target.key), target.region, query)

    def close(self) -> None:
        """Close the session's connections."""
        self._client.close()

    def __getstate__(self) -> dict[str, Any]:
        """Leave keys and connections out of pickles; a hook that is unpickled looks its connection up."""
        return {
            "mediax_conn_id": self.mediax_conn_id,
            "bucket": self._bucket,
            "region": self._region,
            "patience": self._client.patience,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["mediax_conn_id"], state["bucket"], state["region"])  # type: ignore[misc]
        self._client.patience = state["patience"]

    def _named(self, name: str, value: str | None, field: str | None = None) -> str:
        if not value:
            raise BadRequest.field(name, value, f"connection {self.mediax_conn_id} needs it to reach COS.")
        check(name, value, field)
        return value

    def _region_of(self, bucket: str) -> str:
        cos = self._client.connection.cos
        if self._region and bucket == (self._bucket or bucket):
            return self._named("region", self._region)
        return self._named("cos_region", cos.region_of(bucket))

    def _below(self, key: object) -> Target:
        """Return what a key, a prefix, a pattern or an address is about; a key is taken as it stands."""
        text = str(key)
        address = own_address("key", text, self.mediax_conn_id)
        bucket = address.bucket if address else self.bucket
        return Target(bucket, self._region_of(bucket), address.key if address else text)

    def _object(self, key: object) -> Target:
        """
        Return the object that a key or an address is about.

        :raises BadRequest: the address names another connection, or it is no object.
        """
        below = self._below(key)
        return below._replace(key=object_key(below.key))

    def _key_in(self, here: Target, key: object) -> str:
        """Return the key of what must lie in this very bucket."""
        target = self._object(key)
        if target.bucket != here.bucket:
            raise BadRequest.field("key", str(key), f"all of them must lie in {here.bucket}.")
        return target.key

    def _head(self, target: Target) -> CosObject:
        answer = self._client.ask("look at", target, "head_object", Key=target.key)
        return described(target.key, answer.headers, with_size=True)

    def _found(self, target: Target) -> CosObject | None:
        try:
            return self._head(target)
        except NotFound:
            return None

    def _pages(self, below: Target, delimiter: str, page: int = 1000) -> Iterator[tuple[list[CosObject], list[str]]]:
        """Yield objects and common prefixes of one page after the other."""
        marker = ""
        wanted: dict[str, Any] = {"Prefix": below.key, "Delimiter": delimiter, "MaxKeys": page}
        while True:
            answer = self._client.ask("list", below, "list_objects", **wanted, Marker=marker).said
            try:
                more = answer["IsTruncated"] == "true"
                objects = [listed(entry) for entry in answer.get("Contents") or ()]
                prefixes = [str(entry["Prefix"]) for entry in answer.get("CommonPrefixes") or ()]
            except (KeyError, TypeError, ValueError) as error:  # a page that is no listing looks like an empty one
                what = f"COS was asked to list {below}, and the answer cannot be read: {type(error).__name__}"
                raise ProtocolError(what) from None
            yield objects, prefixes
            if not more:
                return
            last = max((*(found.key for found in objects), *prefixes), key=str.encode, default="")
            following = str(answer.get("NextMarker") or last)
            if following.encode() <= marker.encode():  # a listing that stands still would never end
                raise ProtocolError(f"COS listed {below} without coming to an end")
            marker = following

    @contextlib.contextmanager
    def _upload(self, target: Target, content_type: str | None = None) -> Iterator[MultipartUpload]:
        """Begin an upload in parts and abort it if anything goes wrong, a kill of the task included."""
        upload = MultipartUpload(self._client, target, content_type)
        try:
            yield upload
        except BaseException:
            upload.abort()
            raise


def _range(answer: Reply | CosAnswer) -> tuple[int, int] | None:
    """Return first and last byte of the part that an answer says it holds, None if it holds no part."""
    place = re.match(r"bytes (\d+)-(\d+)/", answer.headers.get("content-range", ""))
    return (int(place[1]), int(place[2])) if place else None


def _require(condition: bool, verb: str, target: Target, what: str) -> None:
    if not condition:
        raise Unavailable(f"Failed to {verb} {target}: {what}")
