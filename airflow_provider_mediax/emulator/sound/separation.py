"""
A stand-in for voice separation. Runs in a child process only.

No model: what is in the middle of the stereo picture above the bass counts as the voice, what is left as the
background. The stems of one job add up to its input.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_mediax.emulator.sound.analysis import decode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_provider_mediax.emulator.sound.analysis import Samples

_BASS_EDGE = 180.0  # Hz
_VOICE_EDGE = 8000.0  # Hz
_ATTACK, _GROUND = 0.005, 0.2  # seconds over which a hit and what it stands out from are measured
_REMEMBERED_SIZE = 4 * 1024 * 1024  # bytes of a track
_FORMS = {"mp3": "MP3", "flac": "FLAC"}  # everything else is written as WAV
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """
    What a written file holds.

    :param form: ``mp3``, ``flac`` or ``wav``, whatever its name says.
    :param duration: seconds.
    :param rate: Hz.
    """

    form: str
    duration: float
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Stem:
    """One part of a track, as the bytes of an audio file."""

    name: str
    facts: AudioFacts
    data: bytes = field(repr=False)


def separate(data: bytes, names: Sequence[str], codec: str, rate: int | None, channels: int | None) -> list[Stem]:
    """
    Take a track apart.

    :param names: the stems that are wanted, of voice, background, bass and drum; the background holds what the
        others leave.
    :param codec: ``mp3`` and ``flac`` are written as such, any other as WAV.
    :param rate: Hz of the files, None for that of the track.
    :param channels: None for as many as the track has.
    :raises NotAudio: it is none.
    """
    take_apart = _take_apart if len(data) <= _REMEMBERED_SIZE else _take_apart.__wrapped__
    return [*take_apart(data, tuple(names), codec, rate, channels)]


@lru_cache(maxsize=8)
def _take_apart(
    data: bytes, names: tuple[str, ...], codec: str, rate: int | None, channels: int | None
) -> tuple[Stem, ...]:
    """Do what :func:`separate` says; remembered, because the thousand tracks of a test are one track."""
    import numpy as np

    samples, source_rate = decode(data)
    # An encoder ends its process over samples that are no numbers.
    samples = np.clip(np.nan_to_num(samples), -1.0, 1.0)
    parts = _parts(samples, source_rate, four="bass" in names)
    return tuple(_write(name, parts[name], source_rate, codec, rate, channels) for name in names)


def _parts(samples: Samples, rate: int, four: bool) -> dict[str, Samples]:
    """Return stems that add up to the samples."""
    middle = samples.mean(axis=1)
    low = _below(_BASS_EDGE, middle, rate)
    voice = _below(_VOICE_EDGE, middle - low, rate)
    mono = {"voice": voice}
    if four:
        hits = _hits(middle - low, rate)
        mono = {"bass": low, "drum": (middle - low) * hits, "voice": voice * (1 - hits)}
    spread = {name: part[:, None].repeat(samples.shape[1], axis=1) for name, part in mono.items()}
    rest = samples.copy()
    for part in spread.values():
        rest -= part
    return {**spread, "background": rest}


def _below(edge: float, mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Keep the frequencies up to an edge in Hz; from there to a quarter above it they fade out."""
    import numpy as np

    size = _comfortable(len(mono))
    spectrum = np.fft.rfft(mono, size)
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    spectrum *= np.clip((1.25 * edge - frequencies) / (0.25 * edge), 0.0, 1.0).astype(np.float32)
    return np.fft.irfft(spectrum, size)[: len(mono)].astype(np.float32)


def _comfortable(size: int) -> int:
    """Return the next length that is quick to transform."""
    power = 1 << max(0, (size - 1).bit_length() - 3)
    return -(-size // power) * power


def _hits(mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return, from 0 to 1, how far each sample is part of a hit: louder than the music around it."""
    import numpy as np

    level = np.abs(mono)
    near, around = (_smooth(level, max(1, int(seconds * rate))) for seconds in (_ATTACK, _GROUND))
    return np.clip(near / (around + 1e-6) - 1.5, 0.0, 1.0).astype(np.float32)


def _smooth(level: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    import numpy as np

    sums = np.concatenate(([0.0], np.cumsum(level, dtype=np.float64)))
    places = np.arange(len(level))
    first, last = np.maximum(0, places - width // 2), np.minimum(len(level), places + width // 2 + 1)
    return np.asarray((sums[last] - sums[first]) / (last - first), dtype=np.float64)


def _write(name: str, samples: Samples, rate: int, codec: str, to_rate: int | None, to_channels: int | None) -> Stem:
    import numpy as np
    import soundfile

    form = _FORMS.get(codec, "WAV")
    channels = to_channels or samples.shape[1]
    if form == "MP3":
        channels = min(channels, 2)
        to_rate = to_rate or (rate if rate in _MP3_RATES else 44100)
    if channels != samples.shape[1]:
        samples = samples.mean(axis=1, keepdims=True).repeat(channels, axis=1)
    if to_rate is not None and to_rate != rate:
        samples, rate = _resample(samples, rate, to_rate), to_rate
    file = io.BytesIO()
    subtype = None if form == "MP3" else "PCM_16"
    soundfile.write(file, np.clip(samples, -1.0, 1.0), rate, format=form, subtype=subtype)
    facts = AudioFacts(form.lower(), len(samples) / rate, rate, channels)
    return Stem(name, facts, file.getvalue())


def _resample(samples: Samples, rate: int, to_rate: int) -> Samples:
    import numpy as np

    size = max(1, round(len(samples) * to_rate / rate))
    spectrum = np.fft.rfft(samples, axis=0)[: size // 2 + 1]
    return (np.fft.irfft(spectrum, size, axis=0) * (size / len(samples))).astype(np.float32)
