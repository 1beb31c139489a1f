"""
Capabilities that say something about a track: most of them canned, beats computed.

Canned answers have exactly the form in which the platform prints them. The members of sections, candidates and intros
are documented nowhere; those here are the emulator's own.
"""

from __future__ import annotations

from airflow_provider_mediax.emulator.mediax.capabilities.base import (
    ANY_NUMBER,
    Answer,
    Folder,
    SwitchedOn,
    checks,
    count,
    emulated,
    one_of,
    real,
    required,
    whole,
)
from airflow_provider_mediax.emulator.mediax.errors import Refused
from airflow_provider_mediax.emulator.mediax.inputs import Input
from airflow_provider_mediax.emulator.shared.wire import JsonObject
from airflow_provider_mediax.emulator.sound.pool import Analysis

_TAG_TYPES = ("vocal", "language", "mood", "genre", "scene", "bgm", "intensity")
_TAGS = {
    "vocal": {"label": "Vocal", "prob": "1.0000"},
    "language": {"label": "Other", "prob": "0.0817"},
    "mood": {"label": "Exciting", "prob": "0.2953"},
    "genre": {"label": "Zhuang", "prob": "0.7710"},
    "scene": {"label": "Prayer", "prob": "0.8886"},
}


@emulated
class MusicTagAnswer(Answer):
    """Canned tags of a track that must decode."""

    name = "musicTagV2"

    def check(self, value: object) -> JsonObject:
        """Check ``tagType``."""
        parameters = super().check(value)
        asked = parameters.get("tagType")
        if not isinstance(asked, list) or not asked:
            raise Refused("musicTagV2.tagType must be a list with at least one tag type")
        unknown = [kind for kind in asked if kind not in (*_TAG_TYPES, "all")]
        if unknown:
            raise Refused(f"musicTagV2.tagType does not know {unknown[0]!r}")
        if "all" in asked and len(asked) > 1:
            raise Refused("musicTagV2.tagType: all must stand alone")
        return parameters

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Answer like the printed example: misspelt wrapper, no ``bgm`` though asked, ``intensity`` empty."""
        await analysis.duration_of(track.data)
        asked = parameters["tagType"]
        kinds = asked if isinstance(asked, list) else []
        found = {kind: dict(tag) for kind, tag in _TAGS.items() if "all" in kinds or kind in kinds}
        return {"musigTagV2": {self.name: {**found, "intensity": {}}}}


# Text, start and end as shares of the track, confidence.
_LYRICS = (
    ("天空", 0.10, 0.16, "0.8"),
    ("还记得那年的夏天", 0.18, 0.30, "0.95"),
    ("微风吹过了海面", 0.32, 0.43, "0.55"),
    ("啦啦啦", 0.50, 0.60, "0.3"),
    ("Sing with me tonight", 0.64, 0.80, "0.1"),
)


@emulated
class MusicAsrAnswer(Answer):
    """Canned lyrics, spread over the true length of the track."""

    name = "musicASR"
    rules = checks(confidence=required(real(0, 1)))

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the lines above the confidence, every member a string."""
        duration, confidence = await analysis.duration_of(track.data), float(str(parameters["confidence"]))
        return {
            self.name: [
                {
                    "text": text,
                    "startTime": f"{start * duration:.1f}",
                    "endTime": f"{end * duration:.1f}",
                    "conf": certainty,
                }
                for text, start, end, certainty in _LYRICS
                if float(certainty) > confidence
            ]
        }


# Start and end as shares of the track, score.
_HIGHLIGHTS = ((0.30, 0.45, "0.93"), (0.70, 0.85, "0.88"))


@emulated
class MusicHighlightAnswer(SwitchedOn):
    """Two canned choruses, spread over the true length of the track."""

    name = "musicHighlight"

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the choruses as the demo site was seen to read them: every member a string."""
        duration = await analysis.duration_of(track.data)
        return {
            self.name: [
                {"start": f"{start * duration:.2f}", "end": f"{end * duration:.2f}", "score": score}
                for start, end, score in _HIGHLIGHTS
            ]
        }


# Name and end as a share of the track.
_SECTIONS = (("intro", 0.1), ("verse", 0.3), ("chorus", 0.45), ("interlude", 0.5), ("chorus", 0.9), ("outro", 1.0))


@emulated
class MusicStructureAnswer(Answer):
    """Canned sections, spread over the true length of the track."""

    name = "musicStructureAnalysis"
    rules = checks(structureAnalysis=required(one_of(True)))

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return sections that follow each other."""
        duration, starts = await analysis.duration_of(track.data), (0.0, *(end for _, end in _SECTIONS))
        return {
            self.name: [
                {"label": label, "startTime": f"{start * duration:.2f}", "endTime": f"{end * duration:.2f}"}
                for start, (label, end) in zip(starts, _SECTIONS, strict=False)
            ]
        }


_CATALOGUE = ("First Light", "River Road", "Paper Moon", "Slow Train", "Winter Garden")


@emulated
class MusicRecognitionAnswer(Answer):
    """Canned candidates."""

    name = "musicRecognition"
    rules = checks(outputNum=required(whole(1, 5)))

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return as many songs that do not exist as were asked for."""
        await analysis.duration_of(track.data)
        songs = _CATALOGUE[: count(parameters, "outputNum", 1)]
        return {self.name: [{"song": song, "artist": "Nobody"} for song in songs]}


@emulated
class SkipMusicIntroAnswer(SwitchedOn):
    """An intro that takes an eighth of the track."""

    name = "skipMusicIntro"

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the end of the intro."""
        return {self.name: {"endTime": f"{await analysis.duration_of(track.data) / 8:.2f}"}}


@emulated
class MusicBeatAnswer(Answer):
    """Beats that are really there, as a marked WAV file and a JSON file."""

    name = "musicBeat"
    rules = checks(
        outputType=ANY_NUMBER,
        drumType=ANY_NUMBER,
        enlargeLevel=whole(1, 6),
        splitNum=ANY_NUMBER,
    )
    writes_files = True
    takes_prefix = True

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Track the beats and write both files."""
        beats = await analysis.find_beats(track.data, count(parameters, "enlargeLevel", 3))
        marked = folder.write(f"{track.name}_beat.wav", beats.marked, "audio/wav")
        times = folder.write(f"{track.name}_beat.json", beats.as_json(), "application/json")
        return {"musicBeat": {"mergeFileName": marked, "beatFileName": times}}
