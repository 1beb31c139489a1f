"""
What types the code of a user gets: mypy checks this file with the package, and nothing runs it.

A line here that no longer holds is a change of the public types, to be treated as CONTRIBUTING says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from airflow.sdk import Context

from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.cos_objects import CosObject
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.protocol.job import Job, JobList
from airflow_provider_mediax.results import Manifest, Owner, Place, Row, rows, schema


def operators(context: Context) -> None:
    """Every job operator returns the manifest."""
    tags = MusicTagOperator(task_id="tags", path="in/a.mp3", deferrable=True, tag_types=["mood"])
    assert_type(tags.execute(context), Manifest)
    stems = VoiceSeparationOperator(task_id="stems", source="in/a.mp3", mode="IsAudio", destination="stems")
    assert_type(stems.execute(context), Manifest)


def results(manifest: Manifest) -> None:
    """Members of a manifest, and its rows."""
    assert_type(manifest["job_id"], str)
    assert_type(manifest["marker"], str | None)
    assert_type(manifest["reattached"], bool)
    assert_type(manifest["owner"], Owner | None)
    assert_type(manifest["place"], Place)
    assert_type(manifest["result"], dict[str, Any])
    assert_type(manifest["files"], list[str])
    assert_type(rows(manifest), list[Row])
    for column in schema("musicTagV2").columns:
        assert_type(column.name, str)


def hooks() -> None:
    """What the verbs of the hooks return."""
    assert_type(CosHook("mediax_default").read_bytes("in/a.mp3"), bytes)
    assert_type(CosHook("mediax_default").exists("in/a.mp3"), bool)
    assert_type(CosHook("mediax_default").head("in/a.mp3"), CosObject)
    assert_type(MediaxHook("mediax_default").describe(["id"]), Mapping[str, Job])
    assert_type(MediaxHook("mediax_default").jobs_of("marker"), JobList)
    assert_type(CloudInfiniteHook("mediax_default").describe(["id"]), Mapping[str, Job])
    assert_type(MediaxHook("mediax_default").test_connection(), tuple[bool, str])
