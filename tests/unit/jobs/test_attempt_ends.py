"""An attempt's edges: time that is up before the first question, what an error tells, what counts for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import pytest

from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Unavailable,
    WaitTimeout,
)
from airflow_provider_mediax.jobs.stored import WAIT_KEY, JobEvent
from airflow_provider_mediax.protocol.exchange import Flow
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
    task.ending(JobState.SUCCEEDED)
    task.begun()
    assert task.hook.patiences == [None, ONE_TRY, ONE_TRY]


@pytest.mark.parametrize("wrong", ["key", "namespace"])
def test_runs_share_a_job_by_key_and_namespace_alone(task: Task, wrong: str) -> None:
    task.terms = replace(task.terms, idempotency_key="song", wait_for_completion=False)
    first = task.begun()
    other = Task(hook=task.hook, instance=replace(task.instance, owner=replace(task.instance.owner, run_id="other")))
    other.terms = task.terms
    assert other.begun() == {**first, "owner": asdict(other.instance.owner), "reattached": True}
    if wrong == "key":
        other.terms = replace(task.terms, idempotency_key="another song")
    other.namespace = "staging" if wrong == "namespace" else task.namespace
    other.store = Store()
    assert other.begun()["job_id"] == "job-2"


def test_the_last_of_several_troubles_is_told(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    deferral = task.deferred()
    task.service.time.now = deferral.pending.deadline - 1.0
    troubles = [Unavailable("the first"), Unavailable("the second"), Unavailable("the last")]

    def failing(ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        raise troubles.pop(0) if len(troubles) > 1 else troubles[0]
        yield

    monkeypatch.setattr(task.service, "describe", failing)
    with pytest.raises(Unavailable, match="the last"):
        task.attempt().resume(FINAL)


@pytest.mark.parametrize("error", [Unavailable("503"), AuthenticationFailed("401", status=401, request_id="r-1")])
def test_what_the_triggerer_gave_up_for_is_told_with_all_facts(task: Task, error: MediaxError) -> None:
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
    assert task.begun()["reattached"] is False
    task.instance = replace(task.instance, try_number=2)
    assert task.begun()["reattached"] is True


def test_a_deadline_in_the_past_is_left_where_it_is(task: Task) -> None:
    task.instance = replace(task.instance, started=NOON - 100.0, execution_timeout=10.0)
    assert task.deferred().pending.deadline == NOON - 90.0
