"""Submitting in one task, waiting in another."""

# [START submit_then_wait]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.sensors.job import MediaxJobSensor

with DAG("submit_then_wait", schedule=None) as dag:
    submitted = MusicTagOperator(task_id="submit", path="in/track.wav", wait_for_completion=False)
    MediaxJobSensor(task_id="wait", job_id=submitted.output, deferrable=True, poke_interval=5, timeout=3600)
# [END submit_then_wait]
