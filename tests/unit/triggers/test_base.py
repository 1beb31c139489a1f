"""Promise 4, every trigger's side: one event, never too early, never an exception, whatever the clocks do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn

import pytest

from airflow_provider_mediax.client import clock
from airflow_provider_mediax.jobs import watcher as watcher_module
from airflow_provider_mediax.jobs.stored import SCHEMA, read_whole
from airflow_provider_mediax.jobs.watcher import Watcher
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.triggers import job as job_module
from airflow_provider_mediax.triggers.base import OneEventTrigger, hold_back
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.unit.jobs.cloud import Cloud
from tests.unit.jobs.virtual_time import in_virtual_time, now


class Waiting(OneEventTrigger):
    """Waits for nothing, or fails."""

    arguments: ClassVar[Mapping[str, Callable[[Any], object]]] = {"schema": read_whole}
    schema = SCHEMA

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.error = error

    async def wait(self) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {"status": "final"}

    def silence(self) -> NoReturn:
        raise AssertionError("these arguments can be read")

    def failure(self, error: Exception) -> dict[str, Any]:
        return {"status": "error", "class": type(error).__name__}


async def event_of(trigger: OneEventTrigger) -> dict[str, Any]:
    (payload,) = [event.payload async for event in trigger.run()]
    assert isinstance(payload, dict)
    return payload


@pytest.fixture(autouse=True)
def settings_are_read_anew() -> Iterator[None]:
    """They are read once per process."""
    hold_back.cache_clear()
    yield
    hold_back.cache_clear()


@pytest.mark.parametrize("interval", ["5", "30"])
@pytest.mark.parametrize("error", [None, ValueError("s3cret")])
def test_no_event_leaves_before_twice_the_heartbeat_interval_and_a_second(
    monkeypatch: pytest.MonkeyPatch, interval: str, error: ValueError | None
) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", interval)
    hold_back.cache_clear()

    @in_virtual_time
    async def scenario() -> None:
        event = await event_of(Waiting(error))
        assert now() == 2 * float(interval) + 1
        assert event == ({"status": "final"} if error is None else {"status": "error", "class": "ValueError"})

    scenario()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A service behind the job trigger, on the virtual clock."""
    cloud = Cloud()
    monkeypatch.setattr(clock, "steady", lambda: now())
    monkeypatch.setattr(job_module, "steady", lambda: now())
    monkeypatch.setattr(watcher_module, "_watchers", {})
    monkeypatch.setattr(job_module, "watcher_for", lambda key, opened, name: Watcher(cloud.open, name, clock=now))
    return cloud


def a_job_trigger(seconds: float) -> JobTrigger:
    return JobTrigger(
        service="mediax",
        conn_id="mediax_default",
        job_ids=["a"],
        custom_ids=["m"],
        deadline=time.time() + seconds,
    )


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, 0.0])
def test_a_wall_clock_that_jumps_moves_no_deadline_of_a_job_trigger(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    trigger = a_job_trigger(600.0)
    real = time.time

    @in_virtual_time
    async def scenario() -> None:
        # The moment of the start counts; from there on the wall clock may say what it likes.
        monkeypatch.setattr(time, "time", lambda: real() + (jump if now() > 1 else 0.0))
        event = await event_of(trigger)
        assert event["status"] == "timeout"
        assert now() == pytest.approx(600, abs=60)
        assert len(cloud.requests) > 10

    scenario()


def test_a_job_trigger_tells_states_and_never_the_job_itself(cloud: Cloud) -> None:
    cloud.states["a"] = JobState.SUCCEEDED

    @in_virtual_time
    async def scenario() -> None:
        event = await event_of(a_job_trigger(600.0))
        states = {"a": JobState.SUCCEEDED.value}
        assert event == {"schema": 1, "status": "final", "states": states, "error": None, "polls": 1}

    scenario()
