"""The child processes that decode and listen, so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import ParamSpec, TypeVar

from airflow_provider_mediax.emulator.sound import analysis, separation
from airflow_provider_mediax.emulator.sound.analysis import Beats
from airflow_provider_mediax.emulator.sound.separation import Stem

P = ParamSpec("P")
R = TypeVar("R")


class AnalysisBroke(Exception):
    """The child process died over an input; the next one gets a new child."""


class _Child:
    """One process that works off calls in order and is replaced when it dies."""

    def __init__(self, warm_up: Callable[[], None]) -> None:
        self._warm_up = warm_up
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process that runs threads and an event loop is not safe.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=context, initializer=analysis.live_with_parent)

    def warm_up(self) -> None:
        self._executor.submit(self._warm_up)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            future = self._executor.submit(work, *args, **kwargs)
        except BrokenExecutor:  # it died while it had nothing to do, or over an input whose call fails below
            self._executor = self._start()
            self.warm_up()
            future = self._executor.submit(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        except BrokenExecutor:
            raise AnalysisBroke("the analysis process died over this input") from None

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


class Analysis:
    """
    Audio analysis for the event loop.

    Three children: telling the length of a track is ready in an instant and must not queue behind the compilation
    that beat tracking starts with, nor behind a separation. The one that separates starts with the first such job.
    """

    def __init__(self) -> None:
        self._decoder = _Child(analysis.warm_up_decoder)
        self._tracker = _Child(analysis.warm_up_tracker)
        self._separator = _Child(analysis.warm_up_decoder)

    def warm_up(self) -> None:
        """Start the first two children; they get ready in the background, and calls that come earlier wait for that."""
        self._decoder.warm_up()
        self._tracker.warm_up()

    async def duration_of(self, data: bytes) -> float:
        """Return the seconds of an audio file; raises :class:`NotAudio`."""
        return await self._decoder.run(analysis.duration_of, data)

    async def find_beats(self, data: bytes, loudness: int) -> Beats:
        """Track and mark the beats of an audio file; raises :class:`NotAudio`."""
        return await self._tracker.run(analysis.find_beats, data, loudness)

    async def separate(
        self, data: bytes, names: Sequence[str], codec: str, rate: int | None, channels: int | None
    ) -> list[Stem]:
        """Take a track apart, as :func:`separation.separate` does; raises :class:`NotAudio`."""
        return await self._separator.run(separation.separate, data, names, codec, rate, channels)

    def close(self) -> None:
        """End the children at once, whatever they are doing."""
        self._decoder.close()
        self._tracker.close()
        self._separator.close()
        for child in multiprocessing.active_children():
            child.kill()


class CannedAnalysis(Analysis):
    """
    Takes every track to be of one length, and looks at none: for tests with thousands of jobs.

    What has to hear a track, to find its beats or to take it apart, fails.

    :param seconds: of every track.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def duration_of(self, data: bytes) -> float:
        """Return what was decided."""
        return self._seconds

    async def find_beats(self, data: bytes, loudness: int) -> Beats:
        """Fail."""
        raise AnalysisBroke("canned answers have no beats")

    async def separate(
        self, data: bytes, names: Sequence[str], codec: str, rate: int | None, channels: int | None
    ) -> list[Stem]:
        """Fail."""
        raise AnalysisBroke("canned answers have no stems")
