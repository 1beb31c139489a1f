"""
Write a page of what was separated, to look at and to listen to, whenever ``separate_stems.py`` has written stems.

It is scheduled on the asset alias ``stems``: each file of a job is an event, which carries the job's id. So this DAG
finds the jobs by the events alone, reads their manifests from the service, and buys nothing. Needs the same connection
``mediax_default``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import AssetAlias, Param, dag, task

from airflow_provider_mediax.operators.report import MusicReportOperator
from airflow_provider_mediax.sensors.job import CloudInfiniteJobSensor

CONNECTION = "mediax_default"


@dag(
    schedule=AssetAlias("stems"),
    dag_display_name="Report of new stems",
    description="An HTML page of the stems that a run of separate_stems has written.",
    tags=["mediax", "cloud-infinite", "example"],
    default_args={"retries": 3, "mediax_conn_id": CONNECTION},
    params={"folder": Param("cos://music-1250000000/reports", type="string", description="Folder of the pages.")},
)
def report_stems() -> None:
    """Find the jobs behind the new stems, and write one page of them."""
    # A mapped task takes no argument of ours from default_args.
    jobs = CloudInfiniteJobSensor.partial(task_id="jobs", mediax_conn_id=CONNECTION, deferrable=True).expand(
        job_id=new_jobs()
    )
    MusicReportOperator(task_id="report", manifests=jobs.output, output="{{ params.folder }}/{{ run_id }}.html")


@task
def new_jobs(triggering_asset_events: Mapping[Any, Sequence[Any]] | None = None) -> list[str]:
    """Return the jobs that have written the stems; each stem is an event of its own."""
    events = (triggering_asset_events or {}).values()
    return sorted({event.extra["job_id"] for of_an_asset in events for event in of_an_asset})


stem_report = report_stems()
