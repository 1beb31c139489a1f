"""The geometry of drawings: everything lies where its time is."""

from __future__ import annotations

import math
import re

import pytest

from airflow_provider_mediax.report.drawing import BARS, WIDTH, clock, counted, histogram, time_line
from airflow_provider_mediax.report.facts import BeatGrid, Part, Track
from airflow_provider_mediax.report.sound import Waveform


def track(**known: object) -> Track:
    made = Track(name="a", address="a")
    for name, value in known.items():
        setattr(made, name, value)
    return made


def test_without_any_time_nothing_is_drawn() -> None:
    assert time_line(track(), None) is None


def test_places_are_shares_of_the_length() -> None:
    known = track(sections=[Part(5.0, 10.0, "verse")], beats=BeatGrid(120, [0.0, 5.0, 99.0]))
    line = time_line(known, Waveform(20.0, (0.5, 1.0)))
    assert line is not None
    assert (line.sections[0].x, line.sections[0].width) == (WIDTH / 4, WIDTH / 4)
    assert re.findall(r"M([\d.]+) ", line.grid) == ["0.0", "250.0"]  # none behind the end
    assert line.ticks[0] == (0.0, "0:00")
    assert len(line.ticks) <= 11


def test_a_line_of_lyrics_is_cut_where_the_next_of_its_lane_begins() -> None:
    sung = [Part(float(second), second + 1.0, "long words " * 20) for second in range(0, 60, 5)]
    line = time_line(track(lyrics=sung), None)
    assert line is not None
    assert {box.lane for box in line.lyrics} == {0, 1, 2}
    assert all(box.words.endswith("…") or not box.words for box in line.lyrics)
    assert line.lyrics[0].words.startswith("long words")
    assert line.lyrics[0].span.label == "long words " * 20


@pytest.mark.parametrize("values", [[120.0], [0.0, 0.0], [3.0, 3000.0], list(range(1000)), [0.001, 1e12], [math.inf]])
def test_a_histogram_counts_every_finite_number_in_few_bars(values: list[float]) -> None:
    bars = histogram(values, "s")
    assert len(bars) <= BARS
    assert sum(bar.number for bar in bars) == sum(map(math.isfinite, values))


def test_rare_labels_share_a_bar() -> None:
    bars = counted([*["Pop"] * 5, "", *(f"label {number}" for number in range(13))])
    assert len(bars) == BARS
    assert (bars[0].words, bars[0].number, bars[0].share) == ("Pop", 5, 1.0)
    assert (bars[-1].words, bars[-1].number) == ("3 others", 3)


def test_a_time_is_minutes_and_seconds() -> None:
    assert [clock(seconds) for seconds in (0, 65.9, 3600)] == ["0:00", "1:05", "60:00"]
