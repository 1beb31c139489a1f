"""The base of the job operators: what it hands to an attempt, stores in its trigger, and lets leave the task."""

from __future__ import annotations

import time
import traceback
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Context, TaskDeferred

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.jobs.stored import JOB_ID_KEY, RECORD_KEY, WAIT_KEY, JobEvent, Record
from airflow_provider_mediax.operators import failures
from airflow_provider_mediax.operators.base import COLLECT, JobOperator
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.retries import RETRY_POLICY
from airflow_provider_mediax.triggers.base import NET_SECONDS
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.unit.jobs.fake_hook import FakeHook, KeptLog
from tests.unit.jobs.fake_service import Order
from tests.unit.jobs.fake_store import Store

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef]

STARTED = datetime(2026, 11, 20, 12, tzinfo=UTC)


class ServiceHook(FakeHook):
    """A hook as an operator opens it."""

    service_type = CloudInfiniteService
    mediax_conn_id = "tencent"
    bucket = "music-1250000000"
    region = "ap-guangzhou"
    connection = SimpleNamespace(namespace="production")
    closed = 0

    def close(self) -> None:
        self.closed += 1


class TaskInstance:
    """What the operator asks of Airflow's own."""

    dag_id, run_id, task_id = "dag", "run", "task"
    map_index: int | None = 3
    try_number, max_tries = 1, 2

    def __init__(self) -> None:
        self.start_date = datetime.now(UTC)
        self.xcoms: dict[str, Any] = {}
        self.store = Store()

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int | None) -> Any:
        assert (task_ids, map_indexes) == ("task", 3)
        return self.xcoms.get(key)


class Operator(JobOperator[Any]):
    """An operator of the fake service."""

    hook: ServiceHook
    kept: KeptLog

    @property
    def log(self) -> Any:
        return self.kept

    def build_request(self) -> Order:
        return Order("a")

    def make_hook(self) -> Any:
        return self.hook


@pytest.fixture
def ti() -> TaskInstance:
    return TaskInstance()


@pytest.fixture
def context(ti: TaskInstance) -> Context:
    given = {"ti": ti, "dag_run": SimpleNamespace(run_after=STARTED), "task_state_store": ti.store}
    return cast("Context", given)


def made(**options: Any) -> Operator:
    operator = Operator(task_id="task", **options)
    operator.hook, operator.kept = ServiceHook(), KeptLog()
    return operator


def ended(operator: Operator, state: JobState = JobState.SUCCEEDED) -> Operator:
    """Let the job end before it is looked at for the first time."""
    operator.hook.before = lambda number: (
        operator.hook.service.turn("job-1", state, state.name) if number == 1 else None
    )
    return operator


def deferred(operator: Operator, context: Context) -> TaskDeferred:
    operator.deferrable = True
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


def errors(operator: Operator) -> list[str]:
    return [line for level, line in operator.kept.lines if level == "error"]


