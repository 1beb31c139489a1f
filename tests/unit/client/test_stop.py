from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from airflow_provider_mediax.client.stop import StopSignal


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    made = StopSignal()
    yield made
    made.close()


def test_nobody_set_it(stop: StopSignal) -> None:
    assert not stop.is_set()
    assert not stop.wait(0.001)
    assert not stop.wait(-1)


def test_once_set_every_wait_ends_from_now_on(stop: StopSignal) -> None:
    stop.set()
    started = time.monotonic()
    assert [stop.is_set(), stop.wait(600), stop.wait(600), stop.is_set()] == [True] * 4
    assert time.monotonic() - started < 300


def test_wait_lasts_as_long_as_asked(stop: StopSignal) -> None:
    started = time.monotonic()
    assert not stop.wait(0.05)
    assert time.monotonic() - started >= 0.045


def test_signal_handler_may_set_it_while_the_same_thread_waits(stop: StopSignal) -> None:
    handler = signal.signal(signal.SIGALRM, lambda number, frame: stop.set())
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        started = time.monotonic()
        assert stop.wait(600)
        assert time.monotonic() - started < 300
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def test_other_signals_do_not_end_the_wait(stop: StopSignal) -> None:
    came: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        started = time.monotonic()
        assert not stop.wait(0.05)
        assert time.monotonic() - started >= 0.045
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert len(came) > 1


def test_another_thread_may_set_it(stop: StopSignal) -> None:
    setter = threading.Timer(0.01, stop.set)
    setter.start()
    assert stop.wait(600)
    setter.join()


def test_setting_it_without_end_never_blocks(stop: StopSignal) -> None:
    for _ in range(100_000):
        stop.set()
    assert stop.is_set()


def test_it_works_in_a_process_with_thousands_of_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2100
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("this machine allows no process to open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    opened: list[int] = []
    try:
        while not opened or opened[-1] < 1100:
            opened.append(os.dup(0 if not opened else opened[0]))
        stop = StopSignal()
        assert not stop.wait(0.001)
        stop.set()
        assert stop.wait(600)
        stop.close()
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_late_signal_after_the_end_writes_into_nobodys_file() -> None:
    stop = StopSignal()
    stop.close()
    reader, writer = os.pipe()  # most likely the same numbers again
    os.set_blocking(reader, False)
    stop.set()
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    os.close(reader)
    os.close(writer)
