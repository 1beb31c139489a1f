"""What the emulator can compute: one entry per capability, checking its parameters and producing its result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from airflow_provider_mediax.emulator import canned
from airflow_provider_mediax.emulator.analysis import NotAudio
from airflow_provider_mediax.emulator.clock import Clock
from airflow_provider_mediax.emulator.inputs import Input
from airflow_provider_mediax.emulator.jobs import JobFailed
from airflow_provider_mediax.emulator.objects import Bucket
from airflow_provider_mediax.emulator.pool import Analysis, AnalysisBroke
from airflow_provider_mediax.emulator.wire import JsonObject

TAG_TYPES = ("vocal", "language", "mood", "genre", "scene", "bgm", "intensity")


class Refused(Exception):
    """The platform answers with an ``errorResponse``; the text is its message."""


class Folder:
    """
    Where a files capability writes.

    :param destination: directory in the bucket, ``/`` is its root.
    :param prefix: ``outputPrefix`` of the file names.
    """

    def __init__(self, bucket: Bucket, clock: Clock, destination: str, prefix: str) -> None:
        self._bucket = bucket
        self._clock = clock
        self._directory = destination.strip("/")
        self._prefix = prefix

    def write(self, name: str, data: bytes, content_type: str) -> str:
        """Write a file and return its name, relative to the destination."""
        full_name = self._prefix + name
        key = f"{self._directory}/{full_name}" if self._directory else full_name
        self._bucket.put(key, data, self._clock.now(), content_type)
        return full_name


class Capability(ABC):
    """
    One member of ``smartContentDescriptor``.

    :cvar writes_files: whether the output needs a repository to write to.
    """

    name: ClassVar[str]
    writes_files: ClassVar[bool] = False

    @abstractmethod
    def check(self, parameters: JsonObject) -> None:
        """
        Check the parameters of a request.

        :raises Refused: one of them is missing, of the wrong type or out of range.
        """

    @abstractmethod
    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """
        Produce ``smartContentResult``.

        :raises NotAudio: the input cannot be decoded.
        """

    async def run(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """
        Produce ``smartContentResult``.

        :raises JobFailed: the input is not what the capability can work with.
        """
        try:
            return await self.compute(parameters, track, analysis, folder)
        except (NotAudio, AnalysisBroke) as error:
            raise JobFailed(str(error)) from None


class MusicTag(Capability):
    """Canned tags of a track that must decode."""

    name = "musicTagV2"

    def check(self, parameters: JsonObject) -> None:
        """Check ``tagType``."""
        asked = parameters.get("tagType")
        if not isinstance(asked, list) or not asked:
            raise Refused("musicTagV2.tagType must be a list with at least one tag type")
        unknown = [kind for kind in asked if kind not in (*TAG_TYPES, "all")]
        if unknown:
            raise Refused(f"musicTagV2.tagType does not know {unknown[0]!r}")
        if "all" in asked and len(asked) > 1:
            raise Refused("musicTagV2.tagType: all must stand alone")

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the canned tags that were asked for."""
        await analysis.duration_of(track.data)
        asked = parameters["tagType"]
        return canned.tags([str(kind) for kind in asked] if isinstance(asked, list) else [])


class MusicAsr(Capability):
    """Canned lyrics, spread over the true length of the track."""

    name = "musicASR"

    def check(self, parameters: JsonObject) -> None:
        """Check ``confidence``."""
        if not 0 <= _number(parameters.get("confidence"), "musicASR.confidence") <= 1:
            raise Refused("musicASR.confidence must be from 0 to 1")

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the canned lines above the confidence."""
        duration = await analysis.duration_of(track.data)
        return canned.lyrics(_number(parameters["confidence"], "musicASR.confidence"), duration)


class MusicBeat(Capability):
    """Beats that are really there, as a marked WAV file and a JSON file."""

    name = "musicBeat"
    writes_files = True

    def check(self, parameters: JsonObject) -> None:
        """Check the four integers; only the range of ``enlargeLevel`` is documented."""
        for name in ("outputType", "drumType", "enlargeLevel", "splitNum"):
            value = parameters.get(name, 1)
            if not isinstance(value, int) or isinstance(value, bool):
                raise Refused(f"musicBeat.{name} must be an integer")
            if name == "enlargeLevel" and not 1 <= value <= 6:
                raise Refused("musicBeat.enlargeLevel must be from 1 to 6")

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Track the beats and write both files."""
        loudness = parameters.get("enlargeLevel", 3)
        beats = await analysis.find_beats(track.data, loudness if isinstance(loudness, int) else 3)
        marked = folder.write(f"{track.name}_beat.wav", beats.marked, "audio/wav")
        times = folder.write(f"{track.name}_beat.json", beats.as_json(), "application/json")
        return {"musicBeat": {"mergeFileName": marked, "beatFileName": times}}


CAPABILITIES: dict[str, Capability] = {kind.name: kind for kind in (MusicTag(), MusicAsr(), MusicBeat())}
"""By descriptor name."""


def _number(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{field} must be a number")
    return value
