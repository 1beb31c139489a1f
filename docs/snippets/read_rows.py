"""What the result of an operator is good for in the next task."""

from airflow.sdk import DAG, task

from airflow_provider_mediax.operators.music import MusicAsrOperator

# isort: split
# [START read_rows]
from airflow_provider_mediax.results import Manifest, rows


@task
def lines_of(manifest: Manifest) -> list[str]:
    """Return the lyrics of a track; each row also says whose job it was, and of which input."""
    return [row["text"] for row in rows(manifest)]


# [END read_rows]

with DAG("read_rows", schedule=None) as dag:
    lyrics = MusicAsrOperator(task_id="lyrics", path="in/track.wav", deferrable=True)
    lines_of(lyrics.output)
