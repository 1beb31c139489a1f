"""A command at a terminal of its own: what it shows, and what a person types into it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

PATIENCE = 120.0
"""Seconds until a command that says nothing is given up; a busy machine needs many for an import of Airflow."""


def _take_terminal() -> None:
    """Make standard input the terminal of the new session, so that Ctrl-C reaches it, also from a background job."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Terminal:
    """
    A command of the console script at a pseudo-terminal. A context manager.

    :param arguments: of ``airflow-mediax``.
    :ivar shown: everything that the terminal has shown, what is typed included where it is echoed.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self._read = 0
        self.shown = ""

    def __enter__(self) -> Self:
        self._screen, side = pty.openpty()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow_provider_mediax.cli", *self._arguments],
                stdin=side,
                stdout=side,
                stderr=side,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        finally:
            os.close(side)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._screen)

    def answer(self, question: str, line: str) -> None:
        """Wait until the terminal shows a question that it has not shown before, and type a line."""
        self.press(question, f"{line}\n")

    def press(self, question: str, keys: str) -> None:
        """Wait likewise, and press keys."""
        while question not in self.shown[self._read :]:
            assert self._more(), f"{question!r} is not asked:\n{self.shown}"
        self._read = self.shown.index(question, self._read) + len(question)
        os.write(self._screen, keys.encode())

    def end(self) -> int:
        """Wait until the command ends, and return its exit code."""
        while self._more():
            pass
        return self._process.wait(PATIENCE)

    def _more(self) -> bool:
        """Take in what is shown next; false when the command has ended."""
        ready, _, _ = select.select([self._screen], [], [], PATIENCE)
        assert ready, f"the command says nothing more:\n{self.shown}"
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # how Linux says that nobody has the other side open any more
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)
