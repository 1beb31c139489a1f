"""Cloud Infinite's voice separation, from a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.protocol.ci.answers import JobPage, Queue, Template
from airflow_provider_mediax.protocol.ci.operations import CloudInfinite
from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job, JobList


class CloudInfiniteHook(JobHook):
    """
    Calls Cloud Infinite with a connection's COS keys (CI API reference sections 2 to 8).

    :param mediax_conn_id: connection of type ``mediax``.
    :param bucket: bucket with its APPID; default: the connection's ``cos_bucket``.
    :param region: default: the connection's ``cos_region``.
    :param stop: once set, nothing more is sent and every pause ends.
    """

    service_name = CloudInfiniteService.name
    cancellable = CloudInfiniteService.cancellable

    @classmethod
    def service_of(cls, connection: MediaxConnection, bucket: str | None, region: str | None) -> CloudInfiniteService:
        """Return the bucket's jobs with a connection's keys."""
        cos = connection.cos
        place = {"cos_bucket": bucket or cos.bucket or "", "cos_region": region or cos.region or ""}
        for name, value in place.items():
            if not value:
                raise BadRequest.field(name, value, f"connection {connection.conn_id} needs it for Cloud Infinite.")
        operations = CloudInfinite(
            bucket=place["cos_bucket"],
            region=place["cos_region"],
            keys=connection.cos_keys(),
            endpoint=cos.endpoint,
        )
        return CloudInfiniteService(operations)

    def submit(self, request: VoiceSeparationRequest, marker: str) -> Job:
        """
        Create a job (section 4); it is never sent twice.

        :param marker: first word of the job's ``UserData``.
        :raises BadRequest: the request breaks a rule, or the service refused it.
        :raises Unavailable: the outcome is not known; ask :meth:`find` before submitting again.
        """
        return self.run(self.service.submit(request, marker))

    def find(self, marker: str, *, since: float | None = None) -> JobList:
        """
        List the jobs that carry the marker, newest first.

        :param since: epoch seconds before which none can have been created; without it all jobs are read.
        """
        return self.run(self.service.find(marker, since=since))

    def describe(self, ids: Sequence[str]) -> Mapping[str, Job]:
        """Read 1 to 10 jobs (section 5.2); an unknown id is absent."""
        return self.run(self.service.describe(ids))

    def list(self, **filters: Any) -> JobPage:
        """Read one page of jobs (section 5.3); the filters are those of ``protocol.cloud_infinite.list_jobs``."""
        return self.run(self._operations.list_jobs(**filters))

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel 1 to 10 jobs that have not started (section 5.4)."""
        self.run(self.service.cancel(ids))

    def template(self, template_id: str) -> Template:
        """
        Read a template (section 7).

        :raises BadRequest: the bucket has none of that id.
        """
        found = self.run(self._operations.get_templates(ids=[template_id]))
        if not found:
            raise BadRequest.field("template_id", template_id, "the bucket has no such template.")
        return found[0]

    def ensure_template(self, name: str, mode: str, **audio: Any) -> Template:
        """
        Return the template of that name, made if there is none.

        The service refuses a second template of one name, so two tasks that do this at once end with the same one.
        What it cannot exclude: that somebody changes or deletes the template in between.

        :param name: 1 to 64 Chinese or Latin letters, digits, ``_``, ``-``, ``*``.
        :param mode: ``AudioMode`` (section 4.2).
        :param audio: codec, sample_rate (Hz), bitrate (kbit/s) and channels (section 4.3).
        :raises BadRequest: a template of that name does something else.
        """
        return self.run(self._ensured(name, mode, AudioConfig(**audio)))

    def queues(self) -> Sequence[Queue]:
        """List the smart-audio queues (section 8)."""
        return self.run(self._operations.queues())

    @property
    def _operations(self) -> CloudInfinite:
        service = self.service_of(self.connection, self.bucket, self.region)
        return service.bucket

    def _ensured(self, name: str, mode: str, audio: AudioConfig) -> Flow[Template]:
        failure: MediaxError | None = None
        for _ in range(2):
            listed = yield from self._operations.get_templates(name=name)
            for template in listed:
                if template.name == name:
                    if not template.is_like(mode, audio):
                        rule = f"template {template.id} has this name and another mode or encoding."
                        raise BadRequest.field("name", name, rule)
                    return template
            if failure is not None:
                raise failure
            try:
                return (yield from self._operations.create_template(name, mode, audio))
            except MediaxError as error:
                failure = error  # another task was faster, or the answer was lost: look once more
        raise failure or BadRequest.field("name", name, "it could not be made.")
