"""A short piece of music for the demo, the same on every machine: its tempo is known, so the beats can be checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

TEMPO = 112.0
"""Beats per minute."""

_RATE = 44100
_BEAT = 60.0 / TEMPO

# Roots and chords as semitones from A3; one bar each, over and over.
_CHORDS = ((0, 3, 7), (-4, 0, 3), (3, 7, 10), (-2, 2, 5))
# A melody of half beats for two bars; None is a rest.
_MELODY = (12, None, 15, 17, 19, None, 17, 15, 12, None, 10, 12, 15, None, None, None)

Samples = NDArray[np.float64]


def write_track(file: Path, *, bars: int = 12, transpose: int = 0) -> None:
    """
    Write a WAV file: drums, bass, chords and a melody.

    :param bars: length; a bar takes 2.1 s.
    :param transpose: semitones.
    """
    mix = np.zeros(int(bars * 4 * _BEAT * _RATE) + _RATE // 2)
    noise = np.random.default_rng(7)
    for bar in range(bars):
        chord = [note + transpose for note in _CHORDS[bar % len(_CHORDS)]]
        for note in chord:
            _add(mix, bar * 4, 0.07 * _tone(note, 4 * _BEAT, overtones=4, attack=0.2))
        for beat in range(4):
            at = bar * 4 + beat
            _add(mix, at, 0.5 * _kick() if beat % 2 == 0 else 0.25 * _noise(noise, 0.18, decay=18))
            _add(mix, at, 0.22 * _tone(chord[0] - 12, 0.9 * _BEAT, overtones=2, attack=0.01))
            for half in (0.0, 0.5):
                _add(mix, at + half, 0.08 * _noise(noise, 0.05, decay=80))
                sung = _MELODY[int(2 * (at + half)) % len(_MELODY)]
                if sung is not None:
                    _add(mix, at + half, 0.12 * _tone(sung + transpose, 0.48 * _BEAT, overtones=3, attack=0.02))
    soundfile.write(file, 0.9 * mix / np.abs(mix).max(), _RATE, subtype="PCM_16")


def _add(mix: Samples, beat: float, sound: Samples) -> None:
    start = round(beat * _BEAT * _RATE)
    end = min(start + len(sound), len(mix))
    mix[start:end] += sound[: end - start]


def _time(seconds: float) -> Samples:
    return np.arange(int(seconds * _RATE)) / _RATE


def _tone(semitones: float, seconds: float, *, overtones: int, attack: float) -> Samples:
    """Return a note ``semitones`` above A3, softer from overtone to overtone, faded in and out."""
    time = _time(seconds)
    frequency = 220.0 * 2 ** (semitones / 12)
    wave = sum(np.sin(2 * np.pi * frequency * n * time) / n**2 for n in range(1, overtones + 1))
    return wave * np.minimum(1, time / attack) * np.minimum(1, (seconds - time) / 0.05) * np.exp(-time / seconds)


def _kick() -> Samples:
    """Return a drum whose pitch falls from 150 to 50 Hz."""
    time = _time(0.25)
    return np.sin(2 * np.pi * (50 * time + 100 / 30 * (1 - np.exp(-30 * time)))) * np.exp(-14 * time)


def _noise(source: np.random.Generator, seconds: float, *, decay: float) -> Samples:
    time = _time(seconds)
    return source.uniform(-1, 1, len(time)) * np.exp(-decay * time)
