"""The geometry of a report's drawings; the template writes it as SVG."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airflow_provider_mediax.report.facts import Part, Track
from airflow_provider_mediax.report.sound import Waveform

WIDTH = 1000.0
"""Units that a time line is wide."""

ROOM_FOR_A_TIME = 30.0
"""Units that the words of a mark of the axis take, to its right."""

MIDDLE, REACH = 60.0, 52.0
"""Height at which the waveform lies, and how far it reaches up and down."""

LANES = 3
"""Rows that lyrics are spread over, since a line may be longer than its time."""

BARS = 12
"""Bars of a histogram at most."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the time line: place and width in units, its words as far as they fit, and the whole of them."""

    x: float
    width: float
    words: str
    span: Part
    lane: int = 0


@dataclass(frozen=True, slots=True)
class TimeLine:
    """
    A track's drawing.

    :param seconds: how long it is.
    :param outline: path of the waveform, empty without one; ``grid``, of the beats.
    :param ticks: place and words of the marks of the axis.
    """

    seconds: float
    outline: str
    grid: str
    sections: Sequence[Box]
    choruses: Sequence[Box]
    lyrics: Sequence[Box]
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart: its words, its number, and its share of the longest one, 0 to 1."""

    words: str
    number: int
    share: float


def time_line(track: Track, sound: Waveform | None) -> TimeLine | None:
    """Return the drawing of a track; None if nothing of it has a time."""
    seconds = sound.seconds if sound is not None else track.end
    if not seconds > 0:
        return None
    unit = WIDTH / seconds
    times = track.beats.times if track.beats else ()
    return TimeLine(
        seconds=seconds,
        outline=_outline(sound.peaks) if sound is not None else "",
        grid="".join(f"M{time * unit:.1f} 4V116" for time in times if time <= seconds),
        sections=[_box(span, unit, span.end) for span in track.sections],
        choruses=[_box(span, unit, span.end) for span in track.choruses],
        lyrics=_in_lanes(track.lyrics, unit, seconds),
        ticks=[(at * unit, clock(at)) for at in _steps(seconds) if at * unit <= WIDTH - ROOM_FOR_A_TIME],
    )


def clock(seconds: float) -> str:
    """Return minutes and seconds, ``1:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def counted(labels: Iterable[str]) -> list[Bar]:
    """Return a bar for each label, the most frequent first; the rare ones share one."""
    common = Counter(label for label in labels if label).most_common()
    shown, rare = common[: BARS - 1], common[BARS - 1 :]
    if len(rare) > 1:
        shown = [*shown, (f"{len(rare)} others", sum(number for _, number in rare))]
    else:
        shown += rare
    return _bars(shown)


def histogram(values: Iterable[float], unit: str) -> list[Bar]:
    """Return a bar for each of at most :data:`BARS` equal ranges of numbers."""
    found = sorted(value for value in values if math.isfinite(value))
    if not found:
        return []
    least, most = found[0], found[-1]
    step = next(
        width
        for power in range(-1, 9)
        for width in (1 * 10.0**power, 2 * 10.0**power, 5 * 10.0**power)
        if math.floor(most / width) - math.floor(least / width) < BARS or power == 8
    )
    first = math.floor(least / step)
    places = Counter(min(math.floor(value / step) - first, BARS - 1) for value in found)
    return _bars(
        [
            (f"{(first + place) * step:g} to {(first + place + 1) * step:g} {unit}", places[place])
            for place in range(max(places) + 1)
        ]
    )


def _bars(numbers: Sequence[tuple[str, int]]) -> list[Bar]:
    longest = max((number for _, number in numbers), default=1) or 1
    return [Bar(words, number, number / longest) for words, number in numbers]


def _outline(peaks: Sequence[float]) -> str:
    """Return the path around a waveform, mirrored at its middle."""
    step = WIDTH / max(1, len(peaks))
    upper = [f"{place * step:.1f} {MIDDLE - peak * REACH:.1f}" for place, peak in enumerate(peaks)]
    lower = [f"{place * step:.1f} {MIDDLE + peak * REACH:.1f}" for place, peak in enumerate(peaks)]
    return f"M{'L'.join([*upper, *reversed(lower)])}Z" if peaks else ""


def _box(span: Part, unit: float, free_until: float, lane: int = 0) -> Box:
    x = span.start * unit
    return Box(x, max(1.0, (span.end - span.start) * unit), _fitting(span.label, free_until * unit - x - 8), span, lane)


def _in_lanes(spans: Sequence[Part], unit: float, seconds: float) -> list[Box]:
    """Place lines one lane below the other in turn: each has room up to the next one of its lane."""
    follows = [*(span.start for span in spans[LANES:]), *[seconds] * LANES]
    return [_box(span, unit, follows[place], place % LANES) for place, span in enumerate(spans)]


def _fitting(words: str, room: float) -> str:
    """Return the words as far as they fit into so many units, at about 12 units a wide character."""
    used = 0.0
    for place, character in enumerate(words):
        used += 13.0 if unicodedata.east_asian_width(character) in "WF" else 7.2
        if used > room:
            return f"{words[: max(0, place - 1)]}…" if place > 1 else ""
    return words


def _steps(seconds: float) -> list[float]:
    """Return the moments of the axis: at most ten."""
    step = next((step for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600) if seconds / step <= 10), 3600)
    return [float(at) for at in range(0, min(math.ceil(seconds), 100 * step), step)]
