"""
Ends what is left of a stack: runs beside it as a process of its own and waits for its standard input to be closed.

That happens at the end of the stack, and also when the process that made it was killed, so there is one way to clean
up, and every run of the tests takes it. What belongs to the stack says so in its environment, which every child and
orphan inherits. Only the standard library, and nothing of the tests, is imported: it must not fail.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

MARK = "MEDIAX_TEST_STACK"
"""Environment variable that holds the home of the stack that a process belongs to."""


def processes_of(home: str) -> list[int]:
    """Return the ids of all processes, whoever their parent is, that belong to the stack of this home."""
    found = []
    mark = f"{MARK}={home}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # gone, or another user's
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def end_processes(home: str, seconds: float = 20.0) -> None:
    """Kill them all; what forks meanwhile is found by the next look."""
    give_up = time.monotonic() + seconds
    while (left := processes_of(home)) and time.monotonic() < give_up:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        threading.Event().wait(0.05)


def end_database(folder: Path) -> None:
    """Shut PostgreSQL down, which is nobody's child, and by force if it does not want to."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        try:
            pid = int((folder / "postmaster.pid").read_text().split()[0])
            if str(folder).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return
            os.kill(pid, number)
        except (OSError, ValueError, IndexError):
            return
        give_up = time.monotonic() + 5
        while Path(f"/proc/{pid}").exists() and time.monotonic() < give_up:
            threading.Event().wait(0.05)


def main(home: str, keep: bool) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_processes(home)
    end_database(Path(home) / "db")
    if not keep:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], keep="--keep" in sys.argv[2:])
