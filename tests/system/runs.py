"""One DAG run in a stack: what became of it, and everything that a user or an accident can do to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.system.guardian import processes_of
from tests.system.rest import Rest, Task
from tests.system.waiting import wait_until

RECORD_KEY = "mediax_job"
_OVER = ("success", "failed")


@dataclass(frozen=True)
class Run:
    """
    One DAG run. Nothing is cached; mapped tasks are named ``task_id[map_index]``.

    :param home: of the stack.
    :param movement: of the stack; waiting goes on as long as tasks move, of this run or of others.
    """

    rest: Rest
    home: Path
    dag_id: str
    run_id: str
    movement: Callable[[], object] = field(compare=False, repr=False)

    @property
    def path(self) -> str:
        """Where it is in the REST API."""
        return f"dags/{self.dag_id}/dagRuns/{self.run_id}"

    @property
    def state(self) -> str:
        """State of the run as a whole."""
        return str(self.rest.call("GET", self.path)["state"])

    @property
    def tasks(self) -> dict[str, Task]:
        """The task instances by name."""
        items: list[dict[str, Any]] = []
        for offset in range(0, 10_000, 100):
            page = self.rest.call("GET", f"{self.path}/taskInstances", limit=100, offset=offset)
            items += page["task_instances"]
            if len(items) >= page["total_entries"]:
                break
        return {task.name: task for task in map(Task.read, items)}

    @property
    def states(self) -> dict[str, str | None]:
        """The tasks' states by name."""
        return {name: task.state for name, task in self.tasks.items()}

    def tries(self, name: str) -> list[Task]:
        """Return the tries of a task, oldest first, the present one last."""
        return [Task.read(item) for item in self.rest.call("GET", f"{self._task(name)}/tries")["task_instances"]]

    def wait(self, *states: str, task: str | None = None) -> Run:
        """
        Wait until every task, or the one that is named, is in one of these states; fail when the run ended otherwise.
        """

        def reached() -> bool:
            tasks = self.tasks
            seen = [found.state for name, found in tasks.items() if task in (None, name)]
            if seen and all(state in states for state in seen):
                return True
            assert self.state not in _OVER or self.states != {name: found.state for name, found in tasks.items()}, (
                f"{self} ended without being {' or '.join(states)}\n{self.describe()}"
            )
            return False

        self.wait_until(f"{task or 'all tasks'} to be {' or '.join(states)}", lambda _: reached())
        return self

    def wait_until(self, what: str, look: Callable[[Run], Any]) -> Any:
        """Wait until something holds for this run, and return it."""
        return wait_until(f"{what} ({self})", lambda: look(self), movement=self.movement, explain=self.describe)

    def xcom(self, name: str, key: str = "return_value") -> Any:
        """Return an XCom of a task, None if there is none."""
        found = self.rest.find(f"{self._task(name, False)}/xcomEntries/{key}", map_index=_split(name)[1])
        return None if found is None else found["value"]

    def stored(self, name: str, key: str = RECORD_KEY) -> Any:
        """Return an entry of a task's state store, None if there is none."""
        found = self.rest.find(f"{self._task(name, False)}/state-store/{key}", map_index=_split(name)[1])
        return None if found is None else found["value"]

    def marker(self, name: str) -> str | None:
        """Return the marker of the job that the task's record names now, if there is one."""
        record = self.stored(name)
        return None if record is None else record["marker"]

    def log(self, name: str, try_number: int | None = None) -> str:
        """Return what a task logged, in the worker and in the triggerer; of all tries, unless one is asked for."""
        task_id, index = _split(name)
        folder = self.home / "logs" / f"dag_id={self.dag_id}" / f"run_id={self.run_id}" / f"task_id={task_id}"
        if index >= 0:
            folder /= f"map_index={index}"
        files = sorted(folder.glob(f"attempt={try_number or '*'}.log*"), key=lambda file: file.stat().st_mtime)
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')}" for file in files)

    def clear(self, *names: str, latest: bool = False) -> None:
        """
        Clear tasks, all if none is named, whatever their states are; as the button does.

        :param latest: with the newest version of the DAG.
        """
        chosen: list[Any] = [
            task_id if index < 0 else [task_id, index] for task_id, index in map(_split, names or self.tasks)
        ]
        self.rest.call(
            "POST",
            f"dags/{self.dag_id}/clearTaskInstances",
            {
                "dry_run": False,
                "dag_run_id": self.run_id,
                "task_ids": chosen,
                "only_failed": False,
                "run_on_latest_version": latest,
            },
        )

    def clear_run(self) -> None:
        """Clear the run as a whole."""
        self.rest.call("POST", f"{self.path}/clear", {"dry_run": False, "only_failed": False})

    def mark(self, name: str, state: str) -> None:
        """Mark a task ``success``, ``failed`` or ``skipped``."""
        self.rest.call("PATCH", self._task(name), {"new_state": state})

    def end(self) -> None:
        """Mark the run and what is left of it failed; without effect if it has ended or is gone."""
        found = self.rest.find(self.path)
        if found is not None and found["state"] not in _OVER:
            self.rest.call("PATCH", self.path, {"state": "failed"})

    def delete(self) -> None:
        """Delete the run, which must end first if it goes on."""
        self.end()
        self.rest.call("DELETE", self.path)

    def kill_task(self, name: str) -> int:
        """
        SIGKILL the process in which the task runs, as the kernel does when memory is short; return its id.

        The row of the task instance names it. Its parent, a worker of LocalExecutor that supervises it, sees it die and
        reports that at once.
        """
        task, _ = self._processes(name)
        os.kill(task, signal.SIGKILL)
        return task

    def terminate_task(self, name: str) -> int:
        """SIGTERM the process in which the task runs, as a worker does that shuts down; return its id."""
        task, _ = self._processes(name)
        os.kill(task, signal.SIGTERM)
        return task

    def kill_worker(self, name: str) -> tuple[int, int]:
        """
        SIGKILL the task's process and its supervisor, as the end of a machine does; return both ids.

        Nobody reports the end: the scheduler finds out when the heartbeat stays away.
        """
        task, supervisor = self._processes(name)
        os.kill(supervisor, signal.SIGKILL)
        os.kill(task, signal.SIGKILL)
        return task, supervisor

    def kill_supervisor(self, name: str) -> int:
        """SIGKILL only the supervisor: the task goes on without one until it needs it; return the supervisor's id."""
        _, supervisor = self._processes(name)
        os.kill(supervisor, signal.SIGKILL)
        return supervisor

    def describe(self) -> str:
        """Say what became of it, with the end of each task's log."""
        try:
            tasks = self.tasks
        except AssertionError as error:
            return f"{self}: {error}"
        parts = [f"=== {self} is {self.state}"]
        for name, task in tasks.items():
            parts += [str(task), "\n".join(self.log(name).splitlines()[-40:])]
        return "\n".join(parts)

    def __str__(self) -> str:
        return f"{self.dag_id}/{self.run_id}"

    def _processes(self, name: str) -> tuple[int, int]:
        """Return the process of a running task and its parent, both made certain to be the stack's own."""
        task = self.wait_until(f"{name} to run", lambda run: (found := run.tasks.get(name)) and _running(found))
        supervisor = psutil.Process(task).ppid()
        ours = processes_of(str(self.home))
        assert {task, supervisor} <= set(ours), f"{task} and {supervisor} are not both of this stack"
        return task, supervisor

    def _task(self, name: str, mapped: bool = True) -> str:
        task_id, index = _split(name)
        return f"{self.path}/taskInstances/{task_id}" + (f"/{index}" if mapped and index >= 0 else "")


def _running(task: Task) -> int | None:
    return task.pid if task.state == "running" else None


def _split(name: str) -> tuple[str, int]:
    task_id, _, index = name.rstrip("]").partition("[")
    return task_id, int(index or -1)
