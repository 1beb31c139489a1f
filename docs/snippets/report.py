"""A page of what was found in a track."""

# [START report]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicAsrOperator, MusicBeatOperator, MusicTagOperator
from airflow_provider_mediax.operators.report import MusicReportOperator

with DAG("report", schedule=None, default_args={"retries": 3}, params={"path": "in/track.wav"}) as dag:
    track = {"path": "{{ params.path }}", "deferrable": True}
    found = [
        MusicTagOperator(task_id="tags", **track),
        MusicAsrOperator(task_id="lyrics", **track),
        MusicBeatOperator(task_id="beats", **track),
    ]
    MusicReportOperator(
        task_id="report",
        manifests=[task.output for task in found],
        output="cos://music-1250000000/reports/{{ run_id }}.html",
    )
# [END report]
