"""Driving a flow by hand, and the published bodies of Cloud Infinite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from airflow_provider_mediax.protocol.ci.operations import CloudInfinite
from airflow_provider_mediax.protocol.ci.requests import VoiceSeparationRequest
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService
from airflow_provider_mediax.protocol.ci.xml import write_xml
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.exchange import Call, Flow, JsonObject, Reply
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.mediax.request import MediaxRequest, Repository
from airflow_provider_mediax.results import rows

T = TypeVar("T")

BODIES = Path(__file__).parent / "ci" / "bodies"
KEYS = CosKeys(secret_id="id-of-a-user", secret_key="key-of-a-user")
TEMPORARY = CosKeys(secret_id="id-of-a-user", secret_key="key-of-a-user", token="token-of-a-user")
MARKER = "mx1-" + "0" * 40


def ci(**changes: Any) -> CloudInfinite:
    return CloudInfinite(**{"bucket": "music-1250000000", "region": "ap-guangzhou", "keys": KEYS, **changes})


def separations(**changes: Any) -> CloudInfiniteService:
    return CloudInfiniteService(ci(**changes))


def request(**changes: Any) -> VoiceSeparationRequest:
    fields = {"source": "in/a.mp3", "mode": "IsAudio", "outputs": {"voice": "out/voice.mp3"}}
    return VoiceSeparationRequest(**{**fields, **changes})


def repositories(buckets: dict[str, str]) -> Callable[[str | None], Repository]:
    """Return what knows repositories by their ids."""
    return lambda content_id: Repository(content_id=content_id, bucket=buckets.get(content_id or ""))


def rows_of(capability: str, view: JsonObject, service: str = "mediax") -> list[JsonObject]:
    """Return the rows of a view without the facts that all capabilities share."""
    manifest = {"schema": 1, "service": service, "job_id": "1", "capability": capability, "result": view}
    shared = ("dag_id", "run_id", "task_id", "map_index", "job_id", *(() if "inputs" in view else ("input",)))
    return [{name: value for name, value in row.items() if name not in shared} for row in rows(manifest)]


def submitted(on: CloudInfinite, request: VoiceSeparationRequest, marker: str = MARKER) -> Flow[Job]:
    """Return the flow that creates the job."""
    service = CloudInfiniteService(on)
    return service.submit(service.prepare(request), marker)


def wired(request: MediaxRequest, repository: Repository) -> JsonObject:
    """Return the body of a job of MediaX whose marker is ``m``."""
    return request.placed(request.wire(repository), "m")


def marked(
    request: VoiceSeparationRequest, marker: str = MARKER, *, queue_id: str | None = None, **place: str
) -> bytes:
    """Return the body of a separation, sent to the bucket of these tests."""
    place = {"bucket": "music-1250000000", "region": "ap-guangzhou", **place}
    body = request.marked(request.wire(**place), marker)
    return write_xml("Request", {**body, "QueueId": body["QueueId"] or queue_id})


def published(name: str) -> bytes:
    return (BODIES / name).read_bytes()


def xml(body: str, status: int = 200, **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())


def error(code: str, status: int = 400, message: str = "no") -> Reply:
    said = f"<Code>{code}</Code><Message>{message}</Message><RequestId>r-1</RequestId>"
    return xml(f"<Error>{said}</Error>", status)


def job_xml(
    job_id: str, user_data: str = MARKER, state: str = "Submitted", created: str = "2026-11-21T11:00:00"
) -> str:
    return (
        f"<JobsDetail><JobId>{job_id}</JobId><State>{state}</State><CreationTime>{created}+0800</CreationTime>"
        f"<Operation><UserData>{user_data}</UserData></Operation></JobsDetail>"
    )


def answer(*parts: str) -> Reply:
    return xml(f"<Response>{''.join(parts)}</Response>")


def drive(flow: Flow[T], *replies: Reply) -> tuple[T, list[Call]]:
    """Carry a flow out with these answers; whatever it raises comes out."""
    calls: list[Call] = []
    left = list(replies)
    try:
        step = next(flow)
        while True:
            assert isinstance(step, Call)
            calls.append(step)
            step = flow.send(left.pop(0))
    except StopIteration as end:
        assert not left, "the flow asked less than expected"
        return end.value, calls
