"""Requests that make music or voices (API reference sections 9.11 to 9.17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mediax.protocol.json_body import member, text
from airflow_provider_mediax.protocol.mediax.capabilities.base import (
    TRACK_INPUTS,
    Capability,
    PartlySeenTable,
    Table,
    capability,
    choice,
    number,
    optional,
    sent,
    switch,
    whole,
    word,
)
from airflow_provider_mediax.protocol.names import refused
from airflow_provider_mediax.protocol.rows import Column, Files, files_in

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.exchange import JsonObject

SONGS = (1, 100)
"""How many songs one job may make (sections 9.13 to 9.17)."""


class SongType(Table):
    """How a song is made (section 9.13); without one the platform takes ``LARGE_MODEL``."""

    LARGE_MODEL = 1
    MULTITRACK = 2


class SongEmotion(PartlySeenTable):
    """Mood of a song (section 9.13); there may be more."""

    HAPPY = 1
    SAD = 2
    ROMANTIC = 3
    QUIET = 4
    LAZY = 5
    EXCITING = 6
    MAGNIFICENT = 7
    FUNNY = 8
    FEAR = 9
    WARM = 10
    ANGRY = 11


class SongGenre(PartlySeenTable):
    """Genre of a song (section 9.13); no value was seen."""


class SoundEffect(PartlySeenTable):
    """Sound effect of a song (section 9.13); no value was seen."""


class SongFileType(PartlySeenTable):
    """File type of music for an image (section 9.15), mp3 by default; no value was seen."""


class VideoBgmMode(Table):
    """``Mode`` of ``videoBgmGeneration`` (section 9.16)."""

    SINGLE_TRACK = 1
    MULTI_TRACE = 2
    """Printed so by the platform; :attr:`MULTI_TRACK` is the same."""
    MULTI_TRACK = 2
    MULTI_TRACK_EMOTION = 3


class Language(PartlySeenTable):
    """Language of a text that is spoken (section 9.12); these two were observed."""

    ENGLISH = 1
    CHINESE = 2


class CloningTask(Table):
    """``SingingCloningType`` and ``VoiceCloningType`` (sections 9.11 and 9.12)."""

    generate = 1
    train = 2


class Songs(Files, Capability):
    """
    What the makers of songs have in common (section 9.13).

    :param song_quantity: 1 to 100 songs.
    :param song_type: a :class:`SongType`, by name or number; None leaves it to the platform.
    :param emotion: a :class:`SongEmotion` by name, or any number; ``WARM`` only with ``MULTITRACK``.
    :param genre: a number; not with ``MULTITRACK``.
    """

    writes_files = True
    song_quantity: int = 1
    song_type: str | int | None = None
    emotion: str | int | None = None
    genre: str | int | None = None

    def _song(self, type_member: str) -> JsonObject:
        """Return the members; the song's type has two names on the wire (contradiction 19)."""
        kind = optional(choice, "song_type", self.song_type, SongType)
        emotion = optional(choice, "emotion", self.emotion, SongEmotion)
        genre = optional(choice, "genre", self.genre, SongGenre)
        if genre is not None and kind == SongType.MULTITRACK:
            raise refused("genre", self.genre, "a song of type MULTITRACK takes no genre.")
        if emotion == SongEmotion.WARM and kind != SongType.MULTITRACK:
            raise refused("emotion", self.emotion, "WARM needs song_type MULTITRACK.")
        quantity = whole("song_quantity", self.song_quantity, *SONGS)
        return sent(songQuantity=quantity, **{type_member: kind}, emotion=emotion, genre=genre)


@capability
class MusicCompose(Songs):
    """
    Songs out of nothing (section 9.13): takes no input. Parameters as in :class:`Songs`, and:

    :param sound_effect: a number; the table of values was not seen.
    """

    name = "musicCompose"
    makes_new = True
    inputs = ()
    sound_effect: str | int | None = None

    def parameters(self) -> JsonObject:
        """Return the song's members and ``soundEffect``."""
        effect = optional(choice, "sound_effect", self.sound_effect, SoundEffect)
        return self._song("songType") | sent(soundEffect=effect)


@capability
class MusicComposeHumming(Files, Capability):
    """
    Songs from a hummed melody (section 9.14), which is best a WAV file.

    :param song_quantity: 1 to 100 songs.
    :param use_sieve: meaning not seen; None leaves it out.
    """

    name = "musicComposerHumming"
    makes_new = True
    writes_files = True
    takes_prefix = True
    song_quantity: int = 1
    use_sieve: bool | None = None

    def parameters(self) -> JsonObject:
        """Return ``songQuantity`` and ``useSieve``."""
        return sent(
            songQuantity=whole("song_quantity", self.song_quantity, *SONGS),
            useSieve=optional(switch, "use_sieve", self.use_sieve),
        )


@capability
class ImageBgm(Songs):
    """
    Songs that go with an image: png, jpg, jpeg or webp (section 9.15). Parameters as in :class:`Songs`, and:

    :param output_type: a number; the table of values was not seen, the platform's default is mp3.
    """

    name = "imageBgmGeneration"
    makes_new = True
    takes_prefix = True
    output_type: str | int | None = None

    def parameters(self) -> JsonObject:
        """Return the song's members, its type as ``type``, and ``outputType``."""
        output_type = optional(choice, "output_type", self.output_type, SongFileType)
        return self._song("type") | sent(outputType=output_type)


