"""The clock of all waiting: it goes on whatever happens to the clock on the wall."""

from __future__ import annotations

import sys
import time

import pytest

from airflow_provider_mediax.client import clock
from airflow_provider_mediax.client.clock import on_steady_clock, steady


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_wall_clock_that_is_set_does_not_move_it(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    before, wall = steady(), time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump)
    assert 0 <= steady() - before < 3600


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stops its monotonic clock while the machine sleeps")
def test_the_time_that_a_machine_sleeps_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {time.CLOCK_MONOTONIC: 100.0, time.CLOCK_BOOTTIME: 28_900.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert steady() == 28_900.0


@pytest.mark.parametrize("left", [-90.0, 0.0, 86_400.0])
def test_a_moment_on_the_wall_comes_after_as_many_of_its_seconds(monkeypatch: pytest.MonkeyPatch, left: float) -> None:
    monkeypatch.setattr(clock, "steady", lambda: 500.0)
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    assert on_steady_clock(1_800_000_000.0 + left) == 500.0 + left
