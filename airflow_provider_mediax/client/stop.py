"""A stop signal that a signal handler may set while the same thread waits for it."""

from __future__ import annotations

import contextlib
import os
import select


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
        with contextlib.suppress(BlockingIOError):  # the pipe is full of earlier signals
            os.write(self._writer, b"!")

    def is_set(self) -> bool:
        """Tell whether somebody has set it."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` and tell whether it is set."""
        readable, _, _ = select.select([self._reader], [], [], max(0.0, seconds))
        return bool(readable)

    def close(self) -> None:
        """Give the pipe back."""
        for end in (self._reader, self._writer):
            os.close(end)
