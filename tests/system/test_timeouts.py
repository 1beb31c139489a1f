"""Promise 5: one deadline per attempt; the next try adopts what passes it, and Airflow's own timeouts lose nothing."""

from __future__ import annotations

import pytest

from tests.system.dag_source import DEADLINE, SERVICES, jobs_run_on, write_dags
from tests.system.runs import Run
from tests.system.stack import Stack

MANY, FULL = 20, 50
"""Jobs of each service that end within a second of the deferral, and how many in the full tests."""

PATIENT = "retries=50, retry_delay=timedelta(hours=1), retry_policy=RETRY_POLICY, cancel_on_kill=False"
"""Every deadline leaves the job to the next try, which only the policy lets begin before an hour has passed."""

SMALL_NET = "import airflow_provider_mediax.triggers.base as base; base.NET_SECONDS = 2.0"
"""Lets Airflow's own timeout of a deferral strike two seconds after the deadline, instead of ten minutes."""


def start(stack: Stack, copies: int, name: str, options: str, prelude: str = "") -> list[Run]:
    """Start runs of DAGs that are written for a test."""
    dags = write_dags(stack, name, options, options, prelude=prelude)
    return [run for dag_id in dags for run in stack.trigger(dag_id, copies)]


def require_adoption(stack: Stack, runs: list[Run]) -> None:
    """Check that a later try took over the job of the first."""
    for run in runs:
        run.wait("success")
        assert run.tasks["job"].try_number > 1, run.describe()
        assert run.xcom("job")["reattached"]
    stack.verdict(runs).require_one_job_each()


@pytest.mark.parametrize(
    ("limit", "where"),
    [
        ("wait_timeout", "deferred"),
        ("execution_timeout", "in_worker"),
        pytest.param("wait_timeout", "in_worker", marks=pytest.mark.full),
        pytest.param("execution_timeout", "deferred", marks=pytest.mark.full),
    ],
)
def test_a_job_that_runs_on_at_the_deadline_is_adopted(stack: Stack, copies: int, where: str, limit: str) -> None:
    jobs_run_on(stack)
    value = DEADLINE if limit == "wait_timeout" else f"timedelta(seconds={DEADLINE})"
    options = f"{limit}={value}, deferrable={where == 'deferred'}, {PATIENT}"
    runs = start(stack, copies, f"{limit}_{where}", options)
    for run in runs:
        run.wait_until("the first try to end", lambda run: run.tasks["job"].try_number > 1)
    stack.emulator.finish_jobs()
    require_adoption(stack, runs)


@pytest.mark.parametrize("limit", ["wait_timeout", pytest.param("execution_timeout", marks=pytest.mark.full)])
def test_a_job_that_has_not_started_at_the_deadline_is_canceled_and_replaced(
    stack: Stack, copies: int, limit: str
) -> None:
    stack.emulator.durations("*", 0.5)
    stack.emulator.pause_queue()
    value = 4 if limit == "wait_timeout" else "timedelta(seconds=4)"
    options = f"{limit}={value}, retries=5, retry_delay=timedelta(seconds=2)"
    (dag_id,) = [dag for dag in write_dags(stack, f"queued_{limit}", options, options) if "Voice" in dag]
    runs = stack.trigger(dag_id, copies)
    stack.emulator_saw("CancelCiJobs", count=copies)
    stack.emulator.resume_queue()
    for run in runs:
        run.wait("success")
    states = [job["state"] for job in stack.ledger().jobs]
    assert states.count("Success") == copies
    assert set(states) == {"Cancel", "Success"}


def test_a_job_that_the_platform_times_out_fails_its_task_for_good(stack: Stack, copies: int) -> None:
    stack.emulator.durations("*", 3600)
    tags, _ = write_dags(stack, "job_timeout", "job_timeout=2", "")
    runs = stack.trigger(tags, copies)
    for run in runs:
        run.wait("failed")
        assert run.tasks["job"].try_number == 1
        assert "JobFailed" in run.log("job")
    assert len(stack.ledger().jobs) == copies


@pytest.mark.parametrize("over", [True, False])
def test_airflows_own_timeout_of_the_deferral_reads_the_job_before_anything_else(
    stack: Stack, copies: int, over: bool
) -> None:
    """It strikes when no triggerer has been there for long, and takes the job's id out of ``next_kwargs``."""
    stack.emulator.durations("*", 1 if over else 3600, waiting=0)
    options = f"wait_timeout={DEADLINE}, {PATIENT}"
    stack.service("triggerer").stop()
    runs = start(stack, copies, f"net_{over}", options, SMALL_NET)
    if over:
        for run in runs:
            run.wait("success")
            assert run.tasks["job"].try_number == 1
            assert "as DEFERRED" in run.log("job")
    else:
        for run in runs:
            run.wait_until("the first try to end", lambda run: "WaitTimeout" in run.log("job"))
            assert "as DEFERRED" in run.log("job", 1)
        stack.service("triggerer").start()
        stack.emulator.finish_jobs()
        for run in runs:
            run.wait("success")
    stack.verdict(runs).require_one_job_each()


def test_many_jobs_that_end_as_soon_as_their_tasks_have_deferred(stack: Stack, copies: int, full: bool) -> None:
    """An event that comes before the worker's supervisor has noticed the deferral would make Airflow fail the task."""
    stack.emulator.durations("*", 0.7)
    many = FULL if full else MANY
    for number in range(many):
        stack.emulator.put_object(f"in/{number}.wav", stack.emulator.get_object("in/track.wav"))
    sources = [f"in/{number}.wav" for number in range(many)]
    runs: list[Run] = []
    for _ in range(copies):
        new = [run for dag in SERVICES for run in stack.trigger(f"{dag}_mapped", sources=sources)]
        for run in new:
            run.wait("success")
            assert {task.try_number for task in run.tasks.values()} == {1}
        runs += new
    stack.verdict(runs).require_one_job_each()
