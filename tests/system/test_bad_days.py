"""Promises 1, 3, 4 and 6 on bad days: what operators of an account and of a cluster do while tasks submit and wait."""

from __future__ import annotations

import json

import pytest

from tests.system.dag_source import SERVICES, write_dags
from tests.system.ledger import DESCRIBES, SUBMITS
from tests.system.runs import Run
from tests.system.stack import Stack

WAITS, FULL = 60, 300
"""Waits that queue behind the limiter, and how many in the full tests."""

ROUND = 30
"""Seconds that the limiter needs to let each of them ask once, so that most polls queue while the keys change."""


def deferred(stack: Stack, copies: int) -> list[Run]:
    """Return runs of both services that wait in the triggerer for jobs without an end."""
    stack.emulator.durations("*", 3600)
    runs = [run for dag_id in SERVICES for run in stack.trigger(dag_id, copies)]
    for run in runs:
        run.wait_until("the trigger to run", lambda run: "Waiting for" in run.log("job"))
    return runs


def test_keys_that_are_exchanged_while_polls_queue_end_no_wait(stack: Stack, full: bool) -> None:
    each = FULL if full else WAITS
    stack.put_connection(requests_per_second=each / ROUND)
    stack.emulator.durations("*", 3600)
    sources = [f"in/{number}.wav" for number in range(each)]
    for source in sources:
        stack.emulator.put_object(source, stack.emulator.get_object("in/track.wav"))
    (run,) = stack.trigger("music_tag_mapped", sources=sources)
    run.wait_until(
        "every task to wait in the triggerer",
        lambda run: sum(task.state == "deferred" for task in run.tasks.values()) == each,
    )
    changed = json.loads(stack.emulator.rotate_keys())
    changed["extra"]["requests_per_second"] = each / ROUND
    stack.rest.put_connection("mediax_default", changed)
    stack.emulator_saw("GetJob", count=len(stack.ledger().seen("GetJob")) + each)
    stack.emulator.finish_jobs()
    run.wait("success")
    assert {task.try_number for task in run.tasks.values()} == {1}
    refused = [request for request in stack.ledger().seen("GetJob") if request["status"] in (401, 403)]
    # What was on its way when the keys changed, and what the triggerer needs to notice; not a round of all waits.
    assert len(refused) <= each / 3, len(refused)
    stack.verdict([run]).require_one_job_each()


def test_a_connection_that_is_missing_for_two_seconds_ends_no_wait(stack: Stack, copies: int) -> None:
    runs = deferred(stack, copies)
    connection = json.loads(stack.emulator.connection_json())
    stack.service("triggerer").kill()
    stack.rest.call("DELETE", "connections/mediax_default")
    stack.service("triggerer").start()
    for run in runs:
        run.wait_until("the missing connection to be noticed", lambda run: "trying again" in run.log("job"))
    stack.rest.put_connection("mediax_default", connection)
    stack.emulator.finish_jobs()
    for run in runs:
        run.wait("success")
        assert run.tasks["job"].try_number == 1
    stack.verdict(runs).require_one_job_each()


def test_a_kill_after_a_throttled_submit_buys_nothing_twice(stack: Stack, copies: int) -> None:
    """The list lags behind the submit, and the submit came long after the intent to send it."""
    stack.emulator.list_lag(5)
    for submit in SUBMITS:
        stack.emulator.fail_next(submit, "429", times=4, retry_after=1)
        stack.emulator.fail_next(submit, "slow_after", times=1, seconds=120)
    runs = [run for dag_id in SERVICES for run in stack.trigger(dag_id)]
    for run, submit in zip(runs, SUBMITS, strict=True):
        stack.emulator_saw(submit, fault="slow_after")
        run.kill_task("job")
    for run in runs:
        run.wait("success")
        assert run.tasks["job"].try_number == 2
    assert [len(jobs) for jobs in stack.verdict(runs).jobs.values()] == [1, 1]


def test_a_job_that_somebody_canceled_is_not_bought_again(stack: Stack, copies: int) -> None:
    stack.emulator.durations("*", 2)
    stack.emulator.outcome("*", "CANCELED", times=2 * copies)
    options = "retries=3, retry_delay=timedelta(seconds=1)"
    dags = write_dags(stack, "canceled", options, options)
    runs = [run for dag_id in dags for run in stack.trigger(dag_id, copies)]
    for run in runs:
        run.wait("failed")
        assert run.tasks["job"].try_number == 1
        assert "JobCanceled" in run.log("job")
    assert len(stack.ledger().jobs) == len(runs)


@pytest.mark.parametrize("where", ["running", "deferred"])
def test_a_worker_that_shuts_down_does_not_end_the_task_for_good(stack: Stack, copies: int, where: str) -> None:
    """It cancels the separation that waits in its queue; the next try replaces that one, which has cost nothing."""
    stack.emulator.durations("*", 1)
    stack.emulator.pause_queue()
    suffix = "_in_worker" if where == "running" else ""
    runs = stack.trigger(f"voice_separation{suffix}", copies)
    for run in runs:
        run.wait_until("the job's id", lambda run: run.xcom("job", "job_id"))
        if where == "running":
            run.terminate_task("job")
    if where == "running":
        stack.emulator_saw("CancelCiJobs", count=copies)
    else:
        stack.service("triggerer").stop()
        stack.service("triggerer").start()
    stack.emulator.resume_queue()
    for run in runs:
        run.wait("success")
    states = sorted(job["state"] for job in stack.ledger().jobs)
    assert states == ["Cancel"] * (copies if where == "running" else 0) + ["Success"] * copies
    assert not [request for request in stack.ledger().seen(*DESCRIBES) if request["status"] == 400]
