"""Objects in COS as Airflow assets."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias, ObjectStoragePath
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_mediax.assets import announce, convert_asset_to_openlineage, create_asset
from tests.manifests import manifest
from tests.unit.jobs.fake_hook import KeptLog

BUCKET = "music-1250000000"


def test_airflow_takes_the_address_of_an_object_as_it_stands() -> None:
    for key in ("a.wav", "in/a b+c%41/🎵.wav"):
        assert Asset(f"cos://{BUCKET}/{key}").uri == f"cos://{BUCKET}/{key}"
        assert create_asset(bucket=BUCKET, key=f"/{key}", extra={"a": 1}) == Asset(
            f"cos://{BUCKET}/{key}", extra={"a": 1}
        )


@pytest.mark.parametrize(
    "uri", [f"cos://{BUCKET}", f"cos://{BUCKET}/", "cos:///a", "cos://conn@/a", f"cos://{BUCKET}/a?b=c"]
)
def test_an_address_that_names_no_object_is_refused(uri: str) -> None:
    """By Airflow, through the provider's entry."""
    with pytest.raises(ValueError, match="asset in COS"):
        Asset(uri)


def test_the_id_of_a_connection_is_no_part_of_an_asset() -> None:
    path = ObjectStoragePath(f"cos://{BUCKET}/in/a.wav", conn_id="mediax_default")
    assert Asset(str(path)).uri == f"cos://{BUCKET}/in/a.wav"


@pytest.mark.parametrize("key", ["a#b", "a?b"])
def test_a_key_that_airflow_would_change_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        create_asset(bucket=BUCKET, key=key)


def test_lineage_names_bucket_and_key() -> None:
    dataset = convert_asset_to_openlineage(Asset(f"cos://{BUCKET}/in/a b.wav"), None)
    assert (dataset.namespace, dataset.name) == (f"cos://{BUCKET}", "in/a b.wav")


SAYS = {"job_id": "job-1", "capability": "VoiceSeparate"}


def announced(outlets: list[Asset | AssetAlias], files: list[str]) -> tuple[OutletEventAccessors, KeptLog]:
    """Return the events of a task's outlets after a job with these files."""
    events, log = OutletEventAccessors(), KeptLog()
    context: Any = {"outlet_events": events}
    announce(outlets, context, {**manifest("VoiceSeparate", {}), "files": files}, log)
    return events, log


def test_the_event_of_an_asset_carries_job_and_capability_beside_what_it_has() -> None:
    asset = Asset(f"cos://{BUCKET}/stems/a")
    events, _ = announced([asset], [])
    assert events[asset].extra == SAYS


def test_each_file_of_a_job_is_an_event_of_the_alias() -> None:
    files = [f"cos://{BUCKET}/stems/a b/{role}.wav" for role in ("voice", "background")]
    events, log = announced([AssetAlias("stems")], files)
    found = events[AssetAlias("stems")].asset_alias_events
    assert [(event.dest_asset_key.uri, event.extra) for event in found] == [(file, SAYS) for file in files]
    assert log.lines == []


@pytest.mark.parametrize("key", ["Lied #1.wav", "why?.wav", "\u5929\u7a7a.wav"])
def test_a_file_that_airflow_takes_for_no_asset_is_left_out_with_a_warning(key: str) -> None:
    events, log = announced([AssetAlias("stems")], [f"cos://{BUCKET}/{key}", f"cos://{BUCKET}/b.wav"])
    found = events[AssetAlias("stems")].asset_alias_events
    assert [event.dest_asset_key.uri for event in found] == [f"cos://{BUCKET}/b.wav"]
    assert len(log.lines) == 1
    assert key in str(log.lines)


def test_a_job_without_outlets_says_nothing() -> None:
    events, _ = announced([], [f"cos://{BUCKET}/b.wav"])
    assert len(events) == 0
