"""Requests that listen to a track (API reference sections 9.1 to 9.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.mediax.capabilities.base import (
    Capability,
    SwitchOption,
    Table,
    choice,
    number,
    optional,
    sent,
    whole,
)
from airflow_provider_mediax.protocol.names import refused, suggestion

TAG_TYPES = ("vocal", "language", "mood", "genre", "scene", "bgm", "intensity")
"""Dimensions of ``musicTagV2`` (section 9.6); ``all`` stands for every one of them."""


class SeparationMethod(Table):
    """``MusicSeperateOption`` (section 9.9): into how many stems."""

    TWO_STEMS = 1
    FOUR_STEMS = 2
    FIVE_STEMS = 3


class MidiMode(Table):
    """``Mode`` of ``vocalMidi`` (section 9.10)."""

    NORMAL = 1
    CHINESE = 2
    THAI = 3


class MidiOutputType(Table):
    """``OutputType`` of ``vocalMidi`` (section 9.10)."""

    MIDI = 1
    JSON = 2


@dataclass(frozen=True, kw_only=True)
class MusicTag(Capability):
    """
    Tags of a track (section 9.6).

    :param tag_types: some of :data:`TAG_TYPES`, or ``all`` alone.
    """

    name: ClassVar[str] = "musicTagV2"
    tag_types: str | Sequence[str] = "all"

    def parameters(self) -> JsonObject:
        """Return ``{"tagType": [...]}``; refuse unknown or empty dimensions, and ``all`` beside others."""
        asked = self._asked()
        if not asked:
            raise refused("tag_types", self.tag_types, "name at least one tag type, or 'all'.")
        if "all" in asked and len(asked) > 1:
            raise refused("tag_types", self.tag_types, "'all' must stand alone.")
        known = (*TAG_TYPES, "all")
        if unknown := [kind for kind in asked if kind not in known]:
            rule = f"it must be 'all' or some of {', '.join(TAG_TYPES)}."
            raise refused("tag_types", unknown, rule + suggestion(unknown[0], known))
        return {"tagType": asked}

    def _asked(self) -> list[str]:
        if isinstance(self.tag_types, str):
            return [part.strip() for part in self.tag_types.split(",") if part.strip()]
        if not isinstance(self.tag_types, (list, tuple)) or not all(isinstance(kind, str) for kind in self.tag_types):
            raise refused("tag_types", self.tag_types, "it must be text or a list of texts.")
        return list(self.tag_types)


@dataclass(frozen=True, kw_only=True)
class MusicAsr(Capability):
    """
    Sung lyrics with times (section 9.4).

    :param confidence: 0 to 1; only lines above it are returned.
    """

    name: ClassVar[str] = "musicASR"
    confidence: float = 0.2

    def parameters(self) -> JsonObject:
        """Return ``{"confidence": ...}``."""
        return {"confidence": number("confidence", self.confidence, 0, 1)}


@dataclass(frozen=True, kw_only=True)
class MusicBeat(Capability):
    """
    Drum beats of a track (section 9.1). The tables of the two enums were not seen, so any int passes.

    :param output_type: which outputs to produce.
    :param drum_type: drum sound of the marked music.
    :param enlarge_level: loudness step of the marks, 1 to 6.
    :param split_num: meaning unknown; the demo of the access guide sends 3. None leaves it out.
    """

    name: ClassVar[str] = "musicBeat"
    writes_files: ClassVar[bool] = True
    takes_prefix: ClassVar[bool] = True
    output_type: int = 4
    drum_type: int = 2
    enlarge_level: int = 3
    split_num: int | None = 3

    def parameters(self) -> JsonObject:
        """Return the four parameters, ``splitNum`` only if given."""
        return sent(
            outputType=whole("output_type", self.output_type),
            drumType=whole("drum_type", self.drum_type),
            enlargeLevel=whole("enlarge_level", self.enlarge_level, 1, 6),
            splitNum=optional(whole, "split_num", self.split_num),
        )


@dataclass(frozen=True, kw_only=True)
class MusicHighlight(Capability):
    """All choruses of a track (section 9.2)."""

    name: ClassVar[str] = "musicHighlight"

    def parameters(self) -> int:
        """Return the number for on, which stands in the place of an object."""
        return int(SwitchOption.ON)


@dataclass(frozen=True, kw_only=True)
class MusicStructure(Capability):
    """Sections of a pop song: intro, verse, chorus and so on (section 9.3)."""

    name: ClassVar[str] = "musicStructureAnalysis"

    def parameters(self) -> JsonObject:
        """Return ``{"structureAnalysis": true}``, a true boolean here."""
        return {"structureAnalysis": True}


@dataclass(frozen=True, kw_only=True)
class MusicRecognition(Capability):
    """
    Which song of the platform's own catalogue it is (section 9.7).

    :param output_num: 1 to 5 candidates.
    """

    name: ClassVar[str] = "musicRecognition"
    output_num: int = 1

    def parameters(self) -> JsonObject:
        """Return ``{"outputNum": ...}``."""
        return {"outputNum": whole("output_num", self.output_num, 1, 5)}


@dataclass(frozen=True, kw_only=True)
class SkipMusicIntro(Capability):
    """Where the intro ends and the singing starts (section 9.8)."""

    name: ClassVar[str] = "skipMusicIntro"

    def parameters(self) -> int:
        """Return the number for on, which stands in the place of an object."""
        return int(SwitchOption.ON)


@dataclass(frozen=True, kw_only=True)
class MusicSeparation(Capability):
    """
    Stems of a track (section 9.9). The service spells it ``musicSeperate``.

    :param method: a :class:`SeparationMethod`, by name or number.
    """

    name: ClassVar[str] = "musicSeperate"
    writes_files: ClassVar[bool] = True
    method: str | int = "TWO_STEMS"

    def parameters(self) -> JsonObject:
        """Return ``{"method": ...}``."""
        return {"method": choice("method", self.method, SeparationMethod)}


@dataclass(frozen=True, kw_only=True)
class VocalMidi(Capability):
    """
    Notes of the singing (section 9.10); the platform separates the voice by itself.

    :param mode: a :class:`MidiMode`, by name or number.
    :param output_type: a :class:`MidiOutputType`, by name or number; None leaves it to the platform (MIDI).
    """

    name: ClassVar[str] = "vocalMidi"
    writes_files: ClassVar[bool] = True
    mode: str | int = "NORMAL"
    output_type: str | int | None = "MIDI"

    def parameters(self) -> JsonObject:
        """Return ``mode`` and ``outputType``."""
        return sent(
            mode=choice("mode", self.mode, MidiMode),
            outputType=optional(choice, "output_type", self.output_type, MidiOutputType),
        )
