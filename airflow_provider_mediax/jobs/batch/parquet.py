"""Rows as Parquet files, with pyarrow, which the extra ``parquet`` brings."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import IO

from airflow_provider_mediax.jobs.batch.sources import import_parquet
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.rows import Column

ROWS_PER_GROUP = 10_000
"""Rows that are in memory at once."""

_TYPES = {"text": "string", "integer": "int64", "number": "float64"}


def encode(columns: Sequence[Column], rows: Iterable[JsonObject], metadata: Sequence[str], file: IO[bytes]) -> None:
    """
    Write rows as a Parquet file; an item's metadata are texts there, since items need not agree about their types.

    :param columns: of the capability.
    :param metadata: names of the columns that come from the items' metadata.
    :raises BadRequest: pyarrow is not installed.
    """
    parquet = import_parquet("output_format", "parquet")
    import pyarrow

    fields = [("item_id", "string"), *((column.name, _TYPES[column.type]) for column in columns)]
    fields += [(name, "string") for name in metadata]
    arrow_schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in fields])
    left = iter(rows)
    with parquet.ParquetWriter(file, arrow_schema) as writer:
        while group := list(itertools.islice(left, ROWS_PER_GROUP)):
            table = [_fit(row, metadata) for row in group]
            writer.write_table(pyarrow.Table.from_pylist(table, schema=arrow_schema))


def _fit(row: JsonObject, metadata: Sequence[str]) -> JsonObject:
    return {**row, **{name: None if row.get(name) is None else str(row[name]) for name in metadata}}
