"""What the job trigger stores, reports and cancels, with a service in memory and the real watcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

import pytest

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.exceptions import AnswerTooLarge, BadRequest, Unavailable
from airflow_provider_mediax.hooks.registry import SERVICES
from airflow_provider_mediax.jobs.stored import JobEvent
from airflow_provider_mediax.jobs.watcher import Opened
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.triggers import job as module
from airflow_provider_mediax.triggers import kill
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.unit.jobs.fake_hook import KeptLog
from tests.unit.jobs.fake_service import FakeService

T = TypeVar("T")

TASK: Any = SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=-1)


class Client:
    """
    Carries flows out at once.

    :ivar opened: connection and place, for each time that it was opened.
    """

    def __init__(self, service: FakeService) -> None:
        self.service = service
        self.opened: list[tuple[str | None, ...]] = []
        self.pacing = Pacing(1000.0)
        self.carried_out = asyncio.Event()

    async def run(self, flow: Flow[T], patience: object = None) -> T:
        try:
            return self.service.run(flow)
        finally:
            self.carried_out.set()

    async def close(self) -> None: ...


class LoggedTrigger(JobTrigger):
    """A trigger whose log is kept."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.kept = KeptLog()

    @property
    def log(self) -> Any:
        return self.kept


Made: TypeAlias = Callable[..., LoggedTrigger]


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Client:
    """The client of the service in memory, which every trigger of this test opens."""
    client = Client(FakeService())

    class Hook:
        service_type = FakeService

        @classmethod
        async def open(cls, *place: str | None) -> Opened:
            client.opened.append(place)
            return Opened(client.service, cast("AsyncClient", client))

    client_hooks = {**SERVICES, request.node.name: Hook}
    monkeypatch.setattr(module, "SERVICES", client_hooks)
    readers = {**JobTrigger.arguments, "service": client_hooks.__getitem__}
    monkeypatch.setattr(JobTrigger, "arguments", readers)
    monkeypatch.setattr(module, "hold_back", lambda: 0.0)
    return client


@pytest.fixture
def made(client: Client, request: pytest.FixtureRequest) -> Made:
    def make(**options: Any) -> LoggedTrigger:
        ids = options.pop("job_ids", None) or [client.service.add("mx1-a")]
        trigger = LoggedTrigger(
            **{
                "service": request.node.name,
                "conn_id": "tencent",
                "job_ids": ids,
                "custom_ids": ["mx1-a"],
                "bucket": "b-1",
                "region": "r",
                "deadline": time.time() + 60.0,
                "poll_interval": 0.02,
                **options,
            }
        )
        trigger.task_instance = TASK
        return trigger

    return make


class TestStores:
    def test_what_it_was_given_as_plain_json(self, made: Made) -> None:
        trigger = made(deadline=1.5, finish_at=1, cancel_on_kill=False)
        _, arguments = trigger.serialize()
        assert JobTrigger(**arguments).serialize() == ("airflow_provider_mediax.triggers.job.JobTrigger", arguments)
        assert (arguments["deadline"], arguments["cancel_on_kill"], arguments["schema"]) == (1.5, False, 1)


