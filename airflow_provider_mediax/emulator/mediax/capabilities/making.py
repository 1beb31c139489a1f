"""Capabilities that make files: stems that are really taken apart, and files that only hold what their name says."""

from __future__ import annotations

from typing import ClassVar

from airflow_provider_mediax.emulator.mediax.capabilities.base import (
    ANY_NUMBER,
    ANY_TEXT,
    SWITCH,
    Answer,
    Folder,
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
from airflow_provider_mediax.emulator.sound import files
from airflow_provider_mediax.emulator.sound.pool import Analysis

_STEMS = {
    1: ("voice", "background"),
    2: ("voice", "drum", "bass", "background"),
    3: ("voice", "drum", "bass", "piano", "background"),
}
_TONES = {"voice": 1, "drum": 2, "bass": 3, "piano": 4, "background": 5}

_CLONING = checks(type=required(one_of(1, 2)), modelName=required(ANY_TEXT), totalEpoch=whole(0))

_SONG = checks(emotion=ANY_NUMBER, genre=ANY_NUMBER)


@emulated
class MusicSeparationAnswer(Answer):
    """Stems by the same stand-in as those of Cloud Infinite."""

    name = "musicSeperate"
    rules = checks(method=one_of(1, 2, 3))
    writes_files = True

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Take the track apart and write a WAV file per stem; nothing is known about pianos, so theirs is silent."""
        names = _STEMS[count(parameters, "method", 1)]
        found = await analysis.separate(track.data, [name for name in names if name != "piano"], "wav", None, None)
        waves = {stem.name: stem.data for stem in found}
        silent = files.tone(await analysis.duration_of(track.data), loudness=0.0) if "piano" in names else b""
        stems = [
            {"fileName": folder.write(f"{track.name}_{name}.wav", waves.get(name, silent), "audio/wav"), "tone": tone}
            for name, tone in _TONES.items()
            if name in names
        ]
        return {self.name: stems}


@emulated
class VocalMidiAnswer(Answer):
    """A scale, as MIDI or JSON."""

    name = "vocalMidi"
    rules = checks(mode=required(one_of(1, 2, 3)), outputType=one_of(1, 2))
    writes_files = True

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Write the notes of a track that must decode."""
        await analysis.duration_of(track.data)
        extension = "json" if parameters.get("outputType") == 2 else "mid"
        return {self.name: {"fileName": _write(folder, f"{track.name}.{extension}")}}


class _Maker(Answer):
    """
    Makes a number of files of one kind.

    :cvar amount: the parameter that says how many.
    :cvar member: the member that names a file.
    :cvar extension: kind of the files.
    :cvar listens: whether the input must be audio; what images and videos hold is not looked at.
    """

    amount: ClassVar[str] = "songQuantity"
    member: ClassVar[str] = "songName"
    extension: ClassVar[str] = "mp3"
    listens: ClassVar[bool] = False
    writes_files = True
    takes_prefix = True

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Write the files."""
        if self.listens:
            await analysis.duration_of(track.data)
        names = [f"{track.name}_{place}.{self.extension}" for place in range(1, count(parameters, self.amount, 1) + 1)]
        return {self.name: [{self.member: _write(folder, name)} for name in names]}


class _Songs(_Maker):
    """
    Makes songs of a type, an emotion and a genre.

    :cvar type_member: what the type is called.
    """

    type_member: ClassVar[str] = "type"

    def check(self, value: object) -> JsonObject:
        """Check also what goes with which type."""
        parameters = super().check(value)
        multitrack = parameters.get(self.type_member) == 2
        if multitrack and "genre" in parameters:
            raise Refused(f"{self.name}: a song of type 2 takes no genre")
        if parameters.get("emotion") == 10 and not multitrack:
            raise Refused(f"{self.name}: emotion 10 needs a song of type 2")
        return parameters


@emulated
class MusicComposeAnswer(_Songs):
    """Songs out of nothing."""

    name = "musicCompose"
    type_member = "songType"
    inputs = ()
    rules = checks(songQuantity=required(whole(1, 100)), songType=one_of(1, 2), soundEffect=ANY_NUMBER, **_SONG)
    takes_prefix = False


@emulated
class ImageBgmAnswer(_Songs):
    """Songs for an image."""

    name = "imageBgmGeneration"
    rules = checks(songQuantity=whole(1, 100), type=one_of(1, 2), outputType=ANY_NUMBER, **_SONG)


@emulated
class TextBgmAnswer(_Songs):
    """Songs for a text."""

    name = "textBgmGeneration"
    inputs = ("sourceData",)
    rules = checks(songQuantity=whole(1, 100), type=one_of(1, 2), **_SONG)


@emulated
class MusicComposeHummingAnswer(_Maker):
    """Songs from a melody."""

    name = "musicComposerHumming"
    rules = checks(songQuantity=required(whole(1, 100)), useSieve=SWITCH)
    listens = True


@emulated
class VideoBgmAnswer(_Maker):
    """Videos, of which there is only the sound."""

    name = "videoBgmGeneration"
    rules = checks(bgmNum=whole(1, 9), mode=one_of(1, 2, 3), emotion=ANY_TEXT)
    amount = "bgmNum"
    member = "videoName"
    extension = "mp4"

    def check(self, value: object) -> JsonObject:
        """Check also that only a single track has an emotion."""
        parameters = super().check(value)
        if "emotion" in parameters and parameters.get("mode", 1) != 1:
            raise Refused(f"{self.name}.emotion goes with mode 1 only")
        return parameters


class CloningAnswer(Answer):
    """
    Trains a voice or sounds like one.

    :cvar member: names the generated file.
    :cvar model_type: what ListModels knows the voices of this kind by.
    """

    member: ClassVar[str]
    model_type: ClassVar[int]
    inputs = ("url", "source", "sourceData")
    text_limit = 512
    writes_files = True
    takes_prefix = True

    def writes(self, parameters: JsonObject) -> bool:
        """Tell whether sound is asked for: a training leaves no file."""
        return parameters.get("type") == 1

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """Return the name of the trained voice, or write a file."""
        if not track.is_text:
            await analysis.duration_of(track.data)
        if not self.writes(parameters):
            return {self.name: {"modelName": parameters["modelName"]}}
        return {self.name: {self.member: _write(folder, f"{track.name}_{parameters['modelName']}.wav")}}


@emulated
class SingingCloningAnswer(CloningAnswer):
    """Singing voices."""

    name = "singingCloning"
    member = "songName"
    model_type = 2
    rules = checks(**_CLONING, useSeparate=SWITCH)


@emulated
class VoiceCloningAnswer(CloningAnswer):
    """Speaking voices. Their number in ListModels is documented nowhere."""

    name = "voiceCloning"
    member = "voiceName"
    model_type = 1
    rules = checks(**_CLONING, language=ANY_NUMBER, speechRate=real(0))


def _write(folder: Folder, name: str) -> str:
    extension = name.rpartition(".")[2]
    data, content_type = files.file_of(extension)
    return folder.write(name, data, content_type)
