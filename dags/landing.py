"""Rows into an SQLite file: what the examples of this folder share in place of a warehouse."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

OWNER = ("dag_id", "run_id", "task_id", "map_index")
"""The task instance that paid for the job behind a row. A job id is no key: a clear buys another job."""


@contextmanager
def database(file: str) -> Iterator[sqlite3.Connection]:
    """Open a file for one transaction: a retry finds everything that the try before wrote, or nothing."""
    with closing(sqlite3.connect(Path(file).expanduser(), timeout=60)) as connection, connection:
        yield connection


def make_table(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    """Make a table with the owner's columns and these, unless there is one."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join((*OWNER, *columns))})")


def replace_rows(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    owner: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
) -> int:
    """Write one owner's rows in place of those that it has written before, and return how many there are."""
    make_table(connection, table, columns)
    mine = " AND ".join(f"{column} = :{column}" for column in OWNER)
    connection.execute(f"DELETE FROM {table} WHERE {mine}", owner)  # noqa: S608 - names of this folder's files
    values = ", ".join(f":{column}" for column in (*OWNER, *columns))
    written = connection.executemany(f"INSERT INTO {table} VALUES ({values})", [{**owner, **row} for row in rows])  # noqa: S608
    return max(written.rowcount, 0)
