"""
A voice separation as the user asks for it (CI API reference section 4).

What the reference states is checked here, so that a bad request is refused before it costs money.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import ClassVar

from airflow_provider_mediax.protocol.ci.xml import write_xml
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.names import MOST_WHOLE, broken, check, check_choice, exactly_one, refused
from airflow_provider_mediax.protocol.urls import CosAddress, shown_line

TAG = "VoiceSeparate"

ROLES: Mapping[str, str] = MappingProxyType(
    {"background": "Object", "voice": "AuObject", "bass": "BassObject", "drum": "DrumObject"}
)
"""The stems, and the output node that names each one's key (section 4.1)."""

MODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "IsAudio": ("voice",),
        "IsBackground": ("background",),
        "AudioAndBackground": ("background", "voice"),
        "MusicMode": ("background", "voice", "bass", "drum"),
    }
)
"""What each ``AudioMode`` produces, and so must be given a key (section 4.2, derived there)."""

MUSIC_MODE = "MusicMode"

SAMPLE_RATES = (8000, 11025, 22050, 32000, 44100, 48000, 96000)
"""Hz."""

MARKER_LENGTH = 44
"""Characters of a marker of the job engine."""

USER_DATA_LIMIT = 1024
"""Characters of ``UserData``, marker included."""

