"""Promise 4: a triggerer that stops, dies, doubles or hangs changes nothing at the services."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.system.dag_source import SERVICES
from tests.system.runs import Run
from tests.system.stack import Stack

WAITING, FULL = 10, 25
"""Jobs of each service that wait at once, and how many in the full tests."""

ENDS = pytest.mark.parametrize("end", ["kill", pytest.param("stop", marks=pytest.mark.full)])


def defer_many(stack: Stack, each: int) -> list[Run]:
    """Return one run per service, with ``each`` mapped tasks that are deferred while their jobs go on."""
    stack.emulator.durations("*", 3600)
    for number in range(each):
        stack.emulator.put_object(f"in/{number}.wav", stack.emulator.get_object("in/track.wav"))
    sources = [f"in/{number}.wav" for number in range(each)]
    options: dict[str, Any] = {"sources": sources, "poll_interval": 2, "wait_timeout": 86400}
    runs = [run for dag in SERVICES for run in stack.trigger(f"{dag}_mapped", **options)]
    for run in runs:
        run.wait_until(
            "all tasks to be deferred",
            lambda run: sum(task.state == "deferred" for task in run.tasks.values()) == each,
        )
    return runs


def polled_again(stack: Stack) -> None:
    """Wait until both services have been asked for jobs by whoever waits now."""
    for action in ("GetJob", "DescribeCiJobs"):
        before = len(stack.ledger().seen(action))
        stack.emulator_saw(action, count=before + 3)


def require_nothing_changed(stack: Stack, runs: list[Run]) -> None:
    """Let the jobs end, and check that every task has its one job in its first try."""
    ledger = stack.ledger()
    assert not ledger.cancels
    assert len(ledger.open_jobs) == len(ledger.jobs)
    stack.emulator.finish_jobs()
    for run in runs:
        run.wait("success")
        assert {task.try_number for task in run.tasks.values()} == {1}
    stack.verdict(runs).require_one_job_each()


@ENDS
def test_a_triggerer_that_ends_in_mid_wait_leaves_all_jobs_as_they_are(
    stack: Stack, copies: int, full: bool, end: str
) -> None:
    runs = defer_many(stack, FULL if full else WAITING)
    triggerer = stack.service("triggerer")
    for _ in range(copies):
        getattr(triggerer, end)()
        triggerer.start()
        polled_again(stack)
    require_nothing_changed(stack, runs)


@ENDS
def test_of_two_triggerers_one_ends_and_the_other_takes_over(stack: Stack, copies: int, end: str) -> None:
    runs = defer_many(stack, 5)
    names = ["triggerer", "triggerer-2"]
    for _ in range(copies):
        heir = stack.start_triggerer(names[1])
        getattr(stack.service(names[0]), end)()
        assert heir.running
        stack.wait_until("the other triggerer to have all triggers", lambda: len(set(stack.triggers().values())) == 1)
        polled_again(stack)
        names.reverse()
    require_nothing_changed(stack, runs)


def test_a_trigger_that_moves_while_its_triggerer_hangs_cancels_nothing(stack: Stack, copies: int) -> None:
    """Airflow 3.3 calls ``on_kill`` then, in the triggerer that has lost the trigger."""
    runs = defer_many(stack, 5)
    hanging, other = stack.service("triggerer"), stack.start_triggerer("triggerer-2")
    moves = 0
    for _ in range(3 * copies):
        before = stack.triggers()
        hanging.pause()
        since = datetime.now(UTC)
        stack.wait_until("the triggers to move", lambda: stack.triggers_have_triggerers(since))  # noqa: B023 - called at once
        # Where the machine is so busy that the other one has got them already, it must hang as well.
        moves += stack.triggers() != before
        hanging.resume()
        polled_again(stack)
        assert other.running
        hanging, other = other, hanging
        if moves == copies:
            break
    assert moves
    require_nothing_changed(stack, runs)