class TestExecute:
    def test_it_returns_the_manifest_with_the_tasks_own_names(self, context: Context) -> None:
        manifest = ended(made()).execute(context)
        assert manifest["owner"] == {"dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": 3}

    def test_it_records_in_airflows_store_and_notes_in_xcom(self, context: Context, ti: TaskInstance) -> None:
        ended(made()).execute(context)
        record = Record.read(ti.store.get(RECORD_KEY))
        assert isinstance(record, Record)
        assert (record.job_id, record.generation) == ("job-1", 2)
        assert ti.xcoms[JOB_ID_KEY] == "job-1"

    def test_it_works_where_airflow_has_no_store(self, context: Context) -> None:
        del context["task_state_store"]
        assert ended(made()).execute(context)["job_id"] == "job-1"

    def test_a_later_try_looks_for_jobs_as_old_as_the_run(self, context: Context, ti: TaskInstance) -> None:
        del context["task_state_store"]
        ti.try_number = 2
        operator = made(retry_failed_jobs=True)
        operator.hook.service.add("mx1-another")
        deferred(operator, context)
        assert operator.hook.service.finds[0].since == STARTED.timestamp() - 3600.0

    @pytest.mark.parametrize(("generation", "key"), [(2, None), (3, None), (2, "song")])
    def test_namespace_generation_and_key_make_the_marker(
        self, context: Context, ti: TaskInstance, generation: int, key: str | None
    ) -> None:
        ti.max_tries = generation
        first, other = made(idempotency_key=key), made(idempotency_key=key)
        other.hook.connection = SimpleNamespace(namespace="staging")
        markers = set()
        for operator in (first, other):
            ti.store.values.clear()
            ended(operator).execute(context)
            markers.add(operator.hook.service.jobs["job-1"].marker)
        assert len(markers) == 2

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"retry_failed_jobs": "True"}, {"retry_failed_jobs": True}),
            ({"retry_failed_jobs": "False"}, {"retry_failed_jobs": False}),
            ({"cancel_on_kill": "false"}, {"cancel_on_kill": False}),
            ({"wait_for_completion": "FALSE"}, {"wait_for_completion": False}),
            ({"verify_outputs": "false"}, {"verify_outputs": False}),
            ({"deferrable": "true"}, {"deferrable": True}),
            ({"deferrable": None}, {"deferrable": False}),
            ({"retry_failed_jobs": None, "cancel_on_kill": None}, {"retry_failed_jobs": False, "cancel_on_kill": True}),
            ({"poll_interval": "7", "wait_timeout": "60.5"}, {"poll_interval": 7.0, "wait_timeout": 60.5}),
            ({"wait_timeout": timedelta(minutes=2)}, {"wait_timeout": 120.0}),
            ({"on_clear": "reuse"}, {"reuse": True}),
            ({"on_clear": "rerun"}, {"reuse": False}),
            ({"idempotency_key": "song"}, {"idempotency_key": "song"}),
        ],
    )
    def test_rendered_arguments_get_their_type(self, options: dict[str, Any], said: dict[str, Any]) -> None:
        terms = made(**options)._terms()
        assert {name: getattr(terms, name) for name in said} == said

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"retry_failed_jobs": "perhaps"}, "retry_failed_jobs"),
            ({"cancel_on_kill": 2}, "cancel_on_kill"),
            ({"deferrable": "yes"}, "deferrable"),
            ({"wait_timeout": 0}, "wait_timeout"),
            ({"wait_timeout": "soon"}, "wait_timeout"),
            ({"poll_interval": -1}, "poll_interval"),
            ({"poll_interval": float("nan")}, "poll_interval"),
            ({"on_clear": "again"}, "on_clear"),
            ({"idempotency_key": ""}, "idempotency_key"),
            ({"idempotency_key": "None"}, "idempotency_key"),
        ],
    )
    def test_an_argument_that_makes_no_sense_is_refused_before_anything_is_sent(
        self, context: Context, options: dict[str, Any], field: str
    ) -> None:
        operator = made(**options)
        with pytest.raises(failures.BadRequest) as caught:
            operator.execute(context)
        assert caught.value.what.startswith(f"{field}=")
        assert operator.hook.service.calls == []

    def test_the_hook_is_closed_whatever_happens(self, context: Context) -> None:
        operator = made()
        operator.hook.service.failing["submit"] = exceptions.BadRequest("no")
        with pytest.raises(failures.BadRequest):
            operator.execute(context)
        deferred(good := made(), context)
        assert operator.hook.closed == good.hook.closed == 1

    def test_the_documented_defaults(self) -> None:
        operator, terms = made(), made()._terms()
        assert (operator.mediax_conn_id, operator.on_clear) == ("mediax_default", "rerun")
        assert (terms.poll_interval, terms.wait_timeout, terms.idempotency_key) == (5.0, 86400.0, None)
        assert (terms.wait_for_completion, terms.cancel_on_kill, terms.verify_outputs) == (True, True, True)
        assert (terms.deferrable, terms.retry_failed_jobs, terms.reuse) == (False, False, False)

    @pytest.mark.skipif(RETRY_POLICY is None, reason="Airflow 3.1 and 3.2 know no retry policies")
    def test_a_retry_policy_reaches_airflow(self) -> None:
        assert made(retry_policy=RETRY_POLICY).retry_policy is RETRY_POLICY

    @pytest.mark.parametrize(("index", "owned"), [(None, -1), (-1, -1), (0, 0)])
    def test_a_task_that_is_not_mapped_has_the_index_minus_one(
        self, context: Context, ti: TaskInstance, index: int | None, owned: int
    ) -> None:
        ti.map_index = index
        owner = ended(made()).execute(context)["owner"]
        assert owner is not None
        assert owner["map_index"] == owned


