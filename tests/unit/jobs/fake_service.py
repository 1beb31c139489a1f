"""A service in memory that can cancel what has not started, as Cloud Infinite does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.job import Job, JobList, JobState
from airflow_provider_mediax.protocol.rows import Result, ResultView
from airflow_provider_mediax.protocol.service import Finding, JobRequest, JobService, Prepared
from tests.unit.jobs.clocks import Time

T = TypeVar("T")

MOST_LISTED = 5000
"""Jobs that a look-up reads at most; of a longer list it cannot say what else is in it."""


@dataclass(frozen=True)
class Order:
    """
    What a job is asked for.

    :param track: the source; lists can be narrowed to it.
    :param quality: a parameter that is echoed, and says nothing about the source.
    """

    track: str = "a"
    quality: str | None = None

    capability_name: ClassVar[str] = "fake"

    @property
    def summary(self) -> str:
        return f"track {self.track}"

    def identity(self) -> dict[str, Any]:
        return {"track": self.track, "quality": self.quality}


@dataclass(frozen=True)
class Find:
    """What the engine passed to a look-up."""

    marker: str
    request: JobRequest | None
    since: float | None


@dataclass
class FakeService(JobService[Order]):
    """
    Jobs by id, in the order of their submits.

    :param list_lag: seconds until a new job appears in lists.
    :param failing: the error that each operation is answered with; ``after submit``: once, when it is carried out.
    :param finds: what the engine asked for, in order.
    :param orders: what each job was asked for, by its id.
    """

    name = "fake"
    title = "Fake"
    describe_limit = 2
    cancellable = True
    lists_by_time = True

    time: Time = field(default_factory=Time)
    list_lag: float = 0.0
    jobs: dict[str, Job] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finds: list[Find] = field(default_factory=list)
    failing: dict[str, BaseException] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return self.time.now

    @property
    def account(self) -> tuple[str, str]:
        return "fake.invalid", "key"

    def prepare(self, request: Order) -> Prepared[Order]:
        """Take every order."""
        return Prepared.of(request, {})

    def add(
        self,
        marker: str,
        state: JobState = JobState.OPEN,
        state_name: str = "Submitted",
        order: Order = Order(),
    ) -> str:
        job_id = f"job-{len(self.jobs) + 1}"
        created = datetime.fromtimestamp(self.now, UTC)
        self.jobs[job_id] = Job(id=job_id, state=state, state_name=state_name, marker=marker, created_at=created)
        self.orders[job_id] = order
        return job_id

    def turn(self, job_id: str, state: JobState, state_name: str, **more: Any) -> None:
        self.jobs[job_id] = replace(self.jobs[job_id], state=state, state_name=state_name, **more)

    def start(self, job_id: str) -> None:
        self.turn(job_id, JobState.OPEN, "Running", started_at=datetime.fromtimestamp(self.now, UTC))

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.calls)

    def submit(self, prepared: Prepared[Order], marker: str) -> Flow[Job]:
        self._called("submit", marker)
        job = self.jobs[self.add(marker, order=prepared.request)]
        if "after submit" in self.failing:
            raise self.failing.pop("after submit")
        return job
        yield

    def jobs_of(
        self, marker: str, *, prepared: Prepared[Order] | None = None, since: float | None = None
    ) -> Flow[JobList]:
        self._called("find", marker)
        request = prepared.request if prepared else None
        self.finds.append(Find(marker, request, since))
        listed = [job for job in reversed(self.jobs.values()) if self._lists(job, request, since)]
        read = listed[:MOST_LISTED]
        return JobList([job for job in read if job.marker == marker], complete=len(read) == len(listed))
        yield

    def list_since(self, since: float | None, until: float | None, markers: Collection[str]) -> Flow[JobList]:
        self._called("list", (since, until))
        return JobList(list(reversed(self.jobs.values())), complete=True)
        yield

    def probe(self) -> Flow[Sequence[Finding]]:
        self._called("probe", None)
        return [Finding("fake", "works", "it lives in memory")]
        yield

    def matches(self, job: Job, prepared: Prepared[Order]) -> bool:
        request = prepared.request
        made = self.orders[job.id]
        return (made.track == request.track and None in (made.quality, request.quality)) or made == request

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

    @classmethod
    def result_of(cls, capability: str) -> type[Result]:
        return Result

    def capability(self, job: Job) -> str:
        return "fake"

    def view(self, job: Job) -> ResultView:
        raise AssertionError("ownership, waiting and canceling have no business with results")

    def run(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                assert isinstance(step, Pause)
                self.time.pause(step.seconds)
                step = flow.send(None)
        except StopIteration as end:
            result: T = end.value
            return result

    def _lists(self, job: Job, request: Order | None, since: float | None) -> bool:
        assert job.created_at is not None
        created = job.created_at.timestamp()
        return (
            created <= self.now - self.list_lag
            and (since is None or created >= since)
            and (request is None or self.orders[job.id].track == request.track)
        )

    def _called(self, operation: str, subject: Any) -> None:
        self.calls.append((operation, subject))
        if operation in self.failing:
            raise self.failing[operation]
