"""The emulator's piece of music: the same every time, at its tempo, with parts and a voice."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from airflow_provider_mediax.emulator.sound.analysis import find_beats
from airflow_provider_mediax.emulator.sound.piece import BARS, RATE, TEMPO, part_of, piece


def test_it_is_the_same_every_time_and_fits_three_times_into_a_page() -> None:
    track = piece()
    assert track == piece()
    assert len(track) * 3 < 10 * 1024 * 1024


def test_its_beats_are_found_at_its_tempo() -> None:
    assert find_beats(piece(), 3).tempo == pytest.approx(TEMPO, rel=0.02)


def test_it_has_a_verse_and_a_chorus() -> None:
    parts = [part_of(bar) for bar in range(BARS)]
    assert list(dict.fromkeys(parts)) == ["intro", "verse", "chorus", "outro"]


def test_its_voice_is_in_the_middle_and_its_band_is_not() -> None:
    sound, rate = soundfile.read(io.BytesIO(piece()))
    assert rate == RATE
    bar = int(4 * 60 / TEMPO * RATE)
    apart = np.abs(sound[:, 0] - sound[:, 1]).mean()
    assert apart > 0.01
    verse, intro = sound[2 * bar : 4 * bar].mean(axis=1), sound[: 2 * bar].mean(axis=1)
    assert np.abs(verse).mean() > np.abs(intro).mean()


def test_a_variation_is_shorter_and_higher() -> None:
    assert len(piece(bars=8, transpose=5)) < len(piece())