class TestTrigger:
    def test_it_stores_what_the_wait_needs_and_no_more(self, context: Context) -> None:
        operator = made(wait_timeout=500.0, poll_interval="9")
        before = time.time()
        trigger = deferred(operator, context).trigger
        assert type(trigger) is JobTrigger
        stored = trigger.serialize()[1]
        assert before + 500.0 <= stored.pop("deadline") <= time.time() + 500.0
        assert stored == {
            "schema": 1,
            "service": "cloud_infinite",
            "conn_id": "tencent",
            "capability": "fake",
            "job_ids": ["job-1"],
            "custom_ids": [operator.hook.service.jobs["job-1"].marker],
            "bucket": "music-1250000000",
            "region": "ap-guangzhou",
            "not_before": None,
            "poll_interval": 9.0,
            "finish_at": 1,
            "cancel_on_kill": True,
        }
        assert trigger.damage() is None

    @pytest.mark.parametrize("options", [{"cancel_on_kill": False}, {"idempotency_key": "song"}])
    def test_it_does_not_cancel_what_the_operator_must_not(self, context: Context, options: dict[str, Any]) -> None:
        assert deferred(made(**options), context).trigger.cancel_on_kill is False

    def test_its_deadline_is_lowered_to_the_execution_timeout_from_the_start_of_the_task(
        self, context: Context, ti: TaskInstance
    ) -> None:
        ti.start_date = datetime.now(UTC) - timedelta(seconds=100)
        operator = made(execution_timeout=timedelta(seconds=300))
        trigger = deferred(operator, context).trigger
        assert trigger.deadline == ti.start_date.timestamp() + 300.0

    def test_airflows_own_timeout_is_only_a_net_below_it(self, context: Context) -> None:
        left = deferred(made(wait_timeout=500.0), context).timeout.total_seconds()
        assert 490.0 + NET_SECONDS <= left <= 500.0 + NET_SECONDS

    def test_the_wait_is_noted_before_the_task_defers(self, context: Context, ti: TaskInstance) -> None:
        deferral = deferred(made(), context)
        assert ti.xcoms[WAIT_KEY]["deadline"] == deferral.trigger.deadline
        assert deferral.method_name == "resume"


class TestResume:
    def test_it_goes_on_with_the_job_that_the_notes_name(self, context: Context) -> None:
        operator = made()
        deferred(operator, context)
        operator.hook.service.turn("job-1", JobState.SUCCEEDED, "Success")
        event = JobEvent("final", {"job-1": "Success"}).payload()
        assert operator.resume_execution("resume", {"event": event}, context)["state"] == "Success"
        assert operator.hook.service.count("submit") == 1

    def test_it_is_given_the_event(self, context: Context) -> None:
        operator = made()
        deferred(operator, context)
        operator.hook.service.start("job-1")
        event = JobEvent("timeout", {"job-1": "Running"}).payload()
        with pytest.raises(exceptions.WaitTimeout):
            operator.resume_execution("resume", {"event": event}, context)

    def test_it_defers_again_with_the_same_deadline_if_the_job_goes_on(self, context: Context) -> None:
        operator = made()
        deadline = deferred(operator, context).trigger.deadline
        with pytest.raises(TaskDeferred) as again:
            operator.resume_execution("resume", {"event": {}}, context)
        assert again.value.trigger.deadline == deadline

    @pytest.mark.parametrize("kwargs", [{"event": None}, {}])
    def test_airflows_timeout_of_the_deferral_is_a_timeout_of_the_wait(
        self, context: Context, monkeypatch: pytest.MonkeyPatch, kwargs: dict[str, None]
    ) -> None:
        operator = made()
        deferred(operator, context)
        operator.hook.service.start("job-1")
        monkeypatch.setattr("airflow.sdk.BaseOperator.resume_execution", _times_out)
        with pytest.raises(exceptions.WaitTimeout) as caught:
            operator.resume_execution("resume", kwargs, context)
        assert caught.value.job_id == "job-1"

    def test_a_job_that_has_ended_when_airflows_timeout_strikes_is_collected(
        self, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator = made()
        deferred(operator, context)
        operator.hook.service.turn("job-1", JobState.SUCCEEDED, "Success")
        monkeypatch.setattr("airflow.sdk.BaseOperator.resume_execution", _times_out)
        assert operator.resume_execution("__fail__", {}, context)["state"] == "Success"


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "leaves"),
        [
            (exceptions.BadRequest("no", status=400), failures.BadRequest),
            (exceptions.AuthenticationFailed("401", status=401), failures.AuthenticationFailed),
        ],
    )
    def test_a_permanent_one_leaves_as_one_that_airflow_does_not_retry(
        self, context: Context, error: MediaxError, leaves: type[MediaxError]
    ) -> None:
        operator = made()
        error.__cause__ = OSError("the socket")
        operator.hook.service.failing["submit"] = error
        with pytest.raises(leaves) as caught:
            operator.execute(context)
        assert type(caught.value) is leaves
        assert isinstance(caught.value, AirflowFailException)
        assert caught.value.facts() == error.facts()
        assert caught.value.marker
        assert caught.value.args == error.args
        assert isinstance(caught.value.__cause__, OSError)
        assert "fake_service.py" in "".join(traceback.format_tb(caught.value.__traceback__))

    @pytest.mark.parametrize(
        ("state", "leaves"), [(JobState.FAILED, failures.JobFailed), (JobState.CANCELED, failures.JobCanceled)]
    )
    def test_the_end_of_a_job_is_permanent(self, context: Context, state: JobState, leaves: type[MediaxError]) -> None:
        with pytest.raises(leaves) as caught:
            ended(made(), state).execute(context)
        assert caught.value.job_id == "job-1"

    @pytest.mark.parametrize("said", [False, "False", "false", None, 0])
    def test_also_if_a_template_says_that_they_may_not(self, context: Context, said: bool | int | str | None) -> None:
        with pytest.raises(failures.JobFailed):
            ended(made(retry_failed_jobs=said), JobState.FAILED).execute(context)

    @pytest.mark.parametrize("said", [True, "True", "true", " True ", 1])
    def test_unless_retries_may_pay_for_a_new_one(self, context: Context, said: bool | int | str) -> None:
        with pytest.raises(exceptions.JobFailed) as caught:
            ended(made(retry_failed_jobs=said), JobState.FAILED).execute(context)
        assert not isinstance(caught.value, AirflowFailException)

    def test_a_retryable_one_leaves_as_it_is(self, context: Context) -> None:
        operator = made()
        operator.hook.service.failing["submit"] = exceptions.Throttled("429")
        with pytest.raises(exceptions.Throttled) as caught:
            operator.execute(context)
        assert caught.value is operator.hook.service.failing["submit"]

    def test_it_is_explained_in_three_lines_once(self, context: Context) -> None:
        operator = made()
        operator.hook.service.failing["submit"] = exceptions.BadRequest("no such parameter")
        with pytest.raises(failures.BadRequest):
            operator.execute(context)
        happened, then, remedy = errors(operator)
        assert happened.startswith("What happened: no such parameter (marker mx1-")
        assert then.startswith("What happens next: The task fails and is not retried")
        assert remedy.startswith("What you can do: Correct the argument")

    def test_so_it_is_after_a_resume(self, context: Context) -> None:
        operator = made()
        deferred(operator, context)
        operator.hook.service.turn("job-1", JobState.FAILED, "Failed")
        with pytest.raises(failures.JobFailed):
            operator.resume_execution("resume", {"event": {}}, context)
        assert len(errors(operator)) == 3

    def test_a_job_that_may_have_a_result_can_still_be_collected(self, context: Context) -> None:
        operator = made()
        operator.hook.missing = True
        with pytest.raises(failures.ResultMissing):
            ended(operator).execute(context)
        assert errors(operator)[2].endswith(COLLECT)

    def test_a_deferral_is_no_failure(self, context: Context) -> None:
        operator = made()
        deferred(operator, context)
        assert errors(operator) == []


