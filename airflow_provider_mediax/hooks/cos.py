"""Objects in COS, through the official SDK (which is not used for jobs: it would resend paid submits)."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import importlib
import logging
import math
import os
import re
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Unavailable,
)
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID, MediaxConnection
from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

if TYPE_CHECKING:
    import requests

KEY_LIMIT = 850
"""Bytes of a key, as UTF-8."""

PART_SIZE = 16 * 1024 * 1024
"""Bytes of a part of a large file. A transfer holds at most one part per thread in memory."""

SMALLEST_PART = 1024 * 1024
"""Bytes that COS asks of every part but the last."""

MOST_PARTS = 10_000
"""Parts that one upload may have."""

COPY_LIMIT = 5 * 1024**3
"""Bytes; a larger object is copied in parts."""

COPY_PART_SIZE = 512 * 1024 * 1024
"""Bytes; the parts of a copy do not pass through this machine."""

THREADS = 4
"""Parts of one file that are on their way at once."""

RANGE_TRIES = 3
"""How often one part of a download is begun: the SDK repeats requests, but not a body that breaks off."""

PROGRESS_SECONDS = 10.0
"""How often a long transfer says how far it is."""

_CHUNK = 1024 * 1024
_DELETE_LIMIT = 1000
_WILDCARD = re.compile(r"[*?\[]")
_MD5 = re.compile(r"[0-9a-f]{32}")
_MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
# What a passing fault of the way or the server is called with a status below 500.
_PASSING = {"BadDigest", "IncompleteBody", "RequestTimeout", "SlowDown"}
_PASSING_STATUSES = (200, 408, 409, 412, 429)


class CosUnavailable(Unavailable):
    """COS could not do what was asked, and may be able to a little later."""

    next_attempt = "The next attempt of the task asks again."


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


class CosHook(BaseHook):
    """
    Reads and writes objects of one bucket; may be used by several threads at once.

    :param mediax_conn_id: connection of type ``mediax``. It is looked up again when COS refuses its keys, so that a
        transfer survives the end of a temporary key if the connection has a new one by then.
    :param bucket: bucket with its APPID, for example ``music-1250000000``; default: the connection's.
    :param region: for example ``ap-guangzhou``; default: the connection's.
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
        self._retries = 3
        self._may_look_up = True
        self._client: Any = None
        self._session: requests.Session | None = None
        self._settings: MediaxConnection | None = None
        self._lock = threading.RLock()

    @classmethod
    def opened(cls, connection: MediaxConnection, bucket: str | None = None, region: str | None = None) -> CosHook:
        """
        Return a hook for a connection that was looked up already, as a triggerer has to do it by itself.

        It repeats nothing: who polls has a budget of failures of its own.
        """
        hook = cls(connection.conn_id, bucket, region)
        hook._settings = connection
        hook._retries = 0
        hook._may_look_up = False
        return hook

    @property
    def bucket(self) -> str:
        """
        The bucket that is read and written.

        :raises BadRequest: neither the hook nor the connection names one.
        """
        return self._required("cos_bucket", self._bucket or self._connection().cos.bucket)

    @property
    def region(self) -> str:
        """
        The region that the bucket is in.

        :raises BadRequest: neither the hook nor the connection names one.
        """
        return self._required("cos_region", self._region or self._connection().cos.region)

    def read_bytes(self, key: str) -> bytes:
        """
        Read a whole object; what arrived is held against its checksum.

        :param key: the object's key in the bucket.
        :raises BadRequest: there is no such object or bucket.
        """
        answer = self._ask("read", key, "get_object", Key=_checked(key))
        with self._errors("read", key):
            data = bytes(answer["Body"].get_raw_stream().read())
        checksum = _Checksum(_described(key, answer))
        checksum.update(data)
        self._require(checksum.fits(), "read", key, "the content does not fit its checksum")
        return data

    def read_range(self, key: str, start: int, end: int, *, etag: str | None = None) -> bytes:
        """
        Read a part of an object.

        :param start: first byte.
        :param end: byte after the last; beyond the object's end is allowed.
        :param etag: the object's, so that a replacement in between is noticed.
        :raises BadRequest: there is no such object, or it is not longer than ``start``.
        :raises CosUnavailable: the object was replaced.
        """
        if end <= start:
            return b""
        return b"".join(self._range(key, start, end, etag))

    def write_bytes(self, key: str, data: bytes, *, content_type: str | None = None) -> None:
        """Write a whole object, replacing what is there; its MD5 is checked on arrival."""
        options = {"ContentType": content_type} if content_type else {}
        answer = self._ask("write", key, "put_object", Key=_checked(key), Body=data, EnableMD5=True, **options)
        _described(key, answer)

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object; a missing bucket counts as no."""
        return self._found(key) is not None

    def head(self, key: str) -> CosObject:
        """
        Return size, ETag, time and headers of an object.

        :raises BadRequest: there is no such object or bucket.
        """
        return _described(key, self._ask("look at", key, "head_object", Key=_checked(key)), with_size=True)

    def check_bucket(self) -> None:
        """
        Ask for the bucket itself, since a missing one and a missing object look alike.

        :raises BadRequest: there is no such bucket. Lacking the right to ask is no error.
        """
        with contextlib.suppress(AuthenticationFailed):
            self._ask("look at", "", "head_bucket")

    def iter_keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, page by page and in their order, however many there are."""
        return (found.key for found in self.iter_objects(prefix))

    def iter_objects(self, prefix: str = "") -> Iterator[CosObject]:
        """Yield the objects whose keys begin with ``prefix``, page by page and in their order."""
        for objects, _ in self._pages(prefix, ""):
            yield from objects

    def iter_folder(self, prefix: str = "") -> Iterator[CosObject | str]:
        """Yield what lies directly below a prefix: objects, and as text the prefixes of deeper levels."""
        for objects, prefixes in self._pages(prefix, "/"):
            yield from objects
            yield from prefixes

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether any key begins with ``prefix``."""
        objects, _ = next(self._pages(prefix, "", page=1), ([], []))
        return bool(objects)

    def find(self, key: str, *, wildcard: bool = False, min_size: int = 0) -> Iterator[CosObject]:
        """
        Yield the objects that a key or a pattern names.

        :param key: a key, or a pattern in which ``*`` (also across slashes), ``?`` and ``[...]`` stand for others.
        :param wildcard: whether it is a pattern.
        :param min_size: bytes; smaller objects are left out.
        """
        if wildcard:
            name = key.lstrip("/")
            prefix = _WILDCARD.split(name, maxsplit=1)[0]
            pattern = re.compile(fnmatch.translate(name))
            candidates: Iterable[CosObject | None] = (
                found for found in self.iter_objects(prefix) if pattern.match(found.key)
            )
        else:
            candidates = [self._found(key)]
        return (found for found in candidates if found is not None and found.size >= min_size)

    def copy(self, source: str, key: str, *, source_region: str | None = None) -> None:
        """
        Copy an object inside COS, replacing what is at ``key``.

        :param source: key in this bucket, or ``cos://bucket/key``.
        :param source_region: region of the source's bucket; default: this hook's.
        :raises BadRequest: there is no such object.
        :raises CosUnavailable: it failed, or the source was replaced meanwhile.
        """
        address = cos_address(source) or CosAddress(self.bucket, source)
        address = address._replace(key=_checked(address.key))
        name = _checked(key)
        if address == (self.bucket, name):
            return
        place = {"Bucket": address.bucket, "Key": address.key, "Region": source_region or self.region}
        origin = self._beside(address.bucket, source_region)
        found = origin.head(address.key)
        if found.size <= COPY_LIMIT:
            self._ask("copy to", key, "copy_object", Key=name, CopySource=place)
            return
        parts = _parts(found.size, COPY_PART_SIZE)
        with self._upload(key) as upload, _Progress(self.log, f"Copying {address}", found.size) as progress:
            _in_parallel(parts, lambda part: progress.add(upload.copy_part(part, place)))
            # Each part is asked for by itself; the same ETag before and after means that all are of one object.
            same = origin.head(address.key).etag == found.etag
            self._require(same, "copy to", name, f"{address} was replaced meanwhile")
            upload.complete()

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is no error."""
        self._ask("delete", key, "delete_object", Key=_checked(key))

    def delete_many(self, keys: Iterable[str]) -> None:
        """
        Delete objects, a thousand with one request; missing ones are no error.

        :raises CosUnavailable: COS kept some of them; it names the first.
        """
        left = iter(keys)
        while batch := [_checked(key) for key in islice(left, _DELETE_LIMIT)]:
            wanted = {"Quiet": "true", "Object": [{"Key": key} for key in batch]}
            answer = self._ask("delete", batch[0], "delete_objects", Delete=wanted)
            if set(answer) - {"Deleted", "Error", "DeleteResult"}:
                raise ProtocolError(
                    f"COS was asked to delete {len(batch)} objects, and the answer is of something else"
                )
            if refused := [entry for entry in answer.get("Error") or () if isinstance(entry, Mapping)]:
                what = f"COS kept {len(refused)} of {len(batch)} objects, the first is {refused[0].get('Key')!r}"
                raise CosUnavailable(what, code=str(refused[0].get("Code")))

    def upload_file(
        self, path: str | os.PathLike[str], key: str, *, part_size: int = PART_SIZE, content_type: str | None = None
    ) -> None:
        """
        Upload a file, replacing what is at ``key``: the object is there whole and checked, or not at all.

        A file larger than ``part_size`` goes in parts, each with its MD5, in an upload of its own: an unfinished one
        of another task is never joined, and if this one fails, its parts are removed.

        :param part_size: bytes, at least 1 MiB; raised if the file would have more than 10 000 parts.
        :raises OSError: the file cannot be read.
        :raises CosUnavailable: it failed, or the file changed meanwhile.
        """
        name = _checked(key)
        with Path(path).open("rb") as file:
            before = os.fstat(file.fileno())
            if stat.S_ISDIR(before.st_mode):
                raise IsADirectoryError(os.fspath(path))
            if before.st_size <= part_size:
                self.write_bytes(name, file.read(), content_type=content_type)
                return
            parts = _parts(before.st_size, max(part_size, SMALLEST_PART))
            what = f"Uploading {path} to cos://{self.bucket}/{name}"
            with self._upload(name, content_type) as upload, _Progress(self.log, what, before.st_size) as progress:

                def send(part: Part) -> None:
                    data = os.pread(file.fileno(), part.size, part.start)
                    self._require(len(data) == part.size, "write", name, f"{path} became shorter meanwhile")
                    upload.send_part(part.number, data)
                    progress.add(part.size)

                _in_parallel(parts, send)
                after = os.fstat(file.fileno())
                same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
                self._require(same, "write", name, f"{path} changed meanwhile")
                upload.complete()
        self._require(self.head(name).size == before.st_size, "write", name, "it has another size now than the file")

    def download_file(self, key: str, path: str | os.PathLike[str], *, part_size: int = PART_SIZE) -> None:
        """
        Download an object: the file is there whole and checked, or as it was before.

        It is written beside its target, held against size and checksum, and then renamed.

        :param path: the file to write; its folder must exist.
        :param part_size: bytes; a larger object is read in parts side by side.
        :raises BadRequest: there is no such object.
        :raises OSError: the file cannot be written.
        :raises CosUnavailable: it failed, or the object was replaced meanwhile.
        """
        target = Path(path)
        name = _checked(key)
        found = self.head(name)
        temporary = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            what = f"Downloading cos://{self.bucket}/{name} to {path}"
            with temporary.open("xb") as file, _Progress(self.log, what, found.size) as progress:

                def fetch(part: Part) -> None:
                    self._fetch(name, part, found.etag, file.fileno())
                    progress.add(part.size)

                _in_parallel(_parts(found.size, part_size), fetch)
            self._require(temporary.stat().st_size == found.size, "read", name, "it did not arrive whole")
            self._require(_fits(temporary, found), "read", name, "the content does not fit its checksum")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def start_upload(self, key: str, *, content_type: str | None = None) -> MultipartUpload:
        """Begin an upload in parts; whoever begins it completes or aborts it."""
        return MultipartUpload(self, _checked(key), content_type)

    def presigned_url(self, key: str, *, method: str = "GET", expires: int = 3600) -> str:
        """
        Return an address that works without keys for a while. Nothing is sent; its signature is masked in logs.

        Whoever has the address has the right that it gives: keep it out of XCom and logs.

        :param method: ``GET``, ``HEAD``, ``PUT`` or ``DELETE``.
        :param expires: seconds from now. A temporary key ends it earlier.
        :raises BadRequest: an argument is out of its range.
        """
        if method not in ("GET", "HEAD", "PUT", "DELETE"):
            raise BadRequest.field("method", method, "it must be GET, HEAD, PUT or DELETE.")
        if isinstance(expires, bool) or not isinstance(expires, int) or expires <= 0:
            raise BadRequest.field("expires", expires, "it must be a positive whole number of seconds.")
        name = _checked(key)
        client = self._cos()
        token = self._connection().cos.token
        parameters = {"x-cos-security-token": token} if token else {}
        url = str(
            client.get_presigned_url(
                Bucket=self.bucket, Key=name, Method=method, Expired=expires, Params=parameters, Headers={}
            )
        )
        # The signature alone makes the rest worthless; the token is known to the masker, but not as it stands here.
        mask_secret(url.partition("q-signature=")[2].partition("&")[0])
        if token:
            mask_secret(quote(token, safe=""))
        return url

    def close(self) -> None:
        """Close the session's connections."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = self._client = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave keys and connections out of pickles; whoever unpickles looks the connection up."""
        kept = ("mediax_conn_id", "_bucket", "_region", "_retries")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["mediax_conn_id"], state["_bucket"], state["_region"])  # type: ignore[misc]
        self._retries = state["_retries"]

    def _connection(self) -> MediaxConnection:
        if self._settings is None:
            self._settings = MediaxConnection.look_up(self.mediax_conn_id)
        return self._settings

    def _required(self, name: str, value: str | None) -> str:
        if not value:
            raise BadRequest.field(name, value, f"connection {self.mediax_conn_id} needs it to reach COS.")
        return value

    def _beside(self, bucket: str, region: str | None) -> CosHook:
        """Return a hook for another bucket of the same connection."""
        if bucket == self.bucket and region in (None, self.region):
            return self
        hook = CosHook(self.mediax_conn_id, bucket, region or self._region)
        hook._settings, hook._retries, hook._may_look_up = self._connection(), self._retries, self._may_look_up
        return hook

    def _cos(self) -> Any:
        """Return the SDK's client, made on first use: importing the SDK costs a third of a second."""
        with self._lock:
            if self._client is None:
                from qcloud_cos import CosConfig, CosS3Client

                from airflow_provider_mediax.client.session import new_session

                # At INFO it logs customers' keys and callback addresses, at ERROR every handled 404.
                logging.getLogger("qcloud_cos").setLevel(logging.CRITICAL)
                connection = self._connection()
                cos = connection.cos
                config = CosConfig(
                    Region=self.region,
                    SecretId=self._required("cos_secret_id", cos.secret_id),
                    SecretKey=self._required("cos_secret_key", cos.secret_key),
                    Token=cos.token,
                    Scheme="https",
                    Timeout=(connection.transport.connect_timeout, connection.transport.read_timeout),
                )
                # A session of our own: the SDK's is shared by every client of the process, cookies included.
                session = new_session(connection.transport, cos.endpoint)
                session.headers["Accept-Encoding"] = "identity"  # sizes and checksums are of what is stored
                session.hooks["response"].append(_refuse_redirect)
                self._session = session
                self._client = CosS3Client(config, retry=self._retries, session=session)
            return self._client

    def _renewed(self, refused: Any) -> bool:
        """Tell whether there is another client now than the one whose keys were refused."""
        with self._lock:
            if self._client is not refused:
                return True
            if not self._may_look_up:
                return False
            connection = MediaxConnection.look_up(self.mediax_conn_id)
            if connection == self._settings:
                return False
            self.log.info("Connection %s has changed; asking COS again with its new fields", self.mediax_conn_id)
            self._settings, self._client = connection, None
            return True

    def _ask(self, verb: str, key: str, method: str, **arguments: Any) -> Any:
        """
        Call a method of the SDK on the bucket.

        :param verb: what is wanted of the object, for errors.
        """
        from qcloud_cos import CosServiceError

        with self._errors(verb, key):
            client = self._cos()
            try:
                return getattr(client, method)(Bucket=self.bucket, **arguments)
            except CosServiceError as refusal:
                if refusal.get_status_code() not in (401, 403) or not self._renewed(client):
                    raise
            return getattr(self._cos(), method)(Bucket=self.bucket, **arguments)

    def _found(self, key: str) -> CosObject | None:
        try:
            return self.head(key)
        except BadRequest as error:
            if error.status != 404:
                raise
            return None

    def _pages(self, prefix: str, delimiter: str, page: int = 1000) -> Iterator[tuple[list[CosObject], list[str]]]:
        """Yield objects and common prefixes of one page after the other."""
        marker = ""
        wanted = {"Prefix": prefix, "Delimiter": delimiter, "MaxKeys": page}
        while True:
            answer = self._ask("list", prefix, "list_objects", **wanted, Marker=marker)
            with self._errors("list", prefix):
                more = (
                    answer["IsTruncated"] == "true"
                )  # not there: a page that is no listing, and looks like an empty one
                objects = [_listed(entry) for entry in answer.get("Contents") or ()]
                prefixes = [str(entry["Prefix"]) for entry in answer.get("CommonPrefixes") or ()]
            yield objects, prefixes
            if not more:
                return
            last = max((*(found.key for found in objects), *prefixes), key=str.encode, default="")
            following = str(answer.get("NextMarker") or last)
            if following.encode() <= marker.encode():  # a listing that stands still would never end
                raise ProtocolError(f"COS listed cos://{self.bucket}/{prefix} without coming to an end")
            marker = following

    def _range(self, key: str, start: int, end: int, etag: str | None) -> Iterator[bytes]:
        """Yield bytes ``start`` to ``end`` of an object in chunks; an error if they do not all arrive."""
        options = {"IfMatch": etag} if etag else {}
        answer = self._ask("read", key, "get_object", Key=_checked(key), Range=f"bytes={start}-{end - 1}", **options)
        place = re.match(r"bytes (\d+)-(\d+)/", str(answer.get("Content-Range")))
        if place is None or int(place[1]) != start or int(place[2]) >= end:
            raise ProtocolError(f"COS did not answer with the asked part of cos://{self.bucket}/{key}")
        left = int(place[2]) + 1 - start
        stream = answer["Body"].get_raw_stream()
        while left > 0:
            with self._errors("read", key):
                chunk = stream.read(min(_CHUNK, left))
            self._require(bool(chunk), "read", key, "the answer broke off")
            left -= len(chunk)
            yield chunk
        stream.release_conn()

    def _fetch(self, key: str, part: Part, etag: str, file: int) -> None:
        """Write one part of an object into an open file."""
        for attempt in range(1, RANGE_TRIES + 1):
            place = part.start
            try:
                for chunk in self._range(key, part.start, part.start + part.size, etag):
                    place += _write_at(file, chunk, place)
            except (Unavailable, ProtocolError) as error:
                if attempt == RANGE_TRIES or error.status is not None:
                    raise
                self.log.warning("Reading cos://%s/%s broke off, reading that part again", self.bucket, key)
            else:
                return

    @contextlib.contextmanager
    def _upload(self, key: str, content_type: str | None = None) -> Iterator[MultipartUpload]:
        """Begin an upload in parts and abort it if anything goes wrong, a kill of the task included."""
        upload = self.start_upload(key, content_type=content_type)
        try:
            yield upload
        except BaseException:
            upload.abort()
            raise

    def _require(self, condition: bool, verb: str, key: str, what: str) -> None:
        if not condition:
            raise CosUnavailable(f"Failed to {verb} cos://{self.bucket}/{key}: {what}")

    @contextlib.contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        """Turn the errors of SDK and transport into typed ones."""
        from qcloud_cos import CosClientError, CosServiceError
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except CosServiceError as error:
            raise _refusal(error, f"cos://{self.bucket}/{key}", verb) from None
        except (CosClientError, HTTPError, RequestException) as error:
            # The SDK keeps the cause as context only, and puts the address with its query into the text.
            cause = error.__context__ or error
            what = f"COS could not be asked to {verb} cos://{self.bucket}/{key}: {type(cause).__name__}"
            raise (ProtocolError if isinstance(cause, Redirected) else CosUnavailable)(what) from None
        except (SyntaxError, KeyError, TypeError, ValueError, AttributeError) as error:
            # What the SDK lets out when the body is not the XML that it expects.
            what = f"COS was asked to {verb} cos://{self.bucket}/{key}, and the answer cannot be read"
            raise ProtocolError(f"{what}: {type(error).__name__}") from None


