"""Promise 1: a worker that dies at any moment of a job's life loses no job and buys no second one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.system.blackhole import Blackhole
from tests.system.dag_source import SERVICES
from tests.system.ledger import DESCRIBES, SUBMITS
from tests.system.runs import Run
from tests.system.stack import Stack

HELD_SECONDS = 120.0
"""How long an answer is held back: longer than any of these tests lets its worker live."""


def start(stack: Stack, copies: int, suffix: str = "") -> list[Run]:
    """Start runs of both services."""
    return [run for dag_id in SERVICES for run in stack.trigger(f"{dag_id}{suffix}", copies)]


def kill_each(stack: Stack, runs: Iterable[Run], ready: Callable[[Run], object], how: str = "kill_task") -> None:
    """Kill the worker of each run at its moment; they come in their own order, six at a time."""
    left = list(runs)

    def kill_those_ready() -> bool:
        for run in [run for run in left if ready(run)]:
            getattr(run, how)("job")
            left.remove(run)
        return not left

    stack.wait_until("the moment to kill each worker", kill_those_ready)


def has_submitted(stack: Stack, fault: str) -> Callable[[Run], object]:
    """Tell whether the service has taken a run's submit, of which this fault keeps the answer back."""

    def look(run: Run) -> object:
        marker = run.marker("job")
        return marker and stack.ledger().seen(*SUBMITS, marker=marker, fault=fault)

    return look


def require_adoption(stack: Stack, runs: list[Run], *, reattached: bool = True) -> None:
    """Check that the second try of each run has its one job, taken over from the first."""
    for run in runs:
        run.wait("success")
        assert run.tasks["job"].try_number == 2, run.describe()
        assert run.xcom("job")["reattached"] == reattached, run.describe()
    stack.verdict(runs).require_one_job_each()


def test_before_the_submit_arrives(stack: Stack, copies: int) -> None:
    killed: list[Run] = []
    with Blackhole() as nowhere:
        for _ in range(copies):  # one after the other, so that no second try finds the connection still leading nowhere
            stack.put_connection(host=nowhere.url, cos_endpoint=nowhere.url)
            runs = start(stack, 1)
            kill_each(stack, runs, lambda run: (marker := run.marker("job")) and nowhere.has(marker))
            stack.put_connection()
            killed += runs
            require_adoption(stack, killed, reattached=False)


@pytest.mark.parametrize(("how", "lag"), [("kill_worker", 0), ("kill_task", 5)])
def test_after_the_service_has_taken_the_submit_and_before_its_answer(
    stack: Stack, copies: int, how: str, lag: int
) -> None:
    stack.emulator.list_lag(lag)
    for submit in SUBMITS:
        stack.emulator.fail_next(submit, "slow_after", times=copies, seconds=HELD_SECONDS)
    runs = start(stack, copies)
    kill_each(stack, runs, has_submitted(stack, "slow_after"), how)
    require_adoption(stack, runs)


def test_while_it_looks_for_a_job_whose_answer_was_lost(stack: Stack, copies: int) -> None:
    stack.emulator.list_lag(5)
    for submit in SUBMITS:
        stack.emulator.fail_next(submit, "drop_after", times=copies)
    runs = start(stack, copies)
    kill_each(stack, runs, has_submitted(stack, "drop_after"))
    require_adoption(stack, runs)


def test_while_it_waits_in_its_slot(stack: Stack, copies: int) -> None:
    stack.emulator.durations("*", 3600)
    runs = start(stack, copies, "_in_worker")
    kill_each(stack, runs, lambda run: run.xcom("job", "job_id"))
    stack.emulator.finish_jobs()
    require_adoption(stack, runs)


def test_while_it_collects(stack: Stack, copies: int) -> None:
    stack.emulator.durations("*", 3600)
    killed: list[Run] = []
    for _ in range(copies):  # one after the other, so that a fault of a service can hit only the run it is meant for
        runs = start(stack, 1)
        for run in runs:
            run.wait("deferred")
        stack.emulator.finish_jobs()
        resumed: set[Run] = set()
        kill_each(stack, runs, lambda run: _collects(stack, run, resumed))  # noqa: B023 - called at once
        killed += runs
        require_adoption(stack, killed)


def _collects(stack: Stack, run: Run, resumed: set[Run]) -> bool:
    """Hold back what the resumed worker asks for, and tell whether it has asked: the trigger has had its answer."""
    describe = DESCRIBES[SERVICES.index(run.dag_id)]
    if run not in resumed and run.tasks["job"].state in ("scheduled", "queued", "running"):
        stack.emulator.fail_next(describe, "slow_after", seconds=HELD_SECONDS)
        resumed.add(run)
    job_id = run.xcom("job", "job_id")
    return bool(job_id and any(seen["fault"] for seen in stack.ledger().about(job_id, describe)))
