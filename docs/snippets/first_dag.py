"""The DAG of the README's first page."""

# [START first_dag]
from airflow.sdk import DAG

from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

about = {"dag_display_name": "First DAG", "description": "Tags of a track, as rows.", "tags": ["mediax"]}
with DAG("first_dag", default_args={"retries": 3}, params={"path": "in/track.wav"}, **about) as dag:
    tags = MusicTagOperator(task_id="tags", path="{{ params.path }}", deferrable=True)
    MediaxResultsToSqlOperator(
        task_id="rows", manifests=tags.output, sql_conn_id="warehouse", table="tags", create_table=True
    )
# [END first_dag]
