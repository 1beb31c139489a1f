"""Large files in COS: parts, several at once; progress; checksums; the upload that holds the parts together."""

from __future__ import annotations

import hashlib
import importlib
import logging
import math
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_mediax.exceptions import BadRequest, MediaxError, NotFound, ProtocolError
from airflow_provider_mediax.hooks.cos_client import CHUNK, CosAnswer, CosClient
from airflow_provider_mediax.hooks.cos_objects import CosObject, described
from airflow_provider_mediax.protocol.cos_answers import Target

PART_SIZE = 16 * 1024 * 1024
"""Bytes of a part of a large file. A transfer holds at most one part per thread in memory."""

SMALLEST_PART = 1024 * 1024
"""Bytes that COS asks of every part but the last."""

MOST_PARTS = 10_000
"""Parts that one upload may have."""

COPY_PART_SIZE = 512 * 1024 * 1024
"""Bytes; the parts of a copy do not pass through this machine."""

THREADS = 4
"""Parts of one file that are on their way at once."""

PROGRESS_SECONDS = 10.0
"""How often a long transfer says how far it is."""

log = logging.getLogger(__name__)

_MD5 = re.compile(r"[0-9a-f]{32}")


class MultipartUpload:
    """
    An upload in parts. Parts may be sent by several threads, in any order.

    Nothing can be seen under the key before :meth:`complete`; unfinished uploads cost storage until they are aborted.
    """

    def __init__(self, client: CosClient, target: Target, content_type: str | None = None) -> None:
        self._client = client
        self._target = target
        # Tells this upload's object from one that somebody else wrote, should the answer to the last call be lost.
        self._mark = uuid.uuid4().hex
        options: dict[str, Any] = {"Metadata": {_UPLOAD_MARK: self._mark}}
        if content_type:
            options["ContentType"] = content_type
        answer = client.ask("write", target, "create_multipart_upload", Key=target.key, **options)
        self._id = str(answer.said.get("UploadId") or "")
        if not self._id:
            raise ProtocolError(f"COS began an upload to {target} without giving it an id")
        self._etags: dict[int, str] = {}

    def send_part(self, number: int, data: bytes) -> None:
        """
        Send a part; its MD5 is checked on arrival.

        :param number: from 1 to 10 000.
        """
        answer = self._do("upload_part", PartNumber=number, Body=data, EnableMD5=True)
        self._etags[number] = described(self._target.key, answer.headers).etag

    def copy_part(self, part: Part, source: Target) -> int:
        """Let COS copy a part from another object, and return its size."""
        span = f"bytes={part.start}-{part.start + part.size - 1}"
        answer = self._do(
            "upload_part_copy", PartNumber=part.number, CopySource=copy_source(source), CopySourceRange=span
        )
        etag = answer.said.get("ETag")
        if not etag:
            raise ProtocolError(f"The answer about a part of {self._target} lacks what COS always says")
        self._etags[part.number] = str(etag)
        return part.size

    def complete(self) -> None:
        """Make the object out of the parts."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())]
        try:
            self._do("complete_multipart_upload", MultipartUpload={"Part": parts})
        except BadRequest as error:
            # The call is repeated when its answer was lost; the second one finds the upload gone.
            if error.code != "NoSuchUpload" or not self._is_there():
                raise

    def abort(self) -> None:
        """Remove the parts. That this fails is logged, since what went wrong before matters more."""
        try:
            self._do("abort_multipart_upload")
        except MediaxError as error:
            if error.code != "NoSuchUpload":
                log.warning("Parts of an upload to %s were left behind: %s", self._target, error.what)

    def _do(self, method: str, **arguments: Any) -> CosAnswer:
        return self._client.ask("write", self._target, method, Key=self._target.key, UploadId=self._id, **arguments)

    def _is_there(self) -> bool:
        try:
            found = self._client.ask("look at", self._target, "head_object", Key=self._target.key)
        except NotFound:
            return False
        return found.headers.get(_UPLOAD_MARK) == self._mark


_UPLOAD_MARK = "x-cos-meta-mediax-upload"


def copy_source(source: Target) -> dict[str, str]:
    """Return an object as the SDK takes it for the source of a copy."""
    return {"Bucket": source.bucket, "Key": source.key, "Region": source.region}


class Part(NamedTuple):
    """A part of a file; numbers begin with 1."""

    number: int
    start: int
    size: int


def parts_of(size: int, part_size: int) -> Sequence[Part]:
    """Cut a file into parts, larger ones if there would be too many."""
    step = max(part_size, math.ceil(size / MOST_PARTS))
    starts = range(0, size, step)
    return [Part(number, start, min(step, size - start)) for number, start in enumerate(starts, 1)]


def in_parallel(parts: Sequence[Part], work: Callable[[Part], object]) -> None:
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


class Progress:
    """Says in the log now and then how far a transfer is; used by several threads."""

    def __init__(self, log: Any, what: str, total: int) -> None:
        self._log = log
        self._what = what
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        self._started = self._shown = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            seconds = time.monotonic() - self._started
            self._log.info("%s: done, %s in %.1f s", self._what, _amount(self._total), seconds)

    def add(self, size: int) -> None:
        """Count bytes that have arrived."""
        with self._lock:
            self._done += size
            now = time.monotonic()
            if now - self._shown < PROGRESS_SECONDS or self._done >= self._total:
                return
            self._shown = now
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


class Checksum:
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
        """Take in the next bytes."""
        if self._digest is not None:
            self._digest.update(data)

    def fits(self) -> bool:
        """Tell whether the content is what COS says it is; without a usable checksum it is taken to be."""
        if self._digest is None:
            return True
        found = self._digest.hexdigest() if isinstance(self._expected, str) else self._digest.crcValue
        return bool(found == self._expected)


def fits_checksum(file: Path, expected: CosObject) -> bool:
    """Tell whether a file holds what COS says of the object."""
    checksum = Checksum(expected)
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            checksum.update(chunk)
    return checksum.fits()


def _crc64() -> Any:
    """Return a CRC-64 (ECMA-182) as COS computes it; the library is the SDK's own."""
    crcmod = importlib.import_module("crcmod")
    return crcmod.Crc(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


def _crc_is_fast() -> bool:
    """Tell whether the library was built with its C part: without it, a gigabyte would take many minutes."""
    return bool(getattr(importlib.import_module("crcmod.crcmod"), "_usingExtension", False))


def write_at(file: int, data: bytes, place: int) -> int:
    """Write all of ``data`` at a place of an open file, and return its length."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, place)
        view, place = view[written:], place + written
    return len(data)