class Redirected(Exception):
    """COS does not redirect, a proxy in its place may; the SDK would take that for success."""


class MultipartUpload:
    """
    An upload in parts. Parts may be sent by several threads, in any order.

    Nothing can be seen under the key before :meth:`complete`; unfinished uploads cost storage until they are aborted.
    """

    def __init__(self, hook: CosHook, key: str, content_type: str | None = None) -> None:
        self._hook = hook
        self._key = key
        # Tells this upload's object from one that somebody else wrote, should the answer to the last call be lost.
        self._mark = uuid.uuid4().hex
        options: dict[str, Any] = {"Metadata": {_UPLOAD_MARK: self._mark}}
        if content_type:
            options["ContentType"] = content_type
        answer = hook._ask("write", key, "create_multipart_upload", Key=key, **options)
        with hook._errors("write", key):
            self._id = str(answer["UploadId"])
        self._etags: dict[int, str] = {}

    def send_part(self, number: int, data: bytes) -> None:
        """
        Send a part; its MD5 is checked on arrival.

        :param number: from 1 to 10 000.
        """
        answer = self._do("upload_part", PartNumber=number, Body=data, EnableMD5=True)
        self._etags[number] = _described(self._key, answer).etag

    def copy_part(self, part: Part, source: Mapping[str, str]) -> int:
        """Let COS copy a part from another object, and return its size."""
        span = f"bytes={part.start}-{part.start + part.size - 1}"
        answer = self._do("upload_part_copy", PartNumber=part.number, CopySource=dict(source), CopySourceRange=span)
        self._etags[part.number] = _described(self._key, answer).etag
        return part.size

    def complete(self) -> None:
        """Make the object out of the parts."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())]
        try:
            self._do("complete_multipart_upload", MultipartUpload={"Part": parts})
        except BadRequest as error:
            # The SDK repeats the call when its answer was lost; the second one finds the upload gone.
            if error.code != "NoSuchUpload" or not self._is_there():
                raise

    def abort(self) -> None:
        """Remove the parts. That this fails is logged, since what went wrong before matters more."""
        try:
            self._do("abort_multipart_upload")
        except MediaxError as error:
            if error.code != "NoSuchUpload":
                self._hook.log.warning("Parts of an upload to %s were left behind: %s", self._key, error.what)

    def _do(self, method: str, **arguments: Any) -> Any:
        return self._hook._ask("write", self._key, method, Key=self._key, UploadId=self._id, **arguments)

    def _is_there(self) -> bool:
        found = self._hook._found(self._key)
        return found is not None and found.headers.get(_UPLOAD_MARK) == self._mark


_UPLOAD_MARK = "x-cos-meta-mediax-upload"


class Part(NamedTuple):
    """A part of a file; numbers begin with 1."""

    number: int
    start: int
    size: int


def _parts(size: int, part_size: int) -> Sequence[Part]:
    """Cut a file into parts, larger ones if there would be too many."""
    step = max(part_size, math.ceil(size / MOST_PARTS))
    starts = range(0, size, step)
    return [Part(number, start, min(step, size - start)) for number, start in enumerate(starts, 1)]


def _in_parallel(parts: Sequence[Part], work: Callable[[Part], object]) -> None:
    """Do the work on every part, a few at once; after the first failure no further part is begun."""
    if len(parts) <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(min(THREADS, len(parts)), thread_name_prefix="cos") as pool:
        try:
            for done in as_completed([pool.submit(work, part) for part in parts]):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Progress:
    """Says in the log now and then how far a transfer is; used by several threads."""

    def __init__(self, log: Any, what: str, total: int) -> None:
        self._log = log
        self._what = what
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def __enter__(self) -> _Progress:
        self._started = self._told = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            seconds = time.monotonic() - self._started
            self._log.info("%s: done, %s in %.1f s", self._what, _amount(self._total), seconds)

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            now = time.monotonic()
            if now - self._told < PROGRESS_SECONDS or self._done >= self._total:
                return
            self._told = now
            speed = _amount(self._done / (now - self._started))
            share = 100 * self._done // self._total
        self._log.info(
            "%s: %s of %s (%d %%), %s/s", self._what, _amount(self._done), _amount(self._total), share, speed
        )


def _amount(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.{0 if unit == 'B' else 1}f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


class _Checksum:
    """Holds content against what COS says of it: its MD5 if the ETag is one, else its CRC-64."""

    def __init__(self, expected: CosObject) -> None:
        headers = expected.headers
        plain = _MD5.fullmatch(expected.etag.strip('"'))
        # With keys of a customer's own or of the key service, the ETag is not of the content.
        encrypted = headers.get("x-cos-server-side-encryption", "AES256") != "AES256" or any(
            name.startswith("x-cos-server-side-encryption-customer") for name in headers
        )
        self._digest: Any = None
        self._expected: str | int = ""
        if plain and not encrypted:
            self._digest, self._expected = hashlib.md5(usedforsecurity=False), plain[0]
        elif (crc := headers.get("x-cos-hash-crc64ecma", "")).isdecimal() and _crc_is_fast():
            self._digest, self._expected = _crc64(), int(crc)

    def update(self, data: bytes) -> None:
        if self._digest is not None:
            self._digest.update(data)

    def fits(self) -> bool:
        if self._digest is None:
            return True
        found = self._digest.hexdigest() if isinstance(self._expected, str) else self._digest.crcValue
        return bool(found == self._expected)


def _fits(file: Path, expected: CosObject) -> bool:
    checksum = _Checksum(expected)
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            checksum.update(chunk)
    return checksum.fits()


def _crc64() -> Any:
    """Return a CRC-64 (ECMA-182) as COS computes it; the library is the SDK's own."""
    crcmod = importlib.import_module("crcmod")
    return crcmod.Crc(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


def _crc_is_fast() -> bool:
    """Tell whether the library was built with its C part: without it, a gigabyte would take many minutes."""
    return bool(getattr(importlib.import_module("crcmod.crcmod"), "_usingExtension", False))


def _write_at(file: int, data: bytes, place: int) -> int:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, place)
        view, place = view[written:], place + written
    return len(data)


