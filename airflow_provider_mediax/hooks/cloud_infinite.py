"""Cloud Infinite's voice separation, from a connection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.protocol.ci.answers import JobPage, Queue, Template
from airflow_provider_mediax.protocol.ci.operations import PAGE_SIZE, CloudInfinite
from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.names import check


class CloudInfiniteHook(JobHook[CloudInfiniteService]):
    """
    Calls Cloud Infinite with a connection's COS keys (CI API reference sections 2 to 8).

    :param mediax_conn_id: connection of type ``mediax``.
    :param bucket: bucket with its APPID; default: the connection's ``cos_bucket``.
    :param region: default: the connection's ``cos_region``.
    :param stop: once set, nothing more is sent and every pause ends.
    """

    service_type = CloudInfiniteService
    sensor = "CloudInfiniteJobSensor"
    keys = "cos_secret_id and cos_secret_key"

    @classmethod
    def service_of(cls, connection: MediaxConnection, bucket: str | None, region: str | None) -> CloudInfiniteService:
        """Return the bucket's jobs with a connection's keys."""
        for name, given in (("bucket", bucket), ("region", region)):
            if given:
                check(name, given)
        cos = connection.cos
        bucket = bucket or cos.bucket
        place = {"cos_bucket": bucket or "", "cos_region": region or cos.region_of(bucket) or ""}
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

    @classmethod
    def is_set_up(cls, connection: MediaxConnection) -> bool:
        """Tell whether there is a key of COS."""
        return bool(connection.cos.secret_id or connection.cos.secret_key)

    def submit(self, request: VoiceSeparationRequest, marker: str) -> Job:
        """
        Create a job (section 4); it is never sent twice.

        :param marker: first word of the job's ``UserData``.
        :raises BadRequest: the request breaks a rule, or the service refused it.
        :raises Unavailable: the outcome is not known; ask :meth:`jobs_of` before submitting again.
        """
        return self.run(self.service.submit(self.service.prepare(request), marker))

    def jobs(
        self,
        *,
        queue_id: str | None = None,
        states: str | Collection[str] = "All",
        start: float | None = None,
        end: float | None = None,
        input_object: str | None = None,
        size: int = PAGE_SIZE,
        next_token: str | None = None,
        order: Literal["Desc", "Asc"] = "Desc",
    ) -> JobPage:
        """
        Read one page of the bucket's jobs (section 5.3).

        :param queue_id: smart-audio queue, where the service insists on one.
        :param states: ``All``, or some of Submitted, Running, Success, Failed, Pause, Cancel.
        :param start: epoch seconds, by the service's clock, from which on jobs were created; ``end`` likewise.
        :param input_object: key of the source, matched exactly.
        :param size: jobs on the page, 1 to 100.
        :param next_token: of the page before.
        :param order: by time.
        :raises BadRequest: a filter breaks its rule.
        """
        page = self.service.bucket.list_jobs(
            queue_id=queue_id,
            states=states,
            start=start,
            end=end,
            input_object=input_object,
            size=size,
            next_token=next_token,
            order=order,
        )
        return self.run(page)

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel 1 to 10 jobs that have not started (section 5.4)."""
        self.run(self.service.cancel(ids))

    def template(self, template_id: str) -> Template:
        """
        Read a template (section 7).

        :raises BadRequest: the bucket has none of that id.
        """
        found = self.run(self.service.bucket.get_templates(ids=[template_id]))
        if not found:
            raise BadRequest.field("template_id", template_id, "the bucket has no such template.")
        return found[0]

    def ensure_template(
        self,
        name: str,
        mode: str,
        *,
        codec: str = "mp3",
        sample_rate: int | None = None,
        bitrate: int | None = None,
        channels: int | None = None,
    ) -> Template:
        """
        Return the template of that name, made if there is none.

        The service refuses a second template of one name, so two tasks that do this at once end with the same one.
        What it cannot exclude: that somebody changes or deletes the template in between.

        :param name: 1 to 64 Chinese or Latin letters, digits, ``_``, ``-``, ``*``.
        :param mode: ``AudioMode`` (section 4.2).
        :param codec: aac, mp3, flac, amr or wav (section 4.3).
        :param sample_rate: Hz.
        :param bitrate: kbit/s, 8 to 1000.
        :param channels: a number that the codec takes.
        :raises BadRequest: a template of that name does something else.
        """
        audio = AudioConfig(codec=codec, sample_rate=sample_rate, bitrate=bitrate, channels=channels)
        return self.run(self.service.bucket.ensure_template(name, mode, audio))

    def queues(self) -> Sequence[Queue]:
        """List the smart-audio queues (section 8)."""
        return self.run(self.service.bucket.queues())
