"""Promises 4, 5 and 7: waiting survives failures, has one deadline and good manners."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mediax.client import clock
from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.jobs.schedule import ENOUGH, Durations
from airflow_provider_mediax.jobs.waiting import (
    FAILURE_BUDGET,
    SPREAD,
    Outcome,
    Wait,
    absolute_deadline,
    batches,
    wait_flow,
)
from airflow_provider_mediax.protocol.exchange import Call, JsonObject, Pause, Reply
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.jobs.clocks import NOON, Time
from tests.unit.jobs.fake_platform import COMPLETED, FakePlatform, service
from tests.unit.jobs.tasks import no_trouble


def a_wait(**more: Any) -> Wait:
    terms: dict[str, Any] = {
        "job_ids": ["a"],
        "deadline": 10_000.0,
        "poll_interval": 5.0,
        "started": 0.0,
        "rng": lambda: 0.0,
    }
    return Wait(**{**terms, **more})


def job(job_id: str = "a", state: JobState = JobState.OPEN, name: str = "PROCESSING") -> Job:
    return Job(id=job_id, state=state, state_name=name)


DONE = job(state=JobState.SUCCEEDED, name="COMPLETED")


def the_end(outcome: Outcome | None) -> Outcome:
    """Return what a wait has ended with."""
    assert outcome is not None
    return outcome


def no_change(job: Job) -> NoReturn:
    raise AssertionError(f"{job.summary}, which nobody has asked for")


def throttled(retry_after: float | None) -> Throttled:
    error = Throttled("slow down")
    error.retry_after = retry_after
    return error


def test_the_interval_is_a_quarter_of_the_age_as_long_as_nothing_is_learned() -> None:
    wait = a_wait()
    pauses = []
    for now in (1, 20, 40, 100, 600, 3000):
        wait.on_jobs([job()], now)
        pauses.append(wait.due - now)
    assert pauses == [5, 5, 10, 25, 34, 34]


def test_the_age_counts_from_the_jobs_creation_and_not_from_the_wait() -> None:
    wait = a_wait(started=1000.0, moment=lambda epoch: epoch - NOON)
    wait.on_jobs([replace(job(), created_at=datetime.fromtimestamp(NOON + 900, UTC))], 1010)
    assert wait.due == 1010 + 110 / 4


def test_a_service_whose_clock_is_ahead_makes_no_job_younger_than_its_wait() -> None:
    wait = a_wait(moment=lambda epoch: epoch - NOON)
    wait.on_jobs([replace(job(), created_at=datetime.fromtimestamp(NOON + 900, UTC))], 100)
    assert wait.due == 125


def test_nothing_is_asked_while_an_answer_is_of_no_use() -> None:
    assert a_wait(not_before=11.0).due == 11
    wait = a_wait(not_before=11.0)
    wait.on_jobs([job()], 1)
    assert wait.due == 11


def test_a_job_that_was_just_described_is_not_asked_for_at_once() -> None:
    assert a_wait(known=job()).due == 5


def test_the_end_of_a_job_is_learned_by_what_the_service_says() -> None:
    learned = Durations()
    for number in range(ENOUGH):
        wait = a_wait(schedule=learned, started=1000.0 * number, moment=lambda epoch: epoch - NOON)
        created = datetime.fromtimestamp(NOON + 1000 * number, UTC)
        ended = replace(DONE, created_at=created, completed_at=created + timedelta(seconds=400 + number))
        wait.on_jobs([ended], 1000 * number + 990)  # found late, which changes nothing
    assert learned.gap(10.0, 5.0, 0.0) == pytest.approx(391, abs=3)


def test_an_interval_above_a_minute_stays_the_users() -> None:
    wait = a_wait(poll_interval=300.0)
    wait.on_jobs([job()], 9000)
    assert wait.due == 9300


@given(now=st.floats(0, 1e6), jitter=st.floats(0, 1), interval=st.floats(0.1, 600))
def test_jitter_never_asks_earlier_than_told(now: float, jitter: float, interval: float) -> None:
    wait = a_wait(poll_interval=interval, deadline=1e9, rng=lambda: jitter)
    wait.on_jobs([job()], now)
    assert wait.due >= now + interval


@given(duration=st.floats(0, 5000), interval=st.floats(0.5, 60), jitter=st.floats(0, 1), latency=st.floats(0, 0.4))
def test_a_wait_asks_no_more_often_than_its_interval_allows(
    duration: float, interval: float, jitter: float, latency: float
) -> None:
    wait = a_wait(poll_interval=interval, deadline=1e9, rng=lambda: jitter)
    now, polls = 0.0, 0
    while wait.ended(now) is None:
        now = max(now, wait.due)
        polls += 1
        wait.on_jobs([DONE if now >= duration else job()], now + latency)
    assert polls <= now / interval + 2  # with the question before the wait and the one after it: + 3, less one spare


def test_waits_taken_over_together_do_not_ask_together() -> None:
    assert a_wait(rng=lambda: 0.0).due == 0
    assert a_wait(rng=lambda: 1.0).due == SPREAD
    assert a_wait(rng=lambda: 1.0, poll_interval=0.1).due == 0.1


def test_a_change_is_reported_once() -> None:
    wait = a_wait()
    assert wait.on_jobs([job()], 1) == [job()]
    assert wait.on_jobs([job()], 2) == []
    assert wait.on_jobs([DONE], 3) == [DONE]


@pytest.mark.parametrize(
    ("state", "name"),
    [(JobState.SUCCEEDED, "COMPLETED"), (JobState.FAILED, "ERROR"), (JobState.CANCELED, "CANCELED")],
)
def test_a_final_state_ends_the_wait(state: JobState, name: str) -> None:
    wait = a_wait()
    wait.on_jobs([job(state=state, name=name)], 1)
    ended = the_end(wait.ended(1))
    assert (ended.status, ended.states) == ("final", {"a": name})


def test_an_unknown_state_is_waited_on_and_never_loops_without_a_pause() -> None:
    wait = a_wait()
    strange = job(state=JobState.UNKNOWN, name="9")
    assert wait.on_jobs([strange], 1) == [strange]
    assert "not a state that is known" in strange.summary
    assert wait.on_jobs([strange], 2) == []
    assert wait.ended(2) is None
    assert wait.due >= 7


def test_the_deadline_ends_the_wait_whatever_the_service_says() -> None:
    wait = a_wait(deadline=100.0)
    assert wait.next_turn <= 100
    assert wait.ended(99.9) is None
    assert the_end(wait.ended(100)).status == "timeout"


def test_a_job_that_ends_at_the_deadline_is_final_and_not_late() -> None:
    wait = a_wait(deadline=100.0)
    wait.on_jobs([DONE], 100)
    assert the_end(wait.ended(100)).status == "final"


@pytest.mark.parametrize("error", [Unavailable("x"), ProtocolError("x"), BadRequest("x")])
def test_failures_are_borne_until_the_budget_is_spent(error: MediaxError) -> None:
    wait = a_wait()
    now = 0.0
    for _ in range(FAILURE_BUDGET):
        assert wait.on_error(error, now) is None
        assert wait.due >= now + 5
        now = wait.due
    ended = the_end(wait.on_error(error, now))
    assert (ended.status, ended.error) == ("error", error)
    assert now > 300  # minutes, not moments


def test_a_success_refills_the_budget() -> None:
    wait = a_wait()
    for _ in range(5 * FAILURE_BUDGET):
        assert wait.on_error(Unavailable("x"), 0) is None
        wait.on_jobs([job()], 0)


def test_pauses_grow_while_failures_last() -> None:
    wait = a_wait()
    pauses = []
    for _ in range(6):
        wait.on_error(Unavailable("x"), 0)
        pauses.append(wait.due)
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_being_throttled_spends_no_budget_and_the_wish_is_kept() -> None:
    wait = a_wait()
    for _ in range(10 * FAILURE_BUDGET):
        assert wait.on_error(throttled(30.0), 0) is None
        assert wait.due >= 30
    assert wait.on_error(throttled(None), 0) is None
    assert wait.due >= 5


def test_a_wish_beyond_the_deadline_ends_the_wait_at_once() -> None:
    ended = the_end(a_wait(deadline=100.0).on_error(throttled(101.0), 0))
    assert isinstance(ended.error, Throttled)


@pytest.mark.parametrize("answered", [True, False])
def test_refused_keys_are_a_failure_like_others_since_they_may_be_exchanged(answered: bool) -> None:
    wait = a_wait()
    if answered:
        wait.on_jobs([job()], 0)
    for _ in range(FAILURE_BUDGET):
        assert wait.on_error(AuthenticationFailed("x"), 0) is None
    assert isinstance(the_end(wait.on_error(AuthenticationFailed("x"), 0)).error, AuthenticationFailed)


@pytest.mark.parametrize(("wish", "pause"), [(120.0, 120.0), (1.0, 5.0), (9000.0, 300.0), (None, 5.0)])
def test_a_pause_that_an_outage_asks_for_is_kept_up_to_five_minutes(wish: float | None, pause: float) -> None:
    wait, error = a_wait(), Unavailable("x")
    error.retry_after = wish
    assert wait.on_error(error, 0) is None
    assert wait.due == pause
    for _ in range(FAILURE_BUDGET - 1):
        assert wait.on_error(error, 0) is None
    assert the_end(wait.on_error(error, 0)).error is error


def test_an_error_that_says_nothing_of_a_pause_is_borne() -> None:
    assert a_wait().on_error(ProtocolError("x"), 0) is None


def test_an_absurd_wish_of_a_rate_limit_is_kept_for_five_minutes_at_a_time() -> None:
    wait = a_wait(deadline=1000.0)
    assert wait.on_error(throttled(1e8), 0) is None
    assert wait.due == 300
    assert the_end(wait.on_error(throttled(1e8), 701)).status == "error"


def test_a_hold_that_others_were_told_of_is_no_failure_and_ends_a_wait_only_beyond_its_deadline() -> None:
    wait = a_wait(deadline=100.0)
    for _ in range(5 * FAILURE_BUDGET):
        assert wait.on_hold(throttled(30.0), 90.0, 60.0) is None
    assert wait.due == 90
    assert the_end(wait.on_hold(throttled(30.0), 101.0, 60.0)).status == "error"


def test_an_answer_too_large_for_this_process_ends_the_wait_at_once() -> None:
    error = AnswerTooLarge("above the limit")
    ended = the_end(a_wait().on_error(error, 0))
    assert (ended.status, ended.error) == ("error", error)


def test_the_answer_that_ends_the_wait_is_part_of_its_outcome() -> None:
    wait = a_wait(job_ids=["a", "b"])
    wait.on_jobs([DONE, job("b")], 1)
    assert the_end(wait.ended(1)).jobs == {"a": DONE, "b": job("b")}


def test_no_copy_that_lags_behind_takes_a_final_answer_back() -> None:
    wait = a_wait(job_ids=["a", "b"], finish_at=2)
    wait.on_jobs([DONE], 1)
    assert wait.on_jobs([job("a"), job("b")], 2) == [job("b")]
    assert wait.ended(2) is None
    assert wait.on_jobs([job("b", JobState.SUCCEEDED, "COMPLETED")], 3)
    assert the_end(wait.ended(3)).states == {"a": "COMPLETED", "b": "COMPLETED"}


def test_a_wait_for_several_jobs_ends_when_enough_are_final() -> None:
    wait = a_wait(job_ids=["a", "b", "c"], finish_at=2)
    wait.on_jobs([DONE], 1)
    assert wait.ended(1) is None
    assert wait.open_ids == ["b", "c"]
    wait.on_jobs([job("b", JobState.FAILED, "ERROR")], 2)
    assert the_end(wait.ended(2)).status == "final"


def test_the_wait_in_a_worker_polls_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = FakePlatform()
    job_id = platform.add("m")
    answer = platform.answer
    changes: list[Job] = []

    def ending_at_the_third_poll(call: Call) -> Reply:
        if platform.count("GetJob") == 2:
            platform.end(job_id, COMPLETED)
        return answer(call)

    monkeypatch.setattr(platform, "answer", ending_at_the_third_poll)
    wait = a_wait(job_ids=[job_id], started=platform.now, deadline=platform.now + 100)
    flow = wait_flow(service(), wait, clock=lambda: platform.now, on_change=changes.append, on_trouble=no_trouble)
    outcome = platform.run(flow, ONE_TRY)
    assert outcome.status == "final"
    assert outcome.jobs[job_id].state is JobState.SUCCEEDED
    assert [change.state_name for change in changes] == ["PROCESSING", "COMPLETED"]
    assert platform.count("GetJob") == 3


def test_the_wait_in_a_worker_bears_failures_and_ends_at_the_deadline() -> None:
    platform = FakePlatform()
    job_id = platform.add("m")
    platform.fail("GetJob", 500, "html", "refused", 429, "lost")
    troubles: list[MediaxError] = []
    wait = a_wait(job_ids=[job_id], started=platform.now, deadline=platform.now + 200)
    ends_at = wait.deadline
    flow = wait_flow(
        service(), wait, clock=lambda: platform.now, on_change=lambda job: None, on_trouble=troubles.append
    )
    assert platform.run(flow, ONE_TRY).status == "timeout"
    assert len(troubles) == 5
    assert platform.now == pytest.approx(ends_at)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_wall_clock_that_jumps_stops_no_poll_and_moves_no_deadline(
    monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    wall = [1_800_000_000.0]
    platform = FakePlatform(time=Time(500.0))
    monkeypatch.setattr(time, "time", lambda: wall[0])
    monkeypatch.setattr(clock, "steady", lambda: platform.now)
    job_id, stored = platform.add("m"), wall[0] + 600
    wait = a_wait(job_ids=[job_id], started=clock.steady(), deadline=clock.on_steady_clock(stored))
    wall[0] += jump
    flow = wait_flow(service(), wait, clock=clock.steady, on_change=lambda job: None, on_trouble=no_trouble)
    assert platform.run(flow, ONE_TRY).status == "timeout"
    assert platform.now == pytest.approx(1100)
    assert platform.count("GetJob") > 10


def test_a_machine_that_sleeps_finds_its_deadline_within_a_minute_of_waking() -> None:
    """The timer of a pause may stand still while the machine sleeps; the steady clock does not."""
    wait = a_wait(poll_interval=7200.0, rng=lambda: 1.0, deadline=3600.0)
    now = 0.0
    flow = wait_flow(service(), wait, clock=lambda: now, on_change=no_change, on_trouble=no_trouble)
    pause = next(flow)
    assert isinstance(pause, Pause)
    assert pause.seconds <= 60
    now = 4000.0  # the lid was shut
    with pytest.raises(StopIteration) as end:
        flow.send(None)
    assert end.value.value.status == "timeout"


def test_the_steady_clock_counts_seconds_and_a_stored_moment_is_found_on_it() -> None:
    before = clock.steady()
    assert clock.on_steady_clock(time.time() + 100) == pytest.approx(before + 100, abs=60)
    assert clock.steady() >= before


@pytest.mark.parametrize(("execution_timeout", "expected"), [(None, 1100.0), (50.0, 1040.0), (1000.0, 1100.0)])
def test_the_deadline_is_lowered_to_the_execution_timeout_counted_from_the_tasks_start(
    execution_timeout: float | None, expected: float
) -> None:
    found = absolute_deadline(1000.0, 100.0, task_started=990.0, execution_timeout=execution_timeout)
    assert found == expected


def test_ids_are_cut_into_lists_that_one_call_takes() -> None:
    assert batches(["a", "b", "c"], 2) == [["a", "b"], ["c"]]
    assert batches([], 2) == []


@pytest.mark.parametrize("rng", [0.0, 0.5, 1.0])
def test_no_jitter_asks_earlier_than_the_service_has_asked_for(rng: float) -> None:
    wait = a_wait(rng=lambda: rng)
    assert wait.bears(throttled(40.0), 100.0)
    assert 140.0 <= wait.due <= 145.0
    assert wait.held(200.0, 100.0)
    assert 200.0 <= wait.due <= 211.0


def test_no_wait_asks_earlier_than_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = FakePlatform(time=Time(0.0))
    job_id = platform.add("m")
    asked, get = [], platform._GetJob

    def timed(body: JsonObject, fault: object) -> JsonObject:
        asked.append(platform.now)
        return get(body, fault)

    monkeypatch.setattr(platform, "_GetJob", timed)
    wait = a_wait(job_ids=[job_id], poll_interval=0.8, deadline=4.0)
    flow = wait_flow(
        service(), wait, clock=lambda: platform.now, on_change=lambda job: None, on_trouble=lambda error: None
    )
    platform.run(flow, ONE_TRY)
    assert asked == pytest.approx([0.0, 0.8, 1.6, 2.4, 3.2])


def test_a_hold_beyond_the_deadline_ends_the_wait_with_its_reason() -> None:
    error = throttled(40.0)
    assert the_end(a_wait(deadline=30.0).on_hold(error, 40.0, 0.0)).error is error
