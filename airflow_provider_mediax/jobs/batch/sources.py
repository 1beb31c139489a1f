"""Where items come from: files of lines, rows or columns, read as streams; each item with its place for the user."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.batch.items import at, from_columns, from_line
from airflow_provider_mediax.protocol.names import refused

ROWS_AT_ONCE = 10_000
"""Rows of a Parquet file that are in memory at once."""

PARQUET_EXTRA = "pip install 'airflow-provider-mediax[parquet]'"


def kind_of(address: str) -> str:
    """
    Return the kind of a file of items by its name.

    :raises BadRequest: the name says none that is known.
    """
    name = address.lower()
    for kind in ("jsonl", "csv", "parquet"):
        if name.endswith(f".{kind}"):
            return kind
    rule = "it must end in .jsonl, .csv or .parquet, or be a cos:// pattern."
    raise refused("items", address, rule)


def raw_items(kind: str, file: IO[bytes], name: str) -> Iterator[tuple[str, object]]:
    """
    Yield what a file holds, with the place of each.

    :param kind: what :func:`kind_of` returns.
    :param name: of the file, for the places.
    :raises BadRequest: it is no such file; names the line.
    """
    readers = {"jsonl": _lines, "csv": _rows, "parquet": _records}
    return readers[kind](file, name)


def listed_items(given: Iterable[object]) -> Iterator[tuple[str, object]]:
    """Yield the members of a list with their places."""
    return ((f"items[{place}]", item) for place, item in enumerate(given))


def _lines(file: IO[bytes], name: str) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            place = f"{name}, line {number}"
            try:
                yield place, from_line(line)
            except BadRequest as error:
                raise at(place, error) from None


def _rows(file: IO[bytes], name: str) -> Iterator[tuple[str, object]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text, restkey="", strict=True)
    try:
        for row in reader:
            place = f"{name}, line {reader.line_num}"
            if "" in row:
                raise BadRequest(f"{place}: the row has more cells than the header has names", advice="")
            yield place, from_columns(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRequest(f"{name}, line {reader.line_num}: it is no CSV in UTF-8 ({error})", advice="") from None
    finally:
        with contextlib.suppress(ValueError):  # it is closed already
            text.detach()  # the file is closed by those who have opened it


def _records(file: IO[bytes], name: str) -> Iterator[tuple[str, object]]:
    parquet = import_parquet("items", name)
    try:
        opened = parquet.ParquetFile(file)
    except Exception as error:  # noqa: BLE001 - the library raises what it likes
        raise refused("items", name, f"it is no Parquet file ({type(error).__name__}).") from None
    number = 0
    for batch in opened.iter_batches(batch_size=ROWS_AT_ONCE):
        for row in batch.to_pylist():
            number += 1
            yield f"{name}, row {number}", _record(row)


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's item; maps and structs of Parquet may be members as they are."""
    for name in ("parameters", "metadata"):
        if isinstance(row.get(name), list):  # a map comes as a list of pairs
            row = {**row, name: dict(row[name])}
    return from_columns(row)


def import_parquet(argument: str, value: object) -> Any:
    """
    Return pyarrow's module of Parquet files.

    :param argument: what needs it.
    :raises BadRequest: it is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise refused(argument, value, f"Parquet needs pyarrow: {PARQUET_EXTRA}.") from None
    return parquet
