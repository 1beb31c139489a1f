"""
Separate every new track under a prefix into voice and background, tag the voices, and land the findings as rows.

Needs a connection ``mediax_default`` with the ``cos_*`` fields, a bucket with Smart Audio (docs/voice-separation.md),
and ``landing.py`` beside this file. ``make demo`` runs both as they stand against an emulator; with the keys of an
account in the connection they run against the real services.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task, task_group
from landing import database, make_table, replace_rows

from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.results import Manifest, rows
from airflow_provider_mediax.sensors.cos import CosKeySensor

# A row per stem and a row per tag, in the columns of docs/results.md. The input of a tag is the file of a stem.
STEMS = ("job_id", "input", "stem", "file")
TAGS = ("job_id", "input", "dimension", "label", "probability")


@dag(
    schedule=None,
    params={
        "tracks": Param("incoming/*", type="string", description="Keys in the bucket; * stands for any characters."),
        # Not under the pattern above, or the stems would be the next run's tracks.
        "destination": Param("stems", type="string", description="Key prefix that the stems are written under."),
        "database": Param("~/music.sqlite", type="string", description="SQLite file that the rows go to."),
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
    one_track.expand(source=new_tracks(arrived.output, "{{ params.database }}", "{{ run_id }}"))


@task
def new_tracks(addresses: list[str], file: str, run: str) -> list[str]:
    """Leave out what an earlier run has paid for; a track of this run stays, so that a clear finds the same list."""
    with database(file) as connection:
        make_table(connection, "stems", STEMS)
        done = {row[0] for row in connection.execute("SELECT input FROM stems WHERE run_id <> ?", (run,))}
    return [address for address in addresses if address not in done]


# A mapped group, not mapped tasks in a row: a track that fails holds up no other.
@task_group
def one_track(source: str) -> None:
    """Separate one track, tag its voice, land both."""
    stems = VoiceSeparationOperator(
        task_id="separate",
        source=source,
        mode="AudioAndBackground",
        codec="wav",  # lossless: the tagger is to hear the voice, not an encoder
        destination="{{ params.destination }}",
        deferrable=True,
        poll_interval=2,
    )
    tags = MusicTagOperator(
        task_id="tags",
        # An address as it stands in the manifest: the operator signs it for the platform when it submits.
        url="{{ ti.xcom_pull('one_track.separate', map_indexes=ti.map_index)['result']['stems']['voice'] }}",
        deferrable=True,
        poll_interval=2,
    )
    stems >> tags
    land_rows(stems.output, tags.output, "{{ params.database }}")


@task
def land_rows(stems: Manifest, tags: Manifest, file: str) -> dict[str, int]:
    """Write the rows of one track in place of those that these task instances have written before."""
    with database(file) as connection:
        return {
            "stems": replace_rows(connection, "stems", STEMS, stems["owner"], rows(stems)),
            "musicTagV2": replace_rows(connection, "musicTagV2", TAGS, tags["owner"], rows(tags)),
        }


stem_separation = separate_stems()
