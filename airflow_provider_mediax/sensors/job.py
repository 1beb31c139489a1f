"""Waits for a job that somebody else submitted."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.arguments import as_text, parsed_literal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.hooks.job import JobHook
    from airflow_provider_mediax.jobs.ownership import Owner
    from airflow_provider_mediax.protocol.exchange import JsonObject
    from airflow_provider_mediax.protocol.job import Job


class JobSensor(BaseSensorOperator):
    """
    Base of the job sensors of both services: waits for a job and returns its manifest.

    Keeps Airflow's ``poke_interval``, ``timeout``, ``soft_fail`` and ``mode``.

    :param job_id: the job's id, or the manifest that an operator returned with ``wait_for_completion=False``.
    :param mediax_conn_id: connection of type ``mediax``.
    :param deferrable: wait in the triggerer, without a worker slot. Not templated.
    """

    template_fields: Sequence[str] = ("job_id", "mediax_conn_id")
    ui_color = "#d6ecf3"

    def __init__(
        self,
        *,
        job_id: str | dict[str, Any],
        mediax_conn_id: str = "mediax_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.mediax_conn_id = mediax_conn_id
        self.deferrable = deferrable

    @abstractmethod
    def make_hook(self) -> JobHook:
        """Return the service's hook."""

    def execute(self, context: Context) -> Any:
        """Wait in the triggerer, or poke in the worker."""
        if not self.deferrable:
            return super().execute(context)
        try:
            manifest = self._look()
        except AirflowException as error:
            # What Airflow does around poke and resume; this look belongs to neither.
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped, because the job ended otherwise: {error}") from error
            raise
        return self._defer(context) if manifest is None else manifest

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once."""
        manifest = self._look()
        return PokeReturnValue(is_done=manifest is not None, xcom_value=manifest)

    def resume(self, context: Context, event: Mapping[str, Any] | None = None) -> JsonObject:
        """Go on after the trigger's event, which is a hint: the job itself is read again."""
        from airflow_provider_mediax.triggers.job import JobEvent

        manifest = self._look()
        if manifest is not None:
            return manifest
        job_id, _ = self._target()
        said = JobEvent.read(event, job_id)
        if said.error is not None:
            raise said.error.about(job_id=job_id)
        if said.status == "timeout" or time.time() >= self._deadline(context):
            raise AirflowSensorTimeout(f"Job {job_id} is not final after {self.timeout:g} s of waiting.")
        return self._defer(context)

    def _look(self) -> JsonObject | None:
        """Return the manifest of a job that has succeeded, None for one that is still open."""
        from airflow_provider_mediax.jobs.ending import require_success

        job_id, owner = self._target()
        hook = self.make_hook()
        try:
            job: Job | None = hook.run(hook.service.describe([job_id])).get(job_id)
            if job is None:
                raise BadRequest.field("job_id", job_id, "the service does not know it.")
            self.log.info("Job %s is %s", job.id, job.state_name)
            if not job.state.final:
                return None
            require_success(job)
            return hook.manifest(job, owner, reattached=True)
        finally:
            hook.close()

    def _deadline(self, context: Context) -> float:
        """Return when the wait ends: counted from the start of this try, which a deferral does not move."""
        return float(context["ti"].start_date.timestamp()) + self.timeout

    def _defer(self, context: Context) -> NoReturn:
        from airflow_provider_mediax.triggers.base import defer_until
        from airflow_provider_mediax.triggers.job import JobTrigger

        job_id, _ = self._target()
        hook = self.make_hook()
        trigger = JobTrigger(
            service=hook.service_name,
            conn_id=self.mediax_conn_id,
            job_ids=[job_id],
            custom_ids=[],
            bucket=hook.bucket,
            region=hook.region,
            deadline=self._deadline(context),
            poll_interval=max(1.0, self.poke_interval),
            cancel_on_kill=False,
        )
        defer_until(self, trigger)

    def _target(self) -> tuple[str, Owner | None]:
        """Return the id to wait for and, if a manifest was given, whose job it is."""
        from airflow_provider_mediax.jobs.ownership import Owner

        given = parsed_literal(self.job_id)
        if isinstance(given, Mapping):
            if not given.get("job_id"):
                raise BadRequest.field("job_id", sorted(given), "a manifest must hold a job_id.")
            stored = given.get("owner")
            return str(given["job_id"]), Owner(**stored) if isinstance(stored, Mapping) else None
        job_id = str(self.job_id or "").strip()
        if not job_id or job_id == "None":
            raise BadRequest.field("job_id", self.job_id, "it must be a job's id or a manifest.")
        return job_id, None


class MediaxJobSensor(JobSensor):
    """Waits for a job of the music platform. Takes the arguments of :class:`JobSensor`."""

    def make_hook(self) -> JobHook:
        """Return the music platform's hook."""
        from airflow_provider_mediax.hooks.mediax import MediaxHook

        return MediaxHook(self.mediax_conn_id)


class CloudInfiniteJobSensor(JobSensor):
    """
    Waits for a voice separation. Takes the arguments of :class:`JobSensor`, and:

    :param bucket: bucket of the job; default: the connection's.
    :param region: region of the bucket; default: the connection's.
    """

    template_fields: Sequence[str] = (*JobSensor.template_fields, "bucket", "region")

    def __init__(self, *, bucket: str | None = None, region: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.region = region

    def make_hook(self) -> JobHook:
        """Return the hook of the job's bucket."""
        from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook

        bucket, region = (as_text(name, getattr(self, name)) for name in ("bucket", "region"))
        return CloudInfiniteHook(self.mediax_conn_id, bucket=bucket, region=region)
