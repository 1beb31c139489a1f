"""
Tag every new track of a folder in COS, however many there are, and load the tags into a warehouse.

Needs a connection ``mediax_default`` with the ``cos_*`` fields, and a connection ``warehouse`` to any SQL database.
``make demo`` runs this file as it stands against an emulator and an SQLite file; with the keys of an account in the
connection, and names of your bucket in the parameters, it runs against the real services.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_mediax.operators.batch import MusicBatchOperator
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

CONNECTION = "mediax_default"
BUCKET = "cos://music-1250000000"


@dag(
    schedule=None,  # "@daily" in earnest
    dag_display_name="Catalogue to warehouse",
    description="Tags of every new track of a folder, as rows in a warehouse.",
    tags=["mediax", "batch", "example"],
    default_args={"retries": 3, "mediax_conn_id": CONNECTION},
    max_active_runs=1,  # two runs at once would both find the same tracks new
    params={
        "tracks": Param(f"{BUCKET}/catalogue/*", type="string", description="Objects; * stands for any characters."),
        "batches": Param(f"{BUCKET}/batches", type="string", description="Folder of plans, results and outcomes."),
        "collect_interval": Param(60, type="number", description="Seconds between two looks at what has ended."),
    },
)
def catalogue_to_warehouse() -> None:
    """One task buys what is new; it holds no worker slot while it only waits, and a retry goes on where it was."""
    batch = MusicBatchOperator(
        task_id="batch",
        capability="musicTagV2",
        items="{{ params.tracks }}",
        output="{{ params.batches }}",
        skip_known_in="{{ params.batches }}",  # tracks of earlier runs are not bought again, unless they have changed
        on_item_error=0.05,  # more than one in twenty that fail is a matter for a person
        collect_interval="{{ params.collect_interval }}",
        deferrable=True,
        retries=5,
        retry_delay=timedelta(minutes=5),
    )
    summary: Any = batch.output  # a summary as soon as the task has run
    loaded: Any = MediaxResultsToSqlOperator(
        task_id="load",
        manifests=summary,
        sql_conn_id="warehouse",
        table="tags",
        create_table=True,
        trigger_rule="all_done",  # a batch that has failed returns what is done all the same
    ).output
    counts(summary, loaded)


@task
def counts(batch: dict[str, Any], loaded: dict[str, Any]) -> dict[str, int]:
    """Return how many tracks were found, bought, known and failed, and how many rows they have brought."""
    found = batch["counts"]
    return {**{name: found[name] for name in ("total", "done", "skipped", "failed")}, "rows": loaded["rows"]}


catalogue = catalogue_to_warehouse()
