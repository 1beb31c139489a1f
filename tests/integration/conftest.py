"""
Running DAGs in this process by ``dag.test()``: tries, retries and clears of one run, as the scheduler makes them.

``dag.test()`` runs the real task runner against the real execution API in this process, and triggers in line. Two
things that it does are in the way of tests about retries and clears, and two patches around the call change them:

* it deletes a run that it finds and starts it anew; here a second call goes on with the run that exists;
* it sleeps and asks again as long as a task waits for its ``retry_delay``; here it returns then, so that a test can
  look, change things and start the next try by itself. A ``retry_delay`` of zero runs all tries in one call.

It has no triggerer: nothing here shows ``on_kill``, ``cleanup``, ``defer(timeout=)`` or ``start_from_trigger``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from unittest.mock import patch

import pytest

from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

if TYPE_CHECKING:
    from airflow.sdk import DAG

_RUNS = itertools.count()


class _NothingToDo(Exception):
    """All that is left of the run waits for the delay of a retry."""


@dataclass(frozen=True)
class Task:
    """One task instance as the database has it after the run, or one of its earlier tries."""

    state: str | None
    try_number: int
    max_tries: int


@dataclass
class Run:
    """
    One DAG run: what became of it, and the means to go on with it.

    Mapped tasks are named ``task_id[map_index]``. Nothing is cached: after ``retry`` and ``clear`` the same object
    shows the new states.
    """

    dag: DAG
    run_id: str
    _environment: dict[str, str] = field(repr=False, default_factory=dict)

    @property
    def state(self) -> str:
        """State of the run: ``running`` while a task waits for its retry."""
        from airflow.utils.session import create_session

        with create_session() as session:
            return str(self._dag_run(session).state)

    @property
    def tasks(self) -> dict[str, Task]:
        """The task instances by name."""
        from airflow.utils.session import create_session

        with create_session() as session:
            return {_name(ti): _task(ti) for ti in self._dag_run(session).get_task_instances(session=session)}

    @property
    def states(self) -> dict[str, str | None]:
        """The tasks' states by name."""
        return {name: task.state for name, task in self.tasks.items()}

    @property
    def try_numbers(self) -> dict[str, int]:
        """The tasks' try numbers by name."""
        return {name: task.try_number for name, task in self.tasks.items()}

    def earlier_tries(self, name: str) -> list[Task]:
        """
        Return the tries of a task that a retry or a clear has put into the history, oldest first.

        A try that was retried has the state ``failed`` there.
        """
        from airflow.utils.session import create_session

        from airflow_provider_mediax.cli.tables import replaced_tries

        model, query = replaced_tries()
        rows = query.where(model.dag_id == self.dag.dag_id, model.run_id == self.run_id)
        with create_session() as session:
            found = [_task(row) for row in session.scalars(rows) if _name(row) == name]
        return sorted(found, key=lambda task: task.try_number)

    def xcom(self, name: str, key: str = "return_value") -> Any:
        """Return an XCom of a task, the newest if several tries have pushed it (Airflow 3.4 keeps them all)."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        task_id, map_index = _split(name)
        of_the_task = {"dag_id": self.dag.dag_id, "run_id": self.run_id, "task_id": task_id, "map_index": map_index}
        newest_first = select(XComModel).filter_by(**of_the_task, key=key).order_by(XComModel.timestamp.desc())
        with create_session() as session:
            row = session.scalars(newest_first.execution_options(include_all_attempts=True)).first()
            return None if row is None else XComModel.deserialize_value(row)

    @property
    def values(self) -> dict[str, Any]:
        """What the tasks returned, by name; tasks that returned nothing are left out."""
        found = {name: self.xcom(name) for name in self.tasks}
        return {name: value for name, value in found.items() if value is not None}

    def retry(self, dag: DAG | None = None) -> Run:
        """
        Run the next try of every task that waits for its ``retry_delay``, as if the delay were over.

        :param dag: a changed DAG of the same id, for an edit of the DAG file between two tries.
        """
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState

        with create_session() as session:
            waiting = [
                ti
                for ti in self._dag_run(session).get_task_instances(session=session)
                if ti.state == TaskInstanceState.UP_FOR_RETRY
            ]
            assert waiting, f"no task of {self.run_id} waits for a retry: {self.states}"
            for ti in waiting:
                ti.end_date = datetime.now(UTC) - timedelta(days=365)  # the delay counts from here
        return self._drive(dag)

    def clear(self, *names: str, dag: DAG | None = None) -> Run:
        """
        Clear tasks (all if none is named) by Airflow's own function, as the UI does, and run them again.

        Every cleared task gets a new row and ``max_tries = try_number + retries``. Tasks below a named one are
        cleared only if named.

        :param dag: a changed DAG of the same id, for an edit of the DAG file before the clear.
        """
        from airflow.models.taskinstance import clear_task_instances
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState

        with create_session() as session:
            run = self._dag_run(session)
            chosen = [ti for ti in run.get_task_instances(session=session) if not names or _name(ti) in names]
            assert chosen, f"no task of {self.run_id} is named {names}: {list(self.tasks)}"
            clear_task_instances(chosen, session=session)
            run.state = DagRunState.RUNNING  # the scheduler's part: a cleared run is queued, then started
            run.start_date = datetime.now(UTC)
        return self._drive(dag)

    def _drive(self, dag: DAG | None = None, run_conf: dict[str, Any] | None = None) -> Run:
        """Run ``dag.test()`` until the run is over or only waits for a retry."""
        import airflow.models.dagrun as dagrun

        if dag is not None:
            assert dag.dag_id == self.dag.dag_id
            self.dag = dag
        store_dag_in_db(self.dag)
        create, update_state = dagrun.get_or_create_dagrun, dagrun.DagRun.update_state

        def keep(*, dag: Any, session: Any, **new: Any) -> Any:
            found = self._dag_run(session, missing_ok=True)
            if found is None:
                return create(dag=dag, session=session, **{**new, "run_id": self.run_id})
            found.dag = dag
            return found

        def update_or_return(run: Any, *args: Any, **kwargs: Any) -> Any:
            schedulable, callback = update_state(run, *args, **kwargs)
            if not schedulable and "up_for_retry" in {ti.state for ti in run.get_task_instances()}:
                raise _NothingToDo
            return schedulable, callback

        with (
            patch.dict("os.environ", self._environment),
            patch.object(dagrun, "get_or_create_dagrun", keep),
            patch.object(dagrun.DagRun, "update_state", update_or_return),
            suppress(_NothingToDo),
        ):
            self.dag.test(run_conf=run_conf)
        return self

    def _dag_run(self, session: Any, *, missing_ok: bool = False) -> Any:
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == self.dag.dag_id, DagRun.run_id == self.run_id))
        assert missing_ok or run is not None, f"no run {self.run_id} of {self.dag.dag_id}"
        return run


def _name(ti: Any) -> str:
    return str(ti.task_id) if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"


def _split(name: str) -> tuple[str, int]:
    task_id, _, index = name.rstrip("]").partition("[")
    return task_id, int(index or -1)


def _task(row: Any) -> Task:
    return Task(state=None if row.state is None else str(row.state), try_number=row.try_number, max_tries=row.max_tries)


def store_dag_in_db(dag: DAG) -> None:
    """
    Write a DAG that was made in a test to the database, as the DAG processor does with one it finds in a file.

    ``dag.test()`` looks for it in the bundles' files otherwise, and no task may run without a stored DAG version.
    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    dag.validate()
    dag.relative_fileloc = f"{dag.dag_id}.py"
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.commit()
        errors: dict[tuple[str, str], str] = {}
        update_dag_parsing_results_in_db(
            "dags-folder",
            None,
            [LazyDeserializedDAG.from_dag(dag)],
            errors,
            None,
            set(),
            session=session,
        )
    assert not errors, errors


