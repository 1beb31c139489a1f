from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.capabilities import CAPABILITIES, TAG_TYPES, MusicAsr, MusicBeat, MusicTag


def test_registry_names_every_capability_as_the_wire_does() -> None:
    assert dict(CAPABILITIES) == {"musicTagV2": MusicTag, "musicASR": MusicAsr, "musicBeat": MusicBeat}


def test_only_capabilities_with_files_have_files_and_prefix() -> None:
    kinds = {name: (kind.writes_files, kind.takes_prefix) for name, kind in CAPABILITIES.items()}
    assert kinds == {"musicTagV2": (False, False), "musicASR": (False, False), "musicBeat": (True, True)}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("all", ["all"]),
        (["all"], ["all"]),
        ("mood", ["mood"]),
        ("mood,genre", ["mood", "genre"]),
        (" mood , genre ,", ["mood", "genre"]),
        (("mood", "genre"), ["mood", "genre"]),
        (list(TAG_TYPES), list(TAG_TYPES)),
    ],
)
def test_tag_types_are_sent_as_a_list_in_the_order_given(asked: Any, sent: list[str]) -> None:
    assert MusicTag(tag_types=asked).parameters() == {"tagType": sent}


@pytest.mark.parametrize(
    ("asked", "value", "rule"),
    [
        ("all,mood", "'all,mood'", "'all' must stand alone"),
        (["mood", "all"], r"\['mood', 'all'\]", "'all' must stand alone"),
        (["all", "all"], r"\['all', 'all'\]", "'all' must stand alone"),
        ("tempo", r"\['tempo'\]", "some of vocal, language, mood, genre, scene, bgm, intensity"),
        (["mood", "Genre"], r"\['Genre'\]", "some of"),
        (["mood", ""], r"\[''\]", "some of"),
        ([1], r"\[1\]", "some of"),
        ("", "''", "at least one"),
        (" , ", "' , '", "at least one"),
        ([], r"\[\]", "at least one"),
    ],
)
def test_tag_types_that_the_service_would_refuse_are_refused(asked: Any, value: str, rule: str) -> None:
    with pytest.raises(BadRequest, match=f"^tag_types={value} is refused: .*{rule}"):
        MusicTag(tag_types=asked)


@pytest.mark.parametrize("confidence", [0, 0.0, 0.2, 1, 1.0])
def test_confidence_is_sent_as_given(confidence: float) -> None:
    assert MusicAsr(confidence=confidence).parameters() == {"confidence": confidence}


@pytest.mark.parametrize("confidence", [-0.01, 1.01, math.nan, math.inf, -math.inf, 20])
def test_confidence_outside_0_to_1_is_refused(confidence: float) -> None:
    with pytest.raises(BadRequest, match=f"^confidence={confidence!r} is refused: it must be a number from 0 to 1"):
        MusicAsr(confidence=confidence)


@pytest.mark.parametrize("level", range(1, 7))
def test_enlarge_level_is_sent_as_given(level: int) -> None:
    assert MusicBeat(enlarge_level=level).parameters()["enlargeLevel"] == level


@pytest.mark.parametrize("level", [0, 7, -1, 100])
def test_enlarge_level_outside_1_to_6_is_refused(level: int) -> None:
    with pytest.raises(BadRequest, match=f"^enlarge_level={level} is refused: .* from 1 to 6"):
        MusicBeat(enlarge_level=level)


def test_split_num_is_left_out_when_it_is_none() -> None:
    assert "splitNum" not in MusicBeat(split_num=None).parameters()
