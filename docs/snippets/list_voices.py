"""The voices that trainings have left."""

from airflow.sdk import DAG, task

# [START list_voices]
from airflow_provider_mediax.hooks.mediax import MediaxHook


@task
def voices() -> list[str]:
    """Return the names of the singing voices of the account."""
    return [voice["name"] for voice in MediaxHook("mediax_default").models(kind=2)]


# [END list_voices]

with DAG("list_voices", schedule=None) as dag:
    voices()
