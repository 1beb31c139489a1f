"""An open object: what ``open`` of ``cos://`` returns."""

from __future__ import annotations

import errno
import os
from typing import Any

from fsspec.spec import AbstractBufferedFile
from fsspec.utils import stringify_path

from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.cos_files import SMALLEST_PART, MultipartUpload


def file_error(code: int, path: Any, what: str | None = None) -> OSError:
    """
    Return the error that users of files expect, with ``errno`` and ``filename``.

    :param code: one of ``errno``, which chooses the class.
    """
    text = stringify_path(path)
    return OSError(code, what or os.strerror(code), text if "://" in str(text) else f"cos://{text}")


class CosFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec is not typed
    """
    An open object.

    What is written up to one block goes by one request at the end, more in parts of a block each. Nothing can be seen
    under the key before the file is closed, and nothing ever if its ``with`` block ends by an error.

    :param fs: the ``CosFileSystem`` that opens it.
    :param path: ``bucket-appid/key``.
    :param mode: ``rb`` or ``wb``.
    :param block_size: bytes that are read or written by one request; written ones at least 1 MiB. None
        takes 8 MiB, as do 0 and -1, which Airflow passes on from Python's ``buffering``.
    """

    DEFAULT_BLOCK_SIZE = 8 * 1024 * 1024

    blocksize: int

    def __init__(self, fs: Any, path: str, mode: str = "rb", block_size: Any = None, **kwargs: Any) -> None:
        self._hook: CosHook
        self._hook, self._key = fs._object(path)
        self._upload: MultipartUpload | None = None
        self._parts = 0
        self._rest: bytes | None = None
        super().__init__(fs, path, mode, block_size=None if block_size in (0, -1) else block_size, **kwargs)
        if mode != "rb":
            self.blocksize = max(self.blocksize, SMALLEST_PART)
        elif self.details["type"] != "file":
            raise file_error(errno.EISDIR, path)

    def seekable(self) -> bool:
        """
        Tell whether any place can be read; of a file that is written, whether it is at its beginning.

        ``io.TextIOWrapper`` asks that before it writes, and leaves the byte order mark of UTF-16 and UTF-32 out if the
        answer is no. To seek while writing is an error all the same.
        """
        return bool(self.readable() or (self.writable() and self.tell() == 0))

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
        return self._hook.read_range(self._key, start, min(end, self.size), etag=self.details["ETag"])
