"""Promises 4, 5 and 7: waiting survives failures, has one deadline and good manners."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, ProtocolError, Throttled, Unavailable
from airflow_provider_mediax.jobs.waiting import (
    FAILURE_BUDGET,
    Wait,
    absolute_deadline,
    batches,
    wait_flow,
)
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.jobs.fake_platform import COMPLETED, FakePlatform, service


def a_wait(**more) -> Wait:
    terms = {"job_ids": ["a"], "deadline": 10_000.0, "poll_interval": 5.0, "started": 0.0, "rng": lambda: 0.0}
    return Wait(**{**terms, **more})


def job(job_id: str = "a", state: JobState = JobState.OPEN, name: str = "PROCESSING") -> Job:
    return Job(id=job_id, state=state, state_name=name)


DONE = job(state=JobState.SUCCEEDED, name="COMPLETED")


def throttled(retry_after: float | None) -> Throttled:
    error = Throttled("slow down")
    error.retry_after = retry_after
    return error


def test_the_interval_grows_with_the_time_waited_to_a_minute():
    wait = a_wait()
    pauses = []
    for now in (1, 49, 100, 300, 600, 3000):
        wait.on_jobs([job()], now)
        pauses.append(wait.due - now)
    assert pauses == [5, 5, 10, 30, 60, 60]


def test_an_interval_above_a_minute_stays_the_users():
    wait = a_wait(poll_interval=300.0)
    wait.on_jobs([job()], 9000)
    assert wait.due == 9300


@given(now=st.floats(0, 1e6), jitter=st.floats(0, 1), interval=st.floats(0.1, 600))
def test_jitter_never_asks_earlier_than_told(now, jitter, interval):
    wait = a_wait(poll_interval=interval, deadline=1e9, rng=lambda: jitter)
    wait.on_jobs([job()], now)
    assert wait.due >= now + interval


@given(duration=st.floats(0, 5000), interval=st.floats(0.5, 60), jitter=st.floats(0, 1), latency=st.floats(0, 0.4))
def test_a_wait_asks_no_more_often_than_its_interval_allows(duration, interval, jitter, latency):
    wait = a_wait(poll_interval=interval, deadline=1e9, rng=lambda: jitter)
    now, polls = 0.0, 0
    while wait.ended(now) is None:
        now = max(now, wait.due)
        polls += 1
        wait.on_jobs([DONE if now >= duration else job()], now + latency)
    assert polls <= now / interval + 2  # with the question before the wait and the one after it: + 3, less one spare


def test_waits_taken_over_together_do_not_ask_together():
    assert a_wait(rng=lambda: 0.0).due == 0
    assert a_wait(rng=lambda: 1.0).due == 5


def test_a_change_is_reported_once():
    wait = a_wait()
    assert wait.on_jobs([job()], 1) == [job()]
    assert wait.on_jobs([job()], 2) == []
    assert wait.on_jobs([DONE], 3) == [DONE]


@pytest.mark.parametrize(
    ("state", "name"),
    [(JobState.SUCCEEDED, "COMPLETED"), (JobState.FAILED, "ERROR"), (JobState.CANCELED, "CANCELED")],
)
def test_a_final_state_ends_the_wait(state, name):
    wait = a_wait()
    wait.on_jobs([job(state=state, name=name)], 1)
    ended = wait.ended(1)
    assert (ended.status, ended.states) == ("final", {"a": name})


def test_an_unknown_state_is_waited_on_and_never_loops_without_a_pause():
    wait = a_wait()
    strange = job(state=JobState.UNKNOWN, name="9")
    assert wait.on_jobs([strange], 1) == [strange]
    assert "not a state that is known" in strange.summary
    assert wait.on_jobs([strange], 2) == []
    assert wait.ended(2) is None
    assert wait.due >= 7


def test_the_deadline_ends_the_wait_whatever_the_service_says():
    wait = a_wait(deadline=100.0)
    assert wait.next_turn <= 100
    assert wait.ended(99.9) is None
    assert wait.ended(100).status == "timeout"


def test_a_job_that_ends_at_the_deadline_is_final_and_not_late():
    wait = a_wait(deadline=100.0)
    wait.on_jobs([DONE], 100)
    assert wait.ended(100).status == "final"


@pytest.mark.parametrize("error", [Unavailable("x"), ProtocolError("x"), BadRequest("x")])
def test_failures_are_borne_until_the_budget_is_spent(error):
    wait = a_wait()
    now = 0.0
    for _ in range(FAILURE_BUDGET):
        assert wait.on_error(error, now) is None
        assert wait.due >= now + 5
        now = wait.due
    ended = wait.on_error(error, now)
    assert (ended.status, ended.error) == ("error", error)
    assert now > 300  # minutes, not moments


def test_a_success_refills_the_budget():
    wait = a_wait()
    for _ in range(5 * FAILURE_BUDGET):
        assert wait.on_error(Unavailable("x"), 0) is None
        wait.on_jobs([job()], 0)


def test_pauses_grow_while_failures_last():
    wait = a_wait()
    pauses = []
    for _ in range(6):
        wait.on_error(Unavailable("x"), 0)
        pauses.append(wait.due)
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_being_throttled_spends_no_budget_and_the_wish_is_kept():
    wait = a_wait()
    for _ in range(10 * FAILURE_BUDGET):
        assert wait.on_error(throttled(30.0), 0) is None
        assert wait.due >= 30
    assert wait.on_error(throttled(None), 0) is None
    assert wait.due >= 5


def test_a_wish_beyond_the_deadline_ends_the_wait_at_once():
    ended = a_wait(deadline=100.0).on_error(throttled(101.0), 0)
    assert isinstance(ended.error, Throttled)


def test_keys_that_never_worked_end_the_wait_at_once():
    assert isinstance(a_wait().on_error(AuthenticationFailed("x"), 0).error, AuthenticationFailed)


def test_keys_that_worked_may_be_exchanged_in_mid_wait():
    wait = a_wait()
    wait.on_jobs([job()], 0)
    for _ in range(FAILURE_BUDGET):
        assert wait.on_error(AuthenticationFailed("x"), 0) is None
    assert isinstance(wait.on_error(AuthenticationFailed("x"), 0).error, AuthenticationFailed)


def test_a_wait_for_several_jobs_ends_when_enough_are_final():
    wait = a_wait(job_ids=["a", "b", "c"], finish_at=2)
    wait.on_jobs([DONE], 1)
    assert wait.ended(1) is None
    assert wait.open_ids == ["b", "c"]
    wait.on_jobs([job("b", JobState.FAILED, "ERROR")], 2)
    assert wait.ended(2).status == "final"


def test_the_wait_in_a_worker_polls_until_the_end():
    platform = FakePlatform()
    job_id = platform.add("m")
    answer, changes = platform.answer, []

    def ending_at_the_third_poll(call):
        if platform.count("GetJob") == 2:
            platform.end(job_id, COMPLETED)
        return answer(call)

    platform.answer = ending_at_the_third_poll
    wait = a_wait(job_ids=[job_id], started=platform.now, deadline=platform.now + 100)
    flow = wait_flow(service(), wait, clock=lambda: platform.now, on_change=changes.append, on_trouble=pytest.fail)
    assert platform.run(flow, ONE_TRY).status == "final"
    assert [change.state_name for change in changes] == ["PROCESSING", "COMPLETED"]
    assert platform.count("GetJob") == 3


def test_the_wait_in_a_worker_bears_failures_and_ends_at_the_deadline():
    platform = FakePlatform()
    job_id = platform.add("m")
    platform.fail("GetJob", 500, "html", "refused", 429, "lost")
    troubles = []
    wait = a_wait(job_ids=[job_id], started=platform.now, deadline=platform.now + 200)
    ends_at = wait.deadline
    flow = wait_flow(
        service(), wait, clock=lambda: platform.now, on_change=lambda job: None, on_trouble=troubles.append
    )
    assert platform.run(flow, ONE_TRY).status == "timeout"
    assert len(troubles) == 5
    assert platform.now == pytest.approx(ends_at)


@pytest.mark.parametrize(("execution_timeout", "expected"), [(None, 1100.0), (50.0, 1040.0), (1000.0, 1100.0)])
def test_the_deadline_is_lowered_to_the_execution_timeout_counted_from_the_tasks_start(execution_timeout, expected):
    found = absolute_deadline(1000.0, 100.0, task_started=990.0, execution_timeout=execution_timeout)
    assert found == expected


def test_ids_are_cut_into_lists_that_one_call_takes():
    assert batches(["a", "b", "c"], 2) == [["a", "b"], ["c"]]
    assert batches([], 2) == []
