"""
``cos://`` for fsspec and for Airflow's ``ObjectStoragePath``.

A small filesystem on :class:`CosHook`. It holds the id of a connection and nothing else, so that nothing of its keys
can get into fsspec's instance cache, into pickles or into ``to_json``.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.core import has_magic
from fsspec.implementations.local import make_path_posix, trailing_sep
from fsspec.utils import isfilelike, stringify_path, tokenize

from airflow_provider_mediax.exceptions import NotFound
from airflow_provider_mediax.fs.cos_file import CosFile, file_error
from airflow_provider_mediax.fs.names import LocalNames, NamesFirst, check_inside
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.cos_objects import CosObject

schemes = ["cos"]

_GENERAL_OPTIONS = {"asynchronous", "loop", "batch_size", "use_listings_cache", "listings_expiry_time", "max_paths"}


def get_fs(conn_id: str | None, storage_options: Mapping[str, Any] | None = None) -> CosFileSystem:
    """
    Return the filesystem of a connection; Airflow calls this for ``cos://conn_id@bucket/key``.

    :param conn_id: connection of type ``mediax``; None takes ``mediax_default``.
    """
    return CosFileSystem(conn_id=conn_id or DEFAULT_CONN_ID, **(storage_options or {}))


class CosFileSystem(NamesFirst):
    """
    Objects in COS by their paths ``bucket-appid/key``.

    A key is taken as it stands: nothing in it is decoded. Folders are what keys have in common up to a slash: they
    need not be made and vanish with their last object. Listings are never cached.

    A path under which an object or a folder exists is that one, also with ``*``, ``?`` or ``[`` in it. Any other path
    with these characters is a pattern for ``glob`` and for what reads (``copy``, ``get``, ``put``, ``cat``,
    ``expand_path``); names of local files are taken the same way. What deletes (``rm``, ``mv``) takes no patterns,
    because a name that has just been deleted looks like one.

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
            with contextlib.suppress(NotFound):
                return _file(hook.head(key), hook.bucket)
        if hook.has_prefix(f"{key}/" if key else "") or not key:
            return _folder(hook.bucket, key)
        raise file_error(errno.ENOENT, path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """
        List what lies directly in a folder, or describe one object.

        :raises FileNotFoundError: there is neither.
        """
        hook, key = self._place(path)
        prefix = f"{key}/" if key else ""
        found = [
            _folder(hook.bucket, entry.rstrip("/")) if isinstance(entry, str) else _file(entry, hook.bucket)
            for entry in hook.iter_folder(prefix)
            if (entry != f"{prefix}/" if isinstance(entry, str) else entry.key != prefix)
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
        """Tell whether there is a folder of that name, and no object: an object comes first."""
        return self._is(path, "directory")

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """
        Find what a pattern names.

        A folder in it that exists under its name, whatever characters that has, is that folder.
        """
        return self.glob_below("", stringify_path(path).removeprefix("cos://"), maxdepth=maxdepth, **kwargs)

    def glob_below(self, folder: str, pattern: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Find what a pattern names in a folder whose path is a name, also if nothing exists under it."""
        start: list[str] = self._strip_protocol(folder).split("/") if folder else []
        *folders, last = [*start, *pattern.split("/")]
        read = list(folders)
        for depth, part in enumerate(folders):
            if has_magic(part):
                if depth >= len(start) and not self.isdir("/".join(folders[: depth + 1])):
                    break
                read[depth] = glob.escape(part)
        return super().glob("/".join([*read, last]), maxdepth=maxdepth, **kwargs)

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """
        Copy objects and, with ``recursive``, folders inside COS.

        :param on_error: ``ignore`` leaves out what is missing; default: ``raise``, also with ``recursive``.
        """
        sources, targets = stringify_path(path1), stringify_path(path2)
        if isinstance(targets, str):
            inside = self._is_folder(targets)
            targets = self._strip_protocol(targets)
            sources, targets = self.pairs(sources, targets, recursive=recursive, maxdepth=maxdepth, inside=inside)
        super().copy(sources, targets, on_error=on_error or "raise", **kwargs)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """
        Download objects and, with ``recursive``, folders.

        :raises ValueError: a key with ``..`` in it would land outside the folder.
        """
        sources, targets = stringify_path(rpath), stringify_path(lpath)
        if isinstance(targets, str):
            root = make_path_posix(targets)
            inside = trailing_sep(targets) or os.path.isdir(root)
            sources, targets = self.pairs(sources, root, recursive=recursive, maxdepth=maxdepth, inside=inside)
            check_inside(root, targets)
        super().get(sources, targets, callback=callback, **kwargs)

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Upload files and, with ``recursive``, folders."""
        sources, targets = stringify_path(lpath), stringify_path(rpath)
        if isinstance(targets, str):
            if isinstance(sources, str):
                sources = make_path_posix(sources)
            inside = self._is_folder(targets)
            targets = self._strip_protocol(targets)
            local = LocalNames()
            sources, targets = local.pairs(sources, targets, recursive=recursive, maxdepth=maxdepth, inside=inside)
        super().put(sources, targets, callback=callback, **kwargs)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        """
        Move objects and, with ``recursive``, folders: copy them, then delete what was copied and nothing else.

        :raises PermissionError: a whole bucket is meant.
        :raises FileNotFoundError: there is nothing of that name; no path is taken for a pattern.
        :raises IsADirectoryError: it is a folder, and ``recursive`` is not set.
        :raises ValueError: a folder would be moved into itself, or two objects to one name.
        """
        self._refuse_buckets(path1)
        sources, targets = stringify_path(path1), stringify_path(path2)
        if isinstance(targets, str):
            inside = self._is_folder(targets)
            targets = self._strip_protocol(targets)
            sources, targets = self.pairs(
                sources, targets, recursive=recursive, maxdepth=maxdepth, inside=inside, assume_literal=True
            )
        else:
            sources, targets = self._strip_protocol(sources), self._strip_protocol(targets)
        if not sources:
            raise file_error(errno.EISDIR, path1)
        if sources == targets:
            return
        if set(sources) & set(targets):
            raise ValueError(f"{path1} cannot be moved into itself: {path2}")
        if len(set(targets)) < len(targets):
            raise ValueError(f"Objects of the same name would be moved over each other: {path1} to {path2}")
        for source, target in zip(sources, targets, strict=True):
            if not self._copied(source, target) and not recursive:
                raise file_error(errno.EISDIR, source)
        self._delete(sources, folders=recursive)

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """
        Read objects: one of that name as bytes, several as a dict by their paths.

        Folders that are found by ``recursive`` or by a pattern are left out.

        :param on_error: ``raise``, ``omit``, or ``return`` the error in place of the content.
        """
        named = [self._strip_protocol(one) for one in (path if isinstance(path, list) else [path])]
        names = self.expand_path(path, recursive=recursive)
        if not isinstance(path, list) and names == named:
            return self.cat_file(names[0], **kwargs)
        contents: dict[str, Any] = {}
        for name in names:
            try:
                contents[name] = self.cat_file(name, **kwargs)
            except Exception as error:
                if isinstance(error, IsADirectoryError) and (recursive or name not in named):
                    continue
                if on_error == "raise":
                    raise
                if on_error == "return":
                    contents[name] = error
        return contents

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Read an object, or the bytes from ``start`` to ``end``; negative ones count from its end."""
        with self._reading(path) as (hook, key):
            if start is None and end is None:
                return hook.read_bytes(key)
            found = hook.head(key)
            first, last, _ = slice(start, end).indices(found.size)
            return hook.read_range(key, first, last, etag=found.etag)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """
        Write an object; with ``mode="create"`` only if there is none, also of writers in the same moment.

        :raises FileExistsError: there is one.
        """
        hook, key = self._object(path)
        if mode != "create":
            hook.write_bytes(key, bytes(value))
        elif not hook.create_bytes(key, bytes(value)):
            raise file_error(errno.EEXIST, path)

    def get_file(
        self, rpath: str, lpath: Any = None, callback: Any = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Download an object; a file appears whole and checked, or not at all. Of a folder, make one."""
        if outfile is not None or isfilelike(lpath):
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
            return
        hook, key = self._place(rpath)
        os.makedirs(os.path.dirname(os.path.abspath(lpath)), exist_ok=True)
        if not key or self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
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
        """Copy an object inside COS; a folder needs no copy of its own."""
        self._copied(path1, path2)

    def rm_file(self, path: str) -> None:
        """Delete an object; a missing one is no error."""
        hook, key = self._object(path)
        hook.delete(key)

    def rmdir(self, path: str) -> None:
        """
        Delete the object of an empty folder that was made in the console; a missing one is no error.

        :raises PermissionError: a whole bucket is meant.
        :raises OSError: the folder is not empty (``ENOTEMPTY``).
        """
        self._refuse_buckets(path)
        hook, key = self._place(path)
        if [found for found in islice(hook.iter_objects(f"{key}/"), 2) if found.key != f"{key}/"]:
            raise file_error(errno.ENOTEMPTY, path)
        hook.delete(f"{key}/")

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """
        Delete objects and, with ``recursive``, folders, many with one request.

        :param path: one name or several; to delete what a pattern names, pass what :meth:`glob` returns. Of several,
            those that are missing are no error, as long as one of them is there.
        :raises PermissionError: a whole bucket is meant.
        :raises FileNotFoundError: there is nothing of that name; no path is taken for a pattern.
        :raises IsADirectoryError: it is one folder, and ``recursive`` is not set.
        """
        self._refuse_buckets(path)
        try:
            if not recursive and not isinstance(path, list) and self.info(path)["type"] == "directory":
                raise file_error(errno.EISDIR, path)
            names = self.expand_path(path, recursive=recursive, maxdepth=maxdepth, assume_literal=True)
        except FileNotFoundError as error:
            hint = " (to delete what a pattern names, pass what glob returns)" if has_magic(str(path)) else ""
            raise file_error(errno.ENOENT, path, f"{error.strerror}{hint}") from None
        self._delete(names, folders=recursive)

    def created(self, path: str) -> datetime:
        """Return when the object was written: objects are never changed, only replaced."""
        return self.modified(path)

    def modified(self, path: str) -> datetime:
        """Return when the object was written."""
        with self._reading(path) as (hook, key):
            return hook.head(key).modified

    def checksum(self, path: str) -> int:
        """Return a number made of the ETag, which changes with the content."""
        return int(tokenize(self.ukey(path)), 16)

    def ukey(self, path: str) -> str:
        """Return the ETag without its quotes."""
        with self._reading(path) as (hook, key):
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
        return CosFile(self, self._strip_protocol(path), mode.replace("x", "w"), block_size=block_size, **kwargs)

    def _hook(self, bucket: str) -> CosHook:
        # Airflow keeps filesystems for the life of a process, and a fork must not share its parent's sockets.
        place = (os.getpid(), bucket)
        if place not in self._hooks:
            self._hooks[place] = CosHook(self.conn_id, bucket=bucket, region=self.region)
        return self._hooks[place]

    def _place(self, path: str) -> tuple[CosHook, str]:
        bucket, _, key = self._strip_protocol(path).partition("/")
        if not bucket or has_magic(bucket):
            raise ValueError(f"cos:// needs a bucket, which is no pattern: cos://bucket-appid/key, not {path!r}")
        return self._hook(bucket), key

    def _object(self, path: str) -> tuple[CosHook, str]:
        hook, key = self._place(path)
        if not key:
            raise file_error(errno.EISDIR, path)
        return hook, key

    def _is(self, path: str, kind: str) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except FileNotFoundError:
            return False

    def _is_folder(self, target: str) -> bool:
        """Tell whether what is copied goes below a target, and not to the target itself."""
        return target.endswith("/") or self.isdir(target)

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[tuple[CosHook, str]]:
        """Give the place of an object that is read; a folder in its place is named as such."""
        hook, key = self._object(path)
        try:
            yield hook, key
        except NotFound:
            if hook.has_prefix(f"{key}/"):
                raise file_error(errno.EISDIR, path) from None
            raise

    def _copied(self, path1: str, path2: str) -> bool:
        """Copy an object, and tell whether there was one and not a folder."""
        source, key = self._place(path1)
        target, name = self._place(path2)
        if key and name:
            try:
                target.copy(f"cos://{source.bucket}/{key}", name)
            except NotFound:
                if not source.has_prefix(f"{key}/"):
                    raise
            else:
                return True
        elif key and self.isfile(path1):
            raise file_error(errno.EISDIR, path2)
        return False

    def _refuse_buckets(self, path: Any) -> None:
        for one in path if isinstance(path, list) else [path]:
            if "/" not in self._strip_protocol(one):
                raise file_error(errno.EPERM, one, "cos:// does not empty whole buckets")

    def _delete(self, names: Iterable[str], *, folders: bool) -> None:
        """
        Delete the objects of exactly these names.

        :param folders: also those whose keys end with a slash: a folder made in the console is such an object.
        """
        keys: dict[str, list[str]] = {}
        for name in names:
            bucket, _, key = name.partition("/")
            keys.setdefault(bucket, []).extend([key, f"{key}/"] if folders else [key])
        for bucket, found in keys.items():
            hook = self._hook(bucket)
            if len(found) == 1:
                hook.delete(found[0])
            else:
                hook.delete_many(found)

    def _free(self, path: str, wanted: bool) -> None:
        if wanted and self.exists(path):
            raise file_error(errno.EEXIST, path)


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
