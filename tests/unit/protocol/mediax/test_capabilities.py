from __future__ import annotations

import math
import re
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES
from airflow_provider_mediax.protocol.mediax.capabilities.base import PartlySeenTable, Table, choice
from airflow_provider_mediax.protocol.mediax.capabilities.listening import TAG_TYPES, MusicAsr, MusicBeat, MusicTag
from airflow_provider_mediax.protocol.mediax.capabilities.making import SingingCloning, VoiceCloning


def test_the_registry_knows_each_capability_by_its_name_on_the_wire() -> None:
    assert {name: kind.name for name, kind in CAPABILITIES.items()} == {name: name for name in CAPABILITIES}
    assert len(CAPABILITIES) == 16


def test_only_capabilities_with_files_have_a_prefix() -> None:
    """As the Output tables of section 5.1 list it."""
    assert {name for name, kind in CAPABILITIES.items() if kind.takes_prefix} == {
        *("musicBeat", "singingCloning", "voiceCloning", "musicComposerHumming"),
        *("imageBgmGeneration", "videoBgmGeneration", "textBgmGeneration"),
    }
    assert {name for name, kind in CAPABILITIES.items() if kind.writes_files and not kind.takes_prefix} == {
        *("musicSeperate", "vocalMidi", "musicCompose"),
    }


def test_a_training_has_no_files() -> None:
    for kind in (SingingCloning, VoiceCloning):
        assert not kind(task="train", model_name="a").has_files()
        assert kind(task=1, model_name="a").has_files()


@pytest.mark.parametrize("kind", [SingingCloning, VoiceCloning])
def test_what_was_only_observed_of_a_cloning_is_no_rule(kind: type[SingingCloning | VoiceCloning]) -> None:
    for name, rounds in (("default", 0), ("声音 1", 51), ("a-b", 10**6)):
        sent = kind(task="train", model_name=name, total_epoch=rounds).parameters()
        assert sent == {"type": 2, "modelName": name, "totalEpoch": rounds}
    with pytest.raises(BadRequest, match=r"^total_epoch=-1 is refused: it must be a whole number from 0 up\."):
        kind(task="train", model_name="a", total_epoch=-1)


@pytest.mark.parametrize("rate", [0, 0.5, 2.1, 100])
def test_a_speech_rate_is_sent_as_given(rate: float) -> None:
    assert VoiceCloning(task="generate", model_name="a", speech_rate=rate).parameters()["speechRate"] == rate


@pytest.mark.parametrize("rate", [-0.1, math.nan, math.inf, -math.inf])
def test_a_speech_rate_that_is_negative_or_not_finite_is_refused(rate: float) -> None:
    with pytest.raises(BadRequest, match=f"^speech_rate={rate!r} is refused: it must be a finite number from 0 up"):
        VoiceCloning(task="generate", model_name="a", speech_rate=rate)


class Known(Table):
    ONE = 1
    TWO = 2


class Partly(PartlySeenTable):
    ONE = 1


class Unseen(PartlySeenTable):
    pass


@pytest.mark.parametrize(
    ("value", "table", "number"),
    [
        ("TWO", Known, 2),
        (" TWO ", Known, 2),
        (2, Known, 2),
        ("2", Known, 2),
        (Known.TWO, Known, 2),
        ("ONE", Partly, 1),
        (99, Partly, 99),
        ("99", Partly, 99),
        (0, Unseen, 0),
        ("-1", Unseen, -1),
    ],
)
def test_an_enum_is_given_by_name_or_number(value: Any, table: type[Table], number: int) -> None:
    assert choice("field", value, table) == number


@pytest.mark.parametrize(
    ("value", "table", "rule"),
    [
        ("THREE", Known, "one of ONE, TWO, or the number of one"),
        ("two", Known, "one of ONE, TWO, or the number of one"),
        (3, Known, "one of ONE, TWO, or the number of one"),
        ("2.0", Known, "or the number of one"),
        (True, Known, "or the number of one"),
        (None, Known, "or the number of one"),
        ("", Known, "or the number of one"),
        ("THREE", Partly, "one of ONE, or a number"),
        ("ROCK", Unseen, "no names of its values are known: give a number"),
    ],
)
def test_a_value_that_an_enum_cannot_have_is_refused(value: Any, table: type[Table], rule: str) -> None:
    with pytest.raises(BadRequest, match=f"^field={re.escape(repr(value))} is refused: .*{rule}"):
        choice("field", value, table)


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
        ([1], r"\[1\]", "a list of texts"),
        (7, "7", "a list of texts"),
        (None, "None", "a list of texts"),
        ("modo", r"\['modo'\]", "Did you mean mood?"),
        (["Vocals"], r"\['Vocals'\]", "Did you mean vocal?"),
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
    with pytest.raises(
        BadRequest, match=f"^confidence={confidence!r} is refused: it must be a finite number from 0 to 1"
    ):
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
