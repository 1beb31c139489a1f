"""
``cos://`` for fsspec and for Airflow's ``ObjectStoragePath``.

A small filesystem on :class:`CosHook`. It holds the id of a connection and nothing else, so that nothing of its keys
can get into fsspec's instance cache, into pickles or into ``to_json``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]
from fsspec.callbacks import DEFAULT_CALLBACK  # type: ignore[import-untyped]
from fsspec.core import has_magic  # type: ignore[import-untyped]
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]
from fsspec.utils import isfilelike, stringify_path, tokenize  # type: ignore[import-untyped]

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.cos_files import SMALLEST_PART, MultipartUpload
from airflow_provider_mediax.hooks.cos_objects import CosObject

schemes = ["cos"]

_GENERAL_OPTIONS = {"asynchronous", "loop", "batch_size", "use_listings_cache", "listings_expiry_time", "max_paths"}


def get_fs(conn_id: str | None, storage_options: Mapping[str, Any] | None = None) -> CosFileSystem:
    """
    Return the filesystem of a connection; Airflow calls this for ``cos://conn_id@bucket/key``.

    :param conn_id: connection of type ``mediax``; None takes ``mediax_default``.
    """
    return CosFileSystem(conn_id=conn_id or DEFAULT_CONN_ID, **(storage_options or {}))


class CosFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec is not typed
    """
    Objects in COS by their paths ``bucket-appid/key``.

    A key is taken as it stands: nothing in it is decoded. Folders are what keys have in common up to a slash: they
    need not be made and vanish with their last object. Listings are never cached.

    :param conn_id: connection of type ``mediax``, looked up when it is first needed.
    :param region: region of the buckets; default: the connection's.
    """

    protocol = "cos"
    root_marker = ""

    def __init__(self, conn_id: str = DEFAULT_CONN_ID, region: str | None = None, **storage_options: Any) -> None:
        if unknown := sorted(set(storage_options) - _GENERAL_OPTIONS):
            # fsspec would keep them in its cache and pickle them, and somebody may pass a key.
            raise TypeError(f"cos:// takes conn_id and region, not {', '.join(unknown)}: keys belong to the connection")
        super().__init__(**storage_options)
        self.conn_id = conn_id
        self.region = region
        self._hooks: dict[tuple[int, str], CosHook] = {}

    @property
    def fsid(self) -> str:
        """Name the store; the same in every process."""
        return f"cos-{self.conn_id}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        bucket, slash, key = stringify_path(path).removeprefix("cos://").lstrip("/").partition("/")
        return f"{bucket.rpartition('@')[2]}{slash}{key}".rstrip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        conn_id = stringify_path(path).removeprefix("cos://").partition("/")[0].rpartition("@")[0]
        return {"conn_id": conn_id} if conn_id else {}

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """
        Describe an object or a folder.

        :raises FileNotFoundError: there is neither.
        """
        hook, key = self._place(path)
        if key:
            with contextlib.suppress(FileNotFoundError), _missing(path):
                return _file(hook.head(key), hook.bucket)
        with _missing(path):
            if hook.has_prefix(f"{key}/" if key else "") or not key:
                return _folder(hook.bucket, key)
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """
        List what lies directly in a folder, or describe one object.

        :raises FileNotFoundError: there is neither.
        """
        hook, key = self._place(path)
        prefix = f"{key}/" if key else ""
        with _missing(path):
            found = [
                _folder(hook.bucket, entry.rstrip("/")) if isinstance(entry, str) else _file(entry, hook.bucket)
                for entry in hook.iter_folder(prefix)
                if isinstance(entry, str) or entry.key != prefix
            ]
        if not found and key:
            found = [entry for entry in (self.info(path),) if entry["type"] == "file"]
        return found if detail else [entry["name"] for entry in found]

    def find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any) -> Any:
        """List everything below a folder; without ``maxdepth`` by one listing, however deep the folders are."""
        if maxdepth is not None:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, **kwargs)
        hook, key = self._place(path)
        root = f"{hook.bucket}/{key}".rstrip("/")
        found: dict[str, dict[str, Any]] = {}
        with _missing(path):
            for entry in hook.iter_objects(f"{key}/" if key else ""):
                name = f"{hook.bucket}/{entry.key}"
                if not name.endswith("/"):
                    found[name] = _file(entry, hook.bucket)
                while withdirs and (name := name.rpartition("/")[0]) != root and name not in found:
                    found[name] = _folder(*name.split("/", 1))
        if withdirs and found:
            found[root] = _folder(hook.bucket, key)
        if not found and self.isfile(path):
            found[root] = self.info(path)
        names = sorted(found)
        return {name: found[name] for name in names} if kwargs.get("detail") else names

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Tell whether there is such an object or folder; an error of COS is raised and is not a no."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def isfile(self, path: str) -> bool:
        """Tell whether there is such an object."""
        return self._is(path, "file")

    def isdir(self, path: str) -> bool:
        """Tell whether any key begins with the path and a slash."""
        return self._is(path, "directory")

    def expand_path(self, path: Any, *args: Any, **kwargs: Any) -> list[str]:
        """Resolve patterns; what is the name of an object is no pattern, whatever stands in it."""
        if self._is_name(path):
            return [self._strip_protocol(path)]
        paths: list[str] = super().expand_path(path, *args, **kwargs)
        return paths

    def copy(self, path1: Any, path2: Any, **kwargs: Any) -> None:
        """Copy objects and, with ``recursive``, folders inside COS."""
        if self._is_name(path1):
            inside = path2.endswith("/") or self.isdir(path2)
            path1, path2 = [path1], [f"{path2.rstrip('/')}/{_last(path1)}" if inside else path2]
        super().copy(path1, path2, **kwargs)

    def get(self, rpath: Any, lpath: Any, **kwargs: Any) -> None:
        """Download objects and, with ``recursive``, folders."""
        if self._is_name(rpath):
            inside = lpath.endswith("/") or os.path.isdir(lpath)
            rpath, lpath = [rpath], [os.path.join(lpath, _last(rpath)) if inside else lpath]
        super().get(rpath, lpath, **kwargs)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Read an object, or the bytes from ``start`` to ``end``; negative ones count from its end."""
        hook, key = self._object(path)
        with _missing(path):
            if start is None and end is None:
                return hook.read_bytes(key)
            found = hook.head(key)
            first, last, _ = slice(start, end).indices(found.size)
            return hook.read_range(key, first, last, etag=found.etag)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write an object."""
        hook, key = self._object(path)
        self._free(path, mode == "create")
        hook.write_bytes(key, bytes(value))

    def get_file(
        self, rpath: str, lpath: Any = None, callback: Any = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Download an object; a file appears whole and checked, or not at all."""
        if outfile is not None or isfilelike(lpath):
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
        elif self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
        else:
            hook, key = self._object(rpath)
            os.makedirs(os.path.dirname(os.path.abspath(lpath)), exist_ok=True)
            with _missing(rpath):
                hook.download_file(key, lpath)
            callback.absolute_update(os.path.getsize(lpath))

    def put_file(
        self, lpath: str, rpath: str, callback: Any = DEFAULT_CALLBACK, mode: str = "overwrite", **kwargs: Any
    ) -> None:
        """Upload a file; the object appears whole and checked, or not at all."""
        if os.path.isdir(lpath):
            return
        hook, key = self._object(rpath)
        self._free(rpath, mode == "create")
        hook.upload_file(lpath, key)
        callback.absolute_update(os.path.getsize(lpath))

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object inside COS."""
        source, key = self._object(path1)
        target, name = self._object(path2)
        try:
            target.copy(f"cos://{source.bucket}/{key}", name)
        except BadRequest as error:
            if error.status != 404:
                raise
            if not source.has_prefix(f"{key}/"):  # a folder needs no copy of its own
                raise FileNotFoundError(path1) from error

    def rm_file(self, path: str) -> None:
        """Delete an object; a missing one is no error."""
        hook, key = self._object(path)
        hook.delete(key)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """
        Delete objects, many with one request.

        :raises PermissionError: a whole bucket is meant.
        :raises FileNotFoundError: there is nothing of that name.
        """
        given = path if isinstance(path, list) else [path]
        if any("/" not in self._strip_protocol(one) for one in given):
            raise PermissionError("cos:// does not empty whole buckets")
        keys: dict[str, list[str]] = {}
        for one in given:
            if not recursive and not has_magic(stringify_path(one)) and not self.exists(one):
                raise FileNotFoundError(one)
            for name in self.expand_path(one, recursive=recursive, maxdepth=maxdepth):
                bucket, _, key = name.partition("/")
                # A folder made in the console is an object whose key ends with a slash.
                keys.setdefault(bucket, []).extend([key, f"{key}/"] if recursive else [key])
        for bucket, names in keys.items():
            hook = self._hook(bucket)
            if len(names) == 1:
                hook.delete(names[0])
            else:
                hook.delete_many(names)

    def created(self, path: str) -> datetime:
        """Return when the object was written: objects are never changed, only replaced."""
        return self.modified(path)

    def modified(self, path: str) -> datetime:
        """Return when the object was written."""
        hook, key = self._object(path)
        with _missing(path):
            return hook.head(key).modified

    def checksum(self, path: str) -> int:
        """Return a number made of the ETag, which changes with the content."""
        return int(tokenize(self.ukey(path)), 16)

    def ukey(self, path: str) -> str:
        """Return the ETag without its quotes."""
        hook, key = self._object(path)
        with _missing(path):
            return hook.head(key).etag.strip('"')

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        """Return a presigned address, see :meth:`CosHook.presigned_url`; ``expiration`` is in seconds."""
        hook, key = self._object(path)
        return hook.presigned_url(key, expires=expiration, **kwargs)

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **kwargs: Any) -> CosFile:
        if mode not in ("rb", "wb", "xb"):
            # The error by which fsspec's filesystems refuse a mode that their store does not have.
            raise NotImplementedError("An object cannot be appended to: it can be read, or written as a whole")
        self._free(path, mode == "xb")
        return CosFile(self, self._strip_protocol(path), mode, block_size=block_size, **kwargs)

    def _hook(self, bucket: str) -> CosHook:
        # Airflow keeps filesystems for the life of a process, and a fork must not share its parent's sockets.
        place = (os.getpid(), bucket)
        if place not in self._hooks:
            self._hooks[place] = CosHook(self.conn_id, bucket=bucket, region=self.region)
        return self._hooks[place]

    def _place(self, path: str) -> tuple[CosHook, str]:
        bucket, _, key = self._strip_protocol(path).partition("/")
        if not bucket:
            raise ValueError("cos:// needs a bucket: cos://bucket-appid/key")
        return self._hook(bucket), key

    def _object(self, path: str) -> tuple[CosHook, str]:
        hook, key = self._place(path)
        if not key:
            raise IsADirectoryError(path)
        return hook, key

    def _is(self, path: str, kind: str) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except FileNotFoundError:
            return False

    def _is_name(self, path: Any) -> bool:
        """Tell whether what looks like a pattern is the name of an object."""
        return isinstance(path, str) and has_magic(path) and self.isfile(path)

    def _free(self, path: str, wanted: bool) -> None:
        if wanted and self.exists(path):
            raise FileExistsError(path)


class CosFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec is not typed
    """
    An open object.

    What is written up to one block goes by one request at the end, more in parts of a block each. Nothing can be seen
    under the key before the file is closed, and nothing ever if its ``with`` block ends by an error.
    """

    DEFAULT_BLOCK_SIZE = 8 * 1024 * 1024

    blocksize: int

    def __init__(self, fs: CosFileSystem, path: str, mode: str = "rb", block_size: Any = None, **kwargs: Any) -> None:
        self._hook, self._key = fs._object(path)
        self._upload: MultipartUpload | None = None
        self._parts = 0
        self._rest: bytes | None = None
        super().__init__(fs, path, mode, block_size=block_size, **kwargs)
        if mode != "rb":
            self.blocksize = max(self.blocksize, SMALLEST_PART)
        elif self.details["type"] != "file":
            raise IsADirectoryError(path)

    def commit(self) -> None:
        """Let the object appear."""
        if self._upload is not None:
            self._upload.complete()
        elif self._rest is not None:
            self._hook.write_bytes(self._key, self._rest)
        self._upload = self._rest = None

    def discard(self) -> None:
        """Throw away what was written."""
        if self._upload is not None:
            self._upload.abort()
        self._upload = self._rest = None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.writable():
            # fsspec would close the file, and half of a file would look like all of it.
            self.closed = True
            self.discard()
        else:
            self.close()

    def _upload_chunk(self, final: bool = False) -> None:
        data = self.buffer.getvalue()
        try:
            if final and self._upload is None:
                self._rest = data
            elif data:
                self._send(data)
            if final and self.autocommit:
                self.commit()
        except BaseException:
            self.closed = True
            self.discard()
            raise

    def _send(self, data: bytes) -> None:
        if self._upload is None:
            self._upload = self._hook.start_upload(self._key)
        self._parts += 1
        self._upload.send_part(self._parts, data)
        if self._parts % 1000 == 0:  # ten thousand parts is the most; how much will come is not known
            self.blocksize *= 2

    def _fetch_range(self, start: int, end: int) -> bytes:
        with _missing(self.path):
            return self._hook.read_range(self._key, start, min(end, self.size), etag=self.details["ETag"])


@contextlib.contextmanager
def _missing(path: str) -> Iterator[None]:
    """Say that an object is missing the way that users of files expect it."""
    try:
        yield
    except BadRequest as error:
        if error.status == 404:
            raise FileNotFoundError(path) from error
        raise


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _file(found: CosObject, bucket: str) -> dict[str, Any]:
    return {
        "name": f"{bucket}/{found.key}".rstrip("/"),
        "size": found.size,
        "type": "file",
        "ETag": found.etag,
        "LastModified": found.modified,
        "mtime": found.modified.timestamp(),
    }


def _folder(bucket: str, key: str = "") -> dict[str, Any]:
    return {"name": f"{bucket}/{key}".rstrip("/"), "size": 0, "type": "directory"}
