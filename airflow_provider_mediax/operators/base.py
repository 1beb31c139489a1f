"""
The base of every job operator: own one job, wait for it, collect it.

``execute`` gets the task its job (``jobs.ownership``), waits for it in the triggerer or in the worker
(``jobs.waiting``), and returns the manifest. Every change of the job's state that the operator sees passes
:meth:`JobOperator.observe`.
"""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator, conf

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef]

from airflow_provider_mediax.exceptions import (
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
    WaitTimeout,
)
from airflow_provider_mediax.jobs.arguments import as_choice, as_seconds, as_text, is_absent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.client.stop import StopSignal
    from airflow_provider_mediax.hooks.job import JobHook
    from airflow_provider_mediax.jobs.ownership import Owned, Owner
    from airflow_provider_mediax.jobs.service import JobRequest
    from airflow_provider_mediax.protocol.job import Job

JOB_ID_KEY = "job_id"
"""XCom of the job's id, pushed before the task defers."""

WAIT_KEY = "mediax_wait"
"""XCom of what the wait needs after a resume; ``next_kwargs`` are lost when Airflow's own timeout strikes."""

PENDING_SCHEMA = 1

CANCEL_SECONDS = 3.0
"""How long a kill in a worker takes at most: Airflow sends SIGKILL 5 s after SIGTERM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """
    What the task waits for.

    :param deadline: epoch seconds; the same for the whole attempt.
    """

    schema: int = PENDING_SCHEMA
    job_id: str
    marker: str
    deadline: float
    reattached: bool

    @classmethod
    def read(cls, stored: object) -> Pending | None:
        """Read what was stored, by this or another version; something else is None."""
        if not isinstance(stored, Mapping):
            return None
        try:
            return cls(
                job_id=str(stored["job_id"]),
                marker=str(stored["marker"]),
                deadline=float(stored["deadline"]),
                reattached=bool(stored["reattached"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


class JobOperator(BaseOperator):
    """
    Base of the job operators of both services.

    :param mediax_conn_id: connection of type ``mediax``.
    :param deferrable: wait in the triggerer, without a worker slot. Not templated.
    :param wait_for_completion: False returns the manifest right after the submit. Not templated.
    :param poll_interval: seconds; the first interval, which grows with the job's age to 60, jittered.
    :param wait_timeout: seconds from this attempt's submit or adoption of the job.
    :param cancel_on_kill: cancel the job where the service can, when the task is killed, marked or cleared, or reaches
        its deadline; not a job that is shared by ``idempotency_key``. Not templated.
    :param on_clear: ``rerun`` submits anew after a clear, ``reuse`` takes the job that was there.
    :param retry_failed_jobs: a retry may pay for another job after a failed one. Not templated.
    :param idempotency_key: replaces DAG, run, task, map index, clear and request as the job's identity: whoever
        shares it shares one job, unless two ask in the same instant: then both hear that there is none.
    """

    template_fields: Sequence[str] = (
        "mediax_conn_id",
        "poll_interval",
        "wait_timeout",
        "on_clear",
        "idempotency_key",
    )
    ui_color = "#d6ecf3"

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
        self.idempotency_key = idempotency_key
        self._stop: StopSignal | None = None
        self._held: tuple[JobHook, str] | None = None
        self._observed: tuple[str, str] | None = None

    @abstractmethod
    def build_request(self) -> JobRequest:
        """
        Return the job that the rendered arguments ask for.

        :raises BadRequest: an argument breaks a rule.
        """

    def prepare_request(self, hook: JobHook) -> JobRequest:
        """Return the request, for services that must be asked something before it can be built."""
        return self.build_request()

    @abstractmethod
    def make_hook(self) -> JobHook:
        """Return the service's hook, with this task's stop signal."""

    def execute(self, context: Context) -> Any:
        """
        Get the job, wait for it and return its manifest.

        :raises BadRequest: before anything is sent.
        """
        poll_interval = as_seconds("poll_interval", self.poll_interval)
        wait_timeout = as_seconds("wait_timeout", self.wait_timeout)
        with self._session() as hook:
            request = self.prepare_request(hook)
            owned = self._acquire(context, hook, request)
            self._held = (hook, owned.job.id)
            self.observe(owned.job)
            context["ti"].xcom_push(JOB_ID_KEY, owned.job.id)
            if not self.wait_for_completion:
                return hook.manifest(owned.job, _owner(context), reattached=owned.reattached)
            pending = Pending(
                job_id=owned.job.id,
                marker=owned.marker,
                deadline=self._deadline(context, wait_timeout),
                reattached=owned.reattached,
            )
            return self._wait(context, hook, pending, self._first_look(hook, owned, pending), poll_interval)

    def resume(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """
        Go on after the trigger's event.

        The event is a hint: the job is read again, and its own state decides.
        """
        from airflow_provider_mediax.triggers.job import JobEvent

        with self._session() as hook:
            pending = self._pending(context)
            if pending is None:
                self.log.warning("What this task waited for is not known any more; looking its job up")
                return self.execute(context)
            self._held = (hook, pending.job_id)
            said = JobEvent.read(event, pending.job_id)
            job = self._ask(hook, pending)
            if not job.state.final:
                if said.error is not None:
                    raise said.error.about(job_id=pending.job_id, marker=pending.marker)
                if said.status == "timeout" or time.time() >= pending.deadline:
                    job = self._at_deadline(hook, pending, job)
                else:
                    self.log.warning("The event was not about the end of job %s; waiting on", pending.job_id)
            return self._wait(context, hook, pending, job, as_seconds("poll_interval", self.poll_interval))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Treat Airflow's own timeout of the deferral as ours, so that the job is read before the task fails."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            return self.resume(context, {"schema": 1, "status": "timeout", "states": {}, "error": None})

    def on_kill(self) -> None:
        """
        Send nothing more, end every wait, and cancel the job where the service can.

        A submit that is on its way is left alone: whoever comes next finds it by its marker.
        """
        from airflow_provider_mediax.jobs.cancellation import cancel_flow, told

        if self._stop is not None:
            self._stop.set()
        if self._held is None:
            return
        hook, job_id = self._held
        if not self._may_cancel(hook):
            reason = "as it was asked to be" if hook.cancellable else "because the service has no call to cancel it"
            self.log.warning("Job %s goes on and is paid for, %s", job_id, reason)
            return
        troubles: list[MediaxError] = []
        try:
            jobs = hook.run_apart(cancel_flow(hook.service, [job_id], troubles.append), CANCEL_SECONDS)
        except TimeoutError:
            self.log.warning("Whether job %s could be canceled is not known: no answer yet", job_id)
            return
        for error in troubles:  # logged here: the other thread might wait for a lock that this one holds
            self._note_uncanceled(error)
        for job in jobs:
            self.log.info(told(job))

    def observe(self, job: Job) -> None:
        """Note a change of the job's state: the one place that every change passes."""
        if self._observed != (job.id, job.state_name):
            self._observed = (job.id, job.state_name)
            self.log.info(job.summary)

    def _may_cancel(self, hook: JobHook) -> bool:
        """Tell whether the end of this task may end its job: others may wait for one that is shared by a key."""
        return hook.cancellable and self.cancel_on_kill and is_absent(self.idempotency_key)

    def _acquire(self, context: Context, hook: JobHook, request: JobRequest) -> Owned:
        from airflow_provider_mediax.jobs.ownership import Acquisition, Identity

        ti = context["ti"]
        if is_absent(self.idempotency_key) and self.idempotency_key is not None:
            raise BadRequest.field("idempotency_key", self.idempotency_key, "leave it out, or give a key.")
        identity = Identity(
            namespace=hook.connection.namespace,
            owner=_owner(context),
            generation=ti.max_tries,
            reuse=as_choice("on_clear", self.on_clear, ("rerun", "reuse")) == "reuse",
            key=as_text("idempotency_key", self.idempotency_key),
        )
        acquisition = Acquisition(
            hook.service,
            request,
            identity,
            store=context.get("task_state_store"),
            try_number=ti.try_number,
            earliest=context["dag_run"].run_after.timestamp(),
            retry_failed=self.retry_failed_jobs,
            cancel_earlier=self.cancel_on_kill,
            log=self.log,
        )
        try:
            return hook.run(acquisition.run())
        except MediaxError as error:
            raise error.about(marker=acquisition.marker) from error.__cause__

    def _wait(self, context: Context, hook: JobHook, pending: Pending, job: Job, poll_interval: float) -> Any:
        """Return the manifest of a job that is final, or wait for it in the triggerer or here."""
        if not job.state.final:
            if self.deferrable:
                self._defer(context, hook, pending, poll_interval)
            job = self._wait_here(hook, pending, poll_interval)
        from airflow_provider_mediax.jobs.ending import require_success

        require_success(job, retry_failed=self.retry_failed_jobs)
        return hook.manifest(job, _owner(context), reattached=pending.reattached)

    def _defer(self, context: Context, hook: JobHook, pending: Pending, poll_interval: float) -> NoReturn:
        from airflow_provider_mediax.triggers.base import defer_until
        from airflow_provider_mediax.triggers.job import JobTrigger

        context["ti"].xcom_push(WAIT_KEY, asdict(pending))
        trigger = JobTrigger(
            service=hook.service_name,
            conn_id=hook.mediax_conn_id,
            job_ids=[pending.job_id],
            custom_ids=[pending.marker],
            bucket=hook.bucket,
            region=hook.region,
            deadline=pending.deadline,
            poll_interval=poll_interval,
            cancel_on_kill=self._may_cancel(hook),
        )
        self._held = None  # from here on the trigger's
        defer_until(self, trigger)

    def _wait_here(self, hook: JobHook, pending: Pending, poll_interval: float) -> Job:
        from airflow_provider_mediax.client.retry import ONE_TRY
        from airflow_provider_mediax.jobs.waiting import Wait, wait_flow

        wait = Wait(
            job_ids=[pending.job_id], deadline=pending.deadline, poll_interval=poll_interval, started=time.time()
        )
        waiting = wait_flow(hook.service, wait, clock=time.time, on_change=self.observe, on_trouble=self._note_trouble)
        outcome = hook.run(waiting, ONE_TRY)
        if outcome.error is not None:
            raise outcome.error.about(job_id=pending.job_id, marker=pending.marker)
        job = self._ask(hook, pending)
        return job if job.state.final else self._at_deadline(hook, pending, job)

    def _note_trouble(self, error: MediaxError) -> None:
        self.log.warning("Asking for the job failed, trying again: %s", error.what)

    def _note_uncanceled(self, error: MediaxError) -> None:
        self.log.warning("Canceling the job failed: %s", error.what)

    def _first_look(self, hook: JobHook, owned: Owned, pending: Pending) -> Job:
        """
        Ask for a new job once before the slot is given up; what was adopted has just been described.

        A failure here ends nothing, because the wait that follows bears failures.
        """
        if owned.reattached:
            return owned.job
        try:
            return self._ask(hook, pending)
        except (ProtocolError, Throttled, Unavailable) as error:
            self._note_trouble(error)
            return owned.job

    def _ask(self, hook: JobHook, pending: Pending) -> Job:
        """
        Describe the job.

        :raises ProtocolError: the service will not. That is no reason to lose a job that exists, so it is retryable.
        """
        refused: BadRequest | None = None
        jobs: Mapping[str, Job] = {}
        try:
            jobs = hook.run(hook.service.describe([pending.job_id]))
        except BadRequest as error:
            refused = error
        job = jobs.get(pending.job_id)
        if job is None:
            reason = refused.what if refused else "it does not know it"
            raise ProtocolError(
                f"The service will not describe the job: {reason}", job_id=pending.job_id, marker=pending.marker
            ) from refused
        self.observe(job)
        return job

    def _at_deadline(self, hook: JobHook, pending: Pending, job: Job) -> Job:
        """
        Cancel the job where the service can, and return it if it has come to an end by that or by itself.

        :raises WaitTimeout: it goes on.
        """
        from airflow_provider_mediax.jobs.cancellation import cancel_flow

        if self._may_cancel(hook):
            for job in hook.run(cancel_flow(hook.service, [pending.job_id], self._note_uncanceled)):
                self.observe(job)
        if job.state.final:
            return job
        what = f"The job is still {job.state_name} at the deadline of this attempt"
        raise WaitTimeout(what, job_id=pending.job_id, marker=pending.marker)

    def _pending(self, context: Context) -> Pending | None:
        ti = context["ti"]
        return Pending.read(ti.xcom_pull(task_ids=self.task_id, key=WAIT_KEY, map_indexes=ti.map_index))

    def _deadline(self, context: Context, wait_timeout: float) -> float:
        from airflow_provider_mediax.jobs.waiting import absolute_deadline

        limit = self.execution_timeout
        return absolute_deadline(
            time.time(),
            wait_timeout,
            task_started=context["ti"].start_date.timestamp(),
            execution_timeout=limit.total_seconds() if limit else None,
        )

    @contextlib.contextmanager
    def _session(self) -> Iterator[JobHook]:
        """
        Open the service's hook for a while; meanwhile a kill stops it.

        What Airflow's own timeout interrupts stays held, because Airflow calls ``on_kill`` after it.
        """
        from airflow_provider_mediax.client.stop import StopSignal

        stop = self._stop = StopSignal()
        hook = self.make_hook()
        try:
            yield hook
            self._held = None
        except Exception:
            self._held = None
            raise
        finally:
            self._stop = None
            hook.close()
            stop.close()


def _owner(context: Context) -> Owner:
    from airflow_provider_mediax.jobs.ownership import Owner

    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return Owner(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=map_index)
