"""What the emulator can compute: one entry per capability, checking its parameters and producing its result."""

from __future__ import annotations

from airflow_provider_mediax.emulator.mediax.capabilities import canned
from airflow_provider_mediax.emulator.mediax.capabilities.base import (
    ANY_NUMBER,
    Capability,
    Folder,
    Refused,
    SwitchedOn,
    checks,
    count,
    one_of,
    real,
    required,
    whole,
)
from airflow_provider_mediax.emulator.mediax.capabilities.making import FILE_CAPABILITIES
from airflow_provider_mediax.emulator.mediax.inputs import Input
from airflow_provider_mediax.emulator.shared.wire import JsonObject
from airflow_provider_mediax.emulator.sound.pool import Analysis

TAG_TYPES = ("vocal", "language", "mood", "genre", "scene", "bgm", "intensity")


class MusicTag(Capability):
    """Canned tags of a track that must decode."""

    name = "musicTagV2"

    def check(self, value: object) -> JsonObject:
        """Check ``tagType``."""
        parameters = super().check(value)
        asked = parameters.get("tagType")
        if not isinstance(asked, list) or not asked:
            raise Refused("musicTagV2.tagType must be a list with at least one tag type")
        unknown = [kind for kind in asked if kind not in (*TAG_TYPES, "all")]
        if unknown:
            raise Refused(f"musicTagV2.tagType does not know {unknown[0]!r}")
        if "all" in asked and len(asked) > 1:
            raise Refused("musicTagV2.tagType: all must stand alone")
        return parameters

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the canned tags that were asked for."""
        await analysis.duration_of(track.data)
        asked = parameters["tagType"]
        return canned.tags([str(kind) for kind in asked] if isinstance(asked, list) else [])


class MusicAsr(Capability):
    """Canned lyrics, spread over the true length of the track."""

    name = "musicASR"
    rules = checks(confidence=required(real(0, 1)))

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the canned lines above the confidence."""
        return canned.lyrics(float(str(parameters["confidence"])), await analysis.duration_of(track.data))


class MusicHighlight(SwitchedOn):
    """Two canned choruses, spread over the true length of the track."""

    name = "musicHighlight"

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the choruses."""
        return canned.highlights(await analysis.duration_of(track.data))


class MusicStructure(Capability):
    """Canned sections, spread over the true length of the track."""

    name = "musicStructureAnalysis"
    rules = checks(structureAnalysis=required(one_of(True)))

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the sections."""
        return canned.structure(await analysis.duration_of(track.data))


class MusicRecognition(Capability):
    """Canned candidates."""

    name = "musicRecognition"
    rules = checks(outputNum=required(whole(1, 5)))

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return as many candidates as were asked for."""
        await analysis.duration_of(track.data)
        return canned.candidates(count(parameters, "outputNum", 1))


class SkipMusicIntro(SwitchedOn):
    """An intro that takes an eighth of the track."""

    name = "skipMusicIntro"

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the end of the intro."""
        return canned.intro(await analysis.duration_of(track.data))


class MusicBeat(Capability):
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


CAPABILITIES: dict[str, Capability] = {
    kind.name: kind
    for kind in (
        MusicTag(),
        MusicAsr(),
        MusicHighlight(),
        MusicStructure(),
        MusicRecognition(),
        SkipMusicIntro(),
        MusicBeat(),
        *FILE_CAPABILITIES,
    )
}
"""By descriptor name."""
