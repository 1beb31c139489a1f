"""The singing score, whose descriptor is given when the DAG is started."""

# [START singing_score]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MediaxJobOperator

with DAG("singing_score", schedule=None, params={"descriptor": {}, "path": "in/track.wav"}) as dag:
    MediaxJobOperator(
        task_id="score",
        descriptor="{{ params.descriptor }}",
        path="{{ params.path }}",
        deferrable=True,
    )
# [END singing_score]
