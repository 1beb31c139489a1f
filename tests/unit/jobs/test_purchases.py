"""Promise 1 to 3 under hostile use: what has bought a second job, or lost the first, and does so no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    JobCanceled,
    LookupFailed,
    MediaxError,
    OutcomeUnknown,
    ProtocolError,
    RequestChanged,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.jobs.ownership import CLOCK_DOUBT
from airflow_provider_mediax.jobs.patience import LIST_LAG
from airflow_provider_mediax.jobs.stored import RECORD_KEY
from airflow_provider_mediax.protocol.exchange import Call, JsonObject, Reply
from airflow_provider_mediax.protocol.job import JobState
from tests.unit.jobs.clocks import NOON
from tests.unit.jobs.fake_platform import ERROR, LONGEST_SEND, Killed, tags_of
from tests.unit.jobs.fake_service import MOST_LISTED, FakeService, Order
from tests.unit.jobs.tasks import OWNER, CancellableTask, Task

YEAR = 365 * 86400.0
WRONG = [-YEAR, -30.0, 0.0, 30.0, YEAR]


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
def cancellable() -> CancellableTask:
    return CancellableTask()


class TestPatience:
    def test_a_kill_after_429s_and_a_lagging_list_buy_no_second_job(self, task: Task) -> None:
        task.platform.list_lag = 5.0
        task.platform.fail("CreateJob", 429, 429, 429, 429, "killed")
        with pytest.raises(Killed):
            task.attempt()
        assert sum(task.platform.pauses) > LIST_LAG / 2  # so long ago is the intent
        assert task.attempt().job.id == "job-1"
        assert len(task.platform.jobs) == 1

    @pytest.mark.parametrize("first", WRONG)
    @pytest.mark.parametrize("second", WRONG)
    def test_wrong_clocks_of_workers_buy_no_second_job(
        self, cancellable: CancellableTask, first: float, second: float
    ) -> None:
        cancellable.service.list_lag = 5.0
        cancellable.service.failing["after submit"] = Killed()
        with pytest.raises(Killed):
            cancellable.attempt(wrong_by=first, earliest=NOON)
        assert cancellable.attempt(wrong_by=second, earliest=NOON).job.id == "job-1"
        assert cancellable.service.count("submit") == 1

    @pytest.mark.parametrize("wrong_by", WRONG)
    def test_no_clock_of_a_worker_makes_a_retry_wait_longer(self, task: Task, wrong_by: float) -> None:
        task.platform.fail("CreateJob", "dropped")
        task.platform.fail("ListJobs", *["error"] * 99)
        with pytest.raises(LookupFailed):
            task.attempt(wrong_by=wrong_by)
        task.platform.faults.clear()
        before = task.platform.now
        task.attempt()
        assert task.platform.now - before == pytest.approx(LIST_LAG)

    @pytest.mark.parametrize("seconds", [35.5, 50.0, LONGEST_SEND])
    @pytest.mark.parametrize("lag", [0.0, 15.0])
    def test_a_submit_that_is_carried_out_late_is_not_bought_twice(
        self, task: Task, seconds: float, lag: float
    ) -> None:
        task.platform.late_by, task.platform.list_lag = seconds, lag
        task.platform.fail("CreateJob", "late")
        assert task.attempt().job.id == "job-1"
        assert task.platform.count("CreateJob") == 1

    def test_a_first_worker_that_is_a_year_ahead_hides_no_job(self, cancellable: CancellableTask) -> None:
        cancellable.service.failing["after submit"] = Killed()
        with pytest.raises(Killed):
            cancellable.attempt(wrong_by=YEAR)
        assert cancellable.attempt().job.id == "job-1"

    def test_what_is_looked_for_may_be_as_old_as_its_run_by_any_clock(self, cancellable: CancellableTask) -> None:
        cancellable.service.failing["after submit"] = Killed()
        with pytest.raises(Killed):
            cancellable.attempt(wrong_by=YEAR, earliest=NOON)
        cancellable.attempt(wrong_by=YEAR, earliest=NOON)
        assert cancellable.service.finds[-1].since == NOON - CLOCK_DOUBT
        assert cancellable.service.finds[-1].request == Order("a")


class TestRecordedJobs:
    @pytest.mark.parametrize("answer", ["error", 400])
    def test_an_id_that_is_refused_is_never_bought_again(self, task: Task, answer: int | str) -> None:
        task.attempt()
        task.platform.jobs.clear()  # another account: it knows neither the id nor the marker
        for _ in range(3):
            task.platform.fail("GetJob", answer)
            with pytest.raises(LookupFailed) as caught:
                task.attempt()
            assert caught.value.job_id == "job-1"
            assert "another account" in caught.value.advice
        assert task.platform.count("CreateJob") == 1

    def test_an_id_that_is_not_known_is_never_bought_again(self, cancellable: CancellableTask) -> None:
        cancellable.attempt()
        cancellable.service.jobs.clear()
        for _ in range(3):
            with pytest.raises(LookupFailed) as caught:
                cancellable.attempt()
            assert caught.value.job_id == "job-1"
        assert cancellable.service.count("submit") == 1

    def test_an_unknown_id_is_not_replaced_because_another_job_has_failed(self, cancellable: CancellableTask) -> None:
        marker = cancellable.attempt(retry_failed=True).marker
        cancellable.service.add(marker, JobState.FAILED, "Failed")
        del cancellable.service.jobs["job-1"]
        with pytest.raises(LookupFailed) as caught:
            cancellable.attempt(retry_failed=True)
        assert caught.value.job_id == "job-1"
        assert cancellable.service.count("submit") == 1

    def test_a_clear_is_the_way_to_leave_a_job_behind_that_is_not_known(self, cancellable: CancellableTask) -> None:
        cancellable.attempt()
        cancellable.service.jobs.clear()
        cancellable.clear()
        assert not cancellable.attempt().reattached

    def test_wrong_keys_name_the_job_that_is_left_as_it_is(self, task: Task) -> None:
        task.attempt()
        task.platform.fail("GetJob", 401)
        with pytest.raises(AuthenticationFailed) as caught:
            task.attempt()
        assert caught.value.job_id == "job-1"

    def test_the_answer_about_another_job_is_not_taken_for_ours(
        self, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task.attempt()
        get = task.platform._GetJob

        def crossed(body: JsonObject, fault: object) -> JsonObject:
            return {"getJobResponse": {"job": {**get(body, fault)["getJobResponse"]["job"], "id": "x"}}}

        monkeypatch.setattr(task.platform, "_GetJob", crossed)
        with pytest.raises(ProtocolError) as caught:
            task.attempt()
        assert caught.value.job_id == "job-1"
        assert task.platform.count("CreateJob") == 1


class TestRecords:
    @pytest.mark.parametrize("stored", [{"schema": 99}, "cut", {"schema": 1, "generation": 2}])
    def test_an_unreadable_record_and_a_silent_service_buy_nothing(
        self, task: Task, stored: dict[str, int] | str
    ) -> None:
        task.store.set(RECORD_KEY, stored)
        task.platform.fail("ListJobs", *["error"] * 99)
        with pytest.raises(LookupFailed):
            task.attempt()
        assert task.platform.count("CreateJob") == 0

    def test_an_unreadable_record_is_looked_behind_with_patience(self, task: Task) -> None:
        task.platform.list_lag = 15.0
        task.attempt()
        task.store.set(RECORD_KEY, {"schema": 99})
        assert task.attempt().job.id == "job-1"

    def test_an_expired_record_is_looked_behind_with_patience(self, task: Task) -> None:
        task.platform.list_lag = 15.0
        task.attempt()
        task.store.values.clear()
        assert task.attempt().job.id == "job-1"
        assert task.platform.count("CreateJob") == 1

    @pytest.mark.parametrize("has_store", [True, False])
    def test_a_resume_that_has_lost_its_notes_looks_the_job_up(self, task: Task, has_store: bool) -> None:
        task.has_store = has_store
        task.platform.list_lag = 15.0
        task.attempt()
        task.store.values.clear()
        task.tries = 1
        assert task.acquisition(resumed=True).job.id == "job-1"
        assert task.platform.count("CreateJob") == 1

    def test_refused_is_written_only_when_the_attempt_ends_with_it(
        self, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen, answer = [], task.platform.answer

        def watched(call: Call) -> Reply:
            seen.append(task.record)
            return answer(call)

        monkeypatch.setattr(task.platform, "answer", watched)
        task.platform.fail("CreateJob", *[429] * 30)
        with pytest.raises(Throttled):
            task.attempt()
        assert {record.refused for record in seen} == {False}
        assert task.record.refused

    def test_a_refusal_after_an_unknown_outcome_has_an_intent_of_its_own(self, task: Task) -> None:
        task.platform.fail("CreateJob", 500, "killed")
        with pytest.raises(Killed):
            task.attempt()
        assert (task.record.job_id, task.record.refused) == (None, False)
        assert task.attempt().job.id == "job-1"
        assert len(task.platform.jobs) == 1


class TestOneKeyForTwoRequests:
    @pytest.mark.parametrize("cleared", [False, True])
    def test_another_track_is_refused_and_not_given_the_first_ones_result(self, task: Task, cleared: bool) -> None:
        task.identity = {"key": "song"}
        task.attempt()
        other = Task(platform=task.platform, identity=task.identity, owner=replace(OWNER, run_id="other"))
        other.request = tags_of("in/b.mp3")
        if cleared:
            other.clear()
        with pytest.raises(RequestChanged) as caught:
            other.attempt()
        assert caught.value.job_id == "job-1"
        assert task.platform.count("CreateJob") == 1

    def test_another_parameter_is_refused_on_the_service_that_can_cancel(self, cancellable: CancellableTask) -> None:
        cancellable.identity = {"key": "song"}
        cancellable.attempt(quality="high")
        other = CancellableTask(service=cancellable.service, identity=cancellable.identity)
        with pytest.raises(RequestChanged):
            other.attempt(quality="low")
        assert other.attempt(quality="high").job.id == "job-1"

    def test_five_thousand_jobs_of_other_sources_do_not_keep_a_key_from_submitting(
        self, cancellable: CancellableTask
    ) -> None:
        for number in range(MOST_LISTED + 1):
            cancellable.service.add("mx1-other", order=Order(f"track-{number}"))
        cancellable.identity = {"key": "song"}
        assert not cancellable.attempt("mine").reattached
        assert cancellable.service.finds[0].request == Order("mine")
        assert cancellable.service.finds[0].since is None

    def test_five_thousand_jobs_of_its_own_source_keep_a_key_from_submitting(
        self, cancellable: CancellableTask
    ) -> None:
        for _ in range(MOST_LISTED + 1):
            cancellable.service.add("mx1-other", order=Order("mine"))
        cancellable.identity = {"key": "song"}
        with pytest.raises(LookupFailed):
            cancellable.attempt("mine")
        assert cancellable.service.count("submit") == 0

    def test_a_job_of_last_year_is_found_by_its_key(self, cancellable: CancellableTask) -> None:
        cancellable.identity = {"key": "song"}
        cancellable.attempt()
        cancellable.service.time.now += YEAR
        other = CancellableTask(service=cancellable.service, identity=cancellable.identity)
        assert other.attempt(earliest=cancellable.service.now).job.id == "job-1"


class TestDoubtfulRefusals:
    @pytest.mark.parametrize("fault", [408, 409, 425, 499, 500, "error", "html"])
    @pytest.mark.parametrize("lag", [0.0, 15.0])
    def test_a_refusal_after_the_work_was_done_loses_no_job(self, task: Task, fault: int | str, lag: float) -> None:
        task.platform.list_lag = lag
        task.platform.fail("CreateJob", f"done:{fault}")
        owned = task.attempt()
        assert owned.job.id == task.record.job_id == "job-1"
        assert task.platform.count("CreateJob") == 1

    @pytest.mark.parametrize("fault", [401, 403])
    def test_keys_that_the_gateway_does_not_accept_fail_at_once(self, task: Task, fault: int) -> None:
        task.platform.fail("CreateJob", fault)
        with pytest.raises(AuthenticationFailed):
            task.attempt()
        assert task.platform.actions == ["CreateJob"]
        assert task.platform.pauses == []

    @pytest.mark.parametrize("listed", ["error", 401, 403, 302])
    def test_keys_that_the_platform_does_not_accept_fail_at_once_in_its_own_words(
        self, task: Task, listed: int | str
    ) -> None:
        task.platform.fail("CreateJob", "error")
        task.platform.fail("ListJobs", listed)
        with pytest.raises(BadRequest, match="answered CreateJob with: on demand"):
            task.attempt()
        assert task.platform.pauses == []
        assert not task.record.refused  # nothing was proved, so the next attempt will ask

    def test_a_list_that_fails_for_another_reason_is_asked_again(self, task: Task) -> None:
        task.platform.fail("CreateJob", "done:error")
        task.platform.fail("ListJobs", "html")
        assert task.attempt().job.id == "job-1"

    def test_the_answer_about_another_custom_id_is_not_adopted(
        self, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = task.platform._CreateJob

        def crossed(body: JsonObject, fault: object) -> JsonObject:
            job = create(body, fault)["createJobResponse"]["job"]
            return {"createJobResponse": {"job": {**job, "id": "job-of-others", "customId": "mx1-other"}}}

        monkeypatch.setattr(task.platform, "_CreateJob", crossed)
        assert task.attempt().job.id == "job-1"
        assert task.platform.count("CreateJob") == 1

    @pytest.mark.parametrize("error", [Unavailable("timeout"), ProtocolError("about another job")])
    def test_an_unknown_outcome_of_the_service_that_can_cancel_is_looked_up(
        self, cancellable: CancellableTask, error: MediaxError
    ) -> None:
        cancellable.service.list_lag = 15.0
        cancellable.service.failing["after submit"] = error
        assert cancellable.attempt().job.id == "job-1"
        assert cancellable.service.count("submit") == 1

    def test_two_unknown_outcomes_are_told_with_the_marker(self, cancellable: CancellableTask) -> None:
        cancellable.service.failing["submit"] = Unavailable("timeout")
        with pytest.raises(OutcomeUnknown) as caught:
            cancellable.attempt()
        assert caught.value.marker == cancellable.record.marker
        assert isinstance(caught.value.__cause__, MediaxError)


class TestCanceledJobs:
    def test_our_own_that_never_started_is_replaced(self, cancellable: CancellableTask) -> None:
        first = cancellable.attempt().job.id
        cancellable.service.turn(first, JobState.CANCELED, "Cancel")
        assert cancellable.attempt().job.id == "job-2"

    def test_one_that_had_started_was_canceled_by_somebody_else(self, cancellable: CancellableTask) -> None:
        first = cancellable.attempt().job.id
        cancellable.service.start(first)
        cancellable.service.turn(first, JobState.CANCELED, "Cancel")
        for _ in range(3):
            with pytest.raises(JobCanceled) as caught:
                cancellable.attempt()
            assert caught.value.job_id == first
        assert cancellable.service.count("submit") == 1

    def test_with_cancel_on_kill_off_it_cannot_have_been_us(self, cancellable: CancellableTask) -> None:
        first = cancellable.attempt().job.id
        cancellable.service.turn(first, JobState.CANCELED, "Cancel")
        with pytest.raises(JobCanceled):
            cancellable.attempt(may_cancel=False)
        assert cancellable.service.count("submit") == 1

    def test_without_a_record_the_list_decides_by_the_same_rule(self, cancellable: CancellableTask) -> None:
        cancellable.has_store = False
        first = cancellable.attempt().job.id
        cancellable.service.start(first)
        cancellable.service.turn(first, JobState.CANCELED, "Cancel")
        with pytest.raises(JobCanceled):
            cancellable.attempt()
        assert cancellable.service.count("submit") == 1

    def test_a_failed_job_is_paid_for_again_once_for_each_failure_only(self, task: Task) -> None:
        task.attempt(retry_failed=True)
        task.platform.end("job-1", ERROR)
        assert [task.attempt(retry_failed=True).job.id for _ in range(3)] == ["job-2"] * 3


def test_on_a_service_with_windows_an_earlier_job_is_outside_of_them() -> None:
    """The fake keeps what it is asked for: else no test here would see a window that is wrong."""
    service = FakeService()
    service.add("m")
    assert service.run(service.jobs_of("m", since=service.now + 1)).jobs == []
    assert len(service.run(service.jobs_of("m", since=service.now)).jobs) == 1
