"""Waits for a job that somebody else submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mediax.arguments import as_name, as_text, parsed_literal
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.lineage import JobLineage, SeenJob
from airflow_provider_mediax.protocol.names import check
from airflow_provider_mediax.sensors.base import WaitingSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.exceptions import MediaxError
    from airflow_provider_mediax.hooks.base import JobHook
    from airflow_provider_mediax.jobs.manifest import Manifest
    from airflow_provider_mediax.jobs.stored import Owner
    from airflow_provider_mediax.protocol.job import Job
    from airflow_provider_mediax.triggers.job import JobTrigger


class JobSensor(JobLineage, WaitingSensor):
    """
    Base of the job sensors: waits for a job and returns its manifest. It never cancels anything.

    :param job_id: the job's id, or the manifest that an operator returned with ``wait_for_completion=False``.
    :param poke_interval: seconds between two questions, by default 60 in a worker. In the triggerer it is the shortest
        time between two questions, by default that of the operators, and the pauses grow with the job's age.
    :cvar service: name of the job's service, a key of ``hooks.registry.SERVICES``.
    """

    service: ClassVar[str]

    template_fields: Sequence[str] = (*WaitingSensor.template_fields, "job_id")

    def __init__(
        self, *, job_id: str | dict[str, Any], poke_interval: timedelta | float | None = None, **kwargs: Any
    ) -> None:
        if poke_interval is not None:
            kwargs["poke_interval"] = poke_interval
        super().__init__(**kwargs)
        self.job_id = job_id
        self._poll_interval = None if poke_interval is None else max(1.0, self.poke_interval)
        self._capability: str | None = None

    def execute(self, context: Context) -> Any:
        """Wait in the triggerer, or poke in the worker."""
        return self._announced(context, super().execute(context))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Look at the job once more after a deferral, whatever ended it."""
        return self._announced(context, super().resume_execution(next_method, next_kwargs, context))

    def _announced(self, context: Context, manifest: Manifest) -> Manifest:
        """Return a manifest of which the task's outlets know."""
        if self.outlets and manifest is not None:
            from airflow_provider_mediax.assets import announce

            announce(self.outlets, context, manifest, self.log)
        return manifest

    def make_hook(self) -> JobHook[Any]:
        """Return the service's hook."""
        from airflow_provider_mediax.hooks.registry import SERVICES

        return SERVICES[self.service].at(self.mediax_conn_id, *self.place())

    def place(self) -> tuple[str | None, str | None]:
        """Return bucket and region of the job: as its manifest has them, else None for the connection's."""
        from airflow_provider_mediax.jobs.stored import place_in

        given = parsed_literal(self.job_id)
        place = place_in(given) if isinstance(given, Mapping) else None
        return (place.bucket, place.region) if place else (None, None)

    def look(self) -> Manifest | None:
        """Return the manifest of a job that has succeeded, None for one that is still open."""
        from airflow_provider_mediax.jobs.ending import require_success

        job_id, owner = self._target()
        hook = self.make_hook()
        try:
            job: Job | None = hook.describe([job_id]).get(job_id)
            if job is None:
                raise BadRequest.field("job_id", job_id, "the service does not know it.")
            self.log.info(job.summary)
            self.seen_job = SeenJob(hook.service, job)
            if not job.state.final:
                self._capability = hook.service.capability(job)
                return None
            require_success(job)
            manifest = hook.manifest(job, owner, reattached=True)
            self.log.info("Job %s has found: %s", job.id, hook.found(manifest))
            return manifest
        finally:
            hook.close()

    def make_trigger(self, deadline: float) -> JobTrigger:
        """Return the trigger that waits for the job."""
        from airflow_provider_mediax.triggers.job import JobTrigger

        job_id, _ = self._target()
        hook = self.make_hook()
        trigger = JobTrigger(
            service=hook.service_type.name,
            conn_id=hook.mediax_conn_id,
            capability=self._capability,
            job_ids=[job_id],
            custom_ids=[],
            bucket=hook.bucket,
            region=hook.region,
            deadline=deadline,
            cancel_on_kill=False,
        )
        if self._poll_interval is not None:
            trigger.poll_interval = self._poll_interval
        return trigger

    def read_event(self, event: object) -> tuple[str, MediaxError | None]:
        """Return what an event says of our job; of another one it says nothing."""
        from airflow_provider_mediax.jobs.stored import JobEvent

        job_id, _ = self._target()
        said = JobEvent.read(event, job_id)
        return said.status, said.error.about(job_id=job_id) if said.error else None

    def _target(self) -> tuple[str, Owner | None]:
        """Return the id to wait for and, if a manifest was given, whose job it is."""
        from airflow_provider_mediax.jobs.stored import owner_in, read_manifest

        given = parsed_literal(self.job_id)
        if isinstance(given, Mapping):
            manifest = read_manifest("job_id", given)
            return manifest["job_id"], owner_in(manifest)
        job_id = (as_text("job_id", given) or "").strip()
        if not job_id:
            raise BadRequest.field("job_id", self.job_id, "it must be a job's id or a manifest.")
        check("job_id", job_id, "content_id")  # what an id of each service consists of, the service knows
        return job_id, None


class MediaxJobSensor(JobSensor):
    """
    Waits for a job of the music platform, and returns its manifest.

    Of a job in another repository than the connection's, give the manifest: it says in which bucket the files lie.
    """

    service = "mediax"


class CloudInfiniteJobSensor(JobSensor):
    """
    Waits for a voice separation, and returns its manifest.

    :param bucket: bucket of the job; default: that of the manifest, else the connection's.
    :param region: region of the bucket; default: likewise.
    """

    service = "cloud_infinite"
    template_fields: Sequence[str] = (*JobSensor.template_fields, "bucket", "region")

    def __init__(self, *, bucket: str | None = None, region: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.region = region

    def place(self) -> tuple[str | None, str | None]:
        """Return bucket and region as they were given, else those of the manifest."""
        known = super().place()
        bucket, region = (as_name(name, getattr(self, name)) for name in ("bucket", "region"))
        return bucket or known[0], region or known[1]