def _described(key: str, answer: Mapping[str, Any], *, with_size: bool = False) -> CosObject:
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
    return CosObject(_name(key), int(size) if size.isdecimal() else 0, etag, modified, headers)


def _listed(entry: Mapping[str, str]) -> CosObject:
    modified = datetime.fromisoformat(entry["LastModified"])
    return CosObject(str(entry["Key"]), int(entry["Size"]), str(entry["ETag"]), modified)


def _refuse_redirect(response: requests.Response, *_: Any, **__: Any) -> None:
    if response.is_redirect:
        raise Redirected


def _refusal(error: Any, address: str, verb: str) -> MediaxError:
    """Turn an answer of COS into a typed error."""
    facts: dict[str, Any] = {"status": int(error.get_status_code()), "code": str(error.get_error_code())}
    with contextlib.suppress(KeyError):
        facts["request_id"] = str(error.get_request_id())
    refused = f"COS refused to {verb} {address}"
    if facts["status"] in (401, 403):
        advice = "Check cos_secret_id, cos_secret_key, cos_token and the rights of their user on the bucket."
        return AuthenticationFailed(refused, advice=advice, **facts)
    if facts["status"] == 404:
        return BadRequest(f"There is no {address}", **facts)
    if facts["status"] == 412:
        return CosUnavailable(f"{refused}: the object was replaced meanwhile", **facts)
    passing = (
        (facts["status"] >= 500 and facts["status"] != 501)
        or facts["status"] in _PASSING_STATUSES
        or facts["code"] in _PASSING
    )
    return (CosUnavailable if passing else BadRequest)(refused, **facts)


def _name(key: str) -> str:
    return key.lstrip("/")


def _checked(key: str) -> str:
    """
    Return the key as it is stored, without the slash that paths of the platform begin with.

    :raises BadRequest: such a key would address the bucket or another object, or is too long.
    """
    name = _name(key)
    # Of a dot at the end the HTTP library would make the folder above; inside a key the SDK protects it.
    if not name or name.rpartition("/")[2] in (".", ".."):
        raise BadRequest.field("key", key, "it must name an object.")
    if len(name.encode()) > KEY_LIMIT:
        raise BadRequest.field("key", key, f"it must have at most {KEY_LIMIT} bytes.")
    return name
