"""
Separate every track under a prefix into voice and background, tag the voices, and load both into a warehouse.

Needs a connection ``mediax_default`` with the ``cos_*`` fields, a bucket with Smart Audio (docs/voice-separation.md),
and a connection ``warehouse`` to any SQL database. ``make demo`` runs this file as it stands against an emulator and an
SQLite file; with the keys of an account in the connection it runs against the real services.

``report_stems.py`` runs whenever stems have been written: each of them is an event of the asset alias ``stems``.

Every run looks at every track, and pays for none twice: ``idempotency_key`` names the work, so a later run, a clear and
a retry take the job that was bought. To do a track again, change the keys.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetAlias, Param, dag, task_group

from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.sensors.cos import CosKeySensor
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator

CONNECTION = "mediax_default"


@dag(
    schedule=None,
    dag_display_name="Separate stems",
    description="Voice and background of every track under a prefix, the voices tagged.",
    tags=["mediax", "cloud-infinite", "example"],
    default_args={"retries": 3, "mediax_conn_id": CONNECTION},
    params={
        "tracks": Param("incoming/*", type="string", description="Keys in the bucket; * stands for any characters."),
        # Not under the pattern above, or the stems would be the next run's tracks.
        "destination": Param("stems", type="string", description="Key prefix that the stems are written under."),
    },
)
def separate_stems() -> None:
    """Two paid jobs per track; neither they nor the wait for tracks hold a worker slot."""
    arrived = CosKeySensor(
        task_id="arrived",
        key="{{ params.tracks }}",
        wildcard=True,
        min_size=1,  # a folder made in the console is an empty object
        deferrable=True,
        poke_interval=30,
        timeout=3600,
    )
    one_track.expand(source=arrived.output)


# A mapped group, not mapped tasks in a row: a track that fails holds up no other.
@task_group
def one_track(source: str) -> None:
    """Separate one track, tag its voice, load both."""
    waiting: dict[str, Any] = {"deferrable": True, "poll_interval": 2}
    separation = VoiceSeparationOperator(
        task_id="separate",
        source=source,
        mode="AudioAndBackground",
        codec="wav",  # lossless: the tagger is to hear the voice, not an encoder
        destination="{{ params.destination }}",
        idempotency_key=source,
        outlets=[AssetAlias("stems")],
        **waiting,
    )
    # An address as it stands in the manifest: the operator signs it for the platform when it submits.
    voice = "{{ ti.xcom_pull('one_track.separate', map_indexes=ti.map_index)['result']['stems']['voice'] }}"
    tags = MusicTagOperator(task_id="tags", url=voice, idempotency_key=f"tags of {voice}", **waiting)
    separation >> tags
    for found, table in ((separation, "stems"), (tags, "tags")):
        MediaxResultsToSqlOperator(
            task_id=f"load_{table}",
            manifests=found.output,
            sql_conn_id="warehouse",
            table=table,
            create_table=True,
        )


stem_separation = separate_stems()
