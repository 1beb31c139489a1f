"""MediaX, the music platform, as a job service."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import urlsplit

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    Throttled,
    Unavailable,
    Unreachable,
)
from airflow_provider_mediax.protocol.echo import contradicts, names_another
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList
from airflow_provider_mediax.protocol.json_body import member, objects
from airflow_provider_mediax.protocol.mediax.gateway import Gateway
from airflow_provider_mediax.protocol.mediax.request import PREFIX_MEMBER, MediaxRequest, Repository
from airflow_provider_mediax.protocol.mediax.results import read_result, result_of
from airflow_provider_mediax.protocol.names import check, refused
from airflow_provider_mediax.protocol.rows import Result, ResultView
from airflow_provider_mediax.protocol.service import NOBODYS_MARKER, Finding, JobService, Prepared, Promise


@dataclass(frozen=True)
class MediaxService(JobService[MediaxRequest]):
    """
    Jobs of the music platform. It has no call to cancel one (API reference section 5.5).

    :param repository: what the connection says of the registered repository.
    :param cos_bucket: bucket of the repository that a request names in the connection's place.
    """

    name: ClassVar[str] = "mediax"
    title: ClassVar[str] = "MediaX"
    succeeded: ClassVar[str] = "COMPLETED"
    describe_limit: ClassVar[int] = 1
    cancellable: ClassVar[bool] = False
    lists_by_time: ClassVar[bool] = False

    gateway: Gateway
    repository: Repository
    cos_bucket: str | None = None

    @property
    def account(self) -> tuple[str, str]:
        """The gateway's host, and the platform's key id."""
        return urlsplit(self.gateway.base_url).netloc, self.gateway.platform_keys.secret_id

    def prepare(self, request: MediaxRequest) -> Prepared[MediaxRequest]:
        """Build ``createJobRequest`` but for ``customId`` and the directory that is named after it."""
        if self.cos_bucket is not None:
            check("cos_bucket", self.cos_bucket)
            if request.content_id is None:
                raise refused("cos_bucket", self.cos_bucket, "it says where content_id lies, so give that too.")
        return Prepared.of(request, request.wire(self._repository_of(request.content_id)))

    def submit(self, prepared: Prepared[MediaxRequest], marker: str) -> Flow[Job]:
        """Create a job; file results go to a directory of its own unless the request names one."""
        return (yield from self.gateway.create_job(prepared.request.placed(prepared.body, marker), marker))

    def called_back(self, prepared: Prepared[MediaxRequest], address: str) -> Prepared[MediaxRequest]:
        """Name the address, unless the request has one."""
        return replace(prepared, body={"callback": address, **prepared.body})

    def jobs_of(
        self, marker: str, *, prepared: Prepared[MediaxRequest] | None = None, since: float | None = None
    ) -> Flow[JobList]:
        """List the jobs by ``customId``, whenever they were created (section 5.3)."""
        return (yield from self.gateway.list_jobs(marker))

    def list_since(self, since: float | None, until: float | None, markers: Collection[str]) -> Flow[JobList]:
        """List the jobs of the markers, one after the other: the platform has no list by time."""
        jobs: list[Job] = []
        complete = True
        for marker in sorted(markers):
            listed = yield from self.jobs_of(marker)
            jobs += listed.jobs
            complete = complete and listed.complete
        return JobList(jobs, complete=complete)

    def matches(self, job: Job, prepared: Prepared[MediaxRequest]) -> bool:
        """Compare the echoed inputs and outputs (section 6); of an input or a descriptor, the kind first."""
        asked = prepared.request.placed(prepared.body, job.marker or "")
        return not (
            _other_kind(asked.get("inputs"), job.raw.get("inputs"))
            or contradicts(asked.get("inputs"), job.raw.get("inputs"))
            or _other_kind(_descriptors(asked.get("outputs")), _descriptors(job.raw.get("outputs")))
            or contradicts(asked.get("outputs"), job.raw.get("outputs"))
        )

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        """Read one job after the other; the platform has no call for several (section 5.2)."""
        jobs = {}
        for job_id in ids:
            jobs[job_id] = yield from self.gateway.get_job(job_id)
        return jobs

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        """
        Refuse: the platform has no such call.

        :raises BadRequest: always.
        """
        raise BadRequest.field("job_id", list(ids), "MediaX cannot cancel jobs.")
        yield  # makes it a flow, like its siblings

    def probe(self) -> Flow[Sequence[Finding]]:
        """List the jobs of a marker that nobody has: it tries signature, keys, and the list that retries depend on."""
        signed = "signed" if self.gateway.gateway_keys else "without a gateway signature"
        accepted = Finding("gateway", "works", f"{self.gateway.base_url} ({signed})")
        try:
            yield from self.jobs_of(NOBODYS_MARKER)
        except MediaxError as error:
            says = _diagnosis(error, self.account[0])
            if error.layer == "platform":
                return [Finding.refused("platform keys", error, says), accepted, self._repository_finding]
            not_reached = Finding("platform keys", "not tried", "the gateway must work first")
            return [Finding.refused("gateway", error, says), not_reached, self._repository_finding]
        keys = Finding("platform keys", "works", "the platform accepts login and password")
        return [accepted, keys, self._repository_finding]

    @property
    def _repository_finding(self) -> Finding:
        """No call of the platform says whether a repository is the right one."""
        content_id = self.repository.content_id
        if content_id is None:
            says = "set content_id (tmpContentId) for inputs by path and for files"
            return Finding("repository", "not set up", says)
        says = f"content_id is {content_id}; only a job shows whether it is the right one"
        return Finding("repository", "not tried", says)

    def view(self, job: Job) -> ResultView:
        """Read the result; addresses of files need the bucket of their repository."""
        return read_result(job, self._repository_of)

    @classmethod
    def result_of(cls, capability: str) -> type[Result]:
        """Return how a capability's result is read."""
        return result_of(capability)

    def promised(self, job: Job) -> Promise:
        """
        Name the files of the view.

        A missing one proves nothing, because where files lie is inferred from what the platform has answered
        (API reference section 9), but an empty one is no result.
        """
        return replace(super().promised(job), missing_is_failure=False)

    def _repository_of(self, content_id: str | None) -> Repository:
        """Return the repository that a request or a job names, the connection's if it names none."""
        own = self.repository
        if content_id in (None, own.content_id):
            return replace(own, bucket=self.cos_bucket or own.bucket) if content_id else own
        return replace(own, content_id=content_id, bucket=self.cos_bucket)


def _diagnosis(error: MediaxError, host: str) -> str:
    """Say which part of the connection is wrong; how each begins is documented."""
    what = error.what.rstrip(".")
    if isinstance(error, Unreachable):
        return f"Host unreachable: {what}. Check host and proxy."
    if isinstance(error, (Throttled, Unavailable)):
        return f"No answer now: {what}. Try again later."
    if isinstance(error, (AuthenticationFailed, BadRequest)) and error.layer == "platform":
        return f"Platform keys refused: {what}. Check login and password."
    if isinstance(error, AuthenticationFailed):
        return f"Gateway signature refused: {what}. Check the three gateway fields."
    return f"Something other than the gateway answers at {host}: {what}. Check host, job_path and proxy."


def _other_kind(asked: object, echoed: object) -> bool:
    return any(map(names_another, objects(asked), objects(echoed)))


def _descriptors(outputs: object) -> list[JsonObject]:
    descriptors = [member(output, "smartContentDescriptor") for output in objects(outputs)]
    return [{name: value for name, value in descriptor.items() if name != PREFIX_MEMBER} for descriptor in descriptors]
