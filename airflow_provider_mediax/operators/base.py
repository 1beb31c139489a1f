"""
The base of every job operator: the Airflow side of ``jobs.attempt``.

It coerces the rendered arguments, opens the hook, defers to the trigger, keeps notes as XComs, and lets errors leave
the task as Airflow should take them. Airflow parses a DAG file every 30 s: what only a running task needs is therefore
imported inside functions, here and in the modules of operators and sensors.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef]

from airflow_provider_mediax.arguments import (
    as_bool,
    as_choice,
    as_idempotency_key,
    as_seconds,
    describe_inherited,
)
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.lineage import JobLineage, SeenJob
from airflow_provider_mediax.links.console import InputLink, ResultsLink
from airflow_provider_mediax.operators.failures import explained

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.client.stop import StopSignal
    from airflow_provider_mediax.hooks.base import JobHook
    from airflow_provider_mediax.jobs.attempt import Attempt, Deferral, TaskInstance, Terms
    from airflow_provider_mediax.jobs.manifest import Manifest
    from airflow_provider_mediax.jobs.stored import Owner
    from airflow_provider_mediax.protocol.job import Job
    from airflow_provider_mediax.protocol.service import JobRequest
    from airflow_provider_mediax.protocol.urls import Located

H = TypeVar("H", bound="JobHook[Any]")

COLLECT = (
    "To collect the result without paying again, set on_clear='reuse' and clear the task; on Airflow 3.1 give the "
    "job's id to a job sensor."
)
"""How the result of a job can be had whose task has failed for good."""


LONGEST_NAME = 120
"""Characters of an input's name in the list of mapped tasks; Airflow keeps at most 250."""


