"""What a batch has found, counted where it lies."""

from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_mediax.operators.batch import MusicBatchOperator


# [START read_parts]
@task
def moods(batch: dict) -> dict[str, int]:
    """Count the tracks of each mood, in the files of rows as they lie in COS."""
    import duckdb

    with duckdb.connect() as database:
        database.register_filesystem(ObjectStoragePath(batch["parts"][0], conn_id="mediax_default").fs)
        rows = database.read_json(batch["parts"])  # read_parquet, with output_format="parquet"
        return dict(rows.filter("dimension = 'mood'").aggregate("label, count(*)").fetchall())


# [END read_parts]

with DAG("read_parts", schedule=None) as dag:
    batch = MusicBatchOperator(
        task_id="batch",
        capability="musicTagV2",
        items=["in/track.wav", "in/other.wav"],
        output="cos://music-1250000000/batches",
        collect_interval=1,
        deferrable=True,
    )
    moods(batch.output)
