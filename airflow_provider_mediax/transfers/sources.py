"""What a load is given, manifests of jobs, batches or files of rows, as keys to replace and rows to write."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.rows import COMMON, LOADED, item_key, key_of
from airflow_provider_mediax.protocol.urls import shown_url
from airflow_provider_mediax.results import Output, Row, outputs, schema

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mediax.jobs.ownership import Log

ROWS_OF_PARQUET = 1000
"""Rows of a Parquet file that are held at once."""

DONE = ("done", "duplicate")
"""States of a batch's items that have a result; a duplicate shares the one of another item."""

_OWNER = ("dag_id", "run_id", "task_id", "map_index")
_IDENTITY = ("item_key", "capability", "item_id", "input", "job_id", *_OWNER)
"""The columns that say whose row it is: rows of one item have the same, and stand together."""


class Key(NamedTuple):
    """
    What a load replaces, by its mode.

    :param item_key: of the newest results of an item.
    :param load_id: of what one task instance has found, or of one ``load_key``.
    """

    item_key: str
    load_id: str


class Source(ABC):
    """
    A part of a load. What stands in two sources is taken from the later one.

    :ivar capabilities: those whose rows it has.
    """

    capabilities: frozenset[str]

    @abstractmethod
    def replaced(self) -> Iterator[Key]:
        """Yield what is replaced: of items that have no rows, too."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield the rows with the columns of a warehouse."""


