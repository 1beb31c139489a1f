"""A catalogue of three items, given in place."""

# [START tag_catalogue]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.batch import MusicBatchOperator

with DAG("tag_catalogue", schedule=None) as dag:
    MusicBatchOperator(
        task_id="tags",
        capability="musicTagV2",
        items=[
            "in/track.wav",
            {"id": "7", "path": "in/track.wav", "parameters": {"tag_types": "genre"}, "metadata": {"album": "Spring"}},
            {"id": "8", "url": "cos://music-1250000000/in/other.wav", "parameters": {"tag_types": "mood"}},
        ],
        output="cos://music-1250000000/batches",
        deferrable=True,
        requests_per_second=10,
    )
# [END tag_catalogue]
