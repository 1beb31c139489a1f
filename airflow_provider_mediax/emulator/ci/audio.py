"""What a separation is asked to produce: audio modes and the parameters of the files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_mediax.emulator.ci.errors import invalid
from airflow_provider_mediax.emulator.ci.wire import Node, Tree

STEMS = {
    "IsAudio": ("voice",),
    "IsBackground": ("background",),
    "AudioAndBackground": ("voice", "background"),
    "MusicMode": ("voice", "background", "bass", "drum"),
}
"""What each audio mode produces, in the order in which results are printed."""

_CONFIG = ("Codec", "Samplerate", "Bitrate", "Channels")
_CODECS = ("aac", "mp3", "flac", "amr", "wav")
_MUSIC_CODECS = ("mp3", "wav", "aac")
_RATES = ("8000", "11025", "22050", "32000", "44100", "48000", "96000")
_RATES_OF = {"aac": _RATES[1:], "flac": _RATES[1:], "mp3": _RATES[1:-1], "amr": _RATES[:1]}
_CHANNELS_OF = {"mp3": ("1", "2"), "amr": ("1",)}
_CHANNELS = ("1", "2", "4", "5", "6", "8")


@dataclass(frozen=True, slots=True)
class AudioSettings:
    """
    Mode and file parameters, of a job or of a template.

    :param mode: one of :data:`STEMS`.
    :param config: the nodes of ``AudioConfig`` as they were sent.
    """

    mode: str
    config: Mapping[str, str]

    @property
    def codec(self) -> str:
        """Return the codec, which is also the extension of the files."""
        return self.config.get("Codec", "aac")

    @property
    def rate(self) -> int | None:
        """Return the sample rate in Hz, None for the one of the source."""
        if self.mode == "MusicMode":  # where the parameters have no effect
            return None
        return int(self.config.get("Samplerate", "8000" if self.codec == "amr" else "44100"))

    @property
    def channels(self) -> int | None:
        """Return the number of channels, None for that of the source."""
        if self.mode == "MusicMode" or "Channels" not in self.config:
            return 1 if self.codec == "amr" else None
        return int(self.config["Channels"])

    def as_tree(self) -> Tree:
        """Return the node ``VoiceSeparate``."""
        return {"AudioConfig": dict(self.config), "AudioMode": self.mode}


def read_settings(holder: Node) -> AudioSettings:
    """
    Read ``AudioMode`` and ``AudioConfig``.

    :raises CiError: one is missing or has a value that it may not have.
    """
    mode = holder.one_of("AudioMode", tuple(STEMS))
    if mode is None:
        holder.need("AudioMode")
    node = holder.need_node("AudioConfig", _CONFIG)
    codec = node.one_of("Codec", _MUSIC_CODECS if mode == "MusicMode" else _CODECS) or "aac"
    node.one_of("Samplerate", _RATES_OF.get(codec, _RATES))
    node.one_of("Channels", _CHANNELS_OF.get(codec, _CHANNELS))
    bitrate = node.text("Bitrate")
    if bitrate is not None and (re.fullmatch(r"[0-9]{1,4}", bitrate) is None or not 8 <= int(bitrate) <= 1000):
        raise invalid("AudioConfig/Bitrate must be from 8 to 1000")
    sent = {name: text for name in _CONFIG if (text := node.text(name)) is not None}
    return AudioSettings(mode or "", sent)
