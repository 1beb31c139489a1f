"""Buckets and their objects, in memory."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class StoredObject:
    """
    One object.

    :param modified: epoch seconds.
    :param metadata: ``x-cos-meta-*`` headers in lower case.
    """

    data: bytes = field(repr=False)
    content_type: str
    modified: float
    etag: str
    metadata: dict[str, str]

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
    """

    id: str
    key: str
    initiated: float
    content_type: str
    metadata: dict[str, str]
    parts: dict[int, StoredObject] = field(default_factory=dict)


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


class Bucket:
    """
    Objects by key.

    :param region: the only region under which the bucket answers.
    :ivar uploads: unfinished ones by id, oldest first.
    """

    def __init__(self, name: str, region: str) -> None:
        self.name = name
        self.region = region
        self.uploads: dict[str, Upload] = {}
        self._objects: dict[str, StoredObject] = {}

    def put(
        self, key: str, data: bytes, now: float, content_type: str = "", metadata: dict[str, str] | None = None
    ) -> StoredObject:
        """Write an object, replacing an older one; ``now`` is in epoch seconds."""
        stored = StoredObject.of(data, now, content_type, metadata)
        self._objects[key] = stored
        return stored

    def begin_upload(self, key: str, now: float, content_type: str, metadata: dict[str, str]) -> Upload:
        """Begin an upload in parts."""
        upload = Upload(uuid.uuid4().hex, key, now, content_type, metadata)
        self.uploads[upload.id] = upload
        return upload

    def put_parts(self, upload: Upload, parts: Sequence[StoredObject], now: float) -> StoredObject:
        """Write the object of an upload and forget the upload. Its ETag is that of the parts, and their number."""
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        data = b"".join(part.data for part in parts)
        stored = StoredObject.of(data, now, upload.content_type, upload.metadata, etag)
        self._objects[upload.key] = stored
        del self.uploads[upload.id]
        return stored

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
        self._objects.pop(key, None)

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


class ObjectStore:
    """All buckets of one emulator."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def reset(self) -> None:
        """Forget every bucket."""
        self._buckets.clear()

    def create(self, name: str, region: str) -> Bucket:
        """Return the bucket, made if there is none."""
        return self._buckets.setdefault(name, Bucket(name, region))

    def find(self, name: str, region: str) -> Bucket | None:
        """Return the bucket if it is in that region."""
        bucket = self._buckets.get(name)
        return bucket if bucket is not None and bucket.region == region else None
