"""Buckets and their objects, in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class Listing:
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
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._objects: dict[str, StoredObject] = {}

    def put(
        self, key: str, data: bytes, now: float, content_type: str = "", metadata: dict[str, str] | None = None
    ) -> StoredObject:
        """Write an object, replacing an older one; ``now`` is in epoch seconds."""
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        stored = StoredObject(data, content_type or "application/octet-stream", now, f'"{etag}"', metadata or {})
        self._objects[key] = stored
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

    def page(self, prefix: str, delimiter: str, marker: str, limit: int) -> Listing:
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
                return Listing(contents, prefixes, last or None)
            last = entry
            if found:
                prefixes.append(entry)
            else:
                contents.append((key, self._objects[key]))
        return Listing(contents, prefixes, None)


class ObjectStore:
    """All buckets of one emulator."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def reset(self) -> None:
        """Forget every bucket."""
        self._buckets.clear()

    def create(self, name: str, region: str) -> Bucket:
        """Return the bucket, made if there is none."""
        return self._buckets.setdefault(name, Bucket(region))

    def find(self, name: str, region: str) -> Bucket | None:
        """Return the bucket if it is in that region."""
        bucket = self._buckets.get(name)
        return bucket if bucket is not None and bucket.region == region else None
