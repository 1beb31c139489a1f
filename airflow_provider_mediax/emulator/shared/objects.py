"""Buckets and their objects, in memory."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self


@dataclass(frozen=True, slots=True)
class StoredObject:
    """
    One object.

    :param modified: epoch seconds.
    :param metadata: ``x-cos-meta-*`` headers in lower case.
    :param appendable: whether it was made by an append, so that more can be appended.
    """

    data: bytes = field(repr=False)
    content_type: str
    modified: float
    etag: str
    metadata: dict[str, str]
    appendable: bool = False

    @classmethod
    def of(
        cls, data: bytes, now: float, content_type: str = "", metadata: dict[str, str] | None = None, etag: str = ""
    ) -> Self:
        """Return the object that holds the data; its ETag is the MD5 of it unless another is given."""
        etag = etag or hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(data, content_type or "application/octet-stream", now, f'"{etag}"', metadata or {})


@dataclass(slots=True)
class Upload:
    """
    An unfinished upload in parts.

    :param initiated: epoch seconds.
    :ivar parts: by number.
    :ivar itself: what the upload counts without any part.
    """

    id: str
    key: str
    initiated: float
    content_type: str
    metadata: dict[str, str]
    parts: dict[int, StoredObject] = field(default_factory=dict)
    itself: StoredObject = field(default_factory=lambda: StoredObject.of(b"", 0))


@dataclass(frozen=True, slots=True)
class KeyPage:
    """
    One page of a listing.

    :param next_marker: where the next page starts, None on the last one.
    """

    contents: list[tuple[str, StoredObject]]
    prefixes: list[str]
    next_marker: str | None


class NoSuchKey(LookupError):
    """The bucket has no such object."""


class Versioning(StrEnum):
    """Whether a bucket keeps what is replaced. Suspended is not never: COS has no way back."""

    NEVER = "Never"
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


class StoreFull(Exception):
    """The emulator keeps no more; the text says what to do."""


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """A rule that deletes objects some days after their last write. It is only shown, never applied."""

    name: str
    prefix: str
    days: int


class Space:
    """
    How much all buckets hold together. An object or part counts its bytes and one KiB for the rest.

    :param limit_mib: MiB that they may hold.
    """

    def __init__(self, limit_mib: int) -> None:
        self._limit_mib = limit_mib
        self._used = 0

    def exchange(self, old: StoredObject | None, new: StoredObject | None) -> None:
        """
        Count that one object takes the place of another; None is none.

        :raises StoreFull: there is no room for the new one.
        """
        grown = sum(sign * (len(each.data) + 1024) for sign, each in ((-1, old), (1, new)) if each is not None)
        if grown > 0 and self._used + grown > self._limit_mib * 1024 * 1024:
            raise StoreFull(
                f"The emulator keeps at most {self._limit_mib} MiB of objects; start it with a larger --max-object-mib."
            )
        self._used += grown


class Bucket:
    """
    Objects by key.

    :param region: the only region under which the bucket answers.
    :param space: shared with the other buckets.
    :ivar uploads: unfinished ones by id, oldest first.
    :ivar versioning: only its effect on create-only writes is emulated; what is replaced is gone.
    :ivar lifecycle: what it says about the end of objects.
    :ivar many_zones: whether it lies in several availability zones, where nothing can be appended.
    """

    def __init__(self, name: str, region: str, space: Space) -> None:
        self.name = name
        self.region = region
        self._space = space
        self.uploads: dict[str, Upload] = {}
        self.versioning = Versioning.NEVER
        self.many_zones = False
        self.lifecycle: list[LifecycleRule] = []
        self._objects: dict[str, StoredObject] = {}

    def put(
        self, key: str, data: bytes, now: float, content_type: str = "", metadata: dict[str, str] | None = None
    ) -> StoredObject:
        """
        Write an object, replacing an older one; ``now`` is in epoch seconds.

        :raises StoreFull: there is no room for it.
        """
        return self._keep(key, StoredObject.of(data, now, content_type, metadata))

    def append(self, key: str, data: bytes, now: float, content_type: str) -> StoredObject:
        """
        Write at the end of an object, or begin one that can be appended to.

        :raises StoreFull: there is no room for it.
        """
        old = self._objects.get(key)
        if old is None:
            return self._keep(key, replace(StoredObject.of(data, now, content_type), appendable=True))
        longer = StoredObject.of(old.data + data, now, old.content_type, old.metadata)
        return self._keep(key, replace(longer, appendable=True))

    def begin_upload(self, key: str, now: float, content_type: str, metadata: dict[str, str]) -> Upload:
        """Begin an upload in parts."""
        upload = Upload(uuid.uuid4().hex, key, now, content_type, metadata)
        self._space.exchange(None, upload.itself)
        self.uploads[upload.id] = upload
        return upload

    def put_part(self, upload: Upload, number: int, part: StoredObject) -> None:
        """
        Keep a part, replacing an older one.

        :raises StoreFull: there is no room for it.
        """
        self._space.exchange(upload.parts.get(number), part)
        upload.parts[number] = part

    def abort(self, upload: Upload) -> None:
        """Forget an upload and its parts."""
        del self.uploads[upload.id]
        for held in (upload.itself, *upload.parts.values()):
            self._space.exchange(held, None)

    def put_parts(self, upload: Upload, parts: Sequence[StoredObject], now: float) -> StoredObject:
        """Write the object of an upload and forget the upload. Its ETag is that of the parts, and their number."""
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        data = b"".join(part.data for part in parts)
        stored = StoredObject.of(data, now, upload.content_type, upload.metadata, etag)
        self.abort(upload)  # first, since the object fits where its parts have been
        return self._keep(upload.key, stored)

    def holds(self, key: str) -> bool:
        """Tell whether there is such an object."""
        return key in self._objects

    def get(self, key: str) -> StoredObject:
        """
        Return an object.

        :raises NoSuchKey: there is none.
        """
        if key not in self._objects:
            raise NoSuchKey(key)
        return self._objects[key]

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        self._space.exchange(self._objects.pop(key, None), None)

    def keys(self) -> list[str]:
        """Return all keys in the order of their UTF-8 bytes."""
        return sorted(self._objects, key=str.encode)

    def page(self, prefix: str, delimiter: str, marker: str, limit: int) -> KeyPage:
        """
        List keys after ``marker``; those that share a part up to ``delimiter`` after the prefix are one entry.

        :param limit: entries on the page, common prefixes included.
        """
        contents: list[tuple[str, StoredObject]] = []
        prefixes: list[str] = []
        last = ""
        for key in self.keys():
            if not key.startswith(prefix):
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            entry = prefix + head + delimiter if found else key
            if entry.encode() <= marker.encode() or (prefixes and prefixes[-1] == entry):
                continue
            if len(contents) + len(prefixes) == limit:
                return KeyPage(contents, prefixes, last or None)
            last = entry
            if found:
                prefixes.append(entry)
            else:
                contents.append((key, self._objects[key]))
        return KeyPage(contents, prefixes, None)

    def _keep(self, key: str, stored: StoredObject) -> StoredObject:
        self._space.exchange(self._objects.get(key), stored)
        self._objects[key] = stored
        return stored


class ObjectStore:
    """
    All buckets of one emulator.

    :param limit_mib: MiB that they may hold together.
    """

    def __init__(self, limit_mib: int) -> None:
        self._limit_mib = limit_mib
        self.reset()

    def reset(self) -> None:
        """Forget every bucket."""
        self._buckets: dict[str, Bucket] = {}
        self._space = Space(self._limit_mib)

    def create(self, name: str, region: str) -> Bucket:
        """Return the bucket, made if there is none."""
        return self._buckets.setdefault(name, Bucket(name, region, self._space))

    def is_host(self, host: str) -> bool:
        """Tell whether a host's name is that of a bucket."""
        return any(host == f"{bucket.name}.cos.{bucket.region}.myqcloud.com" for bucket in self._buckets.values())

    def find(self, name: str, region: str) -> Bucket | None:
        """Return the bucket if it is in that region."""
        bucket = self._buckets.get(name)
        return bucket if bucket is not None and bucket.region == region else None
