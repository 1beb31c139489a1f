"""One task per track of a list."""

# [START many_tracks]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicTagOperator

with DAG("many_tracks", schedule=None) as dag:
    MusicTagOperator.partial(task_id="tags", deferrable=True).expand(path=["in/track.wav", "in/other.wav"])
# [END many_tracks]
