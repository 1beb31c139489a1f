"""Objects in COS, through the official SDK (which is not used for jobs: it would resend paid submits)."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import inspect
import logging
import os
import re
import stat
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    ProtocolError,
    Unavailable,
)
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID, MediaxConnection
from airflow_provider_mediax.hooks.cos_files import (
    CHUNK,
    COPY_PART_SIZE,
    PART_SIZE,
    SMALLEST_PART,
    Checksum,
    MultipartUpload,
    Part,
    Progress,
    fits_checksum,
    in_parallel,
    parts_of,
    write_at,
)
from airflow_provider_mediax.hooks.cos_objects import (
    CosObject,
    CosUnavailable,
    Redirected,
    checked_key,
    described,
    listed,
    refusal,
    refuse_redirect,
)
from airflow_provider_mediax.protocol.names import own_address
from airflow_provider_mediax.protocol.urls import CosAddress

if TYPE_CHECKING:
    import requests

COPY_LIMIT = 5 * 1024**3
"""Bytes; a larger object is copied in parts."""

RANGE_TRIES = 3
"""How often one part of a download is begun: the SDK repeats requests, but not a body that breaks off."""

_DELETE_LIMIT = 1000
_WILDCARD = re.compile(r"[*?\[]")


P = ParamSpec("P")
R = TypeVar("R")


def takes_addresses(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method's key or prefix be an address too: the method runs on that bucket's hook, with the key alone."""
    signature = inspect.signature(method)
    name = "key" if "key" in signature.parameters else "prefix"

    @functools.wraps(method)
    def with_address(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        hook = cast(CosHook, bound.arguments["self"])
        bound.arguments["self"], bound.arguments[name] = hook.place(bound.arguments[name])
        return method(*bound.args, **bound.kwargs)

    return with_address


class CosHook(BaseHook):
    """
    Reads and writes objects of one bucket; may be used by several threads at once.

    Wherever a method takes a key, it also takes ``cos://[conn_id@]bucket/key`` or an ``ObjectStoragePath``: that bucket
    wins over the hook's, and ``conn_id`` can only be the hook's own.

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
        self._others: dict[tuple[str, str | None], CosHook] = {}
        self._lock = threading.RLock()

    @classmethod
    def opened(
        cls,
        connection: MediaxConnection,
        bucket: str | None = None,
        region: str | None = None,
        *,
        retries: int = 0,
    ) -> CosHook:
        """
        Return a hook for a connection that was looked up already, as a triggerer has to do it by itself.

        :param retries: how often it repeats a request; not at all for who polls, with a budget of failures of its own.
        """
        hook = cls(connection.conn_id, bucket, region)
        hook._settings = connection
        hook._retries = retries
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

    def place(self, key: object) -> tuple[CosHook, str]:
        """
        Return the hook of the bucket that a key or an address is about, and the key in it.

        :raises BadRequest: the address names another connection, or no object.
        """
        text = str(key)
        address = own_address("key", text, self.mediax_conn_id)
        return (self._beside(address.bucket, None), address.key) if address else (self, text)

    @takes_addresses
    def read_bytes(self, key: str) -> bytes:
        """
        Read a whole object; what arrived is held against its checksum.

        :param key: the object's key in the bucket.
        :raises BadRequest: there is no such object or bucket.
        """
        answer = self._ask("read", key, "get_object", Key=checked_key(key))
        with self._errors("read", key):
            data = bytes(answer["Body"].get_raw_stream().read())
        checksum = Checksum(described(key, answer))
        checksum.update(data)
        self._require(checksum.fits(), "read", key, "the content does not fit its checksum")
        return data

    @takes_addresses
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

    @takes_addresses
    def write_bytes(self, key: str, data: bytes, *, content_type: str | None = None) -> None:
        """Write a whole object, replacing what is there; its MD5 is checked on arrival."""
        options = {"ContentType": content_type} if content_type else {}
        answer = self._ask("write", key, "put_object", Key=checked_key(key), Body=data, EnableMD5=True, **options)
        described(key, answer)

    @takes_addresses
    def exists(self, key: str) -> bool:
        """Tell whether there is such an object; a missing bucket counts as no."""
        return self._found(key) is not None

    @takes_addresses
    def head(self, key: str) -> CosObject:
        """
        Return size, ETag, time and headers of an object.

        :raises BadRequest: there is no such object or bucket.
        """
        return described(key, self._ask("look at", key, "head_object", Key=checked_key(key)), with_size=True)

    def check_bucket(self) -> None:
        """
        Ask for the bucket itself, since a missing one and a missing object look alike.

        :raises BadRequest: there is no such bucket. Lacking the right to ask is no error.
        """
        with contextlib.suppress(AuthenticationFailed):
            self.head_bucket()

    def head_bucket(self) -> None:
        """
        Ask for the bucket itself.

        :raises BadRequest: there is no such bucket.
        :raises AuthenticationFailed: the keys are refused, or lack the right ``HeadBucket``.
        :raises ProtocolError: somebody else answered.
        """
        answer = self._ask("look at", "", "head_bucket")
        if "x-cos-request-id" not in {str(name).lower() for name in answer or ()}:
            what = f"The answer about cos://{self.bucket}/ lacks what COS always says; a proxy may have given it"
            raise ProtocolError(what)

    @takes_addresses
    def iter_keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, page by page and in their order, however many there are."""
        return (found.key for found in self.iter_objects(prefix))

    @takes_addresses
    def iter_objects(self, prefix: str = "") -> Iterator[CosObject]:
        """Yield the objects whose keys begin with ``prefix``, page by page and in their order."""
        for objects, _ in self._pages(prefix, ""):
            yield from objects

    @takes_addresses
    def iter_folder(self, prefix: str = "") -> Iterator[CosObject | str]:
        """Yield what lies directly below a prefix: objects, and as text the prefixes of deeper levels."""
        for objects, prefixes in self._pages(prefix, "/"):
            yield from objects
            yield from prefixes

    @takes_addresses
    def has_prefix(self, prefix: str) -> bool:
        """Tell whether any key begins with ``prefix``."""
        objects, _ = next(self._pages(prefix, "", page=1), ([], []))
        return bool(objects)

    @takes_addresses
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

        :param source: key in this bucket, or an address.
        :param source_region: region of the source's bucket; default: this hook's.
        :raises BadRequest: there is no such object.
        :raises CosUnavailable: it failed, or the source was replaced meanwhile.
        """
        origin, source_key = self.place(source)
        address = CosAddress(origin.bucket, checked_key(source_key))
        target, target_key = self.place(key)
        if target is not self:
            target.copy(str(address), target_key, source_region=source_region or self.region)
            return
        name = checked_key(target_key)
        if address == (self.bucket, name):
            return
        place = {"Bucket": address.bucket, "Key": address.key, "Region": source_region or self.region}
        origin = self._beside(address.bucket, source_region)
        found = origin.head(address.key)
        if found.size <= COPY_LIMIT:
            self._ask("copy to", name, "copy_object", Key=name, CopySource=place)
            return
        parts = parts_of(found.size, COPY_PART_SIZE)
        with self._upload(name) as upload, Progress(self.log, f"Copying {address}", found.size) as progress:
            in_parallel(parts, lambda part: progress.add(upload.copy_part(part, place)))
            # Each part is asked for by itself; the same ETag before and after means that all are of one object.
            same = origin.head(address.key).etag == found.etag
            self._require(same, "copy to", name, f"{address} was replaced meanwhile")
            upload.complete()

    @takes_addresses
    def delete(self, key: str) -> None:
        """Delete an object; a missing one is no error."""
        self._ask("delete", key, "delete_object", Key=checked_key(key))

    def delete_many(self, keys: Iterable[str]) -> None:
        """
        Delete objects, a thousand with one request; missing ones are no error.

        :raises CosUnavailable: COS kept some of them; it names the first.
        """
        left = iter(keys)
        while batch := [checked_key(self._key(key)) for key in islice(left, _DELETE_LIMIT)]:
            wanted = {"Quiet": "true", "Object": [{"Key": key} for key in batch]}
            answer = self._ask("delete", batch[0], "delete_objects", Delete=wanted)
            if set(answer) - {"Deleted", "Error", "DeleteResult"}:
                raise ProtocolError(
                    f"COS was asked to delete {len(batch)} objects, and the answer is of something else"
                )
            if refused := [entry for entry in answer.get("Error") or () if isinstance(entry, Mapping)]:
                what = f"COS kept {len(refused)} of {len(batch)} objects, the first is {refused[0].get('Key')!r}"
                raise CosUnavailable(what, code=str(refused[0].get("Code")))

    @takes_addresses
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
        name = checked_key(key)
        with Path(path).open("rb") as file:
            before = os.fstat(file.fileno())
            if stat.S_ISDIR(before.st_mode):
                raise IsADirectoryError(os.fspath(path))
            if before.st_size <= part_size:
                self.write_bytes(name, file.read(), content_type=content_type)
                return
            parts = parts_of(before.st_size, max(part_size, SMALLEST_PART))
            what = f"Uploading {path} to cos://{self.bucket}/{name}"
            with self._upload(name, content_type) as upload, Progress(self.log, what, before.st_size) as progress:

                def send(part: Part) -> None:
                    data = os.pread(file.fileno(), part.size, part.start)
                    self._require(len(data) == part.size, "write", name, f"{path} became shorter meanwhile")
                    upload.send_part(part.number, data)
                    progress.add(part.size)

                in_parallel(parts, send)
                after = os.fstat(file.fileno())
                same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
                self._require(same, "write", name, f"{path} changed meanwhile")
                upload.complete()
        self._require(self.head(name).size == before.st_size, "write", name, "it has another size now than the file")

    @takes_addresses
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
        name = checked_key(key)
        found = self.head(name)
        temporary = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            what = f"Downloading cos://{self.bucket}/{name} to {path}"
            with temporary.open("xb") as file, Progress(self.log, what, found.size) as progress:

                def fetch(part: Part) -> None:
                    self._fetch(name, part, found.etag, file.fileno())
                    progress.add(part.size)

                in_parallel(parts_of(found.size, part_size), fetch)
            self._require(temporary.stat().st_size == found.size, "read", name, "it did not arrive whole")
            self._require(fits_checksum(temporary, found), "read", name, "the content does not fit its checksum")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    @takes_addresses
    def start_upload(self, key: str, *, content_type: str | None = None) -> MultipartUpload:
        """Begin an upload in parts; whoever begins it completes or aborts it."""
        return MultipartUpload(self, checked_key(key), content_type)

    @takes_addresses
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
        name = checked_key(key)
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
            others, self._others = self._others, {}
        for other in others.values():
            other.close()

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

    def _key(self, key: object) -> str:
        """Return the key of what must lie in this very bucket."""
        hook, name = self.place(key)
        if hook is not self:
            raise BadRequest.field("key", str(key), f"all of them must lie in {self.bucket}.")
        return name

    def _beside(self, bucket: str, region: str | None) -> CosHook:
        """Return a hook for another bucket of the same connection."""
        if bucket == (self._bucket or self._connection().cos.bucket) and region in (None, self.region):
            return self
        with self._lock:
            hook = self._others.get((bucket, region))
            if hook is None:
                hook = self._others[bucket, region] = CosHook(self.mediax_conn_id, bucket, region or self._region)
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
                session.hooks["response"].append(refuse_redirect)
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
                objects = [listed(entry) for entry in answer.get("Contents") or ()]
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
        answer = self._ask("read", key, "get_object", Key=checked_key(key), Range=f"bytes={start}-{end - 1}", **options)
        # Closing an answer that was read to its end leaves its connection to the next; any other ends with it.
        with contextlib.closing(answer["Body"].get_raw_stream()) as stream:
            place = re.match(r"bytes (\d+)-(\d+)/", str(answer.get("Content-Range")))
            if place is None or int(place[1]) != start or int(place[2]) >= end:
                raise ProtocolError(f"COS did not answer with the asked part of cos://{self.bucket}/{key}")
            left = int(place[2]) + 1 - start
            while left > 0:
                with self._errors("read", key):
                    chunk = stream.read(min(CHUNK, left))
                self._require(bool(chunk), "read", key, "the answer broke off")
                left -= len(chunk)
                yield chunk

    def _fetch(self, key: str, part: Part, etag: str, file: int) -> None:
        """Write one part of an object into an open file."""
        for attempt in range(1, RANGE_TRIES + 1):
            place = part.start
            try:
                for chunk in self._range(key, part.start, part.start + part.size, etag):
                    place += write_at(file, chunk, place)
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
            raise refusal(error, f"cos://{self.bucket}/{key}", verb) from None
        except (CosClientError, HTTPError, RequestException) as error:
            # The SDK keeps the cause as context only, and puts the address with its query into the text.
            cause = error.__context__ or error
            what = f"COS could not be asked to {verb} cos://{self.bucket}/{key}: {type(cause).__name__}"
            raise (ProtocolError if isinstance(cause, Redirected) else CosUnavailable)(what) from None
        except (SyntaxError, KeyError, TypeError, ValueError, AttributeError) as error:
            # What the SDK lets out when the body is not the XML that it expects.
            what = f"COS was asked to {verb} cos://{self.bucket}/{key}, and the answer cannot be read"
            raise ProtocolError(f"{what}: {type(error).__name__}") from None
