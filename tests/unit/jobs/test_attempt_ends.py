"""An attempt's edges: time that is up before the first question, what an error tells, what counts for whom."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_mediax.client.retry import ONE_TRY, Patience
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    ProtocolError,
    Unavailable,
    WaitTimeout,
)
from airflow_provider_mediax.jobs.ownership import Owned
from airflow_provider_mediax.jobs.stored import WAIT_KEY, JobEvent
from airflow_provider_mediax.jobs.waiting import Outcome
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.jobs.clocks import NOON
from tests.unit.jobs.fake_store import Store
from tests.unit.jobs.test_attempt import FINAL, Task


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.mark.parametrize("started", [True, False])
def test_time_that_is_up_before_the_first_question_is_a_timeout(task: Task, started: bool) -> None:
    """A slow submit or first look can use it up; what has not started is canceled all the same."""

    def slow(number: int) -> None:
        if number == 1:
            task.service.time.now += 2000.0
            if started:
                task.service.start("job-1")

    task.hook.before = slow
    with pytest.raises(WaitTimeout, match="still Running at the deadline" if started else "canceled the job") as caught:
        task.attempt().begin()
    assert caught.value.job_id == "job-1"
    assert task.service.count("cancel") == (not started)


def test_a_wait_bears_failures_by_its_own_budget_and_not_by_the_clients(task: Task) -> None:
    patiences, run = [], task.hook.run

    def noted(flow: Generator[Any, Any, Any], *patience: Patience) -> Owned | Outcome | dict[str, Job]:
        patiences.append(patience)
        return run(flow, *patience)

    task.hook.run = noted
    task.ending(JobState.SUCCEEDED)
    task.attempt().begin()
    assert patiences == [(), (ONE_TRY,), (ONE_TRY,)]


@pytest.mark.parametrize("wrong", ["key", "namespace"])
def test_runs_share_a_job_by_key_and_namespace_alone(task: Task, wrong: str) -> None:
    task.terms = replace(task.terms, idempotency_key="song", wait_for_completion=False)
    first = task.attempt().begin()
    other = Task(hook=task.hook, instance=replace(task.instance, owner=replace(task.instance.owner, run_id="other")))
    other.terms = task.terms
    assert other.attempt().begin() == {**first, "owner": {**first["owner"], "run_id": "other"}, "reattached": True}
    if wrong == "key":
        other.terms = replace(task.terms, idempotency_key="another song")
    attempt = other.attempt()
    attempt._namespace = "staging" if wrong == "namespace" else attempt._namespace
    other.store = None
    other.store = Store()
    attempt._store = other.store
    assert attempt.begin()["job_id"] == "job-2"


def test_the_last_of_several_troubles_is_told(task: Task) -> None:
    deferral = task.deferred()
    task.service.time.now = deferral.pending.deadline - 1.0
    troubles = [Unavailable("the first"), Unavailable("the second"), Unavailable("the last")]

    def failing(ids: list[str]) -> Iterator[None]:
        raise troubles.pop(0) if len(troubles) > 1 else troubles[0]
        yield

    task.service.describe = failing
    with pytest.raises(Unavailable, match="the last"):
        task.attempt().resume(FINAL)


@pytest.mark.parametrize("error", [Unavailable("503"), AuthenticationFailed("401", status=401, request_id="r-1")])
def test_what_the_triggerer_gave_up_for_is_told_with_all_facts(
    task: Task, error: AuthenticationFailed | Unavailable
) -> None:
    marker = task.deferred().pending.marker
    with pytest.raises((Unavailable, ProtocolError), match="given up") as caught:
        task.attempt().resume(JobEvent("error", {}, error).payload())
    told = caught.value
    assert (told.job_id, told.marker) == ("job-1", marker)
    assert (told.status, told.request_id) == (error.status, error.request_id)


def test_a_refusal_to_describe_is_told_with_marker_and_cause(task: Task) -> None:
    marker = task.deferred().pending.marker
    task.service.failing["describe"] = refused = BadRequest("no such job")
    with pytest.raises(ProtocolError) as caught:
        task.attempt().resume(FINAL)
    assert caught.value.marker == marker
    assert caught.value.__cause__ is refused


def test_the_log_says_why_the_notes_of_a_wait_cannot_be_read(task: Task) -> None:
    task.deferred()
    task.notes.values[WAIT_KEY] = {"schema": 99}
    task.attempt().resume(FINAL)
    assert "What this task waited for cannot be read (" in task.log.text


def test_an_adopted_job_says_so_also_without_waiting(task: Task) -> None:
    task.terms = replace(task.terms, wait_for_completion=False)
    assert task.attempt().begin()["reattached"] is False
    task.instance = replace(task.instance, try_number=2)
    assert task.attempt().begin()["reattached"] is True


def test_a_deadline_in_the_past_is_left_where_it_is(task: Task) -> None:
    task.instance = replace(task.instance, started=NOON - 100.0, execution_timeout=10.0)
    task.terms = replace(task.terms, deferrable=True)
    assert task.attempt().begin().pending.deadline == NOON - 90.0
