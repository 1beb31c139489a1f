"""
Analyze one track: tags, lyrics and beats, load the findings into a warehouse, and show them on a page.

Needs a connection ``mediax_default``, a track in the registered repository, and a connection ``warehouse`` to any SQL
database. ``make demo`` runs this file as it stands against an emulator and an SQLite file; with the keys of an account
in the connection it runs against the real service.
"""

from __future__ import annotations

import json
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_mediax.operators.music import MusicAsrOperator, MusicBeatOperator, MusicTagOperator
from airflow_provider_mediax.operators.report import MusicReportOperator
from airflow_provider_mediax.results import Manifest
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

CONNECTION = "mediax_default"


@dag(
    schedule=None,
    dag_display_name="Analyze a track",
    description="Tags, lyrics and beats of one track, as rows in a warehouse and on an HTML page.",
    tags=["mediax", "example"],
    default_args={"retries": 3, "mediax_conn_id": CONNECTION},
    params={
        "path": Param("in/track.wav", type="string", description="Path of the track in the repository."),
        "page": Param("file:///tmp/analyze_track.html", type="string", description="Address of the page."),
    },
)
def analyze_track() -> None:
    """Three paid jobs side by side, none of which holds a worker slot while it is waited for."""
    track: dict[str, Any] = {"path": "{{ params.path }}", "deferrable": True, "poll_interval": 2}
    tags = MusicTagOperator(task_id="tags", **track)
    lyrics = MusicAsrOperator(task_id="lyrics", **track)
    beats = MusicBeatOperator(task_id="beats", **track)

    read_beats(beats.output)
    for found in (tags, lyrics, beats):
        MediaxResultsToSqlOperator(
            task_id=f"load_{found.task_id}",
            manifests=found.output,
            sql_conn_id="warehouse",
            table=found.task_id,
            create_table=True,
        )
    MusicReportOperator(
        task_id="report",
        manifests=[tags.output, lyrics.output, beats.output],
        output="{{ params.page }}",
        title="{{ params.path }}",
    )


@task
def read_beats(manifest: Manifest) -> dict[str, Any]:
    """Fetch the beat times, which are in a file: the manifest has its address."""
    # The platform documents a marked music file; a file of times is what the emulator adds.
    address = manifest["result"].get("beatFileName")
    if address is None:
        return {"files": manifest["files"]}
    found = json.loads(ObjectStoragePath(address, conn_id=CONNECTION).read_text())
    return {"files": manifest["files"], "tempo": found["tempo"], "beats": found["beats"]}


track_analysis = analyze_track()
