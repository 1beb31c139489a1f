"""Promises 1 and 7 in bad weather: every request may fail, each job is bought once, and nobody asks too often."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.system.dag_source import SERVICES
from tests.system.ledger import DESCRIBES, LISTS, SUBMITS
from tests.system.runs import Run
from tests.system.stack import Stack

EACH, FULL = 40, 100
"""Mapped tasks of each service, and how many in the full tests; a fifth of it in each of several storms."""

WEATHER = {
    "500": 0.03,
    "502": 0.02,
    "503": 0.02,
    "504": 0.01,
    "500_after": 0.02,
    "drop_before": 0.05,
    "drop_after": 0.05,
    "429": 0.05,
    "truncated": 0.03,
    "slow": 0.02,
    "slow_after": 0.02,
}
"""Shares of requests: 10 % answer 5xx, 5 % are reset, 5 % lose their answer, 5 % must wait, others are late or cut."""

FAILING = sum(share for kind, share in WEATHER.items() if not kind.startswith("slow"))


def start(stack: Stack, each: int, **conf: Any) -> list[Run]:
    for number in range(each):
        stack.emulator.put_object(f"in/{number}.wav", stack.emulator.get_object("in/track.wav"))
    sources = [f"in/{number}.wav" for number in range(each)]
    return [run for dag in SERVICES for run in stack.trigger(f"{dag}_mapped", sources=sources, **conf)]


def test_many_jobs_in_a_storm(stack: Stack, copies: int, full: bool) -> None:
    each = (FULL if full else EACH) // (1 if copies == 1 else 5)
    for _ in range(copies):
        seed = random.randrange(2**32)
        print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
        stack.emulator.reset()
        stack.emulator.put_object("in/track.wav", stack.track)
        # After a submit without an answer a task asks until the request can no longer arrive: 39 s with these.
        stack.put_connection(connect_timeout=3, read_timeout=10)
        stack.emulator.durations("*", 5)
        stack.emulator.storm(seed, WEATHER, retry_after=1, seconds=3)
        runs = start(stack, each, poll_interval=2)
        for run in runs:
            run.wait_until("all tasks to end", lambda run: run.state in ("success", "failed"))
        stack.emulator.storm(seed, {})
        ledger = stack.ledger()
        several = {marker: count for marker, count in ledger.jobs_per_marker.items() if count > 1}
        assert not several
        assert len(ledger.jobs) == 2 * each
        assert not ledger.cancels
        states = [task.state for run in runs for name, task in run.tasks.items() if name != "sources"]
        assert states == ["success"] * (2 * each), states
        require_within_budget(stack, runs, each)


def require_within_budget(stack: Stack, runs: list[Run], each: int) -> None:
    """
    Count requests: a submit, its repetition where it was refused or lost, and the look-ups before that.

    A wait may ask once per interval of 2 s, once on defer, once on resume; what fails may be asked again. CI describes
    ten jobs at a time, so it stays far below.
    """
    ledger = stack.ledger()
    again = 1 / (1 - FAILING)
    submits = len(ledger.seen(*SUBMITS))
    assert submits <= 2 * each * again * 1.5, submits
    lost = sum(request["fault"] not in (None, "429", "slow", "slow_after") for request in ledger.seen(*SUBMITS))
    assert len(ledger.seen(*LISTS)) <= (7 * lost + 2 * each) * again * 1.5
    waited = sum(
        task.ended - task.started + 30
        for run in runs
        for name, task in run.tasks.items()
        if name != "sources" and task.ended and task.started
    )
    assert len(ledger.seen(*DESCRIBES)) <= (waited / 2 + 3 * 2 * each) * again


@pytest.mark.parametrize("minutes", [10, pytest.param(-10, marks=pytest.mark.full)])
def test_a_clock_that_is_ten_minutes_off(stack: Stack, copies: int, minutes: int) -> None:
    """The services refuse signatures of another time; each process learns once how far it is off."""
    stack.emulator.clock(minutes * 60, gateway_tolerance=60)
    stack.emulator.durations("*", 2)
    runs = [run for dag in (*SERVICES, *(f"{dag}_in_worker" for dag in SERVICES)) for run in stack.trigger(dag, copies)]
    for run in runs:
        run.wait("success")
        assert run.tasks["job"].try_number == 1
    verdict = stack.verdict(runs)
    assert {len(jobs) for jobs in verdict.jobs.values()} == {1}
    assert not verdict.without_owner
    assert not verdict.cancels
