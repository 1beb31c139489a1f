"""A service in memory that can cancel what has not started, as Cloud Infinite does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.jobs.service import JobService
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.job import Job, JobList, JobState
from airflow_provider_mediax.protocol.results import ResultView

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What a job is asked for."""

    track: str = "a"

    def identity(self) -> dict[str, Any]:
        return {"track": self.track}


@dataclass
class Shop(JobService[Order]):
    """
    Jobs by id, in the order of their submits.

    :param failing: the error that each operation is answered with.
    """

    name = "shop"
    describe_limit = 2
    cancellable = True

    jobs: dict[str, Job] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    failing: dict[str, MediaxError] = field(default_factory=dict)
    now: float = 1_800_000_000.0

    def check(self, request: Order) -> None:
        """Take every order."""

    def add(self, marker: str, state: JobState = JobState.OPEN, state_name: str = "Submitted") -> str:
        job_id = f"job-{len(self.jobs) + 1}"
        self.jobs[job_id] = Job(id=job_id, state=state, state_name=state_name, marker=marker)
        return job_id

    def turn(self, job_id: str, state: JobState, state_name: str) -> None:
        self.jobs[job_id] = replace(self.jobs[job_id], state=state, state_name=state_name)

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.calls)

    def submit(self, request: Order, marker: str) -> Flow[Job]:
        self._called("submit", marker)
        return self.jobs[self.add(marker)]
        yield

    def find(self, marker: str, *, request: Order | None = None, since: float | None = None) -> Flow[JobList]:
        self._called("find", marker)
        return JobList([job for job in reversed(self.jobs.values()) if job.marker == marker], complete=True)
        yield

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        self._called("describe", tuple(ids))
        return {job_id: self.jobs[job_id] for job_id in ids if job_id in self.jobs}
        yield

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        self._called("cancel", tuple(ids))
        if any(self.jobs[job_id].state_name != "Submitted" for job_id in ids):
            raise BadRequest("a job has started")
        for job_id in ids:
            self.turn(job_id, JobState.CANCELED, "Cancel")
        return
        yield

    def view(self, job: Job) -> ResultView:
        raise AssertionError("ownership, waiting and cancelling have no business with results")

    def run(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                assert isinstance(step, Pause)
                self.now += step.seconds
                step = flow.send(None)
        except StopIteration as end:
            return end.value

    def _called(self, operation: str, subject: Any) -> None:
        self.calls.append((operation, subject))
        if operation in self.failing:
            raise self.failing[operation]
