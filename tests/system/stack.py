"""A whole Airflow with the emulator beside it: real services, made for one session of tests and gone after it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.audio import click_track
from tests.system.database import Database
from tests.system.guardian import processes_of
from tests.system.ledger import SUBMITS, Ledger, Record, Verdict
from tests.system.rest import Rest
from tests.system.runs import Run
from tests.system.services import Service
from tests.system.settings import TRIGGERER_THRESHOLD, environment
from tests.system.waiting import PATIENCE, wait_until

DAGS = Path(__file__).parent / "dags"
LATE = 5.0
"""Seconds after the end of a task from which a request about its job is late."""

T = TypeVar("T")

_JOB_TYPES = {
    "scheduler": ("SchedulerJob", ("scheduler", "--skip-serve-logs")),
    "dag-processor": ("DagProcessorJob", ("dag-processor",)),
    "triggerer": ("TriggererJob", ("triggerer", "--skip-serve-logs")),
}


_DAGS_OF = "SELECT dag_id FROM dag WHERE relative_fileloc = %s AND NOT is_stale"
_SERVICES = ("api-server", *_JOB_TYPES)


class Stack:
    """
    PostgreSQL, the four services and the emulator. A context manager.

    Everything ends with it, or with the process that made it, however that ends.

    :param heartbeat: ``[workers] min_heartbeat_interval``; None is Airflow's default of 5 s, with which Airflow's own
        race between the end of a deferring worker and its resume can happen.
    :param triggerer_threshold: seconds after which a triggerer that is silent loses its triggers.
    :param keep: leave logs and database on the disk.
    """

    def __init__(
        self,
        *,
        heartbeat: float | None = None,
        triggerer_threshold: float = TRIGGERER_THRESHOLD,
        keep: bool = False,
    ) -> None:
        self._heartbeat = heartbeat
        self._threshold = triggerer_threshold
        self._keep = keep
        self._run_numbers = itertools.count(1)
        self.runs: list[Run] = []
        self.track = click_track(seconds=1)
        self.exposed: list[str] = []

    def __enter__(self) -> Self:
        # Not below the usual folder for temporary files: a socket's path is at most 107 characters.
        self.home = Path(tempfile.mkdtemp(prefix="mediax-", dir="/tmp"))
        guardian = [sys.executable, str(Path(__file__).with_name("guardian.py")), str(self.home)]
        self._guardian = subprocess.Popen(
            guardian + ["--keep"] * self._keep, stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def service(self, name: str) -> Service:
        """Return ``api-server``, ``scheduler``, ``dag-processor``, ``triggerer``, or a triggerer started since."""
        return self._services[name]

    def start_triggerer(self, name: str) -> Service:
        """Start one more triggerer and wait until it takes triggers."""
        service = self._services.get(name) or self._add_service(name, "triggerer")
        service.start()
        return service

    @property
    def services(self) -> list[Service]:
        """All services, running or not."""
        return list(self._services.values())

    def trigger(self, dag_id: str, copies: int = 1, run_id: str | None = None, **conf: Any) -> list[Run]:
        """
        Start DAG runs that are all alike.

        :param run_id: of a single run; by default they are numbered.
        :param conf: what the templates of the DAG read.
        """
        names = [run_id] if run_id else [f"run_{next(self._run_numbers)}" for _ in range(copies)]
        runs = [Run(self.rest, self.home, dag_id, name, self.movement) for name in names]
        for run in runs:
            body = {"dag_run_id": run.run_id, "logical_date": None, "conf": conf}
            self.rest.call("POST", f"dags/{dag_id}/dagRuns", body)
            if run not in self.runs:
                self.runs.append(run)
        return runs

    def write_dag(self, name: str, source: str) -> list[str]:
        """
        Write a DAG file, new or changed, and wait until Airflow has taken it in; return the ids of its DAGs.

        :param name: of the file, without ``.py``.
        """
        file = self.home / "dags" / f"{name}.py"
        known = bool(self._read_at(file.name))
        partial = file.with_suffix(".partial")
        partial.write_text(source, encoding="utf-8")
        partial.replace(file)
        # A file that is known may be being read just now, as it was before the change.
        for _ in range(2 if known else 1):
            self._wait_read(file.name, self._read_at(file.name))
        return sorted(dag_id for (dag_id,) in self.database.query(_DAGS_OF, file.name))

    def _read_at(self, file: str) -> list[Any]:
        """When a DAG file was read for the last time, and with what errors."""
        times = self.database.query("SELECT max(last_parsed_time) FROM dag WHERE relative_fileloc = %s", file)
        errors = self.database.query("SELECT timestamp, stacktrace FROM import_error WHERE filename = %s", file)
        return [row for row in [*times, *errors] if row[0]]

    def _wait_read(self, file: str, before: list[Any]) -> None:
        look = self._read_at
        wait_until(f"{file} to be read", lambda: look(file) != before, explain=self.service("dag-processor").tail)
        errors = [row[1] for row in look(file) if len(row) > 1]
        assert not errors, f"{file} cannot be imported\n{errors[0]}"

    def put_connection(self, conn_id: str = "mediax_default", **changes: Any) -> None:
        """
        Make or change a connection to the emulator.

        :param changes: fields of the connection; what it has no field for goes into the extra (``namespace``).
        """
        connection = json.loads(self.emulator.connection_json())
        fields = {name: changes.pop(name) for name in ("host", "login", "password", "port") if name in changes}
        connection["extra"] |= changes
        self.rest.put_connection(conn_id, connection | fields)

    def connect(self, conn_id: str, connection: dict[str, Any]) -> str:
        """Make a connection as the documentation says, in the place of the one that there is; return what is said."""
        return self.run_airflow(
            "airflow_provider_mediax.cli",
            "connect",
            conn_id,
            "--file",
            "-",
            "--overwrite",
            given=json.dumps(connection),
        )

    def run_airflow(self, *command: str, given: str = "") -> str:
        """
        Run a command in the services' environment, and return what it says.

        :param command: the module to run and its arguments.
        :param given: what it reads from standard input.
        """
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command[:3]} failed\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout + done.stderr

    def ledger(self) -> Ledger:
        """Return what the services have seen until now."""
        return Ledger.read(self.emulator)

    def jobs_of(self, marker: str) -> list[Record]:
        """Return the jobs of one marker."""
        return self.ledger().jobs_of(marker)

    def emulator_saw(
        self, *actions: str, count: int = 1, marker: str | None = None, fault: str | None = None
    ) -> list[Record]:
        """
        Wait until that many requests for any of these actions have arrived, also when their answers are held back.

        :param fault: count only those that this kind of fault has hit, ``slow_after`` for one: that is the moment.
        """

        def look() -> list[Record]:
            found = self.ledger().seen(*actions, marker=marker, fault=fault)
            return found if len(found) >= count else []

        what = f"{count} of {' or '.join(actions)}{f' with {fault}' if fault else ''} at the emulator"
        return self.wait_until(what, look)

    def wait_until(self, what: str, look: Callable[[], T]) -> T:
        """Wait until something holds for the stack as a whole, as long as tasks move, and return it."""
        return wait_until(what, look, movement=self.movement, explain=self.report)

    def movement(self) -> object:
        """Return what changes as soon as any task of any run comes further or is tried again."""
        return self.database.query("SELECT state, count(*), sum(try_number) FROM task_instance GROUP BY 1 ORDER BY 1")

    def verdict(self, runs: Iterable[Run], task: str = "job") -> Verdict:
        """
        Judge runs that are over by what their tasks returned.

        :param task: the task that has the jobs, mapped or not.
        """
        ledger = self.ledger()
        jobs, owned, late = {}, [], []
        for run in runs:
            for name, found in run.tasks.items():
                if found.task_id != task:
                    continue
                manifest = run.xcom(name) or {}
                jobs[f"{run}/{name}"] = [job["id"] for job in ledger.jobs_of(manifest.get("marker"))]
                if manifest and found.ended:
                    owned.append(manifest["job_id"])
                    late += ledger.about(manifest["job_id"], after=found.ended + LATE)
        return Verdict(jobs, ledger.without_owner(owned), late, ledger.cancels, len(ledger.seen(*SUBMITS)))

    def triggers(self) -> dict[int, int | None]:
        """Return which triggerer (by the id of its job) each trigger is assigned to."""
        return dict(self.database.query("SELECT id, triggerer_id FROM trigger"))

    def triggers_have_triggerers(self, since: datetime) -> bool:
        """Tell whether every trigger is with a triggerer that has sent a heartbeat since that moment."""
        without = "SELECT 1 FROM trigger LEFT JOIN job ON job.id = triggerer_id WHERE latest_heartbeat > %s IS NOT TRUE"
        return not self.database.query(without, since)

    def begin_test(self) -> None:
        """Give the next test an emulator as new, the usual connection and exactly the usual services."""
        for service in self.services:
            if service.name not in _SERVICES:
                del self._services[service.name]
                if service.running:
                    service.kill()
            elif not service.running:  # a scheduler can die of a run that is deleted while it looks at it
                service.start()
        self.database.query("UPDATE dag SET is_paused = false WHERE is_paused")
        self.emulator.reset()
        self.put_connection()

    def end_test(self) -> None:
        """End the runs of the test, and wait until nothing works for them any more."""
        for service in self.services:
            if service.running:
                service.resume()
            elif service.name in _SERVICES:
                service.start()
        for run in self.runs:
            run.end()
        self.runs.clear()
        self._end_tasks()
        self.wait_until("the triggers of ended runs to end", lambda: not self.triggers())

    def _end_tasks(self) -> None:
        """Kill what still runs tasks: children of LocalExecutor's workers, and orphans of killed schedulers."""
        found = processes_of(str(self.home))
        kept: set[int] = set()
        for service in self.services:
            tree = service.tree()
            workers = tree[0].children() if tree and service.name == "scheduler" else tree[1:]
            kept |= {process.pid for process in [*tree[:1], *workers]}
        for pid in set(found) - kept:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def report(self) -> str:
        """Say how the runs of this test stand, and what the services and the emulator said last."""
        ledger = self.ledger()
        requests = [
            f"{request['at']:.1f} {request['action']} {request['status']} {request['fault'] or ''} {request['job_id']}"
            for request in ledger.requests[-40:]
        ]
        jobs = [f"{job['id']} {job['marker']} {job['capability']} {job['state']}" for job in ledger.jobs[-40:]]
        parts = [run.describe() for run in self.runs[:6]] + [service.tail() for service in self.services]
        return "\n".join([*parts, "--- the emulator's jobs", *jobs, "--- its last requests", *requests])

    def _begin(self) -> None:
        shutil.copytree(DAGS, self.home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        (self.home / "log").mkdir()
        self.emulator = MediaxEmulator.start()
        self.database = Database(self.home / "db")
        port = _free_port()
        self.rest = Rest(f"http://127.0.0.1:{port}")
        self._environment = environment(self.home, self.database.urls, port, self._heartbeat, self._threshold)
        self.run_airflow("airflow", "db", "migrate")
        self._services: dict[str, Service] = {}
        self._services["api-server"] = Service(
            "api-server", ("api-server",), self._environment, self.home / "log" / "api-server.log", self._watch_api
        )
        for name in _JOB_TYPES:
            self._add_service(name, name)
        for service in self.services:
            service.start(wait=False)
        for service in self.services:
            service.wait_ready()
        wait_until(
            "all services to be healthy", lambda: set(self.rest.health().values()) == {"healthy"}, explain=self.report
        )
        for file in DAGS.glob("*.py"):
            self._wait_read(file.name, [])

    def _end(self) -> None:
        if hasattr(self, "emulator"):
            self.emulator.stop()
        self._guardian.communicate()
        for service in getattr(self, "_services", {}).values():
            service.reap()

    def _add_service(self, name: str, kind: str) -> Service:
        job_type, arguments = _JOB_TYPES[kind]
        log = self.home / "log" / f"{name}.log"
        service = Service(name, arguments, self._environment, log, lambda: self._watch_job(job_type))
        self._services[name] = service
        return service

    def _watch_job(self, job_type: str) -> Callable[[], bool]:
        """Tell when a service that is started from now on has its row and has sent a heartbeat."""
        newest = self.database.query("SELECT coalesce(max(id), 0) FROM job")[0][0]
        beats = (
            "SELECT 1 FROM job WHERE job_type = %s AND id > %s AND state = 'running' AND latest_heartbeat > start_date"
        )
        return lambda: bool(self.database.query(beats, job_type, newest))

    def _watch_api(self) -> Callable[[], bool]:
        return self.rest.answers


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
