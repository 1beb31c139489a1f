"""
One typed request per capability of the music platform, and the registry of them (API reference section 9).

A request checks what the reference states, so that a bad one is refused before it costs money; values of tables
that the reference has not seen pass as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.exchange import JsonObject

TAG_TYPES = ("vocal", "language", "mood", "genre", "scene", "bgm", "intensity")
"""Dimensions of ``musicTagV2`` (section 9.6); ``all`` stands for every one of them."""


@dataclass(frozen=True, kw_only=True)
class Capability(ABC):
    """
    What is to be computed from an input: the capability's member of ``smartContentDescriptor``.

    :cvar name: the member's name on the wire.
    :cvar writes_files: whether results are files in the repository, which then must be named.
    :cvar takes_prefix: whether the API knows an ``outputPrefix`` for it.
    """

    name: ClassVar[str]
    writes_files: ClassVar[bool] = False
    takes_prefix: ClassVar[bool] = False

    @abstractmethod
    def parameters(self) -> Any:
        """Return the value that goes under :attr:`name`."""


@dataclass(frozen=True, kw_only=True)
class MusicTag(Capability):
    """
    Tags of a track (section 9.6).

    :param tag_types: some of :data:`TAG_TYPES`, or ``all`` alone.
    """

    name: ClassVar[str] = "musicTagV2"
    tag_types: str | Sequence[str] = "all"

    def __post_init__(self) -> None:
        """Refuse unknown or empty dimensions, and ``all`` beside others."""
        asked = self._asked()
        if not asked:
            raise BadRequest.field("tag_types", self.tag_types, "name at least one tag type, or 'all'.")
        if "all" in asked and len(asked) > 1:
            raise BadRequest.field("tag_types", self.tag_types, "'all' must stand alone.")
        unknown = [kind for kind in asked if kind not in (*TAG_TYPES, "all")]
        if unknown:
            raise BadRequest.field("tag_types", unknown, f"it must be 'all' or some of {', '.join(TAG_TYPES)}.")

    def parameters(self) -> JsonObject:
        """Return ``{"tagType": [...]}``."""
        return {"tagType": self._asked()}

    def _asked(self) -> list[str]:
        if isinstance(self.tag_types, str):
            return [part.strip() for part in self.tag_types.split(",") if part.strip()]
        return list(self.tag_types)


@dataclass(frozen=True, kw_only=True)
class MusicAsr(Capability):
    """
    Sung lyrics with times (section 9.4).

    :param confidence: 0 to 1; only lines above it are returned.
    """

    name: ClassVar[str] = "musicASR"
    confidence: float = 0.2

    def __post_init__(self) -> None:
        """Refuse a confidence outside 0 to 1; NaN is outside."""
        if not 0 <= self.confidence <= 1:
            raise BadRequest.field("confidence", self.confidence, "it must be a number from 0 to 1.")

    def parameters(self) -> JsonObject:
        """Return ``{"confidence": ...}``."""
        return {"confidence": self.confidence}


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

    def __post_init__(self) -> None:
        """Refuse a loudness step that does not exist."""
        if not 1 <= self.enlarge_level <= 6:
            raise BadRequest.field("enlarge_level", self.enlarge_level, "it must be a whole number from 1 to 6.")

    def parameters(self) -> JsonObject:
        """Return the four parameters, ``splitNum`` only if given."""
        fields: JsonObject = {
            "outputType": self.output_type,
            "drumType": self.drum_type,
            "enlargeLevel": self.enlarge_level,
        }
        return fields if self.split_num is None else {**fields, "splitNum": self.split_num}


CAPABILITIES: Mapping[str, type[Capability]] = MappingProxyType(
    {capability.name: capability for capability in (MusicTag, MusicAsr, MusicBeat)}
)
"""Every typed capability by its name on the wire."""
