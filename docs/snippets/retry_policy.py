"""A delay of its own for each kind of error."""

# [START retry_policy]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.retries import RETRY_POLICY

with DAG("retry_policy", schedule=None) as dag:
    MusicTagOperator(task_id="tags", path="in/track.wav", deferrable=True, retries=5, retry_policy=RETRY_POLICY)
# [END retry_policy]
