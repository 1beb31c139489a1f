"""
One row per capability of the music platform: how it is asked for, what it answers, what it refuses.

Tests of operators, results, emulator and docs walk these rows; tests/unit/test_every_capability.py says what is missing
when a capability has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_mediax.operators import music
from airflow_provider_mediax.operators.music_base import MediaxOperator

TRACK = "in/click.wav"
PICTURE = "in/cover.png"
VIDEO = "in/clip.mp4"

# An argument is given as a template renders it where that makes a difference: as text.
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """
    A capability asked for in one way.

    :param input: the input's arguments.
    :param arguments: the operator's own arguments.
    :param sent: what goes under the capability's name.
    :param answer: ``smartContentResult``, as documented or observed, or the emulator's own where nothing was seen.
    :param row: own columns of the first row.
    :param refused: arguments that are refused, and by which field (None: by several); at least three.
    """

    operator: type[MediaxOperator]
    arguments: Arguments
    sent: Any
    answer: Mapping[str, Any]
    row: Mapping[str, Any]
    refused: tuple[tuple[Arguments, str | None], ...]
    input: Arguments = field(default_factory=lambda: {"path": TRACK})

    @property
    def name(self) -> str:
        """The capability's name on the wire."""
        return self.operator.computes.name

    def operate(self, **changes: Any) -> MediaxOperator:
        """Return the operator, with some arguments changed."""
        return self.operator(**{"task_id": "t", **self.input, **self.arguments, **changes})


# What is refused, and the argument that the refusal names; None stands for "Give exactly one of ...".
# Of a capability without parameters, or with few: what can be wrong with any request.
NO_INPUT = ({"path": None}, None)
TWO_INPUTS = ({"url": "https://host/a.mp3"}, None)
NO_ADDRESS = ({"path": None, "url": "file:///a.mp3"}, "url")
NO_TEXT_TAKEN = ({"path": None, "url": "cos://bucket-without-key"}, "url")
NO_PLACE = ({"cos_bucket": "music-1"}, "cos_bucket")
NO_PREFIX = ({"output_prefix": "p"}, "output_prefix")
LONG_PREFIX = ({"output_prefix": "x" * 20}, "output_prefix")
PLAIN_VALUE = ({"extra_parameters": {"a": 1}}, "extra_parameters")
SONG_QUANTITIES = tuple(({"song_quantity": wrong}, "song_quantity") for wrong in (0, 101, "1.5", "many", None))
SONG_RULES = (
    ({"song_type": "OTHER"}, "song_type"),
    ({"song_type": "3"}, "song_type"),
    ({"emotion": "WARM", "song_type": None}, "emotion"),
    ({"emotion": "10", "song_type": "LARGE_MODEL"}, "emotion"),
    ({"emotion": "BORED"}, "emotion"),
    ({"genre": "ROCK"}, "genre"),
    ({"genre": 3, "song_type": "MULTITRACK"}, "genre"),
)
TASKS = tuple(({"task": wrong}, "task") for wrong in ("sing", "", 3, None))
MODEL_NAMES = tuple(({"model_name": wrong}, "model_name") for wrong in ("", " ", "None", None))
EPOCHS = tuple(({"total_epoch": wrong}, "total_epoch") for wrong in (-1, 1.5, "many"))
LONG_TEXT = ({"path": None, "url": None, "source_data": "x" * 513}, "source_data")

