"""The DAG of the README's first page."""

# [START first_dag]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicBeatOperator, MusicTagOperator

with DAG("first_dag", schedule=None, params={"path": "in/track.wav"}) as dag:
    track = {"path": "{{ params.path }}", "deferrable": True}
    MusicTagOperator(task_id="tags", tag_types=["mood", "genre"], **track)
    MusicBeatOperator(task_id="beats", retries=3, **track)
# [END first_dag]