class TestKill:
    def test_it_stops_the_hook_and_cancels_the_job(self, context: Context) -> None:
        operator = made()

        def killed(number: int) -> None:
            if number == 1:
                stop = operator._stop
                assert stop is not None
                operator.on_kill()
                assert stop.is_set()
                raise KeyboardInterrupt

        operator.hook.before = killed
        with pytest.raises(KeyboardInterrupt):
            operator.execute(context)
        assert operator.hook.service.jobs["job-1"].state is JobState.CANCELED

    def test_after_airflows_own_timeout_the_job_is_still_held(self, context: Context) -> None:
        """Airflow raises in the middle of ``execute`` and calls ``on_kill`` afterwards."""
        operator = made()

        def timed_out(number: int) -> None:
            if number == 1:
                raise KeyboardInterrupt

        operator.hook.before = timed_out
        with pytest.raises(KeyboardInterrupt):
            operator.execute(context)
        operator.hook.before = lambda number: None
        operator.on_kill()
        assert operator.hook.service.jobs["job-1"].state is JobState.CANCELED

    def test_after_an_error_of_ours_it_cancels_nothing(self, context: Context) -> None:
        operator = made()
        operator.hook.before = lambda number: _raise(exceptions.Stopped("x")) if number == 1 else None
        with pytest.raises(exceptions.Stopped):
            operator.execute(context)
        operator.on_kill()
        assert operator.hook.service.count("cancel") == 0

    def test_after_a_deferral_it_cancels_nothing(self, context: Context) -> None:
        operator = made()
        deferred(operator, context)
        operator.on_kill()
        assert operator.hook.service.count("cancel") == 0

    def test_before_the_first_step_it_does_nothing(self) -> None:
        made().on_kill()


def test_a_request_that_cannot_be_built_sends_nothing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = made()
    monkeypatch.setattr(operator, "build_request", lambda: _raise(exceptions.BadRequest("url, path: give one")))
    with pytest.raises(failures.BadRequest, match="give one"):
        operator.execute(context)
    assert operator.hook.service.calls == []


def _raise(error: Exception) -> NoReturn:
    raise error


def _times_out(*args: Any, **kwargs: Any) -> NoReturn:
    raise TaskDeferralTimeout("Airflow's own")
