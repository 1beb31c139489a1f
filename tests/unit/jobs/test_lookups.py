"""Promise 1 to 3: what a look-up asks for, when it asks, and what is remembered of its answer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import (
    BadRequest,
    JobCanceled,
    LookupFailed,
    OutcomeUnknown,
    RequestChanged,
    Unavailable,
)
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import CLOCK_DOUBT
from airflow_provider_mediax.jobs.patience import LIST_LAG, PATIENCE
from airflow_provider_mediax.protocol.exchange import Call, JsonObject, Reply
from airflow_provider_mediax.protocol.job import JobState
from tests.unit.jobs.clocks import NOON
from tests.unit.jobs.fake_platform import CANCELED, ERROR, LONGEST_SEND, Killed, tags_of
from tests.unit.jobs.tasks import OWNER, CancellableTask, Task


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
def cancellable() -> CancellableTask:
    return CancellableTask()


def killed_in_its_submit(task: Task) -> None:
    task.platform.fail("CreateJob", "killed")
    with pytest.raises(Killed):
        task.attempt()


class TestWhen:
    def test_after_an_unknown_outcome_often_at_first_then_each_16_seconds_to_the_end(
        self, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, asked, list_jobs = task.platform.now, [], task.platform._ListJobs

        def timed(body: JsonObject, fault: object) -> JsonObject:
            asked.append(task.platform.now - begun)
            return list_jobs(body, fault)

        monkeypatch.setattr(task.platform, "_ListJobs", timed)
        task.platform.fail("CreateJob", "dropped")
        task.attempt()
        last = LONGEST_SEND + LIST_LAG
        between = [moment for moment in (16, 32, 48, 64, 80, 96) if moment < last]
        assert asked == pytest.approx([*PATIENCE[:-1], *between, last])

    def test_the_end_counts_from_the_begin_of_the_sending(self, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        begun, answer = task.platform.now, task.platform.answer

        def slow(call: Call) -> Reply:
            if call.action == "CreateJob" and task.platform.count("CreateJob") == 0:
                task.platform.time.now += 30.0
            return answer(call)

        monkeypatch.setattr(task.platform, "answer", slow)
        task.platform.fail("CreateJob", "dropped")
        task.attempt()
        assert task.platform.now - begun == pytest.approx(LONGEST_SEND + LIST_LAG)

    def test_at_once_after_a_doubtful_refusal(self, task: Task) -> None:
        task.platform.fail("CreateJob", "done:error")
        task.attempt()
        assert task.platform.count("ListJobs") == 1
        assert task.platform.pauses == []

    @pytest.mark.parametrize("identity", [{"key": "song"}, {"reuse": True}])
    def test_once_before_the_first_submit_of_what_runs_may_share(self, task: Task, identity: dict[str, Any]) -> None:
        task.identity = identity
        task.attempt()
        assert task.platform.actions == ["ListJobs", "CreateJob"]

    def test_once_before_a_failed_job_is_replaced(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        task.attempt(retry_failed=True)
        assert task.platform.actions == ["CreateJob", "GetJob", "ListJobs", "CreateJob"]

    def test_never_before_the_first_submit_after_a_clear(self, task: Task) -> None:
        task.attempt()
        task.clear()
        task.attempt()
        assert task.platform.actions == ["CreateJob", "CreateJob"]

    @pytest.mark.parametrize("identity", [{"key": "song"}, {"reuse": True}])
    def test_never_after_a_clear_that_leads_to_a_recorded_job(self, task: Task, identity: dict[str, Any]) -> None:
        task.identity = identity
        task.attempt()
        task.clear()
        task.platform.list_lag = 1000.0
        assert task.attempt().job.id == "job-1"
        assert task.platform.actions[-1] == "GetJob"


class TestFor:
    def test_jobs_from_an_hour_before_the_intent_on(self, cancellable: CancellableTask) -> None:
        cancellable.service.failing["after submit"] = Killed()
        with pytest.raises(Killed):
            cancellable.attempt()
        sent = cancellable.record.at
        cancellable.service.time.now += 5000.0
        assert cancellable.attempt().job.id == "job-1"
        assert [find.since for find in cancellable.service.finds] == [sent - CLOCK_DOUBT]

    def test_jobs_from_an_hour_before_the_run_on_where_nothing_is_recorded(self, cancellable: CancellableTask) -> None:
        cancellable.has_store = False
        cancellable.tries = 1
        cancellable.attempt(earliest=NOON - 5000.0)
        assert {find.since for find in cancellable.service.finds} == {NOON - 5000.0 - CLOCK_DOUBT}

    def test_jobs_of_any_age_where_reuse_has_lost_its_record(self, cancellable: CancellableTask) -> None:
        cancellable.identity = {"reuse": True}
        cancellable.attempt(earliest=NOON)
        assert [find.since for find in cancellable.service.finds] == [None]


class TestDecides:
    """With ``on_clear="reuse"``: a clear replaces a failed job, a retry does not."""

    @pytest.mark.parametrize("unanswered", [0, len(PATIENCE)])
    def test_a_retry_pays_for_no_failed_job_again_that_only_the_list_knows(self, task: Task, unanswered: int) -> None:
        task.identity = {"reuse": True}
        killed_in_its_submit(task)
        task.platform.end("job-1", ERROR)
        task.platform.fail("ListJobs", *["error"] * unanswered)
        assert task.attempt().job.id == "job-1"
        assert task.platform.count("CreateJob") == 1

    def test_a_retry_pays_for_no_failed_job_again_that_is_recorded(self, task: Task) -> None:
        task.identity = {"reuse": True}
        task.attempt()
        task.platform.end("job-1", ERROR)
        assert task.attempt().job.id == "job-1"
        assert task.platform.count("CreateJob") == 1

    def test_nor_one_that_is_found_behind_a_recorded_id(self, task: Task) -> None:
        task.identity = {"reuse": True}
        task.attempt()
        task.platform.jobs[0]["id"] = "job-x"
        task.platform.end("job-x", ERROR)
        assert task.attempt().job.id == "job-x"

    @pytest.mark.parametrize("fault", ["lost", "done:error"])
    @pytest.mark.parametrize(("lag", "unanswered"), [(0.0, 0), (15.0, 0), (0.0, 10)])
    def test_the_job_just_sent_is_found_though_it_failed_at_once(
        self, task: Task, fault: str, lag: float, unanswered: int
    ) -> None:
        task.platform.created_as = ERROR
        task.platform.list_lag = lag
        task.platform.fail("CreateJob", fault)
        task.platform.fail("ListJobs", *["html"] * (unanswered if fault == "lost" else min(unanswered, 6)))
        assert task.attempt(retry_failed=True).job.id == "job-1"
        assert task.platform.count("CreateJob") == 1


class TestRemembers:
    def test_what_was_adopted_by_id_and_marker(self, task: Task) -> None:
        killed_in_its_submit(task)
        owned = task.attempt()
        assert task.record.job_id == "job-1"
        assert owned.marker == task.record.marker == task.platform.jobs[0]["customId"]
        assert task.record.abandoned == []

    def test_what_was_replaced_though_no_record_knew_it(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        task.store.values.clear()
        task.attempt(retry_failed=True)
        assert task.record.abandoned == ["job-1"]

    def test_what_was_replaced_though_the_new_submit_was_refused(self, task: Task) -> None:
        task.attempt()
        task.platform.end("job-1", ERROR)
        task.platform.fail("CreateJob", 400)
        with pytest.raises(BadRequest):
            task.attempt(retry_failed=True)
        assert task.attempt().job.id == "job-2"
        assert task.record.abandoned == ["job-1"]

    def test_after_a_refusal_a_corrected_request_is_another_one(self, task: Task) -> None:
        task.platform.fail("CreateJob", 400)
        with pytest.raises(BadRequest):
            task.attempt()
        refused = task.record
        task.request = tags_of("in/corrected.mp3")
        owned = task.attempt()
        assert owned.marker == task.record.marker != refused.marker
        assert task.record.fields != refused.fields


class TestSays:
    """The words and facts of an error that a user has to act on."""

    def test_which_job_is_not_known_and_what_the_service_said(self, task: Task) -> None:
        marker = task.attempt().marker
        task.platform.jobs.clear()
        with pytest.raises(LookupFailed, match=r"Job job-1 was submitted .* does not know it: .*no such job") as caught:
            task.attempt()
        assert caught.value.marker == marker

    def test_why_the_service_could_not_say(self, task: Task) -> None:
        killed_in_its_submit(task)
        task.platform.fail("ListJobs", *[500] * 50)
        with pytest.raises(LookupFailed, match=r"cannot say: .*on demand") as caught:
            task.attempt()
        assert caught.value.status == 500

    def test_which_of_its_requests_the_service_could_not_answer(self, cancellable: CancellableTask) -> None:
        cancellable.tries = 1
        cancellable.has_store = False
        cancellable.service.failing["find"] = Unavailable("down", request_id="r-1")
        with pytest.raises(LookupFailed) as caught:
            cancellable.attempt()
        assert caught.value.request_id == "r-1"

    def test_that_a_list_was_too_short(self, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        killed_in_its_submit(task)
        task.platform.list_lag = 1000.0
        list_jobs = task.platform._ListJobs

        def short(body: JsonObject, fault: object) -> JsonObject:
            return {"listJobsResponse": {**list_jobs(body, fault)["listJobsResponse"], "total": 9}}

        monkeypatch.setattr(task.platform, "_ListJobs", short)
        with pytest.raises(LookupFailed, match="fewer jobs than it holds"):
            task.attempt()

    def test_whose_marker_another_request_has_met(self, task: Task) -> None:
        marker = task.attempt().marker
        task.request = tags_of("in/b.mp3")
        with pytest.raises(RequestChanged) as caught:
            task.attempt()
        assert caught.value.marker == marker

    def test_that_the_key_is_taken(self, task: Task) -> None:
        task.identity = {"key": "song"}
        marker = task.attempt().marker
        task.request = tags_of("in/b.mp3")
        task.store.values.clear()
        with pytest.raises(RequestChanged, match="idempotency_key") as caught:
            task.attempt()
        assert caught.value.marker == marker

    def test_how_a_job_ended_that_somebody_canceled(self, task: Task) -> None:
        marker = task.attempt().marker
        task.platform.end("job-1", CANCELED)
        with pytest.raises(JobCanceled, match="ended as CANCELED") as caught:
            task.attempt()
        assert caught.value.marker == marker

    def test_how_often_it_was_submitted_in_vain(self, task: Task) -> None:
        task.platform.fail("CreateJob", "dropped", "dropped")
        with pytest.raises(OutcomeUnknown, match="submitted 2 times"):
            task.attempt()


def test_a_marker_by_key_fits_the_api_too() -> None:
    identity = Identity(namespace="a", owner=OWNER, generation=1, key="k")
    assert re.fullmatch(r"mx1-[0-9a-f]{40}", identity.marker("f"))


def test_a_canceled_job_of_ours_is_replaced_though_only_the_list_knows_it(cancellable: CancellableTask) -> None:
    first = cancellable.attempt().job.id
    cancellable.service.turn(first, JobState.CANCELED, "Cancel")
    cancellable.store.values.clear()
    assert cancellable.attempt().job.id == "job-2"
    assert cancellable.record.abandoned == [first]
