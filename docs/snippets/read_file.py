# ruff: noqa: D103 - its name says it
"""Where the files of a job are, and how to get one."""

from airflow.sdk import DAG, task

from airflow_provider_mediax.operators.music import MusicBeatOperator

# isort: split
# [START read_file]
from airflow.sdk import ObjectStoragePath

from airflow_provider_mediax.results import Manifest


@task
def size_of_the_marked_track(manifest: Manifest) -> int:
    address = manifest["result"]["mergeFileName"]
    return len(ObjectStoragePath(address, conn_id="mediax_default").read_bytes())


# [END read_file]

with DAG("read_file", schedule=None) as dag:
    beats = MusicBeatOperator(task_id="beats", path="in/track.wav", deferrable=True)
    size_of_the_marked_track(beats.output)
