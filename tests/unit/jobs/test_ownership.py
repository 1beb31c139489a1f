"""Promises 1 to 3: never submit twice unasked, a clear is not a retry, a failed job is not paid for again."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    JobCanceled,
    LookupFailed,
    MediaxError,
    OutcomeUnknown,
    RequestChanged,
    Throttled,
    Unreachable,
)
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.patience import LIST_LAG, PATIENCE
from airflow_provider_mediax.jobs.stored import RECORD_KEY
from airflow_provider_mediax.protocol.exchange import Call, JsonObject, Reply
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput
from tests.unit.jobs.fake_platform import (
    CANCELED,
    COMPLETED,
    ERROR,
    LONGEST_SEND,
    tags_of,
)
from tests.unit.jobs.fake_store import Store
from tests.unit.jobs.tasks import OWNER, Task


@pytest.fixture
def task() -> Task:
    return Task()


def test_the_first_try_submits_once_and_asks_for_nothing(task: Task) -> None:
    owned = task.attempt()
    assert task.platform.actions == ["CreateJob"]
    assert owned.job.id == "job-1"
    assert not owned.reattached
    assert task.record.job_id == "job-1"


def test_the_intent_is_recorded_before_the_submit_is_sent(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, create = [], task.platform._CreateJob

    def watched(body: JsonObject, fault: object) -> JsonObject:
        seen.append(task.record)
        return create(body, fault)

    monkeypatch.setattr(task.platform, "_CreateJob", watched)
    task.attempt()
    assert seen[0].job_id is None
    assert seen[0].marker == task.record.marker


def test_a_retry_adopts_the_recorded_job(task: Task) -> None:
    task.attempt()
    owned = task.attempt()
    assert owned.reattached
    assert task.platform.actions == ["CreateJob", "GetJob"]


def test_a_retry_after_a_crash_in_the_submit_adopts_what_the_service_lists(task: Task) -> None:
    task.platform.fail("CreateJob", "lost")
    task.platform.fail("ListJobs", *["error"] * 30)
    with pytest.raises(LookupFailed):
        task.attempt()
    task.platform.faults.clear()
    task.platform.time.now += 600
    owned = task.attempt()
    assert owned.job.id == "job-1"
    assert len(task.platform.jobs) == 1


@pytest.mark.parametrize("fault", ["lost", "html"])
@pytest.mark.parametrize("lag", [0.0, 5.0, 15.0])
def test_a_lost_answer_buys_no_second_job_even_if_the_list_lags(
    task: Task, monkeypatch: pytest.MonkeyPatch, fault: str, lag: float
) -> None:
    task.platform.list_lag = lag
    if fault == "html":  # the job is created, and something unreadable answers
        answer = task.platform.answer

        def unreadable(call: Call) -> Reply:
            reply = answer(call)
            return Reply(200, {}, b"<html>") if call.action == "CreateJob" else reply

        monkeypatch.setattr(task.platform, "answer", unreadable)
    else:
        task.platform.fail("CreateJob", "lost")
    owned = task.attempt()
    assert len(task.platform.jobs) == 1
    assert owned.job.id == "job-1"
    assert not owned.reattached


@pytest.mark.parametrize("fault", ["dropped", 408, 409, 425, 499, 500, 502, 504, "html"])
def test_a_submit_that_the_service_never_saw_is_sent_once_more(task: Task, fault: int | str) -> None:
    task.platform.fail("CreateJob", fault)
    owned = task.attempt()
    assert owned.job.id == "job-1"
    assert task.platform.count("CreateJob") == 2
    # Until the first could not be carried out any more, and for as long as lists may lag after that.
    assert sum(task.platform.pauses) == pytest.approx(LONGEST_SEND + LIST_LAG)


def test_a_second_unknown_outcome_is_reported_and_not_gambled_with(task: Task) -> None:
    task.platform.fail("CreateJob", "dropped", 500)
    with pytest.raises(OutcomeUnknown) as caught:
        task.attempt()
    assert task.platform.count("CreateJob") == 2
    assert caught.value.marker == task.record.marker
    assert task.record.job_id is None


@pytest.mark.parametrize("fault", ["error", "short", 500, "html"])
def test_while_the_service_cannot_say_nothing_is_submitted_again(task: Task, fault: int | str) -> None:
    task.platform.fail("CreateJob", "lost")
    task.platform.fail("ListJobs", *[fault] * 50)
    with pytest.raises(LookupFailed) as caught:
        task.attempt()
    assert task.platform.count("CreateJob") == 1
    assert caught.value.marker == task.record.marker


def test_an_incomplete_list_with_a_match_is_good_enough(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    task.platform.fail("CreateJob", "lost")
    list_jobs = task.platform._ListJobs

    def incomplete(body: JsonObject, fault: object) -> JsonObject:
        return {"listJobsResponse": {**list_jobs(body, fault)["listJobsResponse"], "total": 99}}

    monkeypatch.setattr(task.platform, "_ListJobs", incomplete)
    assert task.attempt().job.id == "job-1"


def test_nothing_is_submitted_by_a_task_instance_that_was_replaced(task: Task) -> None:
    task.store = Store(replaced=True)
    with pytest.raises(LookupFailed, match="another attempt"):
        task.attempt()
    assert task.platform.actions == []


def test_without_a_record_a_later_try_looks_before_it_submits(task: Task) -> None:
    first = task.attempt()
    task.store.values.clear()
    assert task.attempt().job.id == first.job.id
    assert len(task.platform.jobs) == 1


class TestWithoutTaskStateStore:
    """Airflow 3.1."""

    @pytest.fixture
    def task(self) -> Task:
        return Task(has_store=False)

    def test_the_first_try_submits(self, task: Task) -> None:
        task.attempt()
        assert task.platform.actions == ["CreateJob"]

    def test_a_later_try_adopts_what_the_service_lists(self, task: Task) -> None:
        task.attempt()
        assert task.attempt().reattached
        assert len(task.platform.jobs) == 1

    def test_a_later_try_submits_when_the_service_lists_nothing(self, task: Task) -> None:
        task.tries = 1
        task.attempt()
        assert task.platform.actions == ["ListJobs"] * len(PATIENCE) + ["CreateJob"]
        assert sum(task.platform.pauses) == pytest.approx(LIST_LAG)

    @pytest.mark.parametrize("fault", ["error", "short"])
    def test_a_later_try_fails_when_the_service_cannot_say(self, task: Task, fault: str) -> None:
        task.tries = 1
        task.platform.fail("ListJobs", *[fault] * 20)
        with pytest.raises(LookupFailed):
            task.attempt()
        assert task.platform.count("CreateJob") == 0


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (tags_of("in/b.mp3"), "path"),
        (tags_of(extra_parameters={"more": 1}), "parameters"),
        (tags_of(content_id="other"), "content_id"),
    ],
)
def test_another_request_in_the_same_generation_is_refused_with_the_fields_that_changed(
    task: Task, changed: CapabilityRequest, named: str
) -> None:
    task.attempt()
    task.request = changed
    with pytest.raises(RequestChanged, match=f"what changed: {named}") as caught:
        task.attempt()
    assert caught.value.job_id == "job-1"
    assert task.platform.actions == ["CreateJob"]


def test_callback_and_timeout_do_not_make_another_request(task: Task) -> None:
    task.attempt()
    task.request = tags_of(callback="http://example.com/new", job_timeout=99)
    assert task.attempt().job.id == "job-1"


class TestFailedJobs:
    def test_a_retry_does_not_pay_again(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        assert task.attempt().job.id == "job-1"
        assert len(task.platform.jobs) == 1

    def test_a_retry_does_not_pay_again_without_a_record(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        task.store.values.clear()
        assert task.attempt().job.id == "job-1"

    def test_retry_failed_jobs_pays_again_once_for_each_failure(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        assert task.attempt(retry_failed=True).job.id == "job-2"
        assert task.attempt(retry_failed=True).job.id == "job-2"

    def test_a_job_that_somebody_canceled_is_not_bought_again_by_any_retry(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", CANCELED)
        for _ in range(3):
            with pytest.raises(JobCanceled) as caught:
                task.attempt()
            assert caught.value.job_id == "job-1"
        assert len(task.platform.jobs) == 1

    def test_a_canceled_job_is_replaced_if_retry_failed_jobs_says_so(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", CANCELED)
        assert task.attempt(retry_failed=True).job.id == "job-2"

    def test_a_replaced_job_is_not_taken_for_the_new_one_when_the_answer_is_lost(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        task.platform.fail("CreateJob", "dropped", "dropped")
        with pytest.raises(OutcomeUnknown):
            task.attempt(retry_failed=True)
        # The replaced job stays known as such, also for a try that does not ask to replace failures any more.
        assert task.record.abandoned == ["job-1"]

    def test_a_new_job_that_fails_at_once_is_found_after_a_lost_answer(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        task.platform.created_as = ERROR
        task.platform.fail("CreateJob", "lost")
        # It has failed, and failed jobs are to be replaced; but by the next try, not within the one that bought it.
        assert task.attempt(retry_failed=True).job.id == "job-2"
        assert len(task.platform.jobs) == 2


def test_of_several_jobs_the_newest_that_has_not_failed_is_adopted_and_the_others_are_named(
    task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    marker = task.attempt().marker
    task.platform.end("job-1", COMPLETED)
    task.platform.time.now += 10
    task.platform.add(marker)
    task.platform.time.now += 10
    task.platform.add(marker, ERROR)
    task.store.values.clear()
    with caplog.at_level(logging.WARNING):
        assert task.attempt().job.id == "job-2"
    assert "job-1 (COMPLETED)" in caplog.text
    assert "job-3 (ERROR)" in caplog.text


def test_an_unknown_state_counts_as_running(task: Task) -> None:
    task.attempt()
    task.platform.end("job-1", 9)
    assert task.attempt().job.id == "job-1"


class TestClears:
    def test_a_clear_submits_anew(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", COMPLETED)
        task.clear()
        owned = task.attempt()
        assert owned.job.id == "job-2"
        assert not owned.reattached

    def test_a_retry_after_a_clear_adopts_the_new_job(self, task: Task) -> None:
        task.attempt()
        task.clear()
        task.attempt()
        assert task.attempt().job.id == "job-2"

    def test_a_clear_may_ask_for_something_else(self, task: Task) -> None:
        task.attempt()
        task.clear()
        task.request = tags_of("in/b.mp3")
        assert task.attempt().job.id == "job-2"

    def test_reuse_takes_the_job_that_was_there(self, task: Task) -> None:
        task.identity = {"reuse": True}
        task.attempt()
        task.platform.end("job-1", COMPLETED)
        task.clear()
        assert task.attempt().reattached
        assert len(task.platform.jobs) == 1

    def test_reuse_finds_the_job_by_its_marker_when_the_record_is_gone(self, task: Task) -> None:
        task.identity = {"reuse": True}
        task.attempt()
        task.clear()
        task.store.values.clear()
        assert task.attempt().job.id == "job-1"

    def test_reuse_does_not_take_a_failed_job(self, task: Task) -> None:
        task.identity = {"reuse": True}
        task.attempt()
        task.platform.end("job-1", ERROR)
        task.clear()
        assert task.attempt().job.id == "job-2"

    def test_reuse_does_not_take_a_job_that_was_asked_for_something_else(self, task: Task) -> None:
        task.identity = {"reuse": True}
        task.attempt()
        task.clear()
        task.request = tags_of("in/b.mp3")
        assert task.attempt().job.id == "job-2"


class TestSharedKey:
    def test_two_runs_that_share_a_key_share_one_job(self, task: Task) -> None:
        task.identity = {"key": "catalogue-17"}
        task.attempt()
        other = Task(platform=task.platform, identity=task.identity, owner=replace(OWNER, run_id="other"))
        assert other.attempt().job.id == "job-1"

    def test_a_clear_does_not_pay_again(self, task: Task) -> None:
        task.identity = {"key": "catalogue-17"}
        task.attempt()
        task.clear()
        assert task.attempt().job.id == "job-1"

    @pytest.mark.parametrize("before", ["catalogue-16", None])
    def test_after_a_clear_another_key_is_another_job(self, task: Task, before: str | None) -> None:
        task.identity = {"key": before}
        task.attempt()
        task.clear()
        task.identity = {"key": "catalogue-17"}
        assert task.attempt().job.id == "job-2"
        other = Task(platform=task.platform, identity=task.identity, owner=replace(OWNER, run_id="other"))
        assert other.attempt().job.id == "job-2"

    def test_a_retry_with_another_key_keeps_the_job_that_was_bought(self, task: Task) -> None:
        task.identity = {"key": "catalogue-16"}
        task.attempt()
        task.identity = {"key": "catalogue-17"}
        assert task.attempt().job.id == "job-1"

    def test_the_service_is_asked_first_and_must_know(self, task: Task) -> None:
        task.identity = {"key": "catalogue-17"}
        task.platform.fail("ListJobs", *["error"] * 20)
        with pytest.raises(LookupFailed):
            task.attempt()
        assert task.platform.count("CreateJob") == 0


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ([400], BadRequest),
        ([401], AuthenticationFailed),
        (["refused"] * 4, Unreachable),
        ([429] * 20, Throttled),
    ],
)
def test_a_submit_that_is_proved_to_be_refused_is_said_so_and_not_looked_up(
    task: Task, faults: list[int | str], error: type[MediaxError]
) -> None:
    task.platform.fail("CreateJob", *faults)
    with pytest.raises(error) as caught:
        task.attempt()
    assert task.record.refused
    assert task.platform.count("ListJobs") == 0
    assert caught.value.marker
    task.platform.faults.clear()
    asked = len(task.platform.actions)
    assert task.attempt().job.id == "job-1"
    assert task.platform.actions[asked:] == ["CreateJob"]


def test_an_error_of_the_platform_is_raised_after_its_list_has_named_no_job(task: Task) -> None:
    task.platform.fail("CreateJob", "error")
    with pytest.raises(BadRequest, match="on demand"):
        task.attempt()
    assert sum(task.platform.pauses) == pytest.approx(LIST_LAG)
    assert not task.record.refused


def test_a_recorded_id_that_the_service_does_not_know_falls_back_to_the_marker(task: Task) -> None:
    marker = task.attempt().marker
    task.platform.jobs.clear()
    task.platform.add(marker)
    task.platform.jobs[0]["id"] = "job-x"
    assert task.attempt().job.id == "job-x"


@pytest.mark.parametrize("stored", ["text", [], {"generation": 2}, {"generation": "x", "marker": 1, "fields": 3}])
def test_a_record_that_somebody_edited_falls_back_to_the_marker(
    task: Task, stored: dict[str, Any] | list[Any] | str
) -> None:
    task.attempt()
    task.store.set(RECORD_KEY, stored)
    assert task.attempt().job.id == "job-1"
    assert len(task.platform.jobs) == 1


def test_bad_input_is_refused_before_anything_is_recorded_or_sent(task: Task) -> None:
    task.request = CapabilityRequest(
        capability={"musicX": {}}, input=MediaxInput(url="cos://elsewhere-1250000000/a.mp3")
    )
    with pytest.raises(BadRequest, match="url"):
        task.attempt()
    assert task.store.get(RECORD_KEY) is None
    assert task.platform.actions == []


def test_a_request_that_is_no_json_is_refused_by_name(task: Task) -> None:
    with pytest.raises(BadRequest, match=r"^extra_parameters.more='set' is refused: it must be JSON"):
        tags_of(extra_parameters={"more": {1, 2}})
    assert task.platform.actions == []


class TestMarker:
    def test_it_fits_the_api_and_says_whose_it_is(self, task: Task) -> None:
        marker = task.attempt().marker
        assert re.fullmatch(r"mx1-[0-9a-f]{40}", marker)
        assert task.platform.jobs[0]["customId"] == marker

    @pytest.mark.parametrize(
        "other",
        [
            Identity(namespace="b", owner=OWNER, generation=1),
            Identity(namespace="a", owner=replace(OWNER, dag_id="x"), generation=1),
            Identity(namespace="a", owner=replace(OWNER, run_id="x"), generation=1),
            Identity(namespace="a", owner=replace(OWNER, task_id="x"), generation=1),
            Identity(namespace="a", owner=replace(OWNER, map_index=0), generation=1),
            Identity(namespace="a", owner=OWNER, generation=2),
            Identity(namespace="a", owner=OWNER, generation=1, reuse=True),
            Identity(namespace="a", owner=OWNER, generation=1, key="k"),
        ],
    )
    def test_every_part_of_the_identity_counts(self, other: Identity) -> None:
        one = Identity(namespace="a", owner=OWNER, generation=1)
        assert one.marker("f") != other.marker("f")

    def test_the_fingerprint_counts_unless_a_key_is_given(self) -> None:
        one = Identity(namespace="a", owner=OWNER, generation=1)
        assert one.marker("f") != one.marker("g")
        keyed = Identity(namespace="a", owner=OWNER, generation=1, key="k")
        assert keyed.marker("f") == keyed.marker("g")

    def test_the_namespace_counts_with_a_key_too(self) -> None:
        markers = {Identity(namespace=name, owner=OWNER, generation=1, key="k").marker("f") for name in "ab"}
        assert len(markers) == 2
