"""The loop's thread: what ends the main thread ends the loop in an orderly way, and the main thread alone logs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.jobs.batch.thread import Stopping, run_in_thread
from airflow_provider_mediax.jobs.ownership import Log


class Timeout(Exception):
    """What Airflow raises in the main thread."""


class KeptLog:
    """A log that notes which thread writes it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.threads: set[threading.Thread] = set()

    def info(self, msg: str, /, *args: Any) -> None:
        self.lines.append(msg % args)
        self.threads.add(threading.current_thread())

    warning = error = info


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    signal_ = StopSignal()
    yield signal_
    signal_.close()


def test_its_result_and_its_log_come_from_the_main_thread(stop: StopSignal) -> None:
    log = KeptLog()

    async def work(said: Log, stopping: Stopping) -> int:
        said.info("%d of %d", 1, 2)
        assert threading.current_thread() is not threading.main_thread()
        return 7

    assert run_in_thread(work, stop, log) == 7
    assert (log.lines, log.threads) == (["1 of 2"], {threading.main_thread()})


def test_its_error_is_raised_here(stop: StopSignal) -> None:
    async def work(said: Log, stopping: Stopping) -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_in_thread(work, stop, KeptLog())


def test_a_signal_in_the_main_thread_ends_fifty_sends_in_an_orderly_way(stop: StopSignal) -> None:
    """``execution_timeout``: the exception is raised here, and what is under way is given time to end."""
    ended: list[int] = []
    begun = threading.Event()

    def strike(number: int, frame: FrameType | None) -> None:
        raise Timeout

    async def work(said: Log, stopping: Stopping) -> None:
        over = asyncio.Event()
        stopping.calls(over.set)

        async def send(number: int) -> None:
            await over.wait()
            ended.append(number)

        begun.set()
        await asyncio.gather(*(send(number) for number in range(50)))

    before = signal.signal(signal.SIGALRM, strike)
    threading.Thread(target=lambda: begun.wait() and signal.setitimer(signal.ITIMER_REAL, 0.05), daemon=True).start()
    try:
        with pytest.raises(Timeout):
            run_in_thread(work, stop, KeptLog())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sorted(ended) == list(range(50))


def test_a_kill_asks_the_loop_to_end(stop: StopSignal) -> None:
    async def work(said: Log, stopping: Stopping) -> str:
        over = asyncio.Event()
        stopping.calls(over.set)
        stop.set()  # as on_kill does, from a signal handler
        await over.wait()
        return "ended"

    assert run_in_thread(work, stop, KeptLog()) == "ended"
