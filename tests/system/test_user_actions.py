"""Promises 1, 2 and 6: what users do to tasks cancels what it should, and buys only what was asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.system.dag_source import DEADLINE, SERVICES, jobs_run_on, write_dags
from tests.system.runs import Run
from tests.system.stack import Stack

QUICK: dict[str, Any] = {"poll_interval": 0.5}

MARKED = pytest.mark.parametrize("state", ["failed", pytest.param("success", marks=pytest.mark.full)])
"""What a user may mark a task that waits."""


def deferred(stack: Stack, copies: int, *dags: str, **conf: Any) -> list[Run]:
    """Return runs that wait in the triggerer; separations wait in their queue, where they can still be canceled."""
    stack.emulator.durations("*", 3600)
    stack.emulator.pause_queue()
    runs = [run for dag_id in dags or SERVICES for run in stack.trigger(dag_id, copies, **QUICK, **conf)]
    for run in runs:
        run.wait("deferred")
    for run in runs:
        # A kill before the triggerer has taken the trigger reaches nobody.
        run.wait_until("the trigger to run", lambda run: "Waiting for" in run.log("job"))
    return runs


def rotate_keys(stack: Stack) -> None:
    """Give the account new keys, and the connection a little later."""
    stack.rest.put_connection("mediax_default", json.loads(stack.emulator.rotate_keys()))


def go_on(stack: Stack) -> None:
    """Let the queue go on and all jobs end, also those to come."""
    stack.emulator.durations("*", 0.5)
    stack.emulator.resume_queue()
    stack.emulator.finish_jobs()


def clear_all(runs: Sequence[Run]) -> dict[Run, str]:
    """Clear the task of each run, wait until each has another job, and return the ids of those from before."""
    first = {run: run.xcom("job", "job_id") for run in runs}
    for run in runs:
        run.clear("job")
    for run in runs:
        run.wait_until("the new job", lambda run: run.xcom("job", "job_id") not in (None, first[run]))
    return first


def states_of(stack: Stack, runs: Sequence[Run]) -> list[list[str]]:
    """Return the states of each run's jobs, oldest first, found by the owner that the stack's records name."""
    ledger = stack.ledger()
    found = []
    for run in runs:
        record = run.stored("job")
        ids = [*(earlier["job_id"] for earlier in record["earlier"]), *record["abandoned"], record["job_id"]]
        found.append([job["state"] for job_id in ids for job in ledger.jobs if job["id"] == job_id])
    return found


def require(stack: Stack, runs: Sequence[Run], *states: str, cancels: int = 0) -> None:
    """Check that these, and no others, are the states of the jobs of each run, and that each was canceled so often."""
    for run, seen in zip(runs, states_of(stack, runs), strict=True):
        assert seen == list(states), run.describe()
    ledger = stack.ledger()
    assert len(ledger.jobs) == len(runs) * len(states)
    assert len(ledger.cancels) == len(runs) * cancels


@MARKED
def test_marking_a_deferred_task_cancels_a_job_that_has_not_started(stack: Stack, copies: int, state: str) -> None:
    runs = deferred(stack, copies, "voice_separation")
    for run in runs:
        run.mark("job", state)
    for run in runs:
        run.wait_until("the job to be canceled", lambda run: states_of(stack, [run]) == [["Cancel"]])
    require(stack, runs, "Cancel", cancels=1)


@MARKED
def test_marking_a_deferred_task_of_the_music_platform_leaves_its_job_and_says_so(
    stack: Stack, copies: int, state: str
) -> None:
    runs = deferred(stack, copies, "music_tag")
    for run in runs:
        run.mark("job", state)
    for run in runs:
        run.wait_until("the log to say so", lambda run: "no call to cancel it" in run.log("job"))
    go_on(stack)
    for run in runs:
        run.wait_until("the job to end", lambda run: states_of(stack, [run]) == [["COMPLETED"]])
    require(stack, runs, "COMPLETED")


def test_marking_a_deferred_task_leaves_a_job_that_runs(stack: Stack, copies: int) -> None:
    stack.emulator.outcome("VoiceSeparate", "NEVER", times=copies)
    stack.emulator.durations("*", 0)
    runs = stack.trigger("voice_separation", copies, **QUICK)
    for run in runs:
        run.wait_until("the trigger to run", lambda run: "Waiting for" in run.log("job"))
        run.mark("job", "failed")
    for run in runs:
        run.wait_until("the log to say so", lambda run: "goes on and costs money" in run.log("job"))
    assert [cancel["accepted"] for cancel in stack.ledger().cancels] == [False] * copies


@MARKED
def test_marking_a_task_that_waits_in_its_slot_cancels_its_job(stack: Stack, copies: int, state: str) -> None:
    stack.emulator.pause_queue()
    runs = stack.trigger("voice_separation_in_worker", copies, **QUICK)
    for run in runs:
        run.wait_until("the job to be there", lambda run: run.xcom("job", "job_id"))
        run.mark("job", state)
    for run in runs:
        run.wait_until("the job to be canceled", lambda run: states_of(stack, [run]) == [["Cancel"]])
    require(stack, runs, "Cancel", cancels=1)


def test_clearing_a_deferred_task_replaces_its_job_and_cancels_what_has_not_started(stack: Stack, copies: int) -> None:
    runs = deferred(stack, copies, "voice_separation")
    clear_all(runs)
    go_on(stack)
    for run in runs:
        run.wait("success")
    require(stack, runs, "Cancel", "Success", cancels=1)


def test_clearing_a_deferred_task_of_the_music_platform_buys_one_more_job_and_names_the_first(
    stack: Stack, copies: int
) -> None:
    runs = deferred(stack, copies, "music_tag")
    first = clear_all(runs)
    for run in runs:
        assert f"The job from before the clear ({first[run]}) is left as it is" in run.log("job")
    go_on(stack)
    for run in runs:
        run.wait("success")
    require(stack, runs, "COMPLETED", "COMPLETED")


def test_clearing_a_deferred_task_with_reuse_keeps_its_job(stack: Stack, copies: int) -> None:
    runs = deferred(stack, copies, on_clear="reuse")
    for run in runs:
        run.clear("job")
    for run in runs:
        run.wait_until("the second try to wait", lambda run: _waits(run, 2))
    go_on(stack)
    for run in runs:
        run.wait("success")
        assert run.xcom("job")["reattached"]
    stack.verdict(runs).require_one_job_each()


def test_clearing_a_task_that_waits_in_its_slot_ends_with_one_job_done(stack: Stack, copies: int) -> None:
    """Airflow moves the generation or not, by what the executor reports; both are allowed."""
    for _ in range(copies):  # one after the other: there are slots for six
        stack.emulator.durations("*", 3600)
        stack.emulator.pause_queue()
        runs = [run for dag_id in SERVICES for run in stack.trigger(f"{dag_id}_in_worker", **QUICK)]
        for run in runs:
            run.wait_until("the job to be there", lambda run: run.xcom("job", "job_id"))
            run.clear("job")
        for run in runs:
            run.wait_until(
                "the next try to have its job",
                lambda run: run.tasks["job"].try_number > 1 and run.xcom("job", "job_id"),
            )
        go_on(stack)
        for run in runs:
            run.wait("success")
            (states,) = states_of(stack, [run])
            done = [state for state in states if state in ("COMPLETED", "Success")]
            assert len(states) <= 2
            assert len(done) >= 1
            if run.dag_id.startswith("voice_separation"):
                assert states == ["Cancel", "Success"]


@pytest.mark.parametrize(("on_clear", "bought"), [("rerun", 2), ("reuse", 1)])
def test_clearing_a_task_that_has_succeeded(stack: Stack, copies: int, on_clear: str, bought: int) -> None:
    stack.emulator.durations("*", 0.5)
    runs = [run for dag_id in SERVICES for run in stack.trigger(dag_id, copies, **QUICK, on_clear=on_clear)]
    for run in runs:
        # A clear leaves the state of a run alone that has not ended. If the scheduler, which still knows the task as
        # done, ends the run at that moment, the cleared task never starts.
        run.wait_until("the run to end", lambda run: run.state == "success")
        run.clear("job")
    for run in runs:
        run.wait_until(
            "the second try to succeed",
            lambda run: run.tasks["job"].try_number == 2 and run.states["job"] == "success",
        )
    ledger = stack.ledger()
    assert len(ledger.jobs) == bought * len(runs)
    assert not ledger.cancels


@pytest.mark.parametrize(("on_clear", "bought"), [("rerun", 2), ("reuse", 1)])
def test_a_run_that_is_deleted_and_made_again(stack: Stack, on_clear: str, bought: int, copies: int) -> None:
    """
    A deleted run asks for its work again, as a clear does; with ``reuse`` it finds what it has paid for.

    A later try of the new run may take the deleted run's job even with ``rerun``: it looks for the marker, which both
    runs share. There is one only where Airflow has lost the first.
    """
    stack.emulator.durations("*", 0.5)
    names = [(dag_id, f"again_{on_clear}_{number}") for number in range(copies) for dag_id in SERVICES]
    for adopts, most in ((False, 1), (on_clear == "reuse", bought)):
        runs = [stack.trigger(dag_id, run_id=run_id, **QUICK, on_clear=on_clear)[0] for dag_id, run_id in names]
        for run in runs:
            run.wait_until("the run to end", lambda run: run.state == "success")
            manifest, jobs = run.xcom("job"), stack.jobs_of(run.xcom("job")["marker"])
            if run.tasks["job"].try_number == 1:
                assert (manifest["reattached"], len(jobs)) == (adopts, most)
            assert 1 <= len(jobs) <= most
            run.delete()


def test_deleting_a_run_cancels_the_job_that_a_deferred_task_of_it_has_in_the_queue(stack: Stack, copies: int) -> None:
    runs = deferred(stack, copies, "voice_separation")
    for run in runs:
        run.delete()
    stack.emulator_saw("CancelCiJobs", count=copies)
    assert {job["state"] for job in stack.ledger().jobs} == {"Cancel"}


def test_an_edit_of_retries_between_two_tries_buys_nothing(stack: Stack, copies: int) -> None:
    jobs_run_on(stack)
    before = f"retries=2, retry_delay=timedelta(hours=1), wait_timeout={DEADLINE}"
    dags = write_dags(stack, "edited", before, before)
    runs = [run for dag_id in dags for run in stack.trigger(dag_id, copies)]
    for run in runs:
        run.wait("up_for_retry")
    after = "retries=4, retry_delay=timedelta(seconds=1), wait_timeout=600"
    write_dags(stack, "edited", after, after)
    stack.emulator.finish_jobs()
    for run in runs:
        run.wait("success")
        assert run.tasks["job"].try_number == 2
    verdict = stack.verdict(runs)
    assert {len(jobs) for jobs in verdict.jobs.values()} == {1}
    assert verdict.submits == len(runs)


def test_keys_that_are_rotated_between_two_tries_buy_nothing(stack: Stack, copies: int) -> None:
    jobs_run_on(stack)
    options = {**QUICK, "wait_timeout": DEADLINE}
    runs = [run for dag_id in SERVICES for run in stack.trigger(f"{dag_id}_in_worker", copies, **options)]
    for run in runs:
        run.wait_until("the first try to end", lambda run: "WaitTimeout" in run.log("job"))
    rotate_keys(stack)
    stack.emulator.finish_jobs()
    for run in runs:
        run.wait("success")
    assert len(stack.ledger().jobs) == len(runs)


def test_keys_that_are_rotated_while_a_task_is_deferred_are_looked_up_again(stack: Stack, copies: int) -> None:
    runs = deferred(stack, copies)
    rotate_keys(stack)
    go_on(stack)
    for run in runs:
        run.wait("success")
        assert run.tasks["job"].try_number == 1
    stack.verdict(runs).require_one_job_each()


def test_a_request_that_renders_differently_on_a_retry_is_refused_and_buys_nothing(stack: Stack, copies: int) -> None:
    stack.emulator.durations("*", 3600)
    options = f"retries=2, retry_delay=timedelta(seconds=1), wait_timeout={DEADLINE}, cancel_on_kill=False"
    dags = write_dags(
        stack,
        "changing",
        f"""{options}, tag_types="{{{{ 'mood' if ti.try_number == 1 else 'genre' }}}}\"""",
        f"""{options}, destination="{{{{ 'one' if ti.try_number == 1 else 'two' }}}}\"""",
    )
    runs = [run for dag_id in dags for run in stack.trigger(dag_id, copies)]
    for run in runs:
        run.wait("failed")
        assert run.tasks["job"].try_number == 2
        assert "RequestChanged" in run.log("job")
    assert len(stack.ledger().jobs) == len(runs)


def test_runs_that_share_a_key_share_one_job_and_none_cancels_it_for_the_others(stack: Stack, copies: int) -> None:
    for number, dag_id in enumerate(SERVICES):
        (first,) = deferred(stack, 1, dag_id, idempotency_key=f"song-{number}")
        # Not in the same instant: nobody could know of the other's job yet.
        others = deferred(stack, copies, dag_id, idempotency_key=f"song-{number}")
        first.mark("job", "failed")
        first.wait("failed")
        go_on(stack)
        for run in others:
            run.wait("success")
        ledger = stack.ledger()
        assert not ledger.cancels
        assert len(ledger.jobs) == number + 1


def _waits(run: Run, try_number: int) -> bool:
    task = run.tasks["job"]
    return task.try_number == try_number and task.state == "deferred"
