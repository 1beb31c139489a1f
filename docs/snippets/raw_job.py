"""A capability by its name on the wire."""

# [START raw_job]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MediaxJobOperator

with DAG("raw_job", schedule=None) as dag:
    MediaxJobOperator(
        task_id="mood",
        descriptor={"musicTagV2": {"tagType": ["mood"]}},
        path="in/track.wav",
        deferrable=True,
    )
# [END raw_job]