_NOT_HIGH = tuple(rate for rate in SAMPLE_RATES if rate not in (8000, 96000))
_NOT_LOW = tuple(rate for rate in SAMPLE_RATES if rate != 8000)
_RATES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"aac": _NOT_LOW, "mp3": _NOT_HIGH, "flac": _NOT_LOW, "amr": (8000,), "wav": SAMPLE_RATES}
)
_CHANNELS: Mapping[str, tuple[int, ...] | None] = MappingProxyType(
    {"aac": (1, 2, 4, 5, 6, 8), "mp3": (1, 2), "flac": (1, 2, 4, 5, 6, 8), "amr": (1,), "wav": None}
)
_MUSIC_CODECS = ("mp3", "wav", "aac")
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_*\u3400-\u4dbf\u4e00-\u9fff-]{1,64}")
_MQ_REGIONS = ("sh", "bj", "gz", "cd", "hk")
_MQ_MODES = ("Queue", "Topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioConfig:
    """
    How stems are encoded (section 4.3).

    :param codec: aac, mp3, flac, amr or wav; in ``MusicMode`` mp3, wav or aac.
    :param sample_rate: Hz, one of :data:`SAMPLE_RATES` that the codec takes; the service's default is 44100.
    :param bitrate: kbit/s, 8 to 1000; the default is the source's.
    :param channels: a number that the codec takes; the default is the source's.
    """

    codec: str = "mp3"
    sample_rate: int | None = None
    bitrate: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the tables of section 4.3 refuse."""
        check_choice("codec", self.codec, tuple(_RATES))
        for name in ("sample_rate", "bitrate", "channels"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise refused(name, value, "it must be a whole number.")
        rates = _RATES[self.codec]
        if self.sample_rate is not None and self.sample_rate not in rates:
            raise refused("sample_rate", self.sample_rate, f"{self.codec} takes {_listed(rates)} Hz.")
        if self.codec == "amr" and self.sample_rate is None:
            rule = "amr takes 8000 Hz only, and the service's default is 44100: give 8000."
            raise refused("sample_rate", None, rule)
        if self.bitrate is not None and not 8 <= self.bitrate <= 1000:
            raise refused("bitrate", self.bitrate, "it must be from 8 to 1000 kbit/s.")
        channels = _CHANNELS[self.codec]
        if self.channels is not None and not (
            self.channels in channels if channels else 1 <= self.channels <= MOST_WHOLE
        ):
            rule = f"{self.codec} takes {_listed(channels)}." if channels else "it must be 1 or more."
            raise refused("channels", self.channels, rule)

    def wire(self) -> JsonObject:
        """Return ``AudioConfig``; every value travels as text."""
        return {
            "Codec": self.codec,
            "Samplerate": self.sample_rate,
            "Bitrate": self.bitrate,
            "Channels": self.channels,
        }


@dataclass(frozen=True, kw_only=True)
class VoiceSeparationRequest:
    """
    One job.

    :param source: key of the input object; the service takes no address.
    :param bucket: bucket of the input object, if it is to be held against the one that the job is sent to.
    :param outputs: key of each stem by its role: voice, background, bass, drum. Keys may hold ``${ext}``.
    :param mode: one of :data:`MODES`; exactly one of mode and template_id.
    :param template_id: template that holds mode and encoding.
    :param audio: encoding of the stems, with ``mode`` only; the default is mp3.
    :param output_bucket: default: the bucket of the input.
    :param output_region: default: the region of the input.
    :param queue_id: smart-audio queue; not sent unless given.
    :param job_level: 0, 1 or 2; larger goes first.
    :param user_data: printable ASCII; sent after the marker, together at most 1024 characters.
    :param callback: address that the finished job is posted to, or ``no`` to switch the queue's callback off.
    :param callback_format: ``XML`` or ``JSON``.
    :param callback_type: ``Url`` or ``TDMQ``.
    :param callback_mq: with ``TDMQ``: MqRegion, MqMode (default ``Queue``), MqName (section 9.3).
    """

    capability_name: ClassVar[str] = TAG

    source: str
    bucket: str | None = None
    outputs: Mapping[str, str]
    mode: str | None = None
    template_id: str | None = None
    audio: AudioConfig | None = None
    output_bucket: str | None = None
    output_region: str | None = None
    queue_id: str | None = None
    job_level: int | None = None
    user_data: str | None = None
    callback: str | None = None
    callback_format: str | None = None
    callback_type: str | None = None
    callback_mq: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse what sections 4 and 9.3 refuse."""
        check("source", self.source)
        exactly_one({"mode": self.mode, "template_id": self.template_id})
        check_outputs(self.mode, self.outputs)
        if self.audio is not None and not isinstance(self.audio, AudioConfig):
            raise refused("audio", self.audio, "it must be an AudioConfig.")
        if self.mode is not None:
            check_audio(self.mode, self._audio())
        elif self.audio is not None:
            raise refused("codec", self.audio.codec, "the template holds the encoding, so leave it out.")
        for name in ("template_id", "queue_id", "bucket", "output_bucket", "output_region"):
            if (value := getattr(self, name)) is not None:
                check(name, value)
        level = self.job_level
        if level is not None and (isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 2):
            raise refused("job_level", level, "it must be 0, 1 or 2.")
        if self.user_data is not None:
            check_user_data("user_data", self.user_data)
        self._check_callback()

    def wire(self, *, bucket: str, region: str) -> JsonObject:
        """
        Return the content of a submit's body but for ``UserData``; what is not given is None.

        :param bucket: bucket of the host that it is sent to; ``region`` likewise.
        :raises BadRequest: the source lies elsewhere or would be overwritten, or the user data is too long.
        """
        if self.bucket is not None and self.bucket != bucket:
            raise refused("source", f"cos://{self.bucket}/{self.source}", f"the job runs on {bucket}.")
        output_bucket = self.output_bucket or bucket
        if output_bucket == bucket and any(self._overwrites_source(key) for key in self.outputs.values()):
            raise refused("outputs", self.source, "a stem would overwrite the source.")
        check_user_data("user_data", self._user_data("m" * MARKER_LENGTH))
        separation: JsonObject | None = None
        if self.mode is not None:
            separation = {"AudioMode": self.mode, "AudioConfig": self._audio().wire()}
        output: JsonObject = {"Region": self.output_region or region, "Bucket": output_bucket}
        output |= {node: self.outputs.get(role) for role, node in ROLES.items()}
        return {
            "Tag": TAG,
            "Input": {"Object": self.source},
            "Operation": {
                "TemplateId": self.template_id,
                "VoiceSeparate": separation,
                "Output": output,
                "UserData": None,
                "JobLevel": self.job_level,
            },
            "QueueId": self.queue_id,
            "CallBack": self.callback,
            "CallBackFormat": self.callback_format,
            "CallBackType": self.callback_type,
            "CallBackMqConfig": self._message_queue(),
        }

    def marked(self, body: JsonObject, marker: str) -> JsonObject:
        """
        Return what :meth:`wire` has made with the job's ``UserData``.

        :param marker: its first word.
        """
        if not marker or " " in marker:
            raise refused("marker", marker, "it must be one word.")
        user_data = self._user_data(marker)
        check_user_data("user_data", user_data)
        return {**body, "Operation": {**body["Operation"], "UserData": user_data}}

    @property
    def summary(self) -> str:
        """The mode or the template, and the track."""
        how = self.mode or f"template {self.template_id}"
        track = str(CosAddress(self.bucket, self.source)) if self.bucket else self.source
        return shown_line(f"{TAG} ({how}) of {track}")

    def identity(self) -> JsonObject:
        """
        Return what makes this job another one than the next: the content of the fingerprint.

        Callback, queue, priority, user data and credentials are no part of it.
        """
        return {
            "capability": TAG,
            "bucket": self.bucket,
            "source": self.source,
            "mode": self.mode,
            "template_id": self.template_id,
            "audio": asdict(self._audio()) if self.mode is not None else None,
            "outputs": dict(self.outputs),
            "output_bucket": self.output_bucket,
            "output_region": self.output_region,
        }

    def _overwrites_source(self, key: str) -> bool:
        """Tell whether a stem may have the source's key; a template does not say its extension."""
        extension = self._audio().codec if self.mode is not None else self.source.rpartition(".")[2]
        return key.replace("${ext}", extension) == self.source

    def _user_data(self, marker: str) -> str:
        return f"{marker} {self.user_data}" if self.user_data else marker

    def _audio(self) -> AudioConfig:
        return self.audio or AudioConfig()

    def _check_callback(self) -> None:
        if self.callback is not None:
            check("callback", self.callback, "ci_callback")
        if self.callback_format is not None:
            check_choice("callback_format", self.callback_format, ("XML", "JSON"))
        if self.callback_type is not None:
            check_choice("callback_type", self.callback_type, ("Url", "TDMQ"))
        if (self.callback_type == "TDMQ") != (self.callback_mq is not None):
            rule = "callback_mq and callback_type='TDMQ' need each other."
            raise refused("callback_mq", self.callback_mq, rule)
        if self.callback_mq is None:
            return
        known = ("MqRegion", "MqMode", "MqName")
        if not isinstance(self.callback_mq, Mapping) or set(self.callback_mq) - set(known):
            raise refused("callback_mq", self.callback_mq, f"it has {_listed(known)}, all of them text.")
        check_choice("callback_mq.MqRegion", self.callback_mq.get("MqRegion"), _MQ_REGIONS)
        check_choice("callback_mq.MqMode", self.callback_mq.get("MqMode", "Queue"), _MQ_MODES)
        check("callback_mq.MqName", self.callback_mq.get("MqName"))

    def _message_queue(self) -> JsonObject | None:
        given = self.callback_mq
        if given is None:
            return None
        # Documented both as required and as having a default, so it is always sent.
        return {"MqRegion": given["MqRegion"], "MqMode": given.get("MqMode", "Queue"), "MqName": given["MqName"]}


def check_outputs(mode: str | None, outputs: Mapping[str, str]) -> None:
    """
    Refuse keys that do not fit the mode (section 4.2). A stem more than the mode produces is the caller's affair.

    :param mode: None as long as it is not known, because a template holds it; then only what always holds is checked.
    :param outputs: key of each stem by its role.
    :raises BadRequest: names the field, its value and the rule.
    """
    if mode is not None:
        check_choice("mode", mode, tuple(MODES))
    if not isinstance(outputs, Mapping):
        raise refused("outputs", outputs, "it must be an object: a key for each stem.")
    for role, key in outputs.items():
        check_choice("outputs", role, tuple(ROLES))
        check(f"outputs.{role}", key)
    if len(set(outputs.values())) < len(outputs):
        raise refused("outputs", dict(outputs), "each stem needs a key of its own.")
    if not outputs.keys() & {"voice", "background"}:
        raise refused("outputs", dict(outputs), "it must name voice or background.")
    if mode is None:
        return
    missing = [role for role in MODES[mode] if role not in outputs]
    if missing:
        raise refused("outputs", dict(outputs), f"{mode} produces {_listed(missing)} too, so name a key.")
    foreign = [role for role in ("bass", "drum") if role in outputs and mode != MUSIC_MODE]
    if foreign:
        raise refused("outputs", dict(outputs), f"{mode} produces no {_listed(foreign)}.")


def check_audio(mode: str, audio: AudioConfig) -> None:
    """
    Refuse an encoding that the mode cannot have, or would ignore (section 4.3).

    :raises BadRequest: names the field, its value and the rule.
    """
    check_choice("mode", mode, tuple(MODES))
    if mode != MUSIC_MODE:
        return
    check_choice("codec", audio.codec, _MUSIC_CODECS, f" in {MUSIC_MODE}")
    for name in ("sample_rate", "bitrate", "channels"):
        if (value := getattr(audio, name)) is not None:
            raise refused(name, value, f"it has no effect in {MUSIC_MODE}, so leave it out.")


def template_body(name: str, mode: str, audio: AudioConfig) -> bytes:
    """
    Return the body that creates a template (section 7).

    ``AudioMode`` is a child of ``Request`` here, and of ``VoiceSeparate`` everywhere else.

    :raises BadRequest: the name has other characters or more of them, or mode and encoding do not fit.
    """
    if not isinstance(name, str) or not _TEMPLATE_NAME.fullmatch(name):
        raise refused("name", name, "1 to 64 Chinese or Latin letters, digits, _, - and *.")
    check_audio(mode, audio)
    return write_xml("Request", {"Tag": TAG, "Name": name, "AudioMode": mode, "AudioConfig": audio.wire()})


def is_id(value: object) -> bool:
    """Tell whether a value could go into a path as an id."""
    return broken("job_id", value) is None


def check_user_data(name: str, value: str) -> None:
    """Refuse what ``UserData`` cannot carry (section 4.1)."""
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
        raise refused(name, value, "it must be printable ASCII.")
    if len(value) > USER_DATA_LIMIT:
        rule = f"with the marker in front it must have at most {USER_DATA_LIMIT} characters."
        raise refused(name, value, rule)


def _listed(items: Collection[object]) -> str:
    return ", ".join(str(item) for item in items)
