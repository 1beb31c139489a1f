"""
Look-ups of an Airflow connection in a triggerer, where they can fail, take minutes or never answer.

Each is a question to the triggerer's supervisor, which answers one after the other, between calls to the database.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from airflow_provider_mediax.exceptions import MediaxError, Unavailable

T = TypeVar("T")

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""How long somebody who needs the connection waits for an answer before that is a failure."""

LONGEST_SECONDS = 180.0
"""How long a look-up may take before it is canceled: the first one of a fresh, busy triggerer took 79 s."""

REPEAT_SECONDS = 5.0
"""How long a failure stands for all who ask: hundreds of waits must not ask the supervisor one after the other."""


class Lookup(Generic[T]):
    """
    At most one look-up at a time, in a task of its own, which no end of those who wait for it cancels.

    :param look_up: looks the connection up and makes something of it.
    :param name: for the log; holds no secret.
    """

    def __init__(self, look_up: Callable[[], Awaitable[T]], name: str) -> None:
        self._look_up = look_up
        self._name = name
        self._task: asyncio.Task[T] | None = None
        self._failed: MediaxError | None = None
        self._failed_at = 0.0

    async def answer(self) -> T:
        """
        Return the answer of the look-up that is under way, or of a new one.

        :raises MediaxError: it failed, a moment ago or now, or has not answered for 30 s. In the last case it goes on.
        """
        loop = asyncio.get_running_loop()
        if self._task is None:
            if self._failed is not None and loop.time() - self._failed_at < REPEAT_SECONDS:
                raise self._failed
            self._failed = None
            self._task = loop.create_task(
                self._carry_out(), name=f"mediax look-up of {self._name}", context=contextvars.Context()
            )
            self._task.add_done_callback(self._note)
        task = self._task
        await asyncio.wait({task}, timeout=ANSWER_SECONDS)  # a cancel of this does not reach the task
        if not task.done():
            raise Unavailable(f"The look-up of {self._name} has not answered for {ANSWER_SECONDS:g} s")
        return task.result()

    async def _carry_out(self) -> T:
        """Look up, and make a typed error without its text of whatever goes wrong: a text may hold anything."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await self._look_up()
        except MediaxError:
            raise
        except Exception as error:
            log.warning("The look-up of %s failed", self._name, exc_info=True)
            raise Unavailable(f"The look-up of {self._name} failed with {type(error).__name__}") from None

    def _note(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if not task.cancelled() and isinstance(error := task.exception(), MediaxError):
            self._failed, self._failed_at = error, task.get_loop().time()
