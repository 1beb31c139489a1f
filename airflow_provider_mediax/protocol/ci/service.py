"""Cloud Infinite's voice separation as a job service."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import urlsplit

from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.protocol.ci.answers import expected_stems, read_separation
from airflow_provider_mediax.protocol.ci.operations import IDS_PER_CALL, LIST_MARGIN, CloudInfinite
from airflow_provider_mediax.protocol.ci.requests import MODES, ROLES, TAG, VoiceSeparationRequest
from airflow_provider_mediax.protocol.echo import contradicts
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList, JobState
from airflow_provider_mediax.protocol.json_body import member, objects, text
from airflow_provider_mediax.protocol.rows import Result, ResultView, Stems
from airflow_provider_mediax.protocol.service import Finding, JobService, Prepared, Promise
from airflow_provider_mediax.protocol.urls import cos_address

RUNNING = "Running"
"""The one open state in which a cancel comes too late."""


@dataclass(frozen=True)
class CloudInfiniteService(JobService[VoiceSeparationRequest]):
    """Voice separation jobs of one bucket; those that have not started can be canceled (CI reference section 5.4)."""

    name: ClassVar[str] = "cloud_infinite"
    title: ClassVar[str] = "Cloud Infinite"
    succeeded: ClassVar[str] = "Success"
    describe_limit: ClassVar[int] = IDS_PER_CALL
    cancellable: ClassVar[bool] = True
    lists_by_time: ClassVar[bool] = True

    bucket: CloudInfinite

    @property
    def account(self) -> tuple[str, str]:
        """The bucket's host or the endpoint in its place, and the COS key id."""
        return urlsplit(self.bucket.base_url).netloc, self.bucket.keys.secret_id

    def prepare(self, request: VoiceSeparationRequest) -> Prepared[VoiceSeparationRequest]:
        """Build the body but for ``UserData`` and a queue that is learned."""
        return Prepared.of(request, request.wire(bucket=self.bucket.bucket, region=self.bucket.region))

    def submit(self, prepared: Prepared[VoiceSeparationRequest], marker: str) -> Flow[Job]:
        """Create a job; the marker is the first word of its ``UserData``."""
        body = prepared.request.marked(prepared.body, marker)
        return (yield from self.bucket.submit(body, marker))

    def called_back(self, prepared: Prepared[VoiceSeparationRequest], address: str) -> Prepared[VoiceSeparationRequest]:
        """Name the address, unless the request has an address of its own; one of the queue's is not used then."""
        if prepared.request.callback is not None or prepared.request.callback_type is not None:
            return prepared
        return replace(prepared, body={**prepared.body, "CallBack": address})

    def jobs_of(
        self, marker: str, *, prepared: Prepared[VoiceSeparationRequest] | None = None, since: float | None = None
    ) -> Flow[JobList]:
        """List the jobs by their ``UserData``, of the request's source only where that is known."""
        source = prepared.request.source if prepared is not None else None
        found = yield from self.bucket.list_all(
            lambda job: job.marker == marker, start=_earlier(since), input_object=source
        )
        return found

    def list_since(self, since: float | None, until: float | None, markers: Collection[str]) -> Flow[JobList]:
        """List the bucket's jobs of a time, whatever their markers; newest first."""
        return (yield from self.bucket.list_all(lambda job: job.marker is not None, start=since, end=until))

    def matches(self, job: Job, prepared: Prepared[VoiceSeparationRequest]) -> bool:
        """Compare the echoed source, template, mode, encoding and outputs (section 4.5)."""
        operation = member(prepared.body, "Operation")
        echoed = member(member(job.raw, "Operation"), "Output")
        if any(echoed.get(node) for node in ROLES.values()) and not all(map(echoed.get, _made(operation))):
            return False  # it makes fewer stems
        # The answer may hold names with ${...} as they were asked for or filled in.
        output = {node: key for node, key in member(operation, "Output").items() if "${" not in str(key)}
        expected = {
            "Input": prepared.body["Input"],
            "Operation": {
                "TemplateId": operation.get("TemplateId"),
                "VoiceSeparate": operation.get("VoiceSeparate"),
                "Output": output,
            },
        }
        return not contradicts(expected, job.raw)

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        """Read up to ten jobs in one call."""
        return (yield from self.bucket.describe(ids))

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        """Cancel jobs that have not started."""
        return (yield from self.bucket.cancel(ids))

    def can_cancel(self, job: Job) -> bool:
        """Tell whether the job has not started: only ``Running`` is canceled no more (section 5.4)."""
        return job.state is JobState.OPEN and job.state_name != RUNNING

    def probe(self) -> Flow[Sequence[Finding]]:
        """Ask whether Smart Audio is activated, and list jobs, which retries depend on."""
        part = "voice separation"
        try:
            if not (yield from self.bucket.activation()):
                what = "Smart Audio is not activated on the bucket"
                advice = "Bind the bucket to Cloud Infinite and activate Smart Audio on it, in the console."
                return [Finding.refused(part, BadRequest(what, advice=advice))]
            yield from self.bucket.list_jobs(size=1)
        except MediaxError as error:
            return [Finding.refused(part, error)]
        return [Finding(part, "works", "Smart Audio is activated, and its jobs can be listed")]

    def view(self, job: Job) -> ResultView:
        """Read which stem lies where."""
        return read_separation(job, self.bucket.bucket, self.bucket.region)

    @classmethod
    def result_of(cls, capability: str) -> type[Result]:
        """Return how stems are read, which is all that there is."""
        return Stems if capability == TAG else Result

    def promised(self, job: Job) -> Promise:
        """
        Name the stems: as ``MediaResult`` does, else by the keys that were asked for (sections 4.2 and 6).

        A stem that ``MediaResult`` leaves out is looked for under its own key, if the mode makes more stems than it
        names. Keys with ``${...}`` say nothing.
        """
        view = self.view(job)
        operation = member(job.raw, "Operation")
        made = MODES.get(_mode(operation))
        files = list(view.files)
        if not files or len(files) < len(made or ()):
            named = member(view.result, "stems")
            asked = expected_stems(job, self.bucket.bucket)
            files += [
                address for role, address in asked.items() if role not in named and (made is None or role in made)
            ]
        return Promise(
            addresses=[address for file in files if (address := cos_address(file))],
            region=self._output_region(operation),
        )

    def _output_region(self, operation: JsonObject) -> str | None:
        """Return the region that the stems are in, None if that is not known."""
        written = next(iter(objects(member(operation, "MediaResult").get("OutputFile"))), {})
        output = member(operation, "Output")
        region = text(written.get("Region")) or text(output.get("Region"))
        elsewhere = (text(written.get("Bucket")) or text(output.get("Bucket"))) not in (None, self.bucket.bucket)
        return region or (None if elsewhere else self.bucket.region)


def _mode(operation: JsonObject) -> str:
    return text(member(operation, TAG).get("AudioMode")) or ""


def _made(operation: JsonObject) -> list[str]:
    """Return the nodes of the stems that a job is asked for and makes; a template may make all of them."""
    roles = MODES.get(_mode(operation), tuple(ROLES))
    return [ROLES[role] for role in roles if member(operation, "Output").get(ROLES[role])]


def _earlier(since: float | None) -> float | None:
    """Return when a look-up begins: clocks may differ by a minute before anybody notices."""
    return None if since is None else since - LIST_MARGIN
