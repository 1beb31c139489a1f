"""What an attempt works with: a hook over a service in memory, notes, and a log that is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, cast

from airflow_provider_mediax.exceptions import ResultMissing
from airflow_provider_mediax.jobs.claims import Claims
from airflow_provider_mediax.jobs.manifest import Manifest
from airflow_provider_mediax.jobs.stored import Owner
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.urls import CosAddress, Located
from tests.unit.jobs.fake_service import FakeService

T = TypeVar("T")


@dataclass
class FakeHook:
    """
    The hook of a :class:`FakeService`.

    :param missing: a finished job's output is not there.
    :param slow: a kill gets no answer in time.
    :param patiences: how patiently each flow was carried out; None as the hook does it by itself.
    :param before: called before each flow, with the number of flows carried out so far.
    """

    service: FakeService = field(default_factory=FakeService)
    longest_send: float = 65.0
    claims: Claims | None = None
    missing: bool = False
    slow: bool = False
    flows: int = 0
    patiences: list[object] = field(default_factory=list)
    before: Callable[[int], object] = lambda number: None
    throttled: int = 0
    checked: list[str] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)

    def callback(self, marker: str, until: float) -> str | None:
        return None

    def collected(self, marker: str) -> None:
        """There is nothing to remove."""

    def run(self, flow: Flow[T], patience: object = None) -> T:
        self.before(self.flows)
        self.flows += 1
        self.patiences.append(patience)
        return self.service.run(flow)

    def run_apart(self, flow: Flow[T], seconds: float) -> T:
        self.apart.append(seconds)
        if self.slow:
            raise TimeoutError
        return self.service.run(flow)

    def manifest(self, job: Job, owner: Owner | None, *, reattached: bool) -> Manifest:
        """Describe a job, as far as an attempt reads it."""
        said = {
            "job_id": job.id,
            "state": job.state_name,
            "owner": asdict(owner) if owner else None,
            "reattached": reattached,
        }
        return cast("Manifest", said)

    def located(self, job: Job) -> dict[str, Located]:
        return {"input": Located(CosAddress("music-1", f"in/{job.id}.wav"), "ap-guangzhou")}

    def found(self, manifest: Manifest) -> str:
        return f"what {manifest['job_id']} is about"

    def check_outputs(self, job: Job) -> None:
        self.checked.append(job.id)
        if self.missing:
            raise ResultMissing("voice.wav is missing")


@dataclass
class FakeNotes:
    """XComs of one task instance."""

    values: dict[str, Any] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def write(self, key: str, value: Any) -> None:
        self.values[key] = value
        self.order.append(key)

    def read(self, key: str) -> Any:
        return self.values.get(key)


@dataclass
class KeptMeter:
    """Counters that can be looked at."""

    counted: dict[str, int] = field(default_factory=dict)
    timed: dict[str, float] = field(default_factory=dict)

    def count(self, what: str, capability: str, number: int = 1) -> None:
        name = f"{what} {capability}"
        self.counted[name] = self.counted.get(name, 0) + number

    def time(self, what: str, capability: str, seconds: float) -> None:
        self.timed[f"{what} {capability}"] = seconds


@dataclass
class KeptLog:
    """A log that can be looked at."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def info(self, msg: str, /, *args: Any) -> None:
        self.lines.append(("info", msg % args))

    def warning(self, msg: str, /, *args: Any) -> None:
        self.lines.append(("warning", msg % args))

    def error(self, msg: str, /, *args: Any) -> None:
        self.lines.append(("error", msg % args))

    def exception(self, msg: str, /, *args: Any) -> None:
        self.lines.append(("exception", msg % args))

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)
