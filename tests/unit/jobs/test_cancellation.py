"""Promises 2 and 6: what nobody waits for any more is canceled where the service can, and only that."""

from __future__ import annotations

import pytest

from airflow_provider_mediax.exceptions import BadRequest, MediaxError, Unavailable
from airflow_provider_mediax.jobs.cancellation import cancel_flow, describe_outcome
from airflow_provider_mediax.jobs.ownership import CLOCK_DOUBT
from airflow_provider_mediax.jobs.stored import RECORD_KEY
from airflow_provider_mediax.protocol.job import JobState
from tests.unit.jobs.fake_service import FakeService
from tests.unit.jobs.fake_store import Store
from tests.unit.jobs.tasks import CancellableTask, no_trouble


@pytest.fixture
def task() -> CancellableTask:
    return CancellableTask()


def test_what_has_not_started_is_canceled_and_what_has_says_that_it_goes_on() -> None:
    service = FakeService()
    waiting, running, late = service.add("m"), service.add("m", state_name="Running"), service.add("m")
    troubles: list[MediaxError] = []
    jobs = service.run(cancel_flow(service, [late], troubles.append))
    assert [describe_outcome(job) for job in jobs] == [f"Job {late} is Cancel"]
    jobs = service.run(cancel_flow(service, [running], troubles.append))
    assert "goes on and costs money" in describe_outcome(jobs[0])
    assert [error.what for error in troubles] == ["a job has started"]
    assert service.jobs[waiting].state is JobState.OPEN


def test_many_jobs_are_canceled_in_calls_of_the_size_that_the_service_takes() -> None:
    service = FakeService()
    ids = [service.add("m") for _ in range(5)]
    jobs = service.run(cancel_flow(service, ids, no_trouble))
    assert [job.state for job in jobs] == [JobState.CANCELED] * 5
    assert [len(subject) for name, subject in service.calls if name == "cancel"] == [2, 2, 1]


def test_a_failing_service_is_reported_and_ends_nothing() -> None:
    service = FakeService(failing={"cancel": Unavailable("down"), "describe": Unavailable("down")})
    troubles: list[MediaxError] = []
    assert service.run(cancel_flow(service, [service.add("m")], troubles.append)) == []
    assert len(troubles) == 2


class TestClears:
    def test_a_rerun_cancels_the_unfinished_job_before_it_submits_another(self, task: CancellableTask) -> None:
        first = task.attempt().job.id
        task.clear()
        second = task.attempt().job.id
        assert task.service.jobs[first].state is JobState.CANCELED
        assert task.service.jobs[second].state is JobState.OPEN
        order = [name for name, _ in task.service.calls]
        assert order.index("cancel") < order.index("submit", order.index("submit") + 1)

    def test_a_rerun_of_what_has_ended_cancels_nothing(self, task: CancellableTask) -> None:
        first = task.attempt().job.id
        task.service.turn(first, JobState.SUCCEEDED, "Success")
        task.clear()
        task.attempt()
        assert task.service.count("cancel") == 0

    @pytest.mark.parametrize("key", ["another", None])
    def test_a_job_that_a_key_shared_is_left_to_the_others_although_the_key_is_gone(
        self, task: CancellableTask, key: str | None
    ) -> None:
        task.identity = {"key": "song"}
        first = task.attempt(may_cancel=False).job.id
        task.clear()
        task.identity = {"key": key}
        task.attempt(may_cancel=key is None)
        assert task.service.count("submit") == 2
        assert task.service.jobs[first].state is JobState.OPEN

    def test_a_retry_cancels_nothing(self, task: CancellableTask) -> None:
        task.attempt()
        assert task.attempt().reattached
        assert task.service.count("cancel") == 0

    def test_a_rerun_finds_what_it_cancels_by_the_marker_if_only_an_intent_was_recorded(
        self, task: CancellableTask
    ) -> None:
        first = task.attempt().job.id
        left = task.record
        task.store.set(RECORD_KEY, {**task.store.get(RECORD_KEY), "job_id": None})
        task.clear()
        task.attempt()
        assert task.service.finds[0].marker == left.marker
        assert task.service.jobs[first].state is JobState.CANCELED

    def test_a_rerun_with_cancel_on_kill_off_leaves_the_job(self, task: CancellableTask) -> None:
        first = task.attempt().job.id
        task.clear()
        task.attempt(may_cancel=False)
        assert task.service.jobs[first].state is JobState.OPEN

    def test_a_job_that_runs_shares_by_key_is_not_canceled(self) -> None:
        task = CancellableTask(identity={"key": "song-1"})
        first = task.attempt().job.id
        task.clear()
        task.attempt(track="b")
        assert task.service.jobs[first].state is JobState.OPEN
        assert task.service.count("cancel") == 0

    def test_reuse_cancels_nothing_that_it_takes_over(self) -> None:
        task = CancellableTask(identity={"reuse": True})
        first = task.attempt().job.id
        task.clear()
        assert task.attempt().job.id == first
        assert task.service.count("cancel") == 0

    def test_a_service_that_fails_to_cancel_does_not_keep_the_new_job_waiting(self, task: CancellableTask) -> None:
        task.attempt()
        task.clear()
        task.service.failing = {"cancel": Unavailable("down"), "describe": Unavailable("down")}
        assert task.attempt().job.id == "job-2"

    def test_a_refused_cancel_is_said_and_does_not_keep_the_new_job_waiting(
        self, task: CancellableTask, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = task.attempt().job.id
        task.clear()
        task.service.start(first)
        assert task.attempt().job.id == "job-2"
        assert "could not be canceled: a job has started" in caplog.text

    def test_a_rerun_looks_for_what_it_cancels_from_the_intent_on(self, task: CancellableTask) -> None:
        task.attempt()
        left = task.record
        task.store.set(RECORD_KEY, {**task.store.get(RECORD_KEY), "job_id": None})
        task.clear()
        task.attempt()
        assert task.service.finds[0].since == left.at - CLOCK_DOUBT

    def test_the_record_remembers_the_generations_before(self, task: CancellableTask) -> None:
        first = task.attempt().job.id
        task.clear()
        task.attempt()
        assert [left.job_id for left in task.record.earlier] == [first]
        task.attempt()  # a retry adds nothing
        task.clear()
        task.attempt()
        assert [left.job_id for left in task.record.earlier] == ["job-1", "job-2"]

    def test_the_record_does_not_grow_without_end(self, task: CancellableTask) -> None:
        for _ in range(30):
            task.attempt()
            task.clear()
        assert len(task.record.earlier) == 20
        assert task.record.earlier[-1].job_id == "job-29"

    def test_a_refused_submit_forgets_nothing_of_what_was_before(self, task: CancellableTask) -> None:
        first = task.attempt().job.id
        task.clear()
        task.service.failing = {"submit": BadRequest("no")}
        with pytest.raises(BadRequest):
            task.attempt()
        assert task.record.refused
        assert [left.job_id for left in task.record.earlier] == [first]


def test_a_remade_run_finds_its_job_again_only_with_reuse() -> None:
    """Airflow deletes the records with the run; the marker is the same, the try number starts anew."""
    for reuse, jobs in ((True, 1), (False, 2)):
        task = CancellableTask(identity={"reuse": reuse})
        task.attempt()
        task.store, task.tries = Store(), 0
        task.attempt()
        assert len(task.service.jobs) == jobs
