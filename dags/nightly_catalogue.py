"""
Tag every new track of a growing folder, each night, in four shards.

Needs a connection ``mediax_default`` with the ``cos_*`` fields. What an earlier night has tagged is left out, a track
that fails does not fail the night, and what a night has bought that was cut off is not bought again by the next one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_mediax.operators.batch import MusicBatchOperator, shards

CONNECTION = "mediax_default"


@dag(
    schedule=None,  # "0 2 * * *" for every night at two
    dag_display_name="Nightly catalogue",
    description="Tags of every new track of a growing folder, in four shards.",
    tags=["mediax", "batch", "example"],
    default_args={"retries": 3},
    params={
        "tracks": Param("cos://music-1250000000/in/*", type="string", description="Pattern of the tracks' addresses."),
        "output": Param("cos://music-1250000000/batches", type="string", description="Folder of all nights."),
    },
)
def nightly_catalogue() -> None:
    """Buy a job for each track that no earlier night has tagged."""
    tags = MusicBatchOperator.partial(
        task_id="tags",
        mediax_conn_id=CONNECTION,  # a mapped task takes no argument of ours from default_args
        capability="musicTagV2",
        items="{{ params.tracks }}",
        output="{{ params.output }}",
        skip_known_in="{{ params.output }}",
        on_item_error="skip",
        requests_per_second=2.5,  # of each shard
        deferrable=True,
        retry_delay=timedelta(minutes=5),
    ).expand(shard=shards(4))

    count_tracks(tags.output)


@task(trigger_rule="all_done")
def count_tracks(nights: Any) -> dict[str, int]:
    """Add the shards' counts up."""
    counts: dict[str, int] = {}
    for night in nights:
        for state, count in night["counts"].items():
            counts[state] = counts.get(state, 0) + count
    return counts


catalogue = nightly_catalogue()
