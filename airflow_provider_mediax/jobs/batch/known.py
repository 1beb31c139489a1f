"""
What is known while a plan is made, in a temporary SQLite file: a catalogue does not fit into memory.

Two things are asked of it: whether an item has been seen in this source already, and what earlier batches have made of
it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

_TABLES = """
CREATE TABLE seen (capability TEXT, id TEXT, digest TEXT, PRIMARY KEY (capability, id)) WITHOUT ROWID;
CREATE TABLE first (capability TEXT, digest TEXT, place INTEGER, PRIMARY KEY (capability, digest)) WITHOUT ROWID;
CREATE TABLE known (capability TEXT, id TEXT, digest TEXT, etag TEXT, folder TEXT,
                    PRIMARY KEY (capability, id, digest, etag)) WITHOUT ROWID;
CREATE TABLE wanted (capability TEXT, id TEXT, PRIMARY KEY (capability, id)) WITHOUT ROWID;
"""


class Known(NamedTuple):
    """
    What an earlier batch has made of an item.

    :param etag: of the object that it was about, empty if that is not known.
    :param folder: of the unfinished batch that has submitted it; empty if it is done.
    """

    capability: str
    id: str
    digest: str
    etag: str
    folder: str


class Memory:
    """A temporary database. A context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryDirectory(prefix="mediax-plan-")
        self._db = sqlite3.connect(Path(self._file.name) / "plan.sqlite", isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_TABLES} BEGIN;")

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.closing(self._db):
            pass
        self._file.cleanup()

    def digest_of(self, capability: str, item_id: str) -> str | None:
        """Return the digest of the item that has an id already, None if none has."""
        row = self._one("SELECT digest FROM seen WHERE capability = ? AND id = ?", capability, item_id)
        return str(row[0]) if row else None

    def first(self, capability: str, digest: str) -> int | None:
        """Return the place of the line that asks for the same and is bought."""
        row = self._one("SELECT place FROM first WHERE capability = ? AND digest = ?", capability, digest)
        return row[0] if row else None

    def see(self, capability: str, item_id: str, digest: str, *, bought_at: int | None) -> None:
        """
        Take an item in.

        :param bought_at: place of its line, if that is bought.
        """
        self._db.execute("INSERT INTO seen VALUES (?, ?, ?)", (capability, item_id, digest))
        if bought_at is not None:
            self._db.execute("INSERT OR IGNORE INTO first VALUES (?, ?, ?)", (capability, digest, bought_at))

    def learn(self, known: Iterable[Known]) -> None:
        """Take in what an earlier batch has made of its items; that an item is done outweighs everything."""
        for one in known:
            self._db.execute(
                "INSERT INTO known VALUES (?, ?, ?, ?, ?) ON CONFLICT (capability, id, digest, etag) "
                "DO UPDATE SET folder = '' WHERE excluded.folder = ''",
                one,
            )

    def known(self, capability: str, item_id: str, digest: str, etag: str | None) -> Known | None:
        """
        Return what is known of an item.

        :param etag: of its object; one that is not known fits any.
        """
        row = self._one(
            "SELECT * FROM known WHERE capability = ? AND id = ? AND digest = ? AND (etag = '' OR ? = '' OR etag = ?) "
            "ORDER BY folder LIMIT 1",
            *(capability, item_id, digest, etag or "", etag or ""),
        )
        return Known(*row) if row else None

    def knows_id(self, capability: str, item_id: str) -> bool:
        """Tell whether an earlier batch had an item of that id."""
        return self._one("SELECT 1 FROM known WHERE capability = ? AND id = ? LIMIT 1", capability, item_id) is not None

    def want(self, items: Iterable[tuple[str, str]]) -> int:
        """Take in the only items that are wanted, by capability and id, and return how many there are."""
        self._db.executemany("INSERT OR IGNORE INTO wanted VALUES (?, ?)", items)
        return int(self._db.execute("SELECT count(*) FROM wanted").fetchone()[0])

    def wants(self, capability: str, item_id: str) -> bool:
        """Tell whether an item is one of those that are wanted."""
        return self._one("SELECT 1 FROM wanted WHERE capability = ? AND id = ?", capability, item_id) is not None

    def _one(self, query: str, *values: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        return found


def done_items(lines: Iterable[dict[str, object]], states: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield capability and id of the outcome's items that ended in some states."""
    wanted = set(states)
    return ((str(line["capability"]), str(line["id"])) for line in lines if line["state"] in wanted)
