"""One task per track of a list."""

# [START many_tracks]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicTagOperator

with DAG("many_tracks", schedule=None) as dag:
    # The UI names each by the last part of its path; without the template, by the whole path.
    name = "{{ task.input_name.rpartition('/')[2] }}"
    MusicTagOperator.partial(task_id="tags", deferrable=True, map_index_template=name).expand(
        path=["in/track.wav", "in/other.wav"]
    )
# [END many_tracks]
