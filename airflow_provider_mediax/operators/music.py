"""One operator per capability of the music platform (API reference section 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_mediax.arguments import as_object, as_objects, is_absent
from airflow_provider_mediax.operators.music_base import FileMediaxOperator, MediaxOperator, TextMediaxOperator
from airflow_provider_mediax.protocol.mediax.capabilities import listening, making
from airflow_provider_mediax.protocol.names import exactly_one, refused

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.mediax.request import MediaxRequest

Choice: TypeAlias = str | int | None
"""Value of an enum by name or number; None leaves it to the platform."""

_NOT_WITH_OUTPUTS = ("url", "path", "content_id", "destination", "output_prefix", "cos_bucket", "extra_parameters")


class MediaxJobOperator(FileMediaxOperator):
    """
    Runs any job of the platform: for capabilities and fields that have no operator of their own.

    Give ``descriptor`` with the inputs of :class:`MediaxOperator`, or ``inputs`` and ``outputs``, which are sent as
    they are.

    :param descriptor: ``{"<capability>": <parameters>}`` (section 5.1, ``smartContentDescriptor``). The job writes
        files if ``destination`` is given.
    :param inputs: Input objects of section 5.1.
    :param outputs: Output objects of section 5.1.
    """

    template_fields: Sequence[str] = (*FileMediaxOperator.template_fields, "descriptor", "inputs", "outputs")

    def __init__(
        self,
        *,
        descriptor: dict[str, Any] | None = None,
        inputs: list[dict[str, Any]] | None = None,
        outputs: list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.descriptor = descriptor
        self.inputs = inputs
        self.outputs = outputs

    def capability(self) -> Mapping[str, Any]:
        """Return the descriptor as it is."""
        return as_object("descriptor", self.descriptor)

    def build_request(self) -> MediaxRequest:
        """Return the request for the descriptor, or for the arrays."""
        from airflow_provider_mediax.protocol.mediax.request import RawRequest

        named = {name: not is_absent(getattr(self, name)) for name in ("descriptor", "outputs")}
        has_inputs = not is_absent(self.inputs)
        if exactly_one(named) == "descriptor":
            if has_inputs:
                raise refused("inputs", self.inputs, "it belongs to outputs; with a descriptor give url or path.")
            return super().build_request()
        if given := [name for name in _NOT_WITH_OUTPUTS if not is_absent(getattr(self, name))]:
            rule = "inputs and outputs are sent as they are, so it has no place."
            raise refused(given[0], getattr(self, given[0]), rule)
        return RawRequest(
            inputs=as_objects("inputs", self.inputs) if has_inputs else [],
            outputs=as_objects("outputs", self.outputs),
            **self._options(),
        )


class MusicTagOperator(MediaxOperator):
    """
    Tags of a track (section 9.6).

    :param tag_types: ``all``, or some of vocal, language, mood, genre, scene, bgm, intensity.
    """

    computes = listening.MusicTag

    def __init__(self, *, tag_types: str | Sequence[str] = "all", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag_types = tag_types


class MusicAsrOperator(MediaxOperator):
    """
    Sung lyrics with times (section 9.4).

    :param confidence: 0 to 1; only lines above it are returned.
    """

    computes = listening.MusicAsr

    def __init__(self, *, confidence: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.confidence = confidence


class MusicBeatOperator(FileMediaxOperator):
    """
    Drum beats of a track, as files (section 9.1).

    :param output_type: which outputs to produce; the table of values was not seen.
    :param drum_type: drum sound of the marked music; the table of values was not seen.
    :param enlarge_level: loudness step of the marks, 1 to 6.
    :param split_num: meaning not seen; the access guide sends 3. None leaves it out.
    """

    computes = listening.MusicBeat

    def __init__(
        self,
        *,
        output_type: int = 4,
        drum_type: int = 2,
        enlarge_level: int = 3,
        split_num: int | None = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_type = output_type
        self.drum_type = drum_type
        self.enlarge_level = enlarge_level
        self.split_num = split_num


class MusicHighlightOperator(MediaxOperator):
    """Choruses of a track (section 9.2)."""

    computes = listening.MusicHighlight


class MusicStructureOperator(MediaxOperator):
    """Sections of a pop song (section 9.3)."""

    computes = listening.MusicStructure


class MusicRecognitionOperator(MediaxOperator):
    """
    Which song of the platform's catalog it is (section 9.7).

    :param output_num: 1 to 5 candidates.
    """

    computes = listening.MusicRecognition

    def __init__(self, *, output_num: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_num = output_num


class SkipMusicIntroOperator(MediaxOperator):
    """Where the intro of a track ends (section 9.8)."""

    computes = listening.SkipMusicIntro


class MusicSeparationOperator(FileMediaxOperator):
    """
    Stems of a track, as files (section 9.9).

    :param method: ``TWO_STEMS``, ``FOUR_STEMS`` or ``FIVE_STEMS``, or its number.
    """

    computes = listening.MusicSeparation

    def __init__(self, *, method: str | int = "TWO_STEMS", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.method = method


class VocalMidiOperator(FileMediaxOperator):
    """
    Notes of the singing, as a file (section 9.10).

    :param mode: ``NORMAL``, ``CHINESE`` or ``THAI``, or its number.
    :param output_type: ``MIDI`` or ``JSON``, or its number.
    """

    computes = listening.VocalMidi

    def __init__(self, *, mode: str | int = "NORMAL", output_type: str | int = "MIDI", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.output_type = output_type


class MusicComposeOperator(FileMediaxOperator):
    """
    Songs out of nothing, as files (section 9.13); takes no input.

    :param song_quantity: 1 to 100.
    :param song_type: ``LARGE_MODEL`` or ``MULTITRACK``, or its number.
    :param emotion: ``HAPPY``, ``SAD``, ``ROMANTIC``, ``QUIET``, ``LAZY``, ``EXCITING``, ``MAGNIFICENT``, ``FUNNY``,
        ``FEAR``, ``WARM`` (``MULTITRACK`` only), ``ANGRY``, or any number.
    :param genre: any number, not with ``MULTITRACK``; the table of values was not seen.
    :param sound_effect: any number; the table of values was not seen.
    """

    computes = making.MusicCompose

    def __init__(
        self,
        *,
        song_quantity: int = 1,
        song_type: Choice = None,
        emotion: Choice = None,
        genre: Choice = None,
        sound_effect: Choice = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.song_quantity = song_quantity
        self.song_type = song_type
        self.sound_effect = sound_effect
        self.emotion = emotion
        self.genre = genre


class MusicComposeHummingOperator(FileMediaxOperator):
    """
    Songs from a hummed melody, as files (section 9.14).

    :param song_quantity: 1 to 100.
    :param use_sieve: meaning not seen; None leaves it out.
    """

    computes = making.MusicComposeHumming

    def __init__(self, *, song_quantity: int = 1, use_sieve: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.song_quantity = song_quantity
        self.use_sieve = use_sieve


class ImageBgmOperator(FileMediaxOperator):
    """
    Songs for an image, as files (section 9.15).

    :param song_quantity: 1 to 100.
    :param song_type: as in :class:`MusicComposeOperator`; named ``type`` on the wire.
    :param emotion: as in :class:`MusicComposeOperator`.
    :param genre: as in :class:`MusicComposeOperator`.
    :param output_type: file type, any number; the table of values was not seen, the platform's default is mp3.
    """

    computes = making.ImageBgm

    def __init__(
        self,
        *,
        song_quantity: int = 1,
        song_type: Choice = None,
        emotion: Choice = None,
        genre: Choice = None,
        output_type: Choice = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.song_quantity = song_quantity
        self.song_type = song_type
        self.output_type = output_type
        self.emotion = emotion
        self.genre = genre


class VideoBgmOperator(FileMediaxOperator):
    """
    Music for a video, and the video with it, as files (section 9.16).

    :param bgm_num: 1 to 9 of them.
    :param mode: ``SINGLE_TRACK``, ``MULTI_TRACK`` (``MULTI_TRACE`` to the platform) or ``MULTI_TRACK_EMOTION``, or its
        number.
    :param emotion: text, only with ``SINGLE_TRACK``; the platform's default is ``auto``, other values were not seen.
    """

    computes = making.VideoBgm

    def __init__(
        self, *, bgm_num: int = 1, mode: str | int = "SINGLE_TRACK", emotion: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bgm_num = bgm_num
        self.mode = mode
        self.emotion = emotion


class TextBgmOperator(TextMediaxOperator):
    """
    Songs for a Chinese text, as files (section 9.17); takes ``source_data`` as its only input.

    :param song_quantity: 1 to 100.
    :param song_type: as in :class:`MusicComposeOperator`; named ``type`` on the wire.
    :param emotion: as in :class:`MusicComposeOperator`.
    :param genre: as in :class:`MusicComposeOperator`.
    """

    computes = making.TextBgm

    def __init__(
        self,
        *,
        song_quantity: int = 1,
        song_type: Choice = None,
        emotion: Choice = None,
        genre: Choice = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.song_quantity = song_quantity
        self.song_type = song_type
        self.emotion = emotion
        self.genre = genre


class SingingCloningOperator(TextMediaxOperator):
    """
    Trains a singing voice, or has a song sung by one (section 9.11).

    :param task: ``train``, which leaves a voice, or ``generate``, which writes a file.
    :param model_name: the voice. Observed: letters, digits, underscores; a built-in ``default``.
    :param total_epoch: rounds of a training, from 0 up (observed: 1 to 50). Only with ``train``.
    :param use_separate: take the singing out of the song first. Only with ``generate``.
    """

    computes = making.SingingCloning

    def __init__(
        self,
        *,
        task: Literal["generate", "train"],
        model_name: str,
        total_epoch: int | None = None,
        use_separate: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.task = task
        self.model_name = model_name
        self.total_epoch = total_epoch
        self.use_separate = use_separate


class VoiceCloningOperator(TextMediaxOperator):
    """
    Trains a speaking voice, or has a text spoken by one (section 9.12).

    :param task: ``train``, which leaves a voice, or ``generate``, which writes a file.
    :param model_name: the voice. Observed: letters, digits, underscores; a built-in ``default``.
    :param total_epoch: rounds of a training, from 0 up (observed: up to 50). Only with ``train``.
    :param language: ``ENGLISH`` or ``CHINESE``, or any number. Only with ``generate``.
    :param speech_rate: from 0 up, 1 is normal (observed: up to 2). Only with ``generate``.
    """

    computes = making.VoiceCloning

    def __init__(
        self,
        *,
        task: Literal["generate", "train"],
        model_name: str,
        total_epoch: int | None = None,
        language: Choice = None,
        speech_rate: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.task = task
        self.model_name = model_name
        self.total_epoch = total_epoch
        self.language = language
        self.speech_rate = speech_rate
