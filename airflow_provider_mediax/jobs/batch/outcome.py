"""
The end of a batch: the results of all chunks in a few large files, and ``outcome.json``, which names them.

Everything is written under ``rows/<random>/``; ``outcome.json``, created only once, is the commit. A merge that was cut
off starts again.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, TypeAlias

from airflow_provider_mediax.jobs.batch.folder import Store, as_line
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger, End, Finished
from airflow_provider_mediax.jobs.batch.plan import Index, Line, Lines
from airflow_provider_mediax.protocol.exchange import JsonObject

OUTCOME = "outcome.json"

ROWS_PER_FILE = 100_000
BYTES_PER_FILE = 64 * 1024 * 1024
"""Rows and bytes of one file of rows at most."""

COMMONEST = 10
"""Errors of which the summary names one example each."""

RowsOf: TypeAlias = Callable[[Mapping[str, Any]], list[JsonObject]]
"""Makes the flat rows of a manifest."""


class Encode(Protocol):
    """Makes a file of rows."""

    def __call__(self, capability: str, rows: Iterable[JsonObject], metadata: Sequence[str], file: IO[bytes]) -> None:
        """
        Write the file's content.

        :param metadata: names of the columns that come from the items' metadata.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """
    An outcome of the same batch, of which some items were done anew.

    :param lines: of the items that were not.
    :param files: of its rows.
    """

    lines: Callable[[], Iterable[JsonObject]]
    files: Mapping[str, Sequence[str]]
    rows: int


@dataclass(slots=True)
class Summary:
    """
    What a batch came to.

    :param ends: number of items by their state.
    :param errors: the commonest reasons, with their number and an example: item and job.
    :param files: of the rows, by capability; relative to the batch's folder.
    :param items: name of the file with a line for each item.
    """

    ends: Counter[str] = field(default_factory=Counter)
    adopted: int = 0
    errors: list[JsonObject] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    items: str = ""
    rows: int = 0

    @classmethod
    def read(cls, stored: JsonObject) -> Summary:
        """Read what ``outcome.json`` says."""
        return cls(
            ends=Counter(stored["ends"]),
            adopted=int(stored["adopted"]),
            errors=list(stored["errors"]),
            files={name: list(files) for name, files in stored["files"].items()},
            items=str(stored["items"]),
            rows=int(stored["rows"]),
        )


async def read_outcome(store: Store) -> JsonObject | None:
    """Return what ``outcome.json`` says, None as long as the batch has not ended."""
    return await store.read(OUTCOME)


class Merge:
    """
    Merges the results of chunks.

    :param rows_of: makes rows of a manifest.
    :param marker: what the markers of the chunks begin with.
    :param encode: makes a Parquet file of rows; None makes JSON lines.
    :param prefix: of the store's folder in the batch's: what the outcome's names begin with.
    :param before: what is taken over from an earlier outcome.
    :param facts: what else ``outcome.json`` says, for its reader.
    """

    def __init__(
        self,
        store: Store,
        index: Index,
        ledger: BatchLedger,
        rows_of: RowsOf,
        *,
        marker: str,
        encode: Encode | None = None,
        prefix: str = "",
        before: Before | None = None,
        facts: Mapping[str, Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._index = index
        self._ledger = ledger
        self._lines = Lines(store, index)
        self._rows_of = rows_of
        self._encode = encode
        self._prefix = prefix
        self._before = before
        self._marker = marker
        self._facts = facts
        self._clock = clock
        self._folder = f"rows/{uuid.uuid4().hex[:16]}"
        self._summary = Summary()
        self._open: dict[str, _OpenFile] = {}
        self._reasons: dict[str, list[Any]] = {}

    async def run(self) -> JsonObject:
        """Merge everything, and return what ``outcome.json`` says then: who was faster wins."""
        try:
            return await self._run()
        finally:
            for file in self._open.values():
                file.close()

    async def _run(self) -> JsonObject:
        names = await self._ledger.names()
        numbers = sorted(names.done)
        twins = await self._twins()
        with tempfile.TemporaryFile() as items:
            at: dict[str, int] = {}
            for number in numbers:
                finished = await self._ledger.finished(number)
                if finished is None:
                    continue
                capability = finished.range.capability
                await self._skip_to(items, capability, at.get(capability, 0), finished.range.first, twins)
                await self._take(items, number, finished, twins)
                at[capability] = finished.range.end
            for capability in self._index.capabilities:
                total = self._index.lines_of(capability)
                await self._skip_to(items, capability, at.get(capability, 0), total, twins)
            for capability in list(self._open):
                await self._close(capability)
            self._take_over(items)
            await self._store.upload(f"{self._folder}/outcome.jsonl", items)
            self._summary.items = f"{self._prefix}{self._folder}/outcome.jsonl"
        return await self._commit()

    def _take_over(self, items: IO[bytes]) -> None:
        if self._before is None:
            return
        for line in self._before.lines():
            items.write(as_line(line))
            self._summary.ends[line["state"]] += 1
            if line["error"] and line["state"] != "elsewhere":
                self._count_error(line["error"], line["id"], line["job_id"])
        self._summary.rows += self._before.rows
        for capability, files in self._before.files.items():
            self._summary.files[capability] = [*files, *self._summary.files.get(capability, ())]

    async def _twins(self) -> dict[str, dict[int, list[Line]]]:
        """Return the lines that were not bought because another one asks for the same, by that one's place."""
        twins: dict[str, dict[int, list[Line]]] = {}
        if not self._index.counts.duplicates:
            return twins
        for file in self._index.files:
            for line in await self._lines.of(file.capability, file.first, file.count):
                if line.twin is not None:
                    twins.setdefault(file.capability, {}).setdefault(line.twin, []).append(line)
        return twins

    async def _take(
        self, items: IO[bytes], number: int, finished: Finished, twins: Mapping[str, Mapping[int, list[Line]]]
    ) -> None:
        capability = finished.range.capability
        manifests: dict[int, JsonObject] = {}
        if finished.part is not None:
            manifests = {int(place): found for place, found in await self._store.lines(finished.part)}
        lines = await self._lines.of(capability, finished.range.first, finished.range.count)
        for line in lines:
            if not line.is_bought:
                if line.elsewhere is not None:
                    self._note(items, capability, line, "elsewhere", error=line.elsewhere)
                continue
            end = finished.ends.get(line.place) or End("unknown", None, "The ledger does not say how it ended")
            marker = f"{self._marker}-{number:05d}"
            self._note(items, capability, line, end.state, end=end, marker=marker)
            same = [line, *twins.get(capability, {}).get(line.place, ())]
            for twin in same[1:]:
                self._note(items, capability, twin, "duplicate", end=end, marker=marker, of=line.id)
            if line.place in manifests:
                await self._add(capability, manifests[line.place], same)

    async def _skip_to(
        self,
        items: IO[bytes],
        capability: str,
        first: int,
        end: int,
        twins: Mapping[str, Mapping[int, list[Line]]],
    ) -> None:
        """Note the lines that no chunk holds."""
        while first < end:
            count = min(2000, end - first)
            for line in await self._lines.of(capability, first, count):
                if line.elsewhere is not None:
                    self._note(items, capability, line, "elsewhere", error=line.elsewhere)
                elif line.twin is None:
                    self._note(items, capability, line, "not_submitted")
                    for twin in twins.get(capability, {}).get(line.place, ()):
                        self._note(items, capability, twin, "not_submitted")
            first += count

    def _note(
        self,
        items: IO[bytes],
        capability: str,
        line: Line,
        state: str,
        *,
        end: End | None = None,
        marker: str | None = None,
        of: str | None = None,
        error: str | None = None,
    ) -> None:
        """Write the line of an item; one that was never bought carries no job."""
        said = {
            "id": line.id,
            "capability": capability,
            "state": state,
            "job_id": end.job_id if end else None,
            "marker": marker,
            "error": end.error if end else error,
            "duplicate_of": of,
            "digest": line.digest,
            "etag": line.etag,
            "input": next(iter(line.arguments.values()), None) if line.arguments else None,
            "metadata": line.metadata,
        }
        items.write(as_line(said))
        self._summary.ends[state] += 1
        self._summary.adopted += end is not None and end.adopted and state != "duplicate"
        if end is not None and end.error and state != "duplicate":
            self._count_error(end.error, line.id, end.job_id)

    def _count_error(self, error: str, item: str, job_id: str | None) -> None:
        reason = self._reasons.setdefault(error[:200], [0, item, job_id])
        reason[0] += 1

    async def _add(self, capability: str, manifest: JsonObject, lines: Sequence[Line]) -> None:
        rows = self._rows_of(manifest)
        for line in lines:
            metadata = {f"meta_{name}": value for name, value in line.metadata.items()}
            added = [{**row, "item_id": line.id, **metadata} for row in rows]
            if capability not in self._open:
                self._open[capability] = _OpenFile()
            file = self._open[capability]
            file.add(added, metadata)
            self._summary.rows += len(added)
            if file.rows >= ROWS_PER_FILE or file.size >= BYTES_PER_FILE:
                await self._close(capability)

    async def _close(self, capability: str) -> None:
        file = self._open[capability]
        files = self._summary.files.setdefault(capability, [])
        name = f"{self._folder}/{capability}/{len(files):05d}.{'parquet' if self._encode else 'jsonl'}"
        if self._encode is None:
            await self._store.upload(name, file.lines)
        else:
            with tempfile.TemporaryFile() as encoded:
                self._encode(capability, file.read(), sorted(file.metadata), encoded)
                await self._store.upload(name, encoded)
        del self._open[capability]
        file.close()
        files.append(f"{self._prefix}{name}")

    async def _commit(self) -> JsonObject:
        summary = self._summary
        commonest = sorted(self._reasons.items(), key=lambda found: -found[1][0])[:COMMONEST]
        summary.errors = [
            {"error": error, "count": count, "item": item, "job_id": job_id}
            for error, (count, item, job_id) in commonest
        ]
        said = {name: getattr(summary, name) for name in ("ends", "adopted", "errors", "files", "items", "rows")}
        content = {**self._facts, **said, "ended_at": self._clock(), "token": uuid.uuid4().hex}
        await self._store.create(OUTCOME, content)
        stored = await self._store.read(OUTCOME)
        if stored is None:
            raise FileNotFoundError(OUTCOME)
        await self._store.delete([entry.name for entry in await self._store.entries("parts")])
        return stored


class _OpenFile:
    """Rows that are not written yet, as lines in a temporary file."""

    def __init__(self) -> None:
        self.lines: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is written
        self.rows = 0
        self.size = 0
        self.metadata: set[str] = set()

    def add(self, rows: Sequence[JsonObject], metadata: Iterable[str]) -> None:
        for row in rows:
            self.size += self.lines.write(as_line(row))
        self.rows += len(rows)
        self.metadata.update(metadata)

    def read(self) -> Iterable[JsonObject]:
        self.lines.seek(0)
        return (json.loads(line) for line in self.lines)

    def close(self) -> None:
        self.lines.close()
