"""
Analyze one track: tags, lyrics and beats, and land the findings as rows.

Needs a connection ``mediax_default`` and a track in the registered repository. ``make demo`` runs this file as it
stands against an emulator; with the keys of an account in the connection it runs against the real service.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_mediax.operators.music import MusicAsrOperator, MusicBeatOperator, MusicTagOperator
from airflow_provider_mediax.results import Manifest, rows

# One table per capability, in the columns of docs/results.md.
OWNER = ("dag_id", "run_id", "task_id", "map_index")
TABLES = {
    "musicTagV2": ("job_id", "input", "dimension", "label", "probability"),
    "musicASR": ("job_id", "input", "line", "text", "start_s", "end_s", "confidence"),
    "musicBeat": ("job_id", "input", "kind", "file"),
}


@dag(
    schedule=None,
    params={
        "path": Param("in/track.wav", type="string", description="Path of the track in the repository."),
        "database": Param("~/music.sqlite", type="string", description="SQLite file that the rows go to."),
    },
)
def analyze_track() -> None:
    """Three paid jobs side by side, none of which holds a worker slot while it is waited for."""
    track: dict[str, Any] = {"path": "{{ params.path }}", "deferrable": True, "poll_interval": 2}
    tags = MusicTagOperator(task_id="tags", **track)
    lyrics = MusicAsrOperator(task_id="lyrics", **track)
    beats = MusicBeatOperator(task_id="beats", **track)

    read_beats(beats.output)
    land_rows([tags.output, lyrics.output, beats.output], "{{ params.database }}")


@task
def read_beats(manifest: Manifest) -> dict[str, Any]:
    """Fetch the beat times, which are in a file: the manifest has its address."""
    # The platform documents a marked music file; a file of times is what the emulator adds.
    address = manifest["result"].get("beatFileName")
    if address is None:
        return {"files": manifest["files"]}
    found = json.loads(ObjectStoragePath(address, conn_id="mediax_default").read_text())
    return {"files": manifest["files"], "tempo": found["tempo"], "beats": found["beats"]}


@task
def land_rows(manifests: list[Manifest], database: str) -> dict[str, int]:
    """Write each job's rows in place of those that this task instance has written before."""
    landed = {}
    # One transaction for all: a retry finds everything or nothing, and a clear (a new job) never doubles rows.
    with closing(sqlite3.connect(Path(database).expanduser())) as connection, connection:
        for manifest in manifests:
            table, found = manifest["capability"], rows(manifest)
            columns = (*OWNER, *TABLES[table])
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)})")
            mine = " AND ".join(f"{column} = :{column}" for column in OWNER)
            connection.execute(f"DELETE FROM {table} WHERE {mine}", manifest["owner"])  # noqa: S608 - names from above
            values = ", ".join(f":{column}" for column in columns)
            connection.executemany(f"INSERT INTO {table} VALUES ({values})", found)  # noqa: S608
            landed[table] = len(found)
    return landed


track_analysis = analyze_track()
