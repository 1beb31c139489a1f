"""An open object: what ``open`` of ``cos://`` returns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.cos_files import SMALLEST_PART, MultipartUpload


@contextlib.contextmanager
def missing(path: str) -> Iterator[None]:
    """Say that an object is missing the way that users of files expect it."""
    try:
        yield
    except BadRequest as error:
        if error.status == 404:
            raise FileNotFoundError(path) from error
        raise


class CosFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec is not typed
    """
    An open object.

    What is written up to one block goes by one request at the end, more in parts of a block each. Nothing can be seen
    under the key before the file is closed, and nothing ever if its ``with`` block ends by an error.

    :param fs: the ``CosFileSystem`` that opens it.
    :param path: ``bucket-appid/key``.
    :param mode: ``rb``, ``wb`` or ``xb``.
    :param block_size: bytes that are read or written by one request; written ones at least 1 MiB.
    """

    DEFAULT_BLOCK_SIZE = 8 * 1024 * 1024

    blocksize: int

    def __init__(self, fs: Any, path: str, mode: str = "rb", block_size: Any = None, **kwargs: Any) -> None:
        self._hook: CosHook
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
        with missing(self.path):
            return self._hook.read_range(self._key, start, min(end, self.size), etag=self.details["ETag"])
