"""Databases that rows are loaded into, each with the connection that Airflow has for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import psycopg2


class Warehouse(NamedTuple):
    """
    A database.

    :param kind: type of its connection.
    :param connection: the connection as JSON.
    :param connect: opens it as a user does, beside Airflow.
    """

    kind: str
    connection: str
    connect: Callable[[], Any]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement in a connection of its own, and return its rows."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
            return [tuple(row) for row in found]


def sqlite_in(folder: Path) -> Warehouse:
    file = folder / "music.sqlite"
    return Warehouse("sqlite", json.dumps({"conn_type": "sqlite", "host": str(file)}), lambda: sqlite3.connect(file))


def duckdb_in(folder: Path) -> Warehouse:
    file = folder / "music.duckdb"
    return Warehouse("duckdb", json.dumps({"conn_type": "duckdb", "host": str(file)}), lambda: duckdb.connect(file))


def postgres_at(socket: Path, database: str) -> Warehouse:
    place = {"host": str(socket), "user": "postgres", "dbname": database}
    connection = {"conn_type": "postgres", "host": str(socket), "login": "postgres", "schema": database}
    return Warehouse("postgres", json.dumps(connection), lambda: psycopg2.connect(**place))