class Keys:
    """
    How rows get their keys.

    :param load_key: stands in place of the job's task instance, in every ``load_id``.
    """

    def __init__(self, load_key: str | None = None) -> None:
        self._load_key = load_key

    def of(self, facts: Mapping[str, Any]) -> Key:
        """
        Return the key of a row or of what all rows of an output begin with.

        A job that nobody is known to own stands for itself.
        """
        capability, job_id = str(facts.get("capability")), str(facts.get("job_id"))
        owner: tuple[Any, ...] = tuple(facts.get(name) for name in _OWNER)
        if self._load_key is not None:
            owner = ("load_key", self._load_key)
        elif owner[0] is None:
            owner = ("job", job_id)
        known = facts.get("item_key")
        item = known or item_key(capability, item_id=facts.get("item_id"), input=facts.get("input"), job_id=job_id)
        return Key(str(item), key_of(*owner, capability))

    def complete(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Add the columns that rows have in a warehouse."""
        before: tuple[Any, ...] | None = None
        key, row_no = Key("", ""), 0
        for row in rows:
            identity = tuple(map(row.get, _IDENTITY))
            if identity != before:
                before, key, row_no = identity, self.of(row), 0
            yield {"item_id": None, "row_no": row_no, **row, "item_key": key.item_key, "load_id": key.load_id}
            row_no += 1


class Manifests(Source):
    """
    What job operators and job sensors have returned.

    :param manifests: in their order; of two for one item the later counts.
    :param conn_id: connection that reads results which lie in COS.
    :raises BadRequest: one is no manifest, or of a job that has not succeeded.
    """

    def __init__(self, manifests: Sequence[Mapping[str, Any]], keys: Keys, *, conn_id: str, log: Log) -> None:
        self._keys = keys
        self._outputs: dict[Key, Output] = {}
        for manifest in manifests:
            _require_success(manifest)
            for output in outputs(manifest, conn_id):
                key = keys.of(output.facts)
                if (earlier := self._outputs.pop(key, None)) is not None:
                    log.warning(
                        "Jobs %s and %s are both %s of %s: the rows of the second one are loaded",
                        *(earlier.facts["job_id"], output.facts["job_id"]),
                        *(output.facts["capability"], output.facts["input"]),
                    )
                self._outputs[key] = output
        self.capabilities = frozenset(output.facts["capability"] for output in self._outputs.values())

    def replaced(self) -> Iterator[Key]:
        """Yield the keys of all outputs."""
        return iter(self._outputs)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all outputs."""
        return self._keys.complete(chain.from_iterable(output.rows for output in self._outputs.values()))


class Parts(Source):
    """
    Files of rows: JSON lines or Parquet, each with the rows of one capability, those of an item one after the other.

    They are read twice, for the keys and for the rows, and never held.

    :param addresses: what :func:`open_address` opens.
    :raises BadRequest: a file is something else.
    """

    def __init__(self, addresses: Sequence[str], keys: Keys, *, conn_id: str) -> None:
        self._files = [(address, open_address(address, conn_id)) for address in addresses]
        self._keys = keys
        read = (next(read_rows(address, path), None) for address, path in self._files)
        self._firsts = [first for first in read if first is not None]
        self.capabilities = frozenset(str(first["capability"]) for first in self._firsts)

    def replaced(self) -> Iterator[Key]:
        """Yield the key of each item of the files."""
        before: tuple[Any, ...] | None = None
        for row in self._read():
            identity = tuple(map(row.get, _IDENTITY))
            if identity != before:
                if str(row["capability"]) not in self.capabilities:
                    rule = "a file must have the rows of one capability: its first row says which columns are written."
                    raise BadRequest.field("manifests", row["capability"], rule)
                yield self._keys.of(row)
            before = identity

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the files."""
        return self._keys.complete(self._read())

    def _read(self) -> Iterator[Row]:
        return chain.from_iterable(read_rows(address, path) for address, path in self._files)


class Batch(Parts):
    """
    What a batch has come to: its items that are done, whatever became of the others.

    :param summary: what the batch's task has returned: ``capability`` says whose rows there may be, ``parts`` are
        addresses of rows, ``outcome`` is the address of a file with a line for each item, and ``owner`` the task
        instance.
    :raises BadRequest: it is something else.
    """

    def __init__(self, summary: Mapping[str, Any], keys: Keys, *, conn_id: str) -> None:
        parts, self._outcome = summary["parts"], str(summary["outcome"])
        if not isinstance(parts, Sequence) or not all(isinstance(part, str) for part in parts):
            raise BadRequest.field("manifests", parts, "the parts of a batch must be a list of addresses.")
        super().__init__(parts, keys, conn_id=conn_id)
        self.capabilities |= set(str(summary["capability"]).split(","))
        self._items = open_address(self._outcome, conn_id)
        owner = next(iter(self._firsts), None) or summary.get("owner") or {}
        self._owner = {name: owner.get(name) for name in _OWNER}

    def replaced(self) -> Iterator[Key]:
        """Yield the key of each item that is done, in the order of the outcome."""
        for number, line in enumerate(read_lines(self._items), start=1):
            if not isinstance(line, dict) or not {"id", "capability", "state"} <= set(line):
                rule = f"line {number} must be an object that says id, capability and state of an item."
                raise BadRequest.field("manifests", shown_url(self._outcome), rule)
            if line["state"] in DONE and not line.get("error"):
                item = {"capability": line["capability"], "item_id": line["id"], "job_id": line.get("job_id")}
                yield self._keys.of({**self._owner, **item})


def open_address(address: str, conn_id: str) -> ObjectStoragePath:
    """
    Return the object at an address.

    :param conn_id: connection of ``cos://`` addresses that name none.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    own = conn_id if address.startswith("cos://") and "@" not in address.split("/")[2] else None
    return ObjectStoragePath(address, conn_id=own)


def read_rows(address: str, path: ObjectStoragePath) -> Iterator[Row]:
    """
    Yield the rows of a file, by the end of its name.

    :raises BadRequest: it is neither JSON lines nor Parquet, or a line is no row.
    """
    readers: dict[str, Callable[[ObjectStoragePath], Iterator[Any]]] = {
        ".jsonl": read_lines,
        ".parquet": _read_parquet,
    }
    read = readers.get(path.suffix)
    if read is None:
        rule = f"it must be the address of a file whose name ends in {' or '.join(readers)}."
        raise BadRequest.field("manifests", shown_url(address), rule)
    for number, row in enumerate(read(path), start=1):
        if not isinstance(row, dict) or row.get("capability") is None or row.get("job_id") is None:
            rule = f"row {number} must be an object with the columns of a row, capability and job_id among them."
            raise BadRequest.field("manifests", shown_url(address), rule)
        yield row


def read_lines(path: ObjectStoragePath) -> Iterator[Any]:
    """Yield the JSON values of a file's lines; of a line that is none, its text."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.isspace():
                try:
                    yield json.loads(line)
                except ValueError:
                    yield line


def _read_parquet(path: ObjectStoragePath) -> Iterator[Any]:
    try:
        from pyarrow import parquet
    except ImportError:
        rule = "reading Parquet needs pyarrow: pip install 'airflow-provider-mediax[parquet]'."
        raise BadRequest.field("manifests", shown_url(str(path)), rule) from None
    with path.open("rb") as file:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=ROWS_OF_PARQUET):
            yield from batch.to_pylist()


def columns_of(capabilities: Iterable[str]) -> dict[str, str]:
    """
    Return name and type of the columns that rows of these capabilities have in a warehouse.

    :raises BadRequest: two capabilities have a column of the same name with different types.
    """
    found = {column.name: column.type for column in (*LOADED, *COMMON)}
    for capability in sorted(capabilities):
        for column in schema(capability).columns:
            if found.setdefault(column.name, column.type) != column.type:
                rule = (
                    f"its {column.name} has another type than that of another capability. Give each a table of its own."
                )
                raise BadRequest.field("manifests", capability, rule)
    return dict(found)


def cells(row: Row, names: Sequence[str]) -> tuple[Any, ...]:
    """
    Return the values of a row's columns as every database takes them.

    :raises BadRequest: a whole number is too large for 64 bits.
    """
    # Nearly every value is one of these two kinds, and there are millions.
    return tuple(
        [
            value
            if value is None or (value.__class__ is str and value.isascii() and "\0" not in value)
            else _cell(row, name, value)
            for name, value in zip(names, map(row.get, names), strict=True)
        ]
    )


def _cell(row: Row, name: str, value: object) -> str | int | float | None:
    kind = value.__class__
    if kind is float:
        return value if math.isfinite(value) else None  # type: ignore[arg-type, return-value]
    if kind is str:
        return _text(value)  # type: ignore[arg-type]
    if not isinstance(value, int):
        return _text(json.dumps(value, ensure_ascii=False))
    if not -(2**63) <= value < 2**63:
        item = row.get("item_id") or row.get("input") or row.get("job_id")
        raise BadRequest.field(name, value, f"a whole number must fit into 64 bits (item {item}).")
    return int(value)


def _text(value: str) -> str:
    """Return a text without NUL, which PostgreSQL refuses, and without half characters, which are no UTF-8."""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _require_success(manifest: Mapping[str, Any]) -> None:
    from airflow_provider_mediax.hooks.registry import SERVICES

    service = SERVICES.get(str(manifest.get("service")))
    if service is not None and manifest.get("state") != service.service_type.succeeded:
        rule = "the job must have succeeded. Wait for it with a job sensor, and give what the sensor returns."
        raise BadRequest.field("manifests", f"job {manifest.get('job_id')}, {manifest.get('state')}", rule)
