"""Objects in COS as Airflow assets."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_mediax.assets import convert_asset_to_openlineage, create_asset

BUCKET = "music-1250000000"


def test_airflow_takes_the_address_of_an_object_as_it_stands() -> None:
    for key in ("a.wav", "in/a b+c%41/🎵.wav"):
        assert Asset(f"cos://{BUCKET}/{key}").uri == f"cos://{BUCKET}/{key}"
        assert create_asset(bucket=BUCKET, key=f"/{key}", extra={"a": 1}) == Asset(
            f"cos://{BUCKET}/{key}", extra={"a": 1}
        )


@pytest.mark.parametrize(
    "uri", [f"cos://{BUCKET}", f"cos://{BUCKET}/", "cos:///a", f"cos://conn@{BUCKET}/a", f"cos://{BUCKET}/a?b=c"]
)
def test_an_address_that_names_no_object_is_refused(uri: str) -> None:
    """By Airflow, through the provider's entry."""
    with pytest.raises(ValueError, match="asset in COS"):
        Asset(uri)


@pytest.mark.parametrize("key", ["a#b", "a?b"])
def test_a_key_that_airflow_would_change_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        create_asset(bucket=BUCKET, key=key)


def test_lineage_names_bucket_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenLineage the class is a stand-in, so the test brings one of its own."""
    monkeypatch.setattr("airflow.providers.common.compat.openlineage.facet.Dataset", lambda **names: names)
    dataset: Any = convert_asset_to_openlineage(Asset(f"cos://{BUCKET}/in/a b.wav"), None)
    assert dataset == {"namespace": f"cos://{BUCKET}", "name": "in/a b.wav"}
