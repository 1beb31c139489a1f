"""One attempt of a task at its job, without Airflow: acquire, wait, collect, and cancel when the task is killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NoReturn

import pytest

from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    AuthenticationFailed,
    BadRequest,
    JobCanceled,
    JobFailed,
    MediaxError,
    ProtocolError,
    ResultMissing,
    Stopped,
    Unavailable,
    WaitTimeout,
)
from airflow_provider_mediax.jobs.attempt import (
    CANCEL_SECONDS,
    LAST_READ_SECONDS,
    Attempt,
    Deferral,
    TaskInstance,
    Terms,
)
from airflow_provider_mediax.jobs.manifest import Manifest
from airflow_provider_mediax.jobs.patience import LIST_LAG
from airflow_provider_mediax.jobs.stored import JOB_ID_KEY, MANIFEST_KEY, WAIT_KEY, JobEvent
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import Prepared
from tests.unit.jobs.clocks import NOON, Clocks
from tests.unit.jobs.fake_hook import FakeHook, FakeNotes, KeptLog, KeptMeter
from tests.unit.jobs.fake_service import FakeService, Order
from tests.unit.jobs.fake_store import Store
from tests.unit.jobs.tasks import OWNER

FINAL = JobEvent("final", {"job-1": "Success"}).payload()
TIMEOUT = JobEvent("timeout", {"job-1": "Submitted"}).payload()


@dataclass
class Task:
    """A task whose attempts share notes, store and service, as Airflow's do."""

    hook: FakeHook = field(default_factory=FakeHook)
    notes: FakeNotes = field(default_factory=FakeNotes)
    store: Store | None = field(default_factory=Store)
    log: KeptLog = field(default_factory=KeptLog)
    meter: KeptMeter = field(default_factory=KeptMeter)
    terms: Terms = field(default_factory=lambda: Terms(wait_timeout=1000.0))
    instance: TaskInstance = field(
        default_factory=lambda: TaskInstance(owner=OWNER, try_number=1, generation=2, started=NOON, earliest=NOON)
    )
    namespace: str = "test"
    wrong_by: float = 0.0

    @property
    def service(self) -> FakeService:
        return self.hook.service

    def attempt(self) -> Attempt[Order]:
        clocks = Clocks(self.service.time, wrong_by=self.wrong_by)
        return Attempt(
            self.hook,
            Order,
            self.terms,
            self.instance,
            namespace=self.namespace,
            notes=self.notes,
            store=self.store,
            log=self.log,
            meter=self.meter,
            clock=clocks.epoch,
            monotonic=clocks.monotonic,
        )

    def ending(self, state: JobState, after: int = 2, **more: Any) -> None:
        """Let the job end before the given flow."""
        self.at(after, lambda: self.service.turn("job-1", state, state.name, **more))

    def at(self, flow: int, act: Callable[[], object]) -> None:
        """Let something happen before the given flow."""
        self.hook.before = lambda number: act() if number == flow else None

    def begun(self) -> Manifest:
        """Carry an attempt out to its end."""
        manifest = self.attempt().begin()
        assert not isinstance(manifest, Deferral)
        return manifest

    def deferred(self) -> Deferral:
        self.terms = replace(self.terms, deferrable=True)
        deferral = self.attempt().begin()
        assert isinstance(deferral, Deferral)
        return deferral

    def resumed(self, event: object) -> Manifest:
        """Resume an attempt that has nothing left to wait for."""
        manifest = self.attempt().resume(event)
        assert not isinstance(manifest, Deferral)
        return manifest

    def deferred_again(self, event: object) -> Deferral:
        deferral = self.attempt().resume(event)
        assert isinstance(deferral, Deferral)
        return deferral


@pytest.fixture
def task() -> Task:
    return Task()


