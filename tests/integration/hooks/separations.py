"""The separation that the tests of the hooks ask for."""

from __future__ import annotations

from typing import Any

from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest


def separation(**options: Any) -> VoiceSeparationRequest:
    defaults: dict[str, Any] = {
        "source": "a.wav",
        "mode": "IsAudio",
        "audio": AudioConfig(codec="wav"),
        "outputs": {"voice": "v.wav"},
    }
    return VoiceSeparationRequest(**{**defaults, **options})
