"""Loads a file into connection ``music`` and is killed in the middle: ``killed_load.py <address> <writes before>``."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import Any

from airflow_provider_mediax.transfers import tables
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

_WRITES = itertools.count(1)


def _dying(kind: type[tables.Table], last: int) -> None:
    insert = kind.insert

    def insert_and_die(self: tables.Table, cursor: Any, rows: Any) -> None:
        insert(self, cursor, rows)
        if next(_WRITES) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    kind.insert = insert_and_die  # type: ignore[method-assign]


if __name__ == "__main__":
    for found in tables.TABLES.values():
        _dying(found, int(sys.argv[2]))
    MediaxResultsToSqlOperator(
        task_id="load", manifests=sys.argv[1], sql_conn_id="music", table="tags", rows_per_statement=100
    ).execute({})