@capability
class VideoBgm(Files, Capability):
    """
    Music that goes with a video, and the video with it (section 9.16): mp4, at most about five minutes.

    :param bgm_num: 1 to 9 of them.
    :param mode: a :class:`VideoBgmMode`, by name or number.
    :param emotion: text; only with ``SINGLE_TRACK``. The platform's default is ``auto``, other values were not seen.
    """

    name = "videoBgmGeneration"
    makes_new = True
    writes_files = True
    takes_prefix = True
    bgm_num: int = 1
    mode: str | int = "SINGLE_TRACK"
    emotion: str | None = None

    def parameters(self) -> JsonObject:
        """Return ``bgmNum``, ``mode`` and ``emotion``."""
        mode = choice("mode", self.mode, VideoBgmMode)
        if self.emotion is not None and mode != VideoBgmMode.SINGLE_TRACK:
            raise refused("emotion", self.emotion, "only mode SINGLE_TRACK takes one.")
        emotion = optional(word, "emotion", self.emotion)
        return sent(bgmNum=whole("bgm_num", self.bgm_num, 1, 9), mode=mode, emotion=emotion)


@capability
class TextBgm(Songs):
    """Songs that go with a Chinese text, the only input it takes (section 9.17). Parameters as in :class:`Songs`."""

    name = "textBgmGeneration"
    makes_new = True
    inputs = ("source_data",)
    takes_prefix = True

    def parameters(self) -> JsonObject:
        """Return the song's members, its type as ``type``."""
        return self._song("type")


class Cloning(Capability):
    """
    What both clonings have in common (sections 9.11 and 9.12).

    :param task: ``train`` a voice from a recording, or ``generate`` sound with one.
    :param model_name: the voice. Observed: letters, digits, underscores, unique in the account; a built-in ``default``.
    :param total_epoch: rounds of a training, from 0 up (observed: up to 50); None leaves it to the platform. Only with
        ``train``.
    """

    inputs = (*TRACK_INPUTS, "source_data")
    text_limit = 512
    writes_files = True
    takes_prefix = True
    columns = (
        Column("model", "text", "the trained voice; null after a generation"),
        Column("file", "text", "the file's full address; null after a training"),
    )
    task: str | int
    model_name: str
    total_epoch: int | None = None

    def has_files(self) -> bool:
        """Tell whether it generates: a training leaves a voice, no file."""
        return choice("task", self.task, CloningTask) == CloningTask.generate

    def _cloning(self, **generating: object) -> JsonObject:
        """Return the members of both tasks; those of the other task are refused."""
        task = CloningTask(choice("task", self.task, CloningTask))
        training = {"total_epoch": self.total_epoch}
        for name, value in (training if task is CloningTask.generate else generating).items():
            if value is not None:
                raise refused(name, value, f"the task {task.name} does not take it.")
        return sent(
            type=int(task),
            modelName=word("model_name", self.model_name),
            totalEpoch=optional(whole, "total_epoch", self.total_epoch, 0),
        )

    @classmethod
    def view(cls, content: JsonObject) -> JsonObject:
        """Hand the object through, from under either name."""
        return member(content, "singingCloning") or member(content, "voiceCloning") or content

    @classmethod
    def rows(cls, view: JsonObject) -> list[JsonObject]:
        """Return one row: a training leaves the name of a voice, everything else a file."""
        row = {"model": text(view.get("modelName")), "file": next((file for _, file in files_in(view)), None)}
        return [row] if any(row.values()) else []


@capability
class SingingCloning(Cloning):
    """
    Train a singing voice, or have a song sung by one (section 9.11). Parameters as in :class:`Cloning`, and:

    :param use_separate: take the singing out of the song first; None leaves it out. Only with ``generate``.
    """

    name = "singingCloning"
    use_separate: bool | None = None

    def parameters(self) -> JsonObject:
        """Return the task's members and ``useSeparate``."""
        common = self._cloning(use_separate=self.use_separate)
        return common | sent(useSeparate=optional(switch, "use_separate", self.use_separate))


@capability
class VoiceCloning(Cloning):
    """
    Train a speaking voice, or have a text spoken by one (section 9.12). Parameters as in :class:`Cloning`, and:

    :param language: a :class:`Language` of the text, by name or number; None leaves it out. Only with ``generate``.
    :param speech_rate: from 0 up, 1 is normal (observed: up to 2); None leaves it out. Only with ``generate``.
    """

    name = "voiceCloning"
    language: str | int | None = None
    speech_rate: float | None = None

    def parameters(self) -> JsonObject:
        """Return the task's members, ``language`` and ``speechRate``."""
        common = self._cloning(language=self.language, speech_rate=self.speech_rate)
        return common | sent(
            language=optional(choice, "language", self.language, Language),
            speechRate=optional(number, "speech_rate", self.speech_rate, 0),
        )