CASES = (
    Case(
        music.MusicTagOperator,
        {"tag_types": "['mood', 'bgm']"},
        {"tagType": ["mood", "bgm"]},
        {"musigTagV2": {"musicTagV2": {"mood": {"label": "Happy", "prob": "0.5"}}}},
        {"dimension": "mood", "label": "Happy", "probability": 0.5},
        (({"tag_types": ["all", "mood"]}, "tag_types"), ({"tag_types": "tempo"}, "tag_types"), NO_INPUT, TWO_INPUTS),
    ),
    Case(
        music.MusicAsrOperator,
        {"confidence": "0.5"},
        {"confidence": 0.5},
        {"musicASR": [{"text": "la", "startTime": "1", "endTime": "2", "conf": "0.8"}]},
        {"line": 0, "text": "la", "start_s": 1.0, "end_s": 2.0, "confidence": 0.8},
        (
            ({"confidence": 1.01}, "confidence"),
            ({"confidence": "-0.1"}, "confidence"),
            ({"confidence": "nan"}, "confidence"),
        ),
    ),
    Case(
        music.MusicBeatOperator,
        {"output_type": "3", "drum_type": 99, "split_num": "None"},
        {"outputType": 3, "drumType": 99, "enlargeLevel": 3},
        {"musicBeat": {"mergeFileName": "a.wav"}},
        {"kind": "mergeFileName", "file": "a.wav"},
        (
            ({"enlarge_level": 7}, "enlarge_level"),
            ({"enlarge_level": "0"}, "enlarge_level"),
            ({"drum_type": "loud"}, "drum_type"),
            LONG_PREFIX,
        ),
    ),
    Case(
        music.MusicHighlightOperator,
        {},
        2,
        {"musicHighlight": [{"start": "12.5", "end": "30", "score": "0.9"}]},
        {"highlight": 0, "start_s": 12.5, "end_s": 30.0, "score": 0.9},
        (NO_INPUT, TWO_INPUTS, NO_ADDRESS, PLAIN_VALUE),
    ),
    Case(
        music.MusicStructureOperator,
        {},
        {"structureAnalysis": True},
        {"musicStructureAnalysis": [{"label": "intro"}]},
        {"result": '{"musicStructureAnalysis": [{"label": "intro"}]}'},
        (NO_INPUT, TWO_INPUTS, NO_ADDRESS),
    ),
    Case(
        music.MusicRecognitionOperator,
        {"output_num": "5"},
        {"outputNum": 5},
        {"musicRecognition": [{"song": "x"}]},
        {"result": '{"musicRecognition": [{"song": "x"}]}'},
        tuple(({"output_num": wrong}, "output_num") for wrong in (0, "6", 1.5, "many")),
    ),
    Case(
        music.SkipMusicIntroOperator,
        {},
        2,
        {"skipMusicIntro": {"endTime": "9.1"}},
        {"result": '{"skipMusicIntro": {"endTime": "9.1"}}'},
        (NO_INPUT, TWO_INPUTS, NO_TEXT_TAKEN, PLAIN_VALUE),
    ),
    Case(
        music.MusicSeparationOperator,
        {"method": "FIVE_STEMS"},
        {"method": 3},
        {"musicSeperate": [{"fileName": "v.wav", "tone": 1}, {"fileName": "b.wav", "tone": "5"}]},
        {"stem": "voice", "file": "v.wav"},
        (*(({"method": wrong}, "method") for wrong in ("SIX", "4", 0, True, None)), NO_PREFIX, NO_PLACE),
    ),
    Case(
        music.VocalMidiOperator,
        {"mode": "THAI", "output_type": "2"},
        {"mode": 3, "outputType": 2},
        {"vocalMidi": {"fileName": "a.mid"}},
        {"kind": "fileName", "file": "a.mid"},
        (({"mode": "LOUD"}, "mode"), ({"mode": 4}, "mode"), ({"output_type": "WAV"}, "output_type"), NO_PREFIX),
    ),
    Case(
        music.SingingCloningOperator,
        {"task": "generate", "model_name": "default", "use_separate": "True"},
        {"type": 1, "modelName": "default", "useSeparate": 2},
        {"singingCloning": {"songName": "a.wav"}},
        {"model": None, "file": "a.wav"},
        (
            *TASKS,
            *MODEL_NAMES,
            LONG_TEXT,
            ({"use_separate": "yes"}, "use_separate"),
            ({"total_epoch": 30}, "total_epoch"),
            LONG_PREFIX,
        ),
    ),
    Case(
        music.SingingCloningOperator,
        {"task": "train", "model_name": "singer_1", "total_epoch": "500"},
        {"type": 2, "modelName": "singer_1", "totalEpoch": 500},
        {"singingCloning": {"modelName": "singer_1"}},
        {"model": "singer_1", "file": None},
        (
            *EPOCHS,
            *MODEL_NAMES,
            ({"use_separate": True}, "use_separate"),
            ({"destination": "/out/"}, "destination"),
            NO_PREFIX,
        ),
    ),
    Case(
        music.VoiceCloningOperator,
        {"task": "generate", "model_name": "声音 1", "language": "CHINESE", "speech_rate": "2.5"},
        {"type": 1, "modelName": "声音 1", "language": 2, "speechRate": 2.5},
        {"voiceCloning": {"voiceName": "a.wav"}},
        {"model": None, "file": "a.wav"},
        (
            *TASKS,
            *MODEL_NAMES,
            *(({"speech_rate": wrong}, "speech_rate") for wrong in (-0.1, "nan", "inf", "fast")),
            ({"language": "LATIN"}, "language"),
            ({"source_data": "x" * 513}, "source_data"),
            ({"total_epoch": 30}, "total_epoch"),
        ),
        {"source_data": "你好"},
    ),
    Case(
        music.VoiceCloningOperator,
        {"task": 2, "model_name": "speaker_1", "total_epoch": 0},
        {"type": 2, "modelName": "speaker_1", "totalEpoch": 0},
        {"voiceCloning": {"modelName": "speaker_1"}},
        {"model": "speaker_1", "file": None},
        (
            *EPOCHS,
            ({"language": 1}, "language"),
            ({"speech_rate": 1}, "speech_rate"),
        ),
    ),
    Case(
        music.MusicComposeOperator,
        {"song_quantity": "2", "song_type": "MULTITRACK", "emotion": "WARM", "sound_effect": 9},
        {"songQuantity": 2, "songType": 2, "emotion": 10, "soundEffect": 9},
        {"musicCompose": [{"songName": "a.mp3"}]},
        {"kind": "songName", "file": "a.mp3"},
        (
            *SONG_QUANTITIES,
            *SONG_RULES,
            ({"sound_effect": "ECHO"}, "sound_effect"),
            ({"path": TRACK}, "path"),
            NO_PREFIX,
        ),
        {},
    ),
    Case(
        music.MusicComposeHummingOperator,
        {"song_quantity": 1, "use_sieve": "false"},
        {"songQuantity": 1, "useSieve": 1},
        {"musicComposerHumming": [{"songName": "a.mp3"}]},
        {"kind": "songName", "file": "a.mp3"},
        (*SONG_QUANTITIES, ({"use_sieve": 2}, "use_sieve"), LONG_PREFIX, NO_INPUT),
    ),
    Case(
        music.ImageBgmOperator,
        {"song_quantity": 1, "song_type": "1", "emotion": "99", "genre": "7", "output_type": 2},
        {"songQuantity": 1, "type": 1, "emotion": 99, "genre": 7, "outputType": 2},
        {"imageBgmGeneration": [{"songName": "a.mp3"}]},
        {"kind": "songName", "file": "a.mp3"},
        (*SONG_QUANTITIES, *SONG_RULES, ({"output_type": "mp3"}, "output_type"), NO_INPUT),
        {"path": PICTURE},
    ),
    Case(
        music.VideoBgmOperator,
        {"bgm_num": "9", "mode": "MULTI_TRACK"},
        {"bgmNum": 9, "mode": 2},
        {"videoBgmGeneration": [{"videoName": "a.mp4"}]},
        {"kind": "videoName", "file": "a.mp4"},
        (
            *(({"bgm_num": wrong}, "bgm_num") for wrong in (0, "10", 1.5)),
            *(({"mode": wrong}, "mode") for wrong in ("NONE", 4)),
            ({"emotion": "auto"}, "emotion"),
            ({"mode": 1, "emotion": " "}, "emotion"),
        ),
        {"path": VIDEO},
    ),
    Case(
        music.TextBgmOperator,
        {"song_type": "LARGE_MODEL", "emotion": 1},
        {"songQuantity": 1, "type": 1, "emotion": 1},
        {"textBgmGeneration": [{"songName": "a.mp3"}]},
        {"kind": "songName", "file": "a.mp3"},
        (
            *SONG_QUANTITIES,
            *SONG_RULES,
            ({"source_data": None}, None),
            ({"source_data": None, "path": TRACK}, "path"),
            ({"url": "https://host/a.mp3"}, None),
        ),
        {"source_data": "夏天的海边"},
    ),
)


def label(case: Case) -> str:
    """Name a case in a test's id."""
    return "_".join([case.name, *(str(case.arguments[name]) for name in ("task",) if name in case.arguments)])
