"""
An event loop in a thread of its own, beside the main thread, which alone talks to Airflow and receives signals.

Airflow's ``execution_timeout`` is an exception that a signal raises in the main thread; in a busy event loop it would
end whatever runs at that moment, and vanish.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.jobs.ownership import Log

T = TypeVar("T")

TICK = 0.2
"""Seconds between two looks at the stop signal."""

LEAVE_SECONDS = 4.0
"""Seconds that the loop is given to end by itself: Airflow kills a task 5 s after it has asked it to end."""


@dataclass(frozen=True, slots=True)
class _End(Generic[T]):
    result: T | None
    error: BaseException | None


class _Lines:
    """A log whose lines the main thread writes."""

    def __init__(self, entries: queue.SimpleQueue[Any]) -> None:
        self._entries = entries

    def info(self, msg: str, /, *args: Any) -> None:
        self._entries.put(("info", msg, args))

    def warning(self, msg: str, /, *args: Any) -> None:
        self._entries.put(("warning", msg, args))

    def error(self, msg: str, /, *args: Any) -> None:
        self._entries.put(("error", msg, args))


class Stopping:
    """Calls in the loop what ends it, once; may be asked from any thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._stop: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def calls(self, stop: Callable[[], None]) -> None:
        """Say what ends the work; called in the loop."""
        self._stop, self._loop = stop, asyncio.get_running_loop()
        if self._asked.is_set():
            stop()

    def ask(self) -> None:
        """Ask for the end."""
        self._asked.set()
        if self._stop is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop)

    @property
    def is_asked(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._asked.is_set()


def run_in_thread(work: Callable[[Log, Stopping], Coroutine[Any, Any, T]], stop: StopSignal, log: Log) -> T:
    """
    Run a coroutine in a thread, and return its result or raise its error.

    :param work: is given a log, and what it says how it is ended to.
    :param stop: once set, the work is asked to end.
    :param log: is written by this thread alone.
    :raises BaseException: also what a signal raises in this thread; the work is asked to end first.
    """
    entries: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stopping = Stopping()

    def carry_out() -> None:
        try:
            entries.put(_End(asyncio.run(work(_Lines(entries), stopping)), None))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            entries.put(_End(None, error))

    thread = threading.Thread(target=carry_out, name="mediax batch", daemon=True)
    thread.start()
    try:
        end = _follow(entries, log, stop, stopping)
    except BaseException:
        stopping.ask()
        thread.join(LEAVE_SECONDS)
        raise
    thread.join(LEAVE_SECONDS)
    if end.error is not None:
        raise end.error
    result: Any = end.result
    return result  # type: ignore[no-any-return]


def _follow(entries: queue.SimpleQueue[Any], log: Log, stop: StopSignal, stopping: Stopping) -> _End[Any]:
    while True:
        if stop.is_set():
            stopping.ask()
        try:
            entry = entries.get(timeout=TICK)
        except queue.Empty:
            continue
        if isinstance(entry, _End):
            return entry
        level, msg, args = entry
        getattr(log, level)(msg, *args)
