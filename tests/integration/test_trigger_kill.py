"""
Promise 6, the trigger's side: what Airflow's own execution API says of a task, as the guard of ``on_kill`` asks it.

Only the way to the supervisor is replaced: what the triggerer's process would send through its socket is put to the
real API in this process.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.api.datamodels._generated import TaskStatesResponse
from airflow.sdk.execution_time.comms import GetTaskStates

from airflow_provider_mediax.triggers import kill
from airflow_provider_mediax.triggers.kill import is_over
from tests.integration.conftest import Run, RunDag


class Supervisor:
    """Carries the question of a trigger to the execution API, as the triggerer's supervisor does."""

    def __init__(self) -> None:
        from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

        self.client = InProcessTestSupervisor._api_client()
        self.asked: list[GetTaskStates] = []

    def send(self, message: GetTaskStates) -> TaskStatesResponse:
        self.asked.append(message)
        found: TaskStatesResponse = self.client.task_instances.get_task_states(
            dag_id=message.dag_id,
            map_index=message.map_index,
            task_ids=message.task_ids,
            task_group_id=message.task_group_id,
            logical_dates=message.logical_dates,
            run_ids=message.run_ids,
        )
        return found


@pytest.fixture
def supervisor(execution_api: None, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    from airflow.sdk.execution_time import task_runner

    monkeypatch.setattr(kill, "STATE_SECONDS", 120.0)  # a busy machine takes its time
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


def waiting(run: Run, task_id: str, map_index: int | None = -1) -> SimpleNamespace:
    return SimpleNamespace(dag_id=run.dag.dag_id, run_id=run.run_id, task_id=task_id, map_index=map_index)


def set_state(run: Run, task_id: str, state: str | None, map_index: int = -1) -> None:
    from airflow.utils.session import create_session

    with create_session() as session:
        for ti in run._dag_run(session).get_task_instances(session=session):
            if (ti.task_id, ti.map_index) == (task_id, map_index):
                ti.state = state


@pytest.fixture
def run(run_dag: RunDag) -> Run:
    with DAG(dag_id="guarded") as dag:

        @task
        def one() -> None:
            """End at once."""

        @task
        def many(number: int) -> None:
            """End at once, several times."""

        one()
        many.expand(number=[1, 2])
    return run_dag(dag)


@pytest.mark.parametrize("map_index", [-1, None])
async def test_the_guard_knows_a_task_that_is_over_from_one_that_is_not(
    run: Run, supervisor: Supervisor, map_index: int | None
) -> None:
    over = ("success", "failed", "skipped", "removed", "upstream_failed")
    open_ = ("deferred", "scheduled", "queued", "running", "up_for_retry", None)
    for state in (*over, *open_):
        set_state(run, "one", state)
        assert await is_over(waiting(run, "one", map_index)) is (state in over), state
    assert supervisor.asked
    assert all(message.run_ids == [run.run_id] for message in supervisor.asked)


async def test_the_guard_tells_mapped_tasks_apart(run: Run, supervisor: Supervisor) -> None:
    set_state(run, "many", "deferred", map_index=0)
    set_state(run, "many", "failed", map_index=1)
    assert await is_over(waiting(run, "many", 0)) is False
    assert await is_over(waiting(run, "many", 1)) is True


async def test_a_task_of_a_run_that_is_gone_is_over(run: Run, supervisor: Supervisor) -> None:
    gone = waiting(run, "one")
    gone.run_id = "another"
    assert await is_over(gone) is True
