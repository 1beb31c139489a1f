"""The waveform of a track, as far as the extra ``report`` is installed and can decode it."""

from __future__ import annotations

import io
from dataclasses import dataclass

from airflow_provider_mediax.exceptions import BadRequest

COLUMNS = 800
"""Peaks that a waveform has: about one for each pixel of a page."""

TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
}
"""Media types by the extension of a file's name."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """
    The outline of a sound.

    :param seconds: its length.
    :param peaks: loudest sample of each of :data:`COLUMNS` equal parts, 0 to 1 of the loudest of all.
    """

    seconds: float
    peaks: tuple[float, ...]


def media_type(address: str) -> str | None:
    """Return the media type of a file by its name; None if no browser would play it."""
    return TYPES.get(address.rpartition(".")[2].lower())


def waveform(content: bytes) -> Waveform:
    """
    Read the outline of a sound, part by part, so that a long one takes no memory.

    :raises BadRequest: the extra is missing, or the sound cannot be decoded.
    """
    try:
        import numpy as np
        import soundfile
    except ImportError:
        raise BadRequest(
            "There is no waveform without numpy and soundfile",
            advice="Install them: pip install 'airflow-provider-mediax[report]'",
        ) from None
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            frames, rate = sound.frames, sound.samplerate
            size = max(1, -(-frames // COLUMNS))
            blocks = sound.blocks(blocksize=size, dtype="float32", always_2d=True)
            found = [float(np.nan_to_num(np.abs(block)).max(initial=0.0)) for block in blocks]
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise BadRequest(f"The sound cannot be decoded: {type(error).__name__}", advice="") from None
    loudest = max(found, default=0.0) or 1.0
    return Waveform(frames / rate, tuple(min(1.0, peak / loudest) for peak in found[:COLUMNS]))
