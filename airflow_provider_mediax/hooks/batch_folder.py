"""The folder of a batch on any ``ObjectStoragePath``, and the files and objects that its items come from."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_provider_mediax.exceptions import BadRequest, NotFound
from airflow_provider_mediax.jobs.batch.folder import Entry
from airflow_provider_mediax.protocol.names import refused

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

EXCLUSIVE = ("cos", "file", "s3", "s3a", "gs", "gcs")
"""Schemes whose stores create a name only once, however many ask in the same moment."""


def storage_path(address: str, conn_id: str | None) -> ObjectStoragePath:
    """
    Return the path of an address.

    :param conn_id: connection of the store; None takes what the address or the scheme says.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(address, conn_id=conn_id) if conn_id else ObjectStoragePath(address)


class StorageFolder:
    """
    A folder in any store that Airflow has a filesystem for.

    :param address: of the folder.
    :param conn_id: connection of the store.
    """

    def __init__(self, address: str, conn_id: str | None = None) -> None:
        path = storage_path(address.rstrip("/"), conn_id)
        self.address = address.rstrip("/")
        self._scheme: str = path.protocol or "file"
        self._fs: Any = path.fs
        self._root: str = str(self._fs._strip_protocol(path.path)).rstrip("/")
        self.exclusive = self._scheme in EXCLUSIVE

    def below(self, name: str) -> StorageFolder:
        """Return a subfolder."""
        folder = object.__new__(StorageFolder)
        folder.__dict__.update(vars(self), address=f"{self.address}/{name}", _root=f"{self._root}/{name}")
        return folder

    def entries(self, below: str) -> list[Entry]:
        """List the files below a subfolder, at any depth."""
        try:
            found: Mapping[str, Mapping[str, Any]] = self._fs.find(self._place(below), detail=True)
        except FileNotFoundError:
            return []
        start = len(self._root) + 1
        return [Entry(name[start:], _modified(facts)) for name, facts in found.items() if name[start:]]

    def names(self, below: str = "") -> Iterator[str]:
        """Yield the subfolders that lie directly in a subfolder."""
        with contextlib.suppress(FileNotFoundError):
            for facts in self._fs.ls(self._place(below), detail=True):
                if facts["type"] == "directory":
                    yield str(facts["name"]).rstrip("/").rpartition("/")[2]

    def read(self, name: str) -> bytes:
        """Read a file."""
        return cast("bytes", self._fs.cat_file(self._place(name)))

    def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole."""
        if self._scheme == "file":
            self._write_local(name, data, os.replace)
        else:
            self._fs.pipe_file(self._place(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file as a whole unless there is one."""
        try:
            if self._scheme == "file":
                self._write_local(name, data, os.link)
            else:
                self._fs.pipe_file(self._place(name), data, mode="create")
        except FileExistsError:
            return False
        return True

    def upload(self, name: str, file: IO[bytes]) -> None:
        """Write a file of any size."""
        if self._scheme == "file":
            Path(self._place(name)).parent.mkdir(parents=True, exist_ok=True)
        with self._fs.open(self._place(name), "wb") as target:
            shutil.copyfileobj(file, target, 1024 * 1024)

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a file of any size."""
        with self._fs.open(self._place(name), "rb") as file:
            yield from file

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._place(name))

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _write_local(self, name: str, data: bytes, put: Any) -> None:
        """Write beside the target, then put it there in one step, so that nobody reads half a file."""
        target = Path(self._place(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{uuid.uuid4().hex}.part")
        try:
            beside.write_bytes(data)
            put(beside, target)
        finally:
            beside.unlink(missing_ok=True)


def open_source(address: str, conn_id: str | None) -> IO[bytes]:
    """
    Open a file of items.

    :raises NotFound: there is no such file.
    """
    try:
        return cast("IO[bytes]", storage_path(address, conn_id).open("rb"))
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"There is no file of items at {address}", filename=address) from None


def matching_objects(pattern: str, conn_id: str) -> Iterator[tuple[str, object, str]]:
    """
    Yield the objects that a COS pattern names: place, item and ETag.

    :param pattern: ``cos://bucket/in/*.mp3``; ``*`` stands for any characters, also slashes.
    :raises BadRequest: it is no such pattern.
    """
    from airflow_provider_mediax.hooks.cos import CosHook
    from airflow_provider_mediax.protocol.names import own_address

    address = own_address("items", pattern, conn_id)
    if address is None:
        raise refused("items", pattern, "it must be cos://bucket/pattern.")
    cos = CosHook(conn_id, bucket=address.bucket)
    try:
        for found in cos.find(address.key, wildcard=True, min_size=1):
            if not found.key.endswith("/"):
                name = f"cos://{address.bucket}/{found.key}"
                yield name, name, found.etag.strip('"')
    finally:
        cos.close()


def check_output(address: str, *, allow_local: bool) -> None:
    """
    Refuse a folder that other workers do not see.

    :raises BadRequest: it is local, or no address.
    """
    scheme, sep, rest = address.partition("://")
    if not sep or not rest.strip("/"):
        raise refused("output", address, "it must be the address of a folder, such as cos://bucket/batches.")
    if scheme in ("file", "local") and not allow_local:
        rule = "other workers do not see it; set allow_local_output=True if there is only one machine."
        raise refused("output", address, rule)
    if scheme in ("http", "https"):
        raise BadRequest.field("output", scheme, "a batch cannot write there.")


def _modified(facts: Mapping[str, Any]) -> float | None:
    """Return when a file was written: every filesystem has a name of its own for it."""
    for name in ("mtime", "LastModified", "last_modified", "updated"):
        said = facts.get(name)
        if isinstance(said, datetime):
            return said.timestamp()
        if isinstance(said, (int, float)) and not isinstance(said, bool):
            return float(said)
        if isinstance(said, str):
            with contextlib.suppress(ValueError):
                return datetime.fromisoformat(said).timestamp()
    return None
