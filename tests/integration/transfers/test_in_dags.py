"""Loads as tasks of real DAGs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
from airflow.sdk import DAG

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator
from tests.audio import click_track
from tests.integration.conftest import Run


def test_one_load_takes_what_mapped_tasks_have_returned(
    run_dag: Callable[..., Run], mediax_emulator: MediaxEmulator, tmp_path: Path
) -> None:
    mediax_emulator.durations("*", 0.2)
    for name in ("a", "b"):
        mediax_emulator.put_object(f"in/{name}.wav", click_track(seconds=2))
    with DAG("mapped_load") as dag:
        paths = ["in/a.wav", "in/b.wav", "in/missing.wav"]
        tags = MusicTagOperator.partial(task_id="tags", deferrable=True, poll_interval=1).expand(path=paths)
        manifests: Any = tags.output
        MediaxResultsToSqlOperator(
            task_id="load",
            manifests=manifests,
            sql_conn_id="music",
            table="{{ dag.dag_id }}.tags",
            mode="history",
            load_key="{{ run_id }}",
            trigger_rule="all_done",
        )
    file = tmp_path / "music.duckdb"
    with closing(duckdb.connect(file)) as database:
        columns = "item_key TEXT, row_no BIGINT, load_id TEXT, item_id TEXT, dag_id TEXT, run_id TEXT, task_id TEXT"
        own = "map_index BIGINT, job_id TEXT, input TEXT, capability TEXT, schema_version BIGINT"
        database.execute("CREATE SCHEMA mapped_load")
        database.execute(
            f"CREATE TABLE mapped_load.tags ({columns}, {own}, dimension TEXT, label TEXT, probability DOUBLE)"
        )
    connection = json.dumps({"conn_type": "duckdb", "host": str(file)})
    run = run_dag(dag, connection=mediax_emulator.connection_json(), conn_env={"AIRFLOW_CONN_MUSIC": connection})
    assert run.states["tags[2]"] == "failed"
    assert run.values["load"] == {"table": "mapped_load.tags", "items": 2, "rows": 10}
    run.clear("load")
    with closing(duckdb.connect(file)) as database:
        found = database.execute("SELECT map_index, count(*) FROM mapped_load.tags GROUP BY 1 ORDER BY 1").fetchall()
    assert found == [(0, 5), (1, 5)]
