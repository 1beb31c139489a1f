# ruff: noqa: D103 - its name says it
"""Where the files of a job are, and how to get one."""

from airflow.sdk import DAG, task

from airflow_provider_mediax.operators.music import MusicBeatOperator

# isort: split
# [START read_file]
from airflow_provider_mediax.hooks.cos import CosHook


@task
def size_of_first_file(manifest: dict) -> int:
    bucket, _, key = manifest["files"][0].removeprefix("cos://").partition("/")
    return len(CosHook("mediax_default", bucket=bucket).read_bytes(key))


# [END read_file]

with DAG("read_file", schedule=None) as dag:
    beats = MusicBeatOperator(task_id="beats", path="in/track.wav", deferrable=True)
    size_of_first_file(beats.output)
