"""Audio for tests."""

from __future__ import annotations

import io

import numpy as np
import soundfile


def click_track(bpm: float = 120.0, seconds: float = 12.0, rate: int = 22050) -> bytes:
    """Return a WAV file with a click on every beat and silence between them."""
    samples = np.zeros(int(seconds * rate), dtype="float32")
    click = np.sin(2 * np.pi * 1000 * np.arange(600) / rate) * np.hanning(600)
    for beat in np.arange(0, seconds - 0.1, 60 / bpm):
        start = int(beat * rate)
        samples[start : start + 600] += click
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()