class TestBegin:
    def test_it_submits_waits_and_returns_the_manifest(self, task: Task) -> None:
        task.ending(JobState.SUCCEEDED)
        manifest = task.begun()
        assert (manifest["job_id"], manifest["state"], manifest["reattached"]) == ("job-1", "SUCCEEDED", False)
        assert manifest["owner"] == asdict(OWNER)
        assert task.service.count("submit") == 1

    def test_the_jobs_id_is_noted_as_soon_as_it_is_known(self, task: Task) -> None:
        seen = []
        task.hook.before = lambda number: seen.append(dict(task.notes.values))
        task.terms = replace(task.terms, deferrable=True)
        task.attempt().begin()
        assert seen[:2] == [{}, {JOB_ID_KEY: "job-1"}]

    def test_without_waiting_the_manifest_comes_right_after_the_submit(self, task: Task) -> None:
        task.terms = replace(task.terms, wait_for_completion=False)
        assert task.begun()["state"] == "Submitted"
        assert [name for name, _ in task.service.calls] == ["submit"]
        assert task.notes.values == {JOB_ID_KEY: "job-1"}

    def test_the_answer_that_says_that_it_has_ended_is_not_asked_for_again(self, task: Task) -> None:
        task.ending(JobState.SUCCEEDED, after=1)
        task.attempt().begin()
        assert task.service.count("describe") == 1

    def test_neither_is_the_one_that_ends_the_wait(self, task: Task) -> None:
        task.ending(JobState.SUCCEEDED, after=2)
        task.attempt().begin()
        assert task.service.count("describe") == 2

    def test_an_adopted_job_is_described_once_before_the_wait(self, task: Task) -> None:
        task.deferred()
        task.instance = replace(task.instance, try_number=2)
        task.service.calls.clear()
        assert task.deferred().pending.reattached
        assert [name for name, _ in task.service.calls] == ["describe"]

    def test_a_failed_first_look_ends_nothing(self, task: Task) -> None:
        task.service.failing["describe"] = Unavailable("503")
        assert task.deferred().pending.job_id == "job-1"
        assert "503" in task.log.text

    def test_the_first_look_waits_for_no_rate_limit_which_the_deadline_would_not_know_of(self, task: Task) -> None:
        task.deferred()
        assert task.hook.patiences == [None, ONE_TRY]

    def test_a_stop_during_the_first_look_ends_the_attempt(self, task: Task) -> None:
        task.service.failing["describe"] = Stopped("stopped")
        task.terms = replace(task.terms, deferrable=True)
        with pytest.raises(Stopped):
            task.attempt().begin()

    def test_a_refused_submit_names_the_marker(self, task: Task) -> None:
        task.service.failing["submit"] = BadRequest("no")
        with pytest.raises(BadRequest) as caught:
            task.attempt().begin()
        assert caught.value.marker is not None
        assert caught.value.marker.startswith("mx1-")

    @pytest.mark.parametrize(("again", "job_id"), [(True, "job-2"), (False, "job-1")])
    def test_a_later_try_pays_again_only_if_it_is_told_to(self, task: Task, again: bool, job_id: str) -> None:
        task.deferred()
        task.service.turn("job-1", JobState.FAILED, "Failed")
        task.instance = replace(task.instance, try_number=2)
        task.terms = replace(task.terms, retry_failed_jobs=again, wait_for_completion=False)
        assert task.begun()["job_id"] == job_id

    @pytest.mark.parametrize("terms", [{"cancel_on_kill": False}, {"idempotency_key": "song"}])
    def test_a_canceled_job_cannot_be_ours_if_we_may_not_cancel(self, task: Task, terms: dict[str, Any]) -> None:
        task.terms = replace(task.terms, **terms)
        task.deferred()
        task.service.turn("job-1", JobState.CANCELED, "Cancel")
        task.instance = replace(task.instance, try_number=2)
        with pytest.raises(JobCanceled):
            task.attempt().begin()
        assert task.service.count("submit") == 1

    def test_every_change_of_state_is_logged_once(self, task: Task) -> None:
        task.ending(JobState.SUCCEEDED)
        task.attempt().begin()
        assert task.log.text.count("Job job-1 is Submitted") == 1
        assert task.log.text.count("Job job-1 is SUCCEEDED") == 1


