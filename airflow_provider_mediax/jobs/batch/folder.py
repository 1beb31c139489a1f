"""The folder of a batch: the few verbs that it needs of any store, and how it bears a store's faults."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError, Stopped, Unavailable
from airflow_provider_mediax.jobs.stored import SCHEMA, Unreadable, readable
from airflow_provider_mediax.protocol.exchange import JsonObject

T = TypeVar("T")

log = logging.getLogger(__name__)

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)
"""Seconds between repeats of what a store has failed at: about two minutes of an outage are borne."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A file of the folder.

    :param name: relative to the folder.
    :param modified: when it was written, in epoch seconds of the store's own clock; None where that is not known.
    """

    name: str
    modified: float | None


class BatchFolder(Protocol):
    """A folder in some store. Names are relative to it and have slashes."""

    @property
    def address(self) -> str:
        """Where it is, for the user."""

    @property
    def exclusive(self) -> bool:
        """Whether :meth:`create` is exclusive, also between processes that create the same name in the same moment."""

    def entries(self, below: str) -> list[Entry]:
        """List the files below a subfolder, at any depth; none if there is no such subfolder."""

    def read(self, name: str) -> bytes:
        """
        Read a file.

        :raises FileNotFoundError: there is none.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a file, in place of one that is there."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one; tell whether it was written."""

    def upload(self, name: str, file: IO[bytes]) -> None:
        """Write a file of any size, in place of one that is there."""

    def lines(self, name: str) -> Iterator[bytes]:
        """
        Yield the lines of a file of any size.

        :raises FileNotFoundError: there is none.
        """

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; missing ones are no error."""


def as_line(content: object) -> bytes:
    """Return a line of a file of JSON lines."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def written(content: JsonObject) -> bytes:
    """Return a file's bytes, with the schema in front."""
    return as_line({"schema": SCHEMA, **content})


def parsed(data: bytes, name: str) -> JsonObject:
    """
    Return what a file of the folder says.

    :raises BadRequest: it was edited or cut, or a later version wrote it.
    """
    try:
        known = readable(json.loads(data.decode("utf-8", "surrogatepass")))
    except ValueError:
        known = Unreadable("it is no JSON")
    if isinstance(known, Unreadable):
        raise BadRequest(f"{name} cannot be read: {known.reason}", advice="Restore it, or use another output.")
    return dict(known)


def passing(error: Exception) -> bool:
    """Tell whether it may help to try again."""
    if isinstance(error, MediaxError):
        return not isinstance(error, (BadRequest, AuthenticationFailed, Stopped))
    return isinstance(error, OSError) and not isinstance(
        error, (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
    )


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do what blocks in a thread."""
    return await asyncio.to_thread(work, *arguments)


class Store:
    """
    A folder for an event loop: work is done elsewhere, passing faults are borne for two minutes.

    :param elsewhere: does blocking work without holding the loop up.
    """

    def __init__(self, folder: BatchFolder, elsewhere: Callable[..., Awaitable[Any]] = in_thread) -> None:
        self.folder = folder
        self._elsewhere = elsewhere

    async def entries(self, below: str) -> list[Entry]:
        """List files; see :meth:`BatchFolder.entries`."""
        return await self._patiently(lambda: self._elsewhere(self.folder.entries, below))

    async def read(self, name: str) -> JsonObject | None:
        """Read an object; None if there is no such file."""
        data = await self._bytes(name)
        return None if data is None else parsed(data, f"{self.folder.address}/{name}")

    async def lines(self, name: str) -> list[Any]:
        """Read a file of lines; none if there is no such file."""
        data = await self._bytes(name)
        return [json.loads(line) for line in (data or b"").splitlines() if line]

    async def write(self, name: str, content: JsonObject) -> None:
        """Write an object."""
        await self.write_bytes(name, written(content))

    async def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file."""
        await self._patiently(lambda: self._elsewhere(self.folder.write, name, data))

    async def upload(self, name: str, file: IO[bytes]) -> None:
        """Write a file of any size from its begin."""

        def from_begin() -> None:
            file.seek(0)
            self.folder.upload(name, file)

        await self._patiently(lambda: self._elsewhere(from_begin))

    async def write_once(self, name: str, content: JsonObject) -> None:
        """
        Write an object without repeating it: an older copy must not arrive after a newer one.

        :raises Exception: whatever the store raises; whether it was written is not known then.
        """
        await self._elsewhere(self.folder.write, name, written(content))

    async def create(self, name: str, content: JsonObject) -> bool:
        """
        Create an object, and tell whether it is this one that is there now.

        :param content: differs from what anybody else would write there: it holds something random.
        """
        data = written(content)

        async def ours() -> bool:
            created: bool = await self._elsewhere(self.folder.create, name, data)
            # What is there may be this very file: its first answer was lost.
            return created or await self._elsewhere(self.folder.read, name) == data

        return await self._patiently(ours)

    async def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        several = list(names)
        await self._patiently(lambda: self._elsewhere(self.folder.delete, several))

    async def _bytes(self, name: str) -> bytes | None:
        try:
            found: bytes = await self._patiently(lambda: self._elsewhere(self.folder.read, name))
        except FileNotFoundError:
            return None
        return found

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        for pause in PAUSES:
            try:
                return await work()
            except Exception as error:
                if not passing(error):
                    raise
                log.warning("The folder of the batch failed (%s), trying again", _words(error))
            await asyncio.sleep(pause)
        try:
            return await work()
        except OSError as error:
            if isinstance(error, MediaxError) or not passing(error):
                raise
            raise Unavailable(f"The folder {self.folder.address} failed for two minutes: {_words(error)}") from error


def _words(error: Exception) -> str:
    return error.what if isinstance(error, MediaxError) else type(error).__name__
