"""What a voice separation template is made of (CI API reference section 7)."""

from __future__ import annotations

import re

from airflow_provider_mediax.protocol.ci.requests import TAG, AudioConfig, check_audio
from airflow_provider_mediax.protocol.ci.xml import write_xml
from airflow_provider_mediax.protocol.names import refused

_NAME = re.compile(r"[A-Za-z0-9_*\u3400-\u4dbf\u4e00-\u9fff-]{1,64}")


def template_body(name: str, mode: str, audio: AudioConfig) -> bytes:
    """
    Return the body that creates or replaces a template.

    ``AudioMode`` is a child of ``Request`` here, and of ``VoiceSeparate`` everywhere else.

    :raises BadRequest: the name has other characters or more of them, or mode and encoding do not fit.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise refused("name", name, "1 to 64 Chinese or Latin letters, digits, _, - and *.")
    check_audio(mode, audio)
    return write_xml("Request", {"Tag": TAG, "Name": name, "AudioMode": mode, "AudioConfig": audio.wire()})