class TestReports:
    async def test_the_end_of_the_job_by_its_id_and_the_services_word(self, client: Client, made: Made) -> None:
        trigger = made()
        client.service.turn("job-1", JobState.FAILED, "Failed")
        assert await trigger.wait() == JobEvent("final", {"job-1": "Failed"}, polls=1).payload()

    async def test_the_deadline(self, made: Made) -> None:
        said = await made(deadline=time.time() + 0.2).wait()
        assert (said["status"], said["error"]) == ("timeout", None)

    async def test_every_change_in_the_log(self, client: Client, made: Made) -> None:
        trigger = made()
        waiting = asyncio.create_task(trigger.wait())
        await client.carried_out.wait()
        client.service.turn("job-1", JobState.SUCCEEDED, "Success")
        await waiting
        assert "Job job-1 is Submitted" in trigger.kept.text
        assert "Job job-1 is Success" in trigger.kept.text

    async def test_what_asking_failed_with_and_goes_on(self, client: Client, made: Made) -> None:
        trigger = made()
        client.service.failing["describe"] = Unavailable("503")
        waiting = asyncio.create_task(trigger.wait())
        await client.carried_out.wait()
        client.service.failing.clear()
        client.service.turn("job-1", JobState.SUCCEEDED, "Success")
        assert (await waiting)["status"] == "final"
        assert "503" in trigger.kept.text

    async def test_what_it_gave_up_for(self, client: Client, made: Made) -> None:
        client.service.failing["describe"] = AnswerTooLarge("the answer is longer than 9 bytes", request_id="r-1")
        said = JobEvent.read(await made().wait(), "job-1")
        assert said.status == "error"
        assert isinstance(said.error, AnswerTooLarge)
        assert said.error.request_id == "r-1"

    async def test_an_error_of_its_own_as_an_event_without_its_words(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trigger = made()
        monkeypatch.setattr(module, "watcher_for", lambda *args: _raise(RuntimeError("secret")))
        (event,) = [event async for event in trigger.run()]
        assert event.payload["status"] == "error"
        assert event.payload["error"]["job_id"] == "job-1"
        assert "secret" not in str(event.payload)

    async def test_the_end_of_several_jobs_as_soon_as_enough_have_ended(self, client: Client, made: Made) -> None:
        ids = [client.service.add("m") for _ in range(2)]
        client.service.turn(ids[1], JobState.SUCCEEDED, "Success")
        assert (await made(job_ids=ids).wait())["states"][ids[1]] == "Success"

    async def test_nothing_before_as_many_have_ended_as_it_waits_for(self, client: Client, made: Made) -> None:
        ids = [client.service.add("m") for _ in range(3)]
        client.service.turn(ids[0], JobState.SUCCEEDED, "Success")
        waiting = asyncio.create_task(made(job_ids=ids, finish_at=2, deadline=time.time() + 3600).wait())
        await client.carried_out.wait()
        client.service.turn(ids[2], JobState.FAILED, "Failed")
        states = (await waiting)["states"]
        assert [states[job_id] for job_id in (ids[0], ids[2])] == ["Success", "Failed"]

    async def test_a_batch_hears_nothing_before_its_moment_and_no_states(self, client: Client, made: Made) -> None:
        ids = [client.service.add("m") for _ in range(3)]
        for job_id in ids:
            client.service.turn(job_id, JobState.SUCCEEDED, "Success")
        now = time.time()
        early = await made(job_ids=ids, not_before=now + 3600, deadline=now + 0.3, finish_at=3).wait()
        assert (early["status"], early["states"], client.service.count("describe")) == ("timeout", {}, 0)
        due = await made(job_ids=ids, not_before=now, deadline=now + 3600, finish_at=3).wait()
        assert (due["status"], due["states"]) == ("final", {})

    async def test_where_it_looks(self, client: Client, made: Made) -> None:
        trigger = made()
        client.service.turn("job-1", JobState.SUCCEEDED, "Success")
        await trigger.wait()
        client.service.turn("job-1", JobState.SUCCEEDED, "Success")
        await made(job_ids=["job-1"], bucket="b-2").wait()
        assert client.opened == [("tencent", "b-1", "r"), ("tencent", "b-2", "r")]


class TestCancels:
    @pytest.fixture(autouse=True)
    def states(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
        """What Airflow says of the task."""
        answer: dict[str, str | None] = {}
        monkeypatch.setattr(kill, "_states", lambda task: answer)
        return answer

    async def test_the_job_of_a_task_that_is_over(
        self, client: Client, made: Made, states: dict[str, str | None]
    ) -> None:
        states["task"] = "failed"
        trigger = made()
        await trigger.on_kill()
        assert client.service.jobs["job-1"].state is JobState.CANCELED
        assert "Job job-1 is Cancel" in trigger.kept.text

    @pytest.mark.parametrize("state", [None, "deferred", "scheduled", "queued", "running", "up_for_retry"])
    async def test_nothing_of_a_task_that_goes_on(
        self, client: Client, made: Made, states: dict[str, str | None], state: str | None
    ) -> None:
        states["task"] = state
        await made().on_kill()
        assert client.service.count("cancel") == 0

    async def test_nothing_if_airflow_knows_of_no_task(self, client: Client, made: Made) -> None:
        trigger = made()
        trigger.task_instance = None
        await trigger.on_kill()
        assert client.service.count("cancel") == 0

    @pytest.mark.parametrize("options", [{"cancel_on_kill": False}, {"schema": 99}])
    async def test_nothing_that_it_must_not(self, client: Client, made: Made, options: dict[str, Any]) -> None:
        trigger = made(**options)
        await trigger.on_kill()
        assert client.service.calls == []
        assert trigger.kept.lines[0][0] == "warning"

    @pytest.mark.parametrize("options", [{"cancel_on_kill": False}, {}])
    async def test_nothing_without_naming_the_jobs_that_it_leaves(
        self, made: Made, states: dict[str, str | None], options: dict[str, bool]
    ) -> None:
        states["task"] = "deferred"
        trigger = made(job_ids=["job-1", "job-2"], **options)
        await trigger.on_kill()
        assert "job-1, job-2" in trigger.kept.text

    async def test_what_has_started_goes_on_and_the_log_says_so(self, client: Client, made: Made) -> None:
        trigger = made()
        client.service.start("job-1")
        await trigger.on_kill()
        assert "a job has started" in trigger.kept.text
        assert "goes on and costs money" in trigger.kept.text

    async def test_a_service_that_fails_breaks_nothing(self, client: Client, made: Made) -> None:
        trigger = made()
        client.service.failing = {"cancel": BadRequest("no"), "describe": Unavailable("503")}
        await trigger.on_kill()
        assert "503" in trigger.kept.text


def _raise(error: Exception) -> NoReturn:
    raise error