@pytest.fixture(scope="session")
def execution_api(airflow_db: None) -> Iterator[None]:
    """Build the execution API once per run: Airflow 3.1 does so for every start of a task, which takes 2 s each."""
    from airflow.sdk.execution_time import supervisor

    with patch.object(supervisor, "in_process_api_server", functools.cache(supervisor.in_process_api_server)):
        yield


@pytest.fixture
def store_dag(execution_api: None) -> Callable[[DAG], None]:
    """Return :func:`store_dag_in_db`, for tests that call ``dag.test()`` themselves."""
    return store_dag_in_db


class RunDag(Protocol):
    """What the fixture ``run_dag`` returns."""

    def __call__(
        self,
        dag: DAG,
        *,
        connection: str | None = None,
        conn_env: Mapping[str, str] | None = None,
        run_conf: dict[str, Any] | None = None,
    ) -> Run:
        """
        Run a DAG.

        :param connection: JSON or URI of the connection ``mediax_default``, for this run, its retries and its clears
            only.
        :param conn_env: more environment variables (``AIRFLOW_CONN_...``), for as long.
        :param run_conf: the run's ``conf``.
        """


@pytest.fixture
def run_dag(execution_api: None) -> RunDag:
    """Return a function that runs a DAG made in the test and returns a :class:`Run`."""

    def run(
        dag: DAG,
        *,
        connection: str | None = None,
        conn_env: Mapping[str, str] | None = None,
        run_conf: dict[str, Any] | None = None,
    ) -> Run:
        environment = dict(conn_env or {})
        if connection is not None:
            environment["AIRFLOW_CONN_MEDIAX_DEFAULT"] = connection
        return Run(dag, f"test__{next(_RUNS)}", environment)._drive(run_conf=run_conf)

    return run


def address_of(file: str) -> CosAddress:
    """Return bucket and key of a file of a manifest."""
    found = cos_address(file)
    assert found is not None, file
    return found


QUESTIONS, PERSISTENT = 5, 7
"""How often a look-up asks, and how often if no answer says whether there is a job."""


@pytest.fixture(autouse=True)
def quick_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask soon: how long the service is really given is shown with a clock of its own in the unit tests."""
    from airflow_provider_mediax.hooks.base import JobHook
    from airflow_provider_mediax.jobs import ownership

    monkeypatch.setattr(ownership, "PATIENCE", (0.0, 0.1, 0.2, 0.3, 0.4))
    monkeypatch.setattr(ownership, "LIST_LAG", 0.4)
    monkeypatch.setattr(ownership, "PERSISTENCE", (0.1, 0.1))
    monkeypatch.setattr(JobHook, "longest_send", 0.0)
