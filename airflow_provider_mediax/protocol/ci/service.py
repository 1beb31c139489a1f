"""Cloud Infinite's voice separation as a job service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from airflow_provider_mediax.protocol.ci.answers import expected_stems, read_separation
from airflow_provider_mediax.protocol.ci.operations import IDS_PER_CALL, CloudInfinite
from airflow_provider_mediax.protocol.ci.requests import MODES, ROLES, TAG, VoiceSeparationRequest
from airflow_provider_mediax.protocol.ci.xml import read_xml
from airflow_provider_mediax.protocol.echo import contradicts
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList, member, objects, text
from airflow_provider_mediax.protocol.mediax.results import ResultView
from airflow_provider_mediax.protocol.service import JobService, Promise
from airflow_provider_mediax.protocol.urls import cos_address


@dataclass(frozen=True)
class CloudInfiniteService(JobService[VoiceSeparationRequest]):
    """Voice separation jobs of one bucket; those that have not started can be canceled (CI reference section 5.4)."""

    name: ClassVar[str] = "cloud_infinite"
    describe_limit: ClassVar[int] = IDS_PER_CALL
    cancellable: ClassVar[bool] = True

    bucket: CloudInfinite

    def check(self, request: VoiceSeparationRequest) -> None:
        """Build the call once without sending it, which refuses what cannot be sent."""
        flow = self.submit(request, "check")
        next(flow)
        flow.close()

    def submit(self, request: VoiceSeparationRequest, marker: str) -> Flow[Job]:
        """Create a job; the marker is the first word of its ``UserData``."""
        return (yield from self.bucket.submit(request, marker))

    def find(
        self, marker: str, *, request: VoiceSeparationRequest | None = None, since: float | None = None
    ) -> Flow[JobList]:
        """List the jobs by their ``UserData``, of the request's source only where that is known."""
        source = request.source if request is not None else None
        return (yield from self.bucket.find(marker, since=since, input_object=source))

    def matches(self, job: Job, request: VoiceSeparationRequest) -> bool:
        """Compare the echoed source, template, mode, encoding and outputs (section 4.5)."""
        body = request.body(job.marker or "m", bucket=self.bucket.bucket, region=self.bucket.region)
        _, asked = read_xml(body, "The request")
        operation = member(asked, "Operation")
        echoed = member(member(job.raw, "Operation"), "Output")
        if any(echoed.get(node) for node in ROLES.values()) and not all(map(echoed.get, _made(operation))):
            return False  # it makes fewer stems
        # The answer may hold names with ${...} as they were asked for or filled in.
        output = {node: key for node, key in member(operation, "Output").items() if "${" not in str(key)}
        expected = {
            "Input": {"Object": request.source},
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

    def view(self, job: Job) -> ResultView:
        """Read which stem lies where."""
        return read_separation(job, self.bucket.bucket)

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
