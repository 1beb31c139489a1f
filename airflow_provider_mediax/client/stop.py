"""A stop signal that a signal handler may set while the same thread waits for it."""

from __future__ import annotations

import contextlib
import os
import select

_LONGEST_WAIT = 86400.0 * 7
"""Seconds: what poll() can count lasts for three weeks."""


class StopSignal:
    """
    Like ``threading.Event``, but safe to set from a signal handler.

    An Event's lock may be held by the very code that the handler interrupted; writing to a pipe takes no lock.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def set(self) -> None:
        """Stop: every wait ends, now and from now on."""
        with contextlib.suppress(OSError):  # the pipe is full of earlier signals, or closed
            os.write(self._writer, b"!")

    def is_set(self) -> bool:
        """Tell whether somebody has set it."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` and tell whether it is set."""
        waiting = select.poll()  # select() fails in a process with more than 1024 open files
        waiting.register(self._reader, select.POLLIN)
        return bool(waiting.poll(min(max(0.0, seconds), _LONGEST_WAIT) * 1000))

    def close(self) -> None:
        """Give the pipe back; a signal that comes later does nothing."""
        # The number of a closed file is soon another file's, so it is forgotten before it is closed.
        ends, self._reader, self._writer = (self._reader, self._writer), -1, -1
        for end in ends:
            if end >= 0:
                os.close(end)
