"""Airflow's services as processes that can be ended in every way in which a machine ends them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from tests.system.waiting import PATIENCE, wait_until


class Service:
    """
    One service. It leads a session and process group of its own.

    :param name: for messages and for the log file.
    :param arguments: of the ``airflow`` command.
    :param watch: is called before the start; what it returns tells whether the service that was started is ready.
    """

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        log: Path,
        watch: Callable[[], Callable[[], bool]],
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", "airflow", *arguments]
        self._environment = environment
        self._watch = watch
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: Callable[[], bool] = lambda: False

    @property
    def running(self) -> bool:
        """Whether the main process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Id of the main process."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def tree(self) -> list[psutil.Process]:
        """
        The main process and all its descendants, eldest first.

        * scheduler: LocalExecutor's workers, and the tasks, which are children of the workers;
        * triggerer: the process that runs the triggers, which is a child of the main one;
        * DAG processor: processes that parse.
        """
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.pid)
            return [main, *main.children(recursive=True)]
        return []

    def start(self, *, wait: bool = True) -> None:
        """Start it (again)."""
        assert not self.running, f"{self.name} runs already"
        self._ready = self._watch()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it works."""
        wait_until(f"{self.name} to be ready", self._ready_or_dead, explain=self.tail)

    def stop(self) -> None:
        """
        Ask the main process to end (SIGTERM) and wait for it.

        A scheduler lets its workers finish their tasks first; a triggerer leaves its triggers to the next one.
        """
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} ignores SIGTERM\n{self.tail()}") from None

    def kill(self, *, tree: bool = True) -> None:
        """
        SIGKILL it, as the end of a machine or container does.

        :param tree: with all descendants, so a scheduler's tasks die as well. Otherwise only the main process, as the
            kernel does when memory is short: workers and tasks of a scheduler go on as orphans until the stack ends.
        """
        assert self._process is not None
        victims = self.tree() if tree else self.tree()[:1]
        for process in victims:  # the main process first, so that nothing is started in place of what dies
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(victims[1:], timeout=PATIENCE)
        self._process.wait(PATIENCE)

    def pause(self) -> None:
        """Stop its whole tree where it is (SIGSTOP), as a machine that hangs."""
        self._signal_tree(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal_tree(signal.SIGCONT)

    def reap(self) -> None:
        """Take note of its end, when the guardian has killed it."""
        if self._process is not None:
            self._process.wait(PATIENCE)

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        content = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return f"--- {self.name} ({self.log})\n" + "\n".join(content.splitlines()[-lines:])

    def _ready_or_dead(self) -> bool:
        assert self.running, f"{self.name} ended by itself\n{self.tail(60)}"
        return self._ready()

    def _signal_tree(self, number: signal.Signals) -> None:
        for process in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
