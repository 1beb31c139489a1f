"""
Promise 6, the trigger's side: only a kill cancels, and only where the service can.

Airflow's own answer about the task is given by the tests here; the system tests ask the real one.
How it is asked for is tested at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest
from airflow_provider_mediax.triggers import kill
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.audio import click_track

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

TASK = SimpleNamespace(dag_id="dag", run_id="run", task_id="separate", map_index=-1)


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> MediaxEmulator:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    mediax_emulator.put_object("a.wav", click_track(seconds=1))
    mediax_emulator.pause_queue()
    return mediax_emulator


@pytest.fixture
def job_id(emulator: MediaxEmulator) -> str:
    """A job that waits in the queue, so that it can be canceled."""
    request = VoiceSeparationRequest(
        source="a.wav", mode="IsAudio", audio=AudioConfig(codec="wav"), outputs={"voice": "v"}
    )
    hook = CloudInfiniteHook()
    job = hook.submit(request, "mx1-a")
    hook.close()
    return job.id


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """What Airflow says of the task."""
    answer: dict[str, str | None] = {}
    monkeypatch.setattr(kill, "_states", lambda task: answer)
    return answer


def trigger(job_id: str, task: SimpleNamespace = TASK, **options: Any) -> JobTrigger:
    defaults: dict[str, Any] = {"service": "cloud_infinite", "conn_id": "mediax_default", "custom_ids": ["mx1-a"]}
    made = JobTrigger(job_ids=[job_id], deadline=time.time() + 60, **{**defaults, **options})
    made.task_instance = cast("TaskInstance", task)
    return made


def state(emulator: MediaxEmulator) -> str:
    return str(emulator.ledger()["jobs"][0]["state"])


@pytest.mark.parametrize("said", ["failed", "success", "skipped", "removed", "upstream_failed"])
async def test_the_job_of_a_task_that_is_over_is_canceled(
    emulator: MediaxEmulator, states: dict[str, str | None], job_id: str, said: str
) -> None:
    states["separate"] = said
    await trigger(job_id).on_kill()
    assert state(emulator) == "Cancel"


async def test_the_job_of_a_task_that_is_gone_is_canceled(
    emulator: MediaxEmulator, states: dict[str, str | None], job_id: str
) -> None:
    await trigger(job_id).on_kill()
    assert state(emulator) == "Cancel"


@pytest.mark.parametrize("said", [None, "deferred", "scheduled", "queued", "running", "up_for_retry", "restarting"])
async def test_the_job_of_a_task_that_goes_on_is_left_alone(
    emulator: MediaxEmulator, states: dict[str, str | None], job_id: str, said: str | None
) -> None:
    states["separate"] = said
    await trigger(job_id).on_kill()
    assert emulator.ledger()["cancels"] == []


async def test_a_mapped_task_is_asked_for_by_its_index(
    emulator: MediaxEmulator, states: dict[str, str | None], job_id: str
) -> None:
    states.update({"separate_3": "failed", "separate_4": "deferred"})
    for index, cancels in ((4, 0), (3, 1)):
        await trigger(job_id, SimpleNamespace(**{**vars(TASK), "map_index": index})).on_kill()
        assert len(emulator.ledger()["cancels"]) == cancels


async def test_without_an_answer_in_time_the_job_is_left_alone(
    emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    enough = threading.Event()
    monkeypatch.setattr(kill, "_states", lambda task: {"separate": "failed"} if enough.wait(30) else {})
    monkeypatch.setattr(kill, "STATE_SECONDS", 0.1)
    try:
        await trigger(job_id).on_kill()
    finally:
        enough.set()
    assert emulator.ledger()["cancels"] == []


async def test_an_airflow_that_fails_leaves_the_job_alone_and_raises_nothing(
    emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    def fail(task: SimpleNamespace) -> None:
        raise RuntimeError("no supervisor")

    monkeypatch.setattr(kill, "_states", fail)
    await trigger(job_id).on_kill()
    assert emulator.ledger()["cancels"] == []


async def test_a_cancel_goes_on_when_airflow_cancels_the_call(
    emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    asked, answer = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def states(task: SimpleNamespace) -> dict[str, str]:
        loop.call_soon_threadsafe(asked.set)
        answer.wait(10)
        return {"separate": "failed"}

    monkeypatch.setattr(kill, "_states", states)
    call = asyncio.create_task(trigger(job_id).on_kill())
    await asked.wait()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    answer.set()
    await asyncio.gather(*kill._under_way)
    assert state(emulator) == "Cancel"


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"service": "mediax"}, "no call to cancel"), ({"cancel_on_kill": False}, "cancel_on_kill is off")],
)
async def test_a_job_that_cannot_or_must_not_be_canceled_goes_on_and_the_log_says_so(
    emulator: MediaxEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    job_id: str,
    options: dict[str, Any],
    reason: str,
) -> None:
    monkeypatch.setattr(kill, "_states", lambda task: pytest.fail("nothing depends on the task's state"))
    await trigger(job_id, **options).on_kill()
    assert reason in capsys.readouterr().out
    assert emulator.ledger()["cancels"] == []


async def test_a_trigger_that_is_only_stopped_cancels_nothing(emulator: MediaxEmulator, job_id: str) -> None:
    """On a triggerer's SIGTERM the trigger's task is canceled and ``cleanup`` runs; ``on_kill`` does not."""
    made = trigger(job_id)
    waiting = asyncio.create_task(made.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await made.cleanup()
    assert emulator.ledger()["cancels"] == []


def test_a_trigger_stored_by_another_version_still_starts() -> None:
    made = trigger("j1", an_argument_that_was_retired=3)
    assert made.serialize()[1]["job_ids"] == ["j1"]
    assert "an_argument_that_was_retired" not in made.serialize()[1]


class TestQuestion:
    """What Airflow is asked, and how its answer is read."""

    @pytest.fixture
    def airflow(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        asked: list[dict[str, Any]] = []

        def get_task_states(**question: int | list[str] | str | None) -> dict[str, Any]:
            asked.append(question)
            return {"run": {"separate": "failed", "separate_0": "deferred"}, "other": {"separate": "deferred"}}

        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", get_task_states)
        return asked

    @pytest.mark.parametrize(
        ("map_index", "asked_for", "over"),
        [(None, None, True), (-1, None, True), (0, 0, False), (1, 1, True)],  # of the last one nothing is known
    )
    async def test_it_is_about_this_task_instance_and_no_other(
        self, airflow: list[dict[str, Any]], map_index: int | None, asked_for: int | None, over: bool
    ) -> None:
        task = SimpleNamespace(**{**vars(TASK), "map_index": map_index})
        assert await kill.is_over(task) is over
        assert airflow == [{"dag_id": "dag", "map_index": asked_for, "task_ids": ["separate"], "run_ids": ["run"]}]

    async def test_a_run_that_is_gone_is_over(self, airflow: list[dict[str, Any]]) -> None:
        assert await kill.is_over(SimpleNamespace(**{**vars(TASK), "run_id": "deleted"}))

    async def test_it_is_asked_beside_the_event_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        threads: list[int] = []

        def note(task: SimpleNamespace) -> dict[str, str]:
            threads.append(threading.get_ident())
            return {}

        monkeypatch.setattr(kill, "_states", note)
        await kill.is_over(TASK)
        assert threads != [threading.get_ident()]
