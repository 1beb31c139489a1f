"""The DAG of the README's first page."""

# [START first_dag]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

with DAG("first_dag", schedule=None, params={"path": "in/track.wav"}) as dag:
    tags = MusicTagOperator(task_id="tags", path="{{ params.path }}", deferrable=True, retries=3)
    MediaxResultsToSqlOperator(
        task_id="rows", manifests=tags.output, sql_conn_id="warehouse", table="tags", create_table=True, retries=3
    )
# [END first_dag]
