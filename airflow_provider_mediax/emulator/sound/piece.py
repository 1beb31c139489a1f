"""
A short piece of music, the same on every machine: intro, verse, chorus and outro, and a melody that sings.

Its tempo is known, so the beats that are found can be checked. The voice is the same in both channels and the band is
not, so the separation of the emulator finds it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

TEMPO = 112.0
"""Beats per minute."""

RATE = 24000
"""Hz: three files of it fit into one page of a report."""

BARS = 14
"""Bars of the whole piece; a bar takes 2.1 s."""

_BEAT = 60.0 / TEMPO
_CHORDS = {
    "verse": ((0, 3, 7), (-4, 0, 3), (3, 7, 10), (-2, 2, 5)),
    "chorus": ((-4, 0, 3), (-2, 2, 5), (0, 3, 7), (3, 7, 10)),
}
"""Semitones from A3, a chord for each bar, over and over."""

_SUNG = {
    "verse": (
        *((0.0, 12, 1.0), (1.0, 15, 0.5), (1.5, 17, 1.5), (3.0, 15, 1.0)),
        *((4.0, 12, 1.5), (5.5, 10, 0.5), (6.0, 12, 2.0)),
    ),
    "chorus": (
        *((0.0, 19, 1.5), (1.5, 20, 0.5), (2.0, 19, 1.0), (3.0, 17, 1.0)),
        *((4.0, 15, 1.0), (5.0, 17, 1.0), (6.0, 19, 2.0)),
    ),
}
"""Melody of two bars: beat, semitones from A3, length in beats."""

_FORMANTS = {
    "verse": ((600.0, 90.0), (1040.0, 110.0), (2250.0, 170.0)),
    "chorus": ((730.0, 90.0), (1090.0, 110.0), (2440.0, 170.0)),
}
"""Resonances of a vowel, in Hz, and their widths: "oh" and "ah"."""


@dataclass(slots=True)
class _Mix:
    """Two channels that sounds are added to."""

    left: Samples
    right: Samples

    def add(self, beat: float, sound: Samples, pan: float = 0.0) -> None:
        """Add a sound at a beat; ``pan`` from -1, left, to 1, right."""
        start = round(beat * _BEAT * RATE)
        end = min(start + len(sound), len(self.left))
        self.left[start:end] += sound[: end - start] * min(1.0, 1.0 - pan)
        self.right[start:end] += sound[: end - start] * min(1.0, 1.0 + pan)


def piece(*, bars: int = BARS, transpose: int = 0) -> bytes:
    """
    Return the piece as a WAV file.

    :param bars: length; a bar takes 2.1 s.
    :param transpose: semitones.
    """
    import numpy as np
    import soundfile

    length = int(bars * 4 * _BEAT * RATE) + RATE // 2
    mix = _Mix(np.zeros(length), np.zeros(length))
    noise = np.random.default_rng(7)
    for bar in range(bars):
        _play_band(mix, bar, part_of(bar, bars), transpose, noise)
        if part_of(bar, bars) in _SUNG and bar % 2 == 0:
            _sing(mix, bar, part_of(bar, bars), transpose, min(8.0, (bars - bar) * 4.0))
    both = np.stack([mix.left, mix.right], axis=1)
    target = io.BytesIO()
    soundfile.write(target, 0.9 * both / np.abs(both).max(), RATE, format="WAV", subtype="PCM_16")
    return target.getvalue()


def part_of(bar: int, bars: int = BARS) -> str:
    """Return which part of the piece a bar belongs to: intro, verse, chorus or outro."""
    if bar < 2 and bars > 8:
        return "intro"
    if bar >= bars - 2 and bars > 8:
        return "outro"
    return "verse" if bar < 2 + bars // 3 else "chorus"


def _play_band(mix: _Mix, bar: int, part: str, transpose: int, noise: np.random.Generator) -> None:
    chords = _CHORDS["chorus" if part == "chorus" else "verse"]
    chord = [note + transpose for note in chords[bar % len(chords)]]
    full = part in ("verse", "chorus")
    for place, note in enumerate(chord):
        mix.add(bar * 4, 0.09 * _tone(note, 4 * _BEAT, overtones=4, attack=0.15), pan=(-0.9, 0.9, 0.7)[place])
    for beat in range(4):
        at = bar * 4 + beat
        mix.add(at, 0.5 * _kick() if beat % 2 == 0 else 0.3 * _noise(noise, 0.18, decay=18), pan=0.25 - beat % 2 * 0.5)
        mix.add(at, 0.24 * _tone(chord[0] - 12, 0.9 * _BEAT, overtones=2, attack=0.01), pan=-0.4)
        for half in (0.0, 0.5):
            mix.add(at + half, (0.1 if full else 0.05) * _noise(noise, 0.05, decay=80), pan=0.8)
        if part == "chorus":
            arpeggio = chord[beat % len(chord)] + 12
            mix.add(at + 0.5, 0.08 * _tone(arpeggio, 0.5 * _BEAT, overtones=3, attack=0.01), pan=-0.8)


def _sing(mix: _Mix, bar: int, part: str, transpose: int, beats: float) -> None:
    for beat, note, length in _SUNG[part]:
        if beat < beats:
            mix.add(bar * 4 + beat, 0.5 * _vowel(note + transpose, 0.96 * length * _BEAT, part))


def _time(seconds: float) -> Samples:
    import numpy as np

    return np.arange(int(seconds * RATE)) / RATE


def _tone(semitones: float, seconds: float, *, overtones: int, attack: float) -> Samples:
    """Return a note, softer from overtone to overtone, faded in and out."""
    import numpy as np

    time = _time(seconds)
    wave = np.zeros_like(time)
    for overtone in range(1, overtones + 1):
        wave += np.sin(2 * np.pi * 220.0 * 2 ** (semitones / 12) * overtone * time) / overtone**2
    return wave * np.minimum(1, time / attack) * np.minimum(1, (seconds - time) / 0.05) * np.exp(-time / seconds)


def _vowel(semitones: float, seconds: float, part: str) -> Samples:
    """Return a sung vowel: a note with vibrato whose overtones are as loud as the vowel's resonances let them be."""
    import numpy as np

    time = _time(seconds)
    vibrato = 0.25 * np.minimum(1, time / 0.4) * np.sin(2 * np.pi * 5.4 * time)
    scoop = -1.2 * np.exp(-time / 0.04)
    frequency = 220.0 * 2 ** ((semitones + vibrato + scoop) / 12)
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    wave = np.zeros_like(time)
    for overtone in range(1, 25):
        pitch = overtone * 220.0 * 2 ** (semitones / 12)
        if pitch < RATE * 0.45:
            loudness = sum(1 / (1 + ((pitch - center) / width) ** 2) for center, width in _FORMANTS[part])
            wave += (0.08 + loudness) / overtone**0.6 * np.sin(overtone * phase)
    fade = np.minimum(1, time / 0.06) * np.minimum(1, (seconds - time) / 0.08)
    sung: Samples = wave * fade / max(1e-9, float(np.abs(wave).max()))
    return sung


def _kick() -> Samples:
    """Return a drum whose pitch falls from 150 to 50 Hz."""
    import numpy as np

    time = _time(0.25)
    return np.sin(2 * np.pi * (50 * time + 100 / 30 * (1 - np.exp(-30 * time)))) * np.exp(-14 * time)


def _noise(source: np.random.Generator, seconds: float, *, decay: float) -> Samples:
    import numpy as np

    time = _time(seconds)
    return source.uniform(-1, 1, len(time)) * np.exp(-decay * time)
