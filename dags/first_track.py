"""
Look at and listen to one track: tags, lyrics, choruses, sections and beats on one page.

Needs a connection ``mediax_default`` and a track in the registered repository. `airflow-mediax quickstart` brings an
emulator, a track and a connection of its own.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag

from airflow_provider_mediax.operators.music import (
    MusicAsrOperator,
    MusicBeatOperator,
    MusicHighlightOperator,
    MusicStructureOperator,
    MusicTagOperator,
)
from airflow_provider_mediax.operators.report import MusicReportOperator

CONNECTION = "mediax_default"


@dag(
    schedule=None,
    dag_display_name="First track: analyze it and look at what was found",
    description="Five paid jobs of one track, and an HTML page of what they have found.",
    tags=["mediax", "example"],
    default_args={"retries": 3, "mediax_conn_id": CONNECTION},
    params={
        "path": Param("in/track.wav", type="string", description="Path of the track in the repository."),
        "page": Param("file:///tmp/first_track.html", type="string", description="Address of the page."),
    },
)
def first_track() -> None:
    """Five jobs side by side, and their page."""
    # Not deferrable, since the triggers of `airflow dags test` know no connection of Airflow's database.
    track: dict[str, Any] = {"path": "{{ params.path }}", "poll_interval": 2}
    found = [
        MusicTagOperator(task_id="tags", **track),
        MusicAsrOperator(task_id="lyrics", **track),
        MusicHighlightOperator(task_id="choruses", **track),
        MusicStructureOperator(task_id="sections", **track),
        MusicBeatOperator(task_id="beats", **track),
    ]
    MusicReportOperator(
        task_id="report", manifests=[job.output for job in found], output="{{ params.page }}", title="{{ params.path }}"
    )


first = first_track()