class TestDeadline:
    def test_it_is_counted_from_the_begin_of_this_attempts_waiting(self, task: Task) -> None:
        task.service.time.now += 500.0
        assert task.deferred().pending.deadline == NOON + 1500.0

    def test_a_submit_that_waits_for_its_turn_does_not_shorten_the_wait(
        self, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit = task.service.submit

        def delayed(prepared: Prepared[Order], marker: str) -> Flow[Job]:
            task.service.time.now += 250.0
            return (yield from submit(prepared, marker))

        monkeypatch.setattr(task.service, "submit", delayed)
        assert task.deferred().pending.deadline == NOON + 1250.0

    def test_it_is_lowered_to_the_start_of_the_task_and_its_execution_timeout(self, task: Task) -> None:
        task.instance = replace(task.instance, started=NOON - 100.0, execution_timeout=300.0)
        task.service.time.now += 50.0
        assert task.deferred().pending.deadline == NOON + 200.0

    def test_a_longer_execution_timeout_changes_nothing(self, task: Task) -> None:
        task.instance = replace(task.instance, execution_timeout=5000.0)
        assert task.deferred().pending.deadline == NOON + 1000.0

    def test_no_resume_moves_it(self, task: Task) -> None:
        deferral = task.deferred()
        for _ in range(3):
            task.service.time.now += 100.0
            assert task.deferred_again({"nonsense": 1}).pending == deferral.pending

    def test_in_a_worker_a_job_that_runs_on_is_a_timeout_that_names_it(self, task: Task) -> None:
        task.at(1, lambda: task.service.start("job-1"))
        with pytest.raises(WaitTimeout) as caught:
            task.attempt().begin()
        assert task.service.now == pytest.approx(NOON + 1000.0)
        assert (caught.value.job_id, bool(caught.value.marker)) == ("job-1", True)

    def test_a_job_that_runs_is_not_asked_to_cancel(self, task: Task) -> None:
        task.at(1, lambda: task.service.start("job-1"))
        with pytest.raises(WaitTimeout):
            task.attempt().begin()
        assert task.service.count("cancel") == 0

    def test_one_that_has_not_started_is_canceled_and_is_to_be_bought_again(self, task: Task) -> None:
        with pytest.raises(WaitTimeout, match="canceled the job"):
            task.attempt().begin()
        assert task.service.jobs["job-1"].state is JobState.CANCELED
        task.instance = replace(task.instance, try_number=2)
        task.hook.before = lambda number: None
        assert task.deferred().pending.job_id == "job-2"

    @pytest.mark.parametrize("terms", [{"cancel_on_kill": False}, {"idempotency_key": "song"}])
    def test_what_may_not_be_canceled_goes_on(self, task: Task, terms: dict[str, Any]) -> None:
        task.terms = replace(task.terms, **terms)
        with pytest.raises(WaitTimeout):
            task.attempt().begin()
        assert task.service.count("cancel") == 0

    def test_a_service_without_cancel_is_not_asked(self, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task.service, "cancellable", False)
        with pytest.raises(WaitTimeout):
            task.attempt().begin()
        assert task.service.count("cancel") == 0

    def test_a_job_that_ended_while_it_was_to_be_canceled_is_a_success(
        self, task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deferral = task.deferred()
        task.service.time.now = deferral.pending.deadline

        def ending(ids: Sequence[str]) -> Flow[None]:
            task.service.turn("job-1", JobState.SUCCEEDED, "Success")
            raise BadRequest("it has ended")
            yield

        monkeypatch.setattr(task.service, "cancel", ending)
        assert task.resumed(TIMEOUT)["state"] == "Success"


class TestDeferral:
    def test_it_carries_what_the_trigger_and_the_resume_need(self, task: Task) -> None:
        deferral = task.deferred()
        pending = deferral.pending
        assert (pending.job_id, pending.deadline, pending.reattached) == ("job-1", NOON + 1000.0, False)
        assert pending.marker == task.service.jobs["job-1"].marker
        assert task.notes.values[WAIT_KEY] == pending.written()
        assert task.notes.order == [JOB_ID_KEY, WAIT_KEY]

    @pytest.mark.parametrize(
        ("terms", "cancels"),
        [({}, True), ({"cancel_on_kill": False}, False), ({"idempotency_key": "song"}, False)],
    )
    def test_it_says_whether_the_trigger_may_cancel(self, task: Task, terms: dict[str, Any], cancels: bool) -> None:
        task.terms = replace(task.terms, **terms)
        assert task.deferred().cancel_on_kill is cancels

    def test_from_then_on_a_kill_of_the_worker_leaves_the_job_to_the_trigger(self, task: Task) -> None:
        task.terms = replace(task.terms, deferrable=True)
        attempt = task.attempt()
        attempt.begin()
        attempt.kill()
        assert task.service.count("cancel") == 0


class TestResume:
    def test_a_finished_job_is_collected(self, task: Task) -> None:
        task.deferred()
        task.service.turn("job-1", JobState.SUCCEEDED, "Success")
        assert task.resumed(FINAL)["state"] == "Success"

    @pytest.mark.parametrize(
        "event",
        [
            FINAL,
            None,
            "text",
            {},
            {**FINAL, "schema": 99},
            JobEvent("final", {"job-of-others": "Success"}).payload(),
            JobEvent("error", {"job-of-others": "Success"}, JobFailed("x")).payload(),
        ],
    )
    def test_an_event_that_the_job_itself_does_not_bear_out_ends_nothing(
        self, task: Task, event: dict[str, Any] | str | None
    ) -> None:
        deferral = task.deferred()
        assert task.deferred_again(event).pending == deferral.pending
        assert task.service.count("submit") == 1

    def test_whatever_the_event_says_a_finished_job_is_finished(self, task: Task) -> None:
        task.deferred()
        task.service.turn("job-1", JobState.SUCCEEDED, "Success")
        event = JobEvent("error", {}, AuthenticationFailed("401")).payload()
        assert task.resumed(event)["state"] == "Success"

    def test_an_outage_that_the_triggerer_gave_up_on_is_reported_with_the_job(self, task: Task) -> None:
        task.deferred()
        with pytest.raises(Unavailable) as caught:
            task.attempt().resume(JobEvent("error", {}, Unavailable("503", status=503)).payload())
        assert (caught.value.job_id, caught.value.status) == ("job-1", 503)

    @pytest.mark.parametrize(
        "error", [AuthenticationFailed("401"), BadRequest("400"), JobFailed("x"), JobCanceled("x")]
    )
    def test_no_event_fails_for_good_a_task_whose_job_can_be_read_and_goes_on(
        self, task: Task, error: MediaxError
    ) -> None:
        task.deferred()
        with pytest.raises(ProtocolError) as caught:
            task.attempt().resume(JobEvent("error", {}, error).payload())
        assert caught.value.job_id == "job-1"
        assert isinstance(caught.value.__cause__, type(error))

    def test_an_answer_that_is_too_large_for_a_triggerer_is_waited_for_here(self, task: Task) -> None:
        task.deferred()
        task.ending(JobState.SUCCEEDED, after=task.hook.flows + 1)
        event = JobEvent("error", {}, AnswerTooLarge("large")).payload()
        assert task.resumed(event)["state"] == "SUCCEEDED"

    @pytest.mark.parametrize("notes", ["lost", "cut", "of a later version"])
    def test_without_its_notes_it_looks_the_job_up(self, task: Task, notes: str) -> None:
        task.store = None
        task.service.list_lag = 15.0
        task.deferred()
        kept = task.notes.values.pop(WAIT_KEY)
        if notes != "lost":
            task.notes.values[WAIT_KEY] = {"schema": 1} if notes == "cut" else {**kept, "schema": 99}
        again = task.deferred_again(FINAL)
        assert again.pending.job_id == "job-1"
        assert again.pending.reattached
        assert task.service.count("submit") == 1
        assert task.service.now - NOON <= LIST_LAG

    def test_the_last_read_bears_failures(self, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        task.deferred()
        task.service.turn("job-1", JobState.SUCCEEDED, "Success")
        describe = task.service.describe
        failures: list[MediaxError] = [Unavailable("503"), ProtocolError("html"), ProtocolError("html")]

        def failing(ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
            if failures:
                raise failures.pop()
            return (yield from describe(ids))

        monkeypatch.setattr(task.service, "describe", failing)
        assert task.resumed(FINAL)["state"] == "Success"

    def test_the_last_read_bears_them_for_a_moment_after_the_deadline_too(self, task: Task) -> None:
        deferral = task.deferred()
        task.service.time.now = late = deferral.pending.deadline + 30.0
        task.service.failing["describe"] = Unavailable("503")
        with pytest.raises(Unavailable):
            task.attempt().resume(TIMEOUT)
        assert task.service.now == pytest.approx(late + LAST_READ_SECONDS)

    def test_a_service_that_refuses_to_describe_the_job_fails_no_task_for_good(self, task: Task) -> None:
        task.deferred()
        task.service.failing["describe"] = BadRequest("no such job", status=400)
        with pytest.raises(ProtocolError, match="will not describe") as caught:
            task.attempt().resume(FINAL)
        assert (caught.value.job_id, caught.value.status) == ("job-1", 400)

    def test_a_job_that_is_not_known_any_more_fails_no_task_for_good(self, task: Task) -> None:
        task.deferred()
        task.service.jobs.clear()
        with pytest.raises(ProtocolError) as caught:
            task.attempt().resume(FINAL)
        assert caught.value.job_id == "job-1"

    def test_airflows_own_timeout_before_the_deadline_is_a_timeout(self, task: Task) -> None:
        task.deferred()
        task.service.start("job-1")
        with pytest.raises(WaitTimeout):
            task.attempt().resume({"schema": 1, "status": "timeout", "states": {}, "error": None})


class TestEnds:
    @pytest.mark.parametrize(("state", "error"), [(JobState.FAILED, JobFailed), (JobState.CANCELED, JobCanceled)])
    def test_a_job_that_ends_badly_is_named_with_its_marker(
        self, task: Task, state: JobState, error: type[MediaxError]
    ) -> None:
        task.ending(state)
        with pytest.raises(error) as caught:
            task.attempt().begin()
        assert caught.value.job_id == "job-1"
        assert caught.value.marker == task.service.jobs["job-1"].marker

    def test_a_job_that_somebody_cancels_during_the_wait_is_not_ours(self, task: Task) -> None:
        task.deferred()
        task.service.turn("job-1", JobState.CANCELED, "Cancel")
        with pytest.raises(JobCanceled):
            task.attempt().resume(FINAL)

    def test_outputs_are_looked_for_before_success_is_told(self, task: Task) -> None:
        task.ending(JobState.SUCCEEDED)
        task.attempt().begin()
        assert task.hook.checked == ["job-1"]

    def test_what_is_missing_fails_the_task_after_the_manifest_was_noted(self, task: Task) -> None:
        task.hook.missing = True
        task.ending(JobState.SUCCEEDED)
        with pytest.raises(ResultMissing) as caught:
            task.attempt().begin()
        assert (caught.value.job_id, caught.value.marker) == ("job-1", task.service.jobs["job-1"].marker)
        assert task.notes.values[MANIFEST_KEY]["state"] == "SUCCEEDED"

    def test_verify_outputs_off_accepts_the_job_as_it_is(self, task: Task) -> None:
        task.hook.missing = True
        task.terms = replace(task.terms, verify_outputs=False)
        task.ending(JobState.SUCCEEDED)
        assert task.begun()["state"] == "SUCCEEDED"
        assert task.hook.checked == []


class TestKill:
    @pytest.fixture
    def waiting(self, task: Task) -> Attempt[Order]:
        """An attempt that is interrupted while it waits, as a signal does."""
        attempt = task.attempt()

        def killed() -> NoReturn:
            raise KeyboardInterrupt

        task.at(2, killed)
        with pytest.raises(KeyboardInterrupt):
            attempt.begin()
        return attempt

    def test_it_cancels_what_has_not_started_within_seconds(self, task: Task, waiting: Attempt[Order]) -> None:
        waiting.kill()
        assert task.service.jobs["job-1"].state is JobState.CANCELED
        assert task.hook.apart == [CANCEL_SECONDS]
        assert "Job job-1 is Cancel" in task.log.text

    def test_what_it_has_canceled_is_no_cancelation_by_somebody_else(self, task: Task) -> None:
        attempt = task.attempt()
        task.at(2, attempt.kill)
        with pytest.raises(WaitTimeout):
            attempt.begin()

    def test_what_runs_goes_on_and_the_log_says_so(self, task: Task, waiting: Attempt[Order]) -> None:
        task.service.start("job-1")
        waiting.kill()
        assert "goes on and costs money" in task.log.text

    def test_no_answer_in_time_is_said_and_ends_nothing(self, task: Task, waiting: Attempt[Order]) -> None:
        task.hook.slow = True
        waiting.kill()
        assert "no answer yet" in task.log.text

    @pytest.mark.parametrize(
        ("terms", "cancellable", "why"),
        [
            ({}, False, "no call to cancel"),
            ({"cancel_on_kill": False}, True, "cancel_on_kill is off"),
            ({"idempotency_key": "song"}, True, "other tasks may share it"),
        ],
    )
    def test_what_may_not_be_canceled_goes_on_and_the_log_says_why(
        self, task: Task, monkeypatch: pytest.MonkeyPatch, terms: dict[str, Any], cancellable: bool, why: str
    ) -> None:
        monkeypatch.setattr(task.service, "cancellable", cancellable)
        task.terms = replace(task.terms, wait_timeout=1000.0, **terms)
        attempt = task.attempt()
        task.at(2, attempt.kill)
        task.terms = replace(task.terms, wait_timeout=10.0)
        with pytest.raises(WaitTimeout):
            attempt.begin()
        assert why in task.log.text
        assert task.service.count("cancel") == 0

    def test_before_there_is_a_job_it_does_nothing(self, task: Task) -> None:
        task.attempt().kill()
        assert task.hook.apart == []

    def test_after_the_end_it_does_nothing(self, task: Task) -> None:
        task.ending(JobState.SUCCEEDED)
        attempt = task.attempt()
        attempt.begin()
        attempt.kill()
        assert task.hook.apart == []

    def test_after_a_release_it_does_nothing(self, task: Task, waiting: Attempt[Order]) -> None:
        waiting.release()
        waiting.kill()
        assert task.hook.apart == []


class TestMetrics:
    def test_a_purchase_its_end_and_the_wait_are_counted(self, task: Task) -> None:
        task.ending(JobState.SUCCEEDED)
        task.service.time.now += 5.0
        task.attempt().begin()
        assert task.meter.counted == {"jobs.bought fake": 1, "polls fake": 1, "jobs.succeeded fake": 1}
        assert task.meter.timed["waited fake"] >= 5.0

    def test_an_adopted_job_is_not_counted_as_bought_again(self, task: Task) -> None:
        task.deferred()
        task.instance = replace(task.instance, try_number=2)
        task.attempt().begin()
        assert task.meter.counted == {"jobs.bought fake": 1, "jobs.adopted fake": 1}

    @pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELED])
    def test_a_job_that_ended_without_success_is_counted(self, task: Task, state: JobState) -> None:
        task.ending(state)
        with pytest.raises((JobFailed, JobCanceled)):
            task.attempt().begin()
        assert task.meter.counted[f"jobs.{state.value} fake"] == 1

    @pytest.mark.parametrize(("said", "counted"), [(7, 7), (None, 0), ("7", 0), (-7, 0), (True, 0)])
    def test_polls_of_the_triggerer_are_counted_by_the_worker(self, task: Task, said: object, counted: int) -> None:
        task.deferred()
        task.service.turn("job-1", JobState.SUCCEEDED, "Success")
        task.attempt().resume({**FINAL, "polls": said})
        assert task.meter.counted["polls fake"] == counted + 1  # and its own look at the job
