"""
A third service is one ``JobService``, one hook and one line of the registry: nothing else knows it.

Its jobs live in this process; everything that runs, waits for, finds and tries them is the package's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

import pytest
from airflow.sdk import DAG

from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.registry import HOOKS
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList, JobState
from airflow_provider_mediax.protocol.rows import Place, Result, ResultView
from airflow_provider_mediax.protocol.service import Finding, JobService, Prepared
from airflow_provider_mediax.sensors.job import JobSensor
from tests.integration.conftest import RunDag
from tests.unit.cli.said import Said, run_command

CONNECTION = '{"conn_type": "mediax", "login": "id-of-toys", "password": "key-of-toys", "extra": {"namespace": "toy"}}'


@dataclass
class Toys:
    """
    The jobs, and how often each must be described until it has ended.

    :param never: they do not end at all.
    """

    jobs: dict[str, Job] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    never: bool = False


TOYS = Toys()


@dataclass(frozen=True)
class ToyRequest:
    words: str

    capability_name: ClassVar[str] = "reverse"

    @property
    def summary(self) -> str:
        return f"reverse of {self.words}"

    def identity(self) -> JsonObject:
        return {"words": self.words}


class ToyService(JobService[ToyRequest]):
    """Turns words around."""

    name: ClassVar[str] = "toy"
    title: ClassVar[str] = "Toy"
    describe_limit: ClassVar[int] = 3
    cancellable: ClassVar[bool] = True
    lists_by_time: ClassVar[bool] = True

    @property
    def account(self) -> tuple[str, str]:
        return "toy.invalid", "key"

    def prepare(self, request: ToyRequest) -> Prepared[ToyRequest]:
        return Prepared.of(request, {"words": request.words})

    def submit(self, prepared: Prepared[ToyRequest], marker: str) -> Flow[Job]:
        job_id = f"toy-{len(TOYS.jobs) + 1}"
        raw = {"words": prepared.body["words"]}
        now = datetime.now(UTC)
        TOYS.jobs[job_id] = Job(
            id=job_id, state=JobState.OPEN, state_name="Waiting", marker=marker, created_at=now, raw=raw
        )
        TOYS.left[job_id] = 2
        return TOYS.jobs[job_id]
        yield

    def jobs_of(
        self, marker: str, *, prepared: Prepared[ToyRequest] | None = None, since: float | None = None
    ) -> Flow[JobList]:
        return JobList([job for job in TOYS.jobs.values() if job.marker == marker], complete=True)
        yield

    def list_since(self, since: float | None, until: float | None, markers: Collection[str]) -> Flow[JobList]:
        return JobList(list(TOYS.jobs.values()), complete=True)
        yield

    def matches(self, job: Job, prepared: Prepared[ToyRequest]) -> bool:
        return bool(job.raw["words"] == prepared.body["words"])

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        for job_id in set(ids) & set(TOYS.jobs):
            TOYS.left[job_id] -= 1
            if not TOYS.never and TOYS.left[job_id] <= 0 and not TOYS.jobs[job_id].state.final:
                TOYS.jobs[job_id] = replace(TOYS.jobs[job_id], state=JobState.SUCCEEDED, state_name="Done")
        return {job_id: TOYS.jobs[job_id] for job_id in ids if job_id in TOYS.jobs}
        yield

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        for job_id in ids:
            TOYS.jobs[job_id] = replace(TOYS.jobs[job_id], state=JobState.CANCELED, state_name="Canceled")
        return
        yield

    def probe(self) -> Flow[Sequence[Finding]]:
        return [Finding("toy box", "works", "it is full of toys")]
        yield

    @classmethod
    def result_of(cls, capability: str) -> type[Result]:
        return Result

    def view(self, job: Job) -> ResultView:
        words = str(job.raw["words"])
        return ResultView("reverse", {"words": words[::-1]}, [], [], words, Place())


class ToyHook(JobHook[ToyService]):
    service_type = ToyService
    sensor = "ToyJobSensor"
    keys = "login"

    @classmethod
    def service_of(cls, connection: MediaxConnection, bucket: str | None, region: str | None) -> ToyService:
        return ToyService()

    @classmethod
    def is_set_up(cls, connection: MediaxConnection) -> bool:
        return connection.secret_id is not None


class ToyOperator(JobOperator[ToyHook]):
    template_fields = (*JobOperator.template_fields, "words")

    def __init__(self, *, words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def build_request(self) -> ToyRequest:
        return ToyRequest(self.words)

    def make_hook(self) -> ToyHook:
        return ToyHook(self.mediax_conn_id, stop=self._stop)


class ToyJobSensor(JobSensor):
    service = "toy"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Toys:
    monkeypatch.setitem(HOOKS, "toy", f"{__name__}.ToyHook")
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", CONNECTION)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # so that what a command sets is taken back
    monkeypatch.setattr(TOYS, "jobs", {})
    monkeypatch.setattr(TOYS, "never", False)
    return TOYS


@pytest.fixture
def cli(toys: Toys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    return lambda *arguments: run_command(arguments, capsys, monkeypatch, CONNECTION)


@pytest.mark.parametrize("deferrable", [True, False])
def test_its_job_is_run_waited_for_and_collected(run_dag: RunDag, toys: Toys, deferrable: bool) -> None:
    with DAG(dag_id=f"toy_{deferrable}") as dag:
        job = ToyOperator(task_id="job", words="a song", deferrable=deferrable, poll_interval=0.1)
        ToyJobSensor(task_id="again", job_id=cast("str", job.output), deferrable=deferrable, poke_interval=0.1)
    values = run_dag(dag).values
    assert values["job"]["result"] == {"words": "gnos a"}
    assert (values["job"]["service"], values["job"]["state"]) == ("toy", "Done")
    assert values["again"] == {**values["job"], "reattached": True}
    assert len(toys.jobs) == 1


def test_the_command_line_knows_it(run_dag: RunDag, toys: Toys, cli: Callable[..., Said]) -> None:
    with DAG(dag_id="toy_cli") as dag:
        ToyOperator(task_id="job", words="a song", deferrable=True, poll_interval=0.1, wait_for_completion=False)
    marker = run_dag(dag).values["job"]["marker"]
    (listed,) = cli("jobs", "list", marker, "--service", "toy", "-o", "json").json
    assert listed["job_id"] == "toy-1"
    assert cli("jobs", "wait", "toy-1", "--service", "toy", "-o", "json").json["state"] == "Done"
    assert cli("jobs", "get", "toy-1", "--service", "toy", "-o", "json").json["result"] == {"words": "gnos a"}
    refused = cli("jobs", "get", "toy-1", "--service", "game")
    assert refused.code == 2
    assert "toy" in refused.err
    assert {"part": "toy box", "verdict": "works", "says": "it is full of toys"} in cli("check", "-o", "json").json


def test_its_orphans_are_found_and_canceled(run_dag: RunDag, toys: Toys, cli: Callable[..., Said]) -> None:
    toys.never = True
    with DAG(dag_id="toy_orphan") as dag:
        ToyOperator(
            task_id="job",
            words="a song",
            deferrable=True,
            poll_interval=0.1,
            wait_timeout=0.5,
            retries=0,
            cancel_on_kill=False,
        )
    assert run_dag(dag).states == {"job": "failed"}
    found = cli("orphans", "--dag-id", "toy_orphan", "--service", "toy", "--cancel", "--yes", "-o", "json")
    assert found.code == 1
    (orphan,) = found.json
    assert (orphan["job_id"], orphan["service"], orphan["state"]) == ("toy-1", "toy", "Canceled")
