"""MediaX, the music platform, as a job service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.echo import contradicts, names_another
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList, member, objects
from airflow_provider_mediax.protocol.mediax.gateway import Gateway
from airflow_provider_mediax.protocol.mediax.request import PREFIX_MEMBER, MediaxRequest, Repository
from airflow_provider_mediax.protocol.mediax.results import ResultView, read_result
from airflow_provider_mediax.protocol.service import JobService, Promise


@dataclass(frozen=True)
class MediaxService(JobService[MediaxRequest]):
    """
    Jobs of the music platform. It has no call to cancel one (API reference section 5.5).

    :param repository: what the connection says of the registered repository.
    :param buckets: buckets of other repositories by their ids.
    """

    name: ClassVar[str] = "mediax"
    describe_limit: ClassVar[int] = 1
    cancellable: ClassVar[bool] = False

    gateway: Gateway
    repository: Repository
    buckets: Mapping[str, str] = field(default_factory=dict)

    def check(self, request: MediaxRequest) -> None:
        """Build the call once without sending it, which refuses what cannot be sent."""
        flow = self.submit(request, "check")
        next(flow)
        flow.close()

    def submit(self, request: MediaxRequest, marker: str) -> Flow[Job]:
        """Create a job; file results go to a directory of its own unless the request names one."""
        body = request.wire(self.repository, default_destination(marker))
        return (yield from self.gateway.create_job(body, marker))

    def find(self, marker: str, *, request: MediaxRequest | None = None, since: float | None = None) -> Flow[JobList]:
        """List the jobs by ``customId``, whenever they were created."""
        return (yield from self.gateway.list_jobs(marker))

    def matches(self, job: Job, request: MediaxRequest) -> bool:
        """Compare the echoed inputs and outputs (section 6); of an input or a descriptor, the kind first."""
        asked = request.wire(self.repository, default_destination(job.marker or ""))
        return not (
            _other_kind(asked.get("inputs"), job.raw.get("inputs"))
            or contradicts(asked.get("inputs"), job.raw.get("inputs"))
            or _other_kind(_descriptors(asked.get("outputs")), _descriptors(job.raw.get("outputs")))
            or contradicts(asked.get("outputs"), job.raw.get("outputs"))
        )

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        """Read one job after the other; the platform has no call for several."""
        jobs = {}
        for job_id in ids:
            jobs[job_id] = yield from self.gateway.get_job(job_id)
        return jobs

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        """
        Refuse: the platform has no such call.

        :raises BadRequest: always.
        """
        raise BadRequest.field("job_id", list(ids), "the platform cannot cancel jobs.")
        yield  # makes it a flow, like its siblings

    def view(self, job: Job) -> ResultView:
        """Read the result; addresses of files need the bucket of their repository."""
        own = self.repository
        known = {own.content_id: own.bucket} if own.content_id and own.bucket else {}
        return read_result(job, {**known, **self.buckets})

    def promised(self, job: Job) -> Promise:
        """
        Name the files of the view.

        A missing one proves nothing, because where files lie is inferred from what the platform has answered
        (API reference section 9), but an empty one is no result.
        """
        return replace(super().promised(job), missing_is_failure=False)


def _other_kind(asked: object, echoed: object) -> bool:
    return any(map(names_another, objects(asked), objects(echoed)))


def _descriptors(outputs: object) -> list[JsonObject]:
    descriptors = [member(output, "smartContentDescriptor") for output in objects(outputs)]
    return [{name: value for name, value in descriptor.items() if name != PREFIX_MEMBER} for descriptor in descriptors]


def default_destination(marker: str) -> str:
    """Return the directory that a job's files go to when the user names none."""
    return f"/mediax/{marker}/"
