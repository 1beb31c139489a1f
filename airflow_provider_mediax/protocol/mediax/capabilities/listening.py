"""Requests that listen to a track (API reference sections 9.1 to 9.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_provider_mediax.protocol.json_body import member, objects, text
from airflow_provider_mediax.protocol.mediax.capabilities.base import (
    Capability,
    SwitchOption,
    Table,
    capability,
    choice,
    number,
    optional,
    sent,
    whole,
)
from airflow_provider_mediax.protocol.names import refused, suggestion
from airflow_provider_mediax.protocol.rows import Column, Files, Stems
from airflow_provider_mediax.protocol.rows import number as as_number

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.exchange import JsonObject

TONES: Mapping[int, str] = MappingProxyType({1: "voice", 2: "drum", 3: "bass", 4: "piano", 5: "background"})
"""Roles of stems, in the words of Cloud Infinite (section 9.9). That 4 is the piano is a guess of the reference."""

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


@capability
class MusicTag(Capability):
    """
    Tags of a track (section 9.6).

    :param tag_types: some of :data:`TAG_TYPES`, or ``all`` alone.
    """

    name = "musicTagV2"
    columns = (
        Column("dimension", "text", "what was judged"),
        Column("label", "text", "the platform's word"),
        Column("probability", "number", "0 to 1 in the documented examples; null if it was not a number"),
    )
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

    @classmethod
    def view(cls, content: JsonObject) -> JsonObject:
        """
        Read tags under any of the four wrappers seen (contradiction 1); an absent or empty dimension is left out.

        The remains of an older tagger, ``audioTagger``, stay raw, as does anything else.
        """
        outer = content.get("musigTagV2") or content.get("musicTagV2") or {}
        if not isinstance(outer, dict) or not (outer or content.keys() <= {"musigTagV2", "musicTagV2"}):
            return content
        tags = member(outer, "musicTagV2") or outer
        return {
            dimension: {"label": label, "prob": as_number(answer.get("prob"))}
            for dimension, answer in tags.items()
            if isinstance(answer, dict) and (label := text(answer.get("label")))
        }

    @classmethod
    def rows(cls, view: JsonObject) -> list[JsonObject]:
        """Return one row per dimension."""
        return [
            {"dimension": dimension, "label": label, "probability": as_number(tag.get("prob"))}
            for dimension, tag in view.items()
            if isinstance(tag, dict) and (label := text(tag.get("label")))
        ]

    @classmethod
    def summary(cls, view: JsonObject) -> str:
        """Name the two labels that say most about a track, and count the dimensions."""
        labels = {row["dimension"]: row["label"] for row in cls.rows(view)}
        first = sorted(labels, key=lambda dimension: dimension not in ("mood", "genre"))[:2]
        return f"{', '.join(labels[name] for name in first)}; {len(labels)} dimensions" if labels else "no tags"


@capability
class MusicAsr(Capability):
    """
    Sung lyrics with times (section 9.4).

    :param confidence: 0 to 1; only lines above it are returned.
    """

    name = "musicASR"
    columns = (
        Column("line", "integer", "position, from 0"),
        Column("text", "text", "the words"),
        Column("start_s", "number", "seconds"),
        Column("end_s", "number", "seconds"),
        Column("confidence", "number", "0 to 1; lines at or below the operator's `confidence` are not returned"),
    )
    confidence: float = 0.2

    def parameters(self) -> JsonObject:
        """Return ``{"confidence": ...}``."""
        return {"confidence": number("confidence", self.confidence, 0, 1)}

    @classmethod
    def view(cls, content: JsonObject) -> JsonObject:
        """
        Read lyrics; a silent song may come as ``[]`` or without anything. Times are taken as seconds.

        Anything else stays raw.
        """
        found = content.get("musicASR", "" if content else [])
        if isinstance(found, str):
            return content
        return {
            "lines": [
                {
                    "text": text(line.get("text")) or "",
                    "start": as_number(line.get("startTime")),
                    "end": as_number(line.get("endTime")),
                    "confidence": as_number(line.get("conf")),
                }
                for line in objects(found)
            ]
        }

    @classmethod
    def rows(cls, view: JsonObject) -> list[JsonObject]:
        """Return one row per line."""
        return [
            {
                "line": position,
                "text": line.get("text"),
                "start_s": as_number(line.get("start")),
                "end_s": as_number(line.get("end")),
                "confidence": as_number(line.get("confidence")),
            }
            for position, line in enumerate(objects(view.get("lines")))
        ]

    @classmethod
    def summary(cls, view: JsonObject) -> str:
        """Count the lines."""
        return f"{len(cls.rows(view))} lines of lyrics"


@capability
class MusicBeat(Files, Capability):
    """
    Drum beats of a track (section 9.1). The tables of the two enums were not seen, so any int passes.

    :param output_type: which outputs to produce.
    :param drum_type: drum sound of the marked music.
    :param enlarge_level: loudness step of the marks, 1 to 6.
    :param split_num: meaning unknown; the demo of the access guide sends 3. None leaves it out.
    """

    name = "musicBeat"
    writes_files = True
    takes_prefix = True
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

    @classmethod
    def view(cls, content: JsonObject) -> JsonObject:
        """Hand the object through: only the names of its files are known."""
        return member(content, "musicBeat") or content


@capability
class MusicHighlight(Capability):
    """All choruses of a track (section 9.2)."""

    name = "musicHighlight"
    columns = (
        Column("highlight", "integer", "position, from 0"),
        Column("start_s", "number", "seconds"),
        Column("end_s", "number", "seconds"),
        Column("score", "number", "0 to 1"),
    )

    def parameters(self) -> int:
        """Return the number for on, which stands in the place of an object."""
        return int(SwitchOption.ON)

    @classmethod
    def view(cls, content: JsonObject) -> JsonObject:
        """Read choruses as they were observed; anything else stays raw. Times are taken as seconds."""
        found = content.get("musicHighlight", None if content else [])
        if not isinstance(found, (list, dict)):
            return content
        members = ("start", "end", "score")
        return {"highlights": [{name: as_number(chorus.get(name)) for name in members} for chorus in objects(found)]}

    @classmethod
    def rows(cls, view: JsonObject) -> list[JsonObject]:
        """Return one row per chorus."""
        return [
            {
                "highlight": position,
                "start_s": as_number(chorus.get("start")),
                "end_s": as_number(chorus.get("end")),
                "score": as_number(chorus.get("score")),
            }
            for position, chorus in enumerate(objects(view.get("highlights")))
        ]

    @classmethod
    def summary(cls, view: JsonObject) -> str:
        """Count the choruses."""
        return f"{len(cls.rows(view))} choruses"


@capability
class MusicStructure(Capability):
    """Sections of a pop song: intro, verse, chorus and so on (section 9.3)."""

    name = "musicStructureAnalysis"

    def parameters(self) -> JsonObject:
        """Return ``{"structureAnalysis": true}``, a true boolean here."""
        return {"structureAnalysis": True}


@capability
class MusicRecognition(Capability):
    """
    Which song of the platform's own catalog it is (section 9.7).

    :param output_num: 1 to 5 candidates.
    """

    name = "musicRecognition"
    output_num: int = 1

    def parameters(self) -> JsonObject:
        """Return ``{"outputNum": ...}``."""
        return {"outputNum": whole("output_num", self.output_num, 1, 5)}


@capability
class SkipMusicIntro(Capability):
    """Where the intro ends and the singing starts (section 9.8)."""

    name = "skipMusicIntro"

    def parameters(self) -> int:
        """Return the number for on, which stands in the place of an object."""
        return int(SwitchOption.ON)


@capability
class MusicSeparation(Stems, Capability):
    """
    Stems of a track (section 9.9). The service spells it ``musicSeperate``.

    :param method: a :class:`SeparationMethod`, by name or number.
    """

    name = "musicSeperate"
    spellings = ("musicSeparate",)
    writes_files = True
    method: str | int = "TWO_STEMS"

    def parameters(self) -> JsonObject:
        """Return ``{"method": ...}``."""
        return {"method": choice("method", self.method, SeparationMethod)}

    @classmethod
    def view(cls, content: JsonObject) -> JsonObject:
        """Read stems as they were observed, under either spelling (contradiction 20); anything else stays raw."""
        stems: dict[str, str] = {}
        for stem in objects(content.get("musicSeperate")) or objects(content.get("musicSeparate")):
            file = stem.get("fileName")
            if isinstance(file, str) and file:
                role = TONES.get(int(as_number(stem.get("tone")) or 0), "unknown")
                again = sum(known.partition("_")[0] == role for known in stems)
                stems[f"{role}_{again + 1}" if again else role] = file
        return {"stems": stems} if stems or not content else content


@capability
class VocalMidi(Files, Capability):
    """
    Notes of the singing (section 9.10); the platform separates the voice by itself.

    :param mode: a :class:`MidiMode`, by name or number.
    :param output_type: a :class:`MidiOutputType`, by name or number; None leaves it to the platform (MIDI).
    """

    name = "vocalMidi"
    writes_files = True
    mode: str | int = "NORMAL"
    output_type: str | int | None = "MIDI"

    def parameters(self) -> JsonObject:
        """Return ``mode`` and ``outputType``."""
        return sent(
            mode=choice("mode", self.mode, MidiMode),
            outputType=optional(choice, "output_type", self.output_type, MidiOutputType),
        )
