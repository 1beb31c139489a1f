"""Four stems of a track: submitted in one task, waited for in another."""

# [START separate_track]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.sensors.job import CloudInfiniteJobSensor

with DAG("separate_track", schedule=None) as dag:
    separate = VoiceSeparationOperator(
        task_id="separate",
        source="in/track.wav",
        mode="MusicMode",
        codec="wav",
        destination="stems",
        wait_for_completion=False,
    )
    CloudInfiniteJobSensor(task_id="wait", job_id=separate.output, deferrable=True, poke_interval=5, timeout=3600)
# [END separate_track]
