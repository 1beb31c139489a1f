"""Manifests that reports are made of."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile

TRACK = "cos://music-1250000000/in/song.wav"


def manifest(capability: str, result: dict[str, Any], number: int = 1, **other: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "service": "mediax",
        "capability": capability,
        "job_id": f"job-{number}",
        "marker": "mx1-5f0c",
        "state": "COMPLETED",
        "reattached": False,
        "owner": None,
        "input": TRACK,
        "created_at": "2026-11-21T03:04:05Z",
        "started_at": "2026-11-21T03:04:08Z",
        "completed_at": "2026-11-21T03:04:31Z",
        "place": {"content_id": None, "bucket": None, "region": None},
        "result": result,
        "files": [],
        **other,
    }


def tags(number: int = 1, mood: str = "Exciting", **other: Any) -> dict[str, Any]:
    return manifest("musicTagV2", {"mood": {"label": mood, "prob": 0.2953}}, number, **other)


def lyrics(*lines: str) -> dict[str, Any]:
    sung = [{"text": line, "start": 2.0 * n, "end": 2.0 * n + 1.5, "confidence": 0.9} for n, line in enumerate(lines)]
    return manifest("musicASR", {"lines": sung}, 2)


def failed(number: int, message: str | None = None, **other: Any) -> dict[str, Any]:
    return manifest("musicTagV2", {}, number, state="ERROR", error={"message": message}, **other)


def tone(seconds: float = 2.0, rate: int = 8000) -> bytes:
    """Return a WAV file that is loud in its first half."""
    time = np.arange(int(seconds * rate)) / rate
    sound = np.sin(2 * np.pi * 220 * time) * np.where(time < seconds / 2, 0.8, 0.2)
    target = io.BytesIO()
    soundfile.write(target, sound, rate, format="WAV")
    return target.getvalue()
