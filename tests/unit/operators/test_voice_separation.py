"""What makes one separation another one than the next."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.protocol.exchange import JsonObject


def identity(**options: Any) -> JsonObject:
    operator = VoiceSeparationOperator(task_id="stems", mode="IsAudio", outputs={"voice": "out/v.mp3"}, **options)
    return operator.build_request().identity()


@pytest.mark.parametrize("other", [{"source": "cos://b-2/in/a.mp3"}, {"source": "in/a.mp3", "bucket": "b-2"}])
def test_a_track_of_the_same_name_in_another_bucket_is_another_track(other: dict[str, str]) -> None:
    assert identity(**other) != identity(source="cos://b-1/in/a.mp3")


def test_a_bucket_counts_the_same_wherever_it_is_named() -> None:
    named = identity(source="in/a.mp3", bucket="b-1")
    assert named == identity(source="cos://mediax_default@b-1/in/a.mp3", bucket="b-2")
    assert "b-1" in named.values()