class JobOperator(JobLineage, BaseOperator, Generic[H]):
    """
    Base of the job operators of both services.

    :param mediax_conn_id: connection of type ``mediax``.
    :param deferrable: wait in the triggerer, without a worker slot. Not templated.
    :param wait_for_completion: False returns the manifest right after the submit. Not templated.
    :param poll_interval: seconds; the shortest time between two questions about the job.
    :param wait_timeout: seconds from this attempt's submit or adoption of the job.
    :param cancel_on_kill: cancel the job where the service can, when the task is killed, marked or cleared, or when a
        job has not started by the deadline; not a job that is shared by ``idempotency_key``. Not templated.
    :param on_clear: ``rerun`` submits anew after a clear, ``reuse`` takes the job that was there.
    :param retry_failed_jobs: a retry may pay for another job after one that failed, was canceled, or whose result is
        missing. Not templated.
    :param verify_outputs: look for the files that a finished job promises, if the connection has COS keys and a
        region; a stem that is missing or empty fails the task. Not templated.
    :param idempotency_key: replaces DAG, run, task, map index, clear and request as the job's identity: tasks that
        share it share one job, and asking for something else with the same key is refused. Two tasks that ask in the
        same instant can still buy a job each: both hear that there is none.
    :param kwargs: arguments of Airflow's ``BaseOperator``, such as ``task_id``, ``retries`` and ``pool``.
    """

    template_fields: Sequence[str] = (
        "mediax_conn_id",
        "poll_interval",
        "wait_timeout",
        "on_clear",
        "idempotency_key",
    )
    ui_color = "#d6ecf3"
    operator_extra_links = (InputLink(), ResultsLink())

    def __init__(
        self,
        *,
        mediax_conn_id: str = "mediax_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        wait_for_completion: bool = True,
        poll_interval: float = 5.0,
        wait_timeout: float = 86400.0,
        cancel_on_kill: bool = True,
        on_clear: Literal["rerun", "reuse"] = "rerun",
        retry_failed_jobs: bool = False,
        verify_outputs: bool = True,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("retry_policy") is None:
            kwargs.pop("retry_policy", None)  # Airflow 3.1 knows no such argument, and RETRY_POLICY is None there
        super().__init__(**kwargs)
        self.mediax_conn_id = mediax_conn_id
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.wait_timeout = wait_timeout
        self.cancel_on_kill = cancel_on_kill
        self.on_clear = on_clear
        self.retry_failed_jobs = retry_failed_jobs
        self.verify_outputs = verify_outputs
        self.idempotency_key = idempotency_key
        self._stop: StopSignal | None = None
        self._attempt: Attempt[Any] | None = None
        self.located: Mapping[str, Located] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        describe_inherited(cls, JobOperator)

    @abstractmethod
    def build_request(self) -> JobRequest:
        """
        Return the job that the rendered arguments ask for.

        :raises BadRequest: an argument breaks a rule.
        """

    def prepare_request(self, hook: H) -> JobRequest:
        """Return the request, for services that must be asked something before it can be built."""
        return self.build_request()

    @abstractmethod
    def make_hook(self) -> H:
        """Return the service's hook, with this task's stop signal."""

    @property
    def input_name(self) -> str | None:
        """
        The rendered input, for people: an address without anything that may be secret, or a path.

        It names the indexes of a mapped task whose ``map_index_template`` is not given.
        """
        return None

    def execute(self, context: Context) -> Manifest:
        """
        Get the job, wait for it and return its manifest.

        :raises BadRequest: before anything is sent.
        """
        with self._failing_well():
            return self._carried_out(context, lambda attempt: attempt.begin())

    def resume(self, context: Context, event: Mapping[str, Any] | None = None) -> Manifest:
        """Go on after the trigger's event, which is a hint: the job itself decides."""
        return self._carried_out(context, lambda attempt: attempt.resume(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Treat Airflow's own timeout of the deferral as ours, so that the job is read before the task fails."""
        with self._failing_well():
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except TaskDeferralTimeout:
                return self.resume(context, {"schema": 1, "status": "timeout", "states": {}, "error": None})

    def on_kill(self) -> None:
        """Send nothing more, end every wait, and cancel the job where the service can."""
        if self._stop is not None:
            self._stop.set()
        if self._attempt is not None:
            self._attempt.kill()

    @contextlib.contextmanager
    def _failing_well(self) -> Iterator[None]:
        try:
            retry_failed = as_bool("retry_failed_jobs", self.retry_failed_jobs, False)
        except BadRequest:  # which the attempt raises as well; here it only must not hide what went wrong
            retry_failed = False
        with explained(self.log, retry_failed=retry_failed, collect=COLLECT):
            yield

    def _carried_out(self, context: Context, step: Callable[[Attempt[Any]], Manifest | Deferral]) -> Manifest:
        from airflow_provider_mediax.jobs.attempt import Deferral

        self._name_map_index(context)
        with self._opened(context) as (hook, attempt):
            result = step(attempt)
            if isinstance(result, Deferral):
                self._defer(hook, result)
            if self.outlets:
                from airflow_provider_mediax.assets import announce

                announce(self.outlets, context, result, self.log)
            return result

    def _name_map_index(self, context: Context) -> None:
        """Let the UI show a mapped task by its input; Airflow hands a default of the constructor to no mapped task."""
        if context.get("map_index_template") is None and self.input_name is not None:
            context["map_index_template"] = "{{ task.input_name }}"

    @contextlib.contextmanager
    def _opened(self, context: Context) -> Iterator[tuple[H, Attempt[Any]]]:
        """
        Open the service's hook for one attempt; meanwhile a kill stops it.

        What Airflow's own timeout interrupts stays held, because Airflow calls ``on_kill`` after it.
        """
        from airflow_provider_mediax.client.stop import StopSignal
        from airflow_provider_mediax.jobs.attempt import Attempt
        from airflow_provider_mediax.metrics import JobMeter

        terms = self._terms()
        stop = self._stop = StopSignal()
        hook = self.make_hook()
        meter = JobMeter(hook.service_type)
        attempt = self._attempt = Attempt(
            hook,
            lambda: self.prepare_request(hook),
            terms,
            task_instance(context, self.execution_timeout),
            namespace=hook.connection.namespace,
            notes=_Notes(context["ti"], self.task_id),
            store=context.get("task_state_store"),
            log=self.log,
            meter=meter,
        )
        try:
            yield hook, attempt
        except Exception:
            attempt.release()
            raise
        finally:
            meter.count("throttled", "", hook.throttled)
            self._keep(hook, attempt.job)
            self._stop = None
            hook.close()
            stop.close()

    def _keep(self, hook: H, job: Job | None) -> None:
        """Keep what links and lineage need of the job, for when the task has ended."""
        self.located = hook.located(job) if job is not None else {}
        self.seen_job = SeenJob(hook.service, job) if job is not None else None

    def _terms(self) -> Terms:
        from airflow_provider_mediax.jobs.attempt import Terms

        default = conf.getboolean("operators", "default_deferrable", fallback=False)
        return Terms(
            deferrable=as_bool("deferrable", self.deferrable, default),
            wait_for_completion=as_bool("wait_for_completion", self.wait_for_completion, True),
            poll_interval=as_seconds("poll_interval", self.poll_interval),
            wait_timeout=as_seconds("wait_timeout", self.wait_timeout),
            cancel_on_kill=as_bool("cancel_on_kill", self.cancel_on_kill, True),
            reuse=as_choice("on_clear", self.on_clear, ("rerun", "reuse")) == "reuse",
            retry_failed_jobs=as_bool("retry_failed_jobs", self.retry_failed_jobs, False),
            verify_outputs=as_bool("verify_outputs", self.verify_outputs, True),
            idempotency_key=as_idempotency_key(self.idempotency_key),
        )

    def _defer(self, hook: H, deferral: Deferral) -> NoReturn:
        from airflow_provider_mediax.triggers.base import defer_until
        from airflow_provider_mediax.triggers.job import JobTrigger

        pending = deferral.pending
        trigger = JobTrigger(
            service=hook.service_type.name,
            conn_id=hook.mediax_conn_id,
            capability=deferral.capability,
            job_ids=[pending.job_id],
            custom_ids=[pending.marker],
            bucket=hook.bucket,
            region=hook.region,
            deadline=pending.deadline,
            poll_interval=as_seconds("poll_interval", self.poll_interval),
            cancel_on_kill=deferral.cancel_on_kill,
        )
        defer_until(self, trigger)


def shown_name(given: object) -> str:
    """Return a rendered input as a name that any log or page may show: the end of one that is too long for the UI."""
    from airflow_provider_mediax.protocol.urls import shown_line, shown_url

    name = shown_line(shown_url(str(given)))
    return name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"


class _Notes:
    """What an attempt keeps for its resume and for other tasks: XComs of its own task instance."""

    def __init__(self, ti: Any, task_id: str) -> None:
        self._ti = ti
        self._task_id = task_id

    def write(self, key: str, value: Any) -> None:
        self._ti.xcom_push(key, value)

    def read(self, key: str) -> Any:
        return self._ti.xcom_pull(task_ids=self._task_id, key=key, map_indexes=self._ti.map_index)


def task_instance(context: Context, execution_timeout: timedelta | None) -> TaskInstance:
    """Return what an attempt needs to know of the running task instance."""
    from airflow_provider_mediax.jobs.attempt import TaskInstance

    ti = context["ti"]
    return TaskInstance(
        owner=_owner(context),
        try_number=ti.try_number,
        generation=ti.max_tries,
        started=ti.start_date.timestamp(),
        execution_timeout=execution_timeout.total_seconds() if execution_timeout else None,
        earliest=context["dag_run"].run_after.timestamp(),
    )


def _owner(context: Context) -> Owner:
    from airflow_provider_mediax.jobs.stored import Owner

    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return Owner(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=map_index)
