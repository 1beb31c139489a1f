"""
One typed request per capability of the music platform, and the registry of them (API reference section 9).

A request checks what the reference states, so that a bad one is refused before it costs money; values of tables
that the reference has not seen pass as they are.
"""

from __future__ import annotations

from airflow_provider_mediax.protocol.mediax.capabilities.base import CAPABILITIES, TRACK_INPUTS, Capability
from airflow_provider_mediax.protocol.mediax.capabilities.listening import (
    TAG_TYPES,
    MusicAsr,
    MusicBeat,
    MusicHighlight,
    MusicRecognition,
    MusicSeparation,
    MusicStructure,
    MusicTag,
    SkipMusicIntro,
    VocalMidi,
)
from airflow_provider_mediax.protocol.mediax.capabilities.making import (
    ImageBgm,
    MusicCompose,
    MusicComposeHumming,
    SingingCloning,
    TextBgm,
    VideoBgm,
    VoiceCloning,
)

__all__ = [
    "CAPABILITIES",
    "TAG_TYPES",
    "TRACK_INPUTS",
    "Capability",
    "ImageBgm",
    "MusicAsr",
    "MusicBeat",
    "MusicCompose",
    "MusicComposeHumming",
    "MusicHighlight",
    "MusicRecognition",
    "MusicSeparation",
    "MusicStructure",
    "MusicTag",
    "SingingCloning",
    "SkipMusicIntro",
    "TextBgm",
    "VideoBgm",
    "VocalMidi",
    "VoiceCloning",
]
