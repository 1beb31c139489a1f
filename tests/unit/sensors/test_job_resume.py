"""The job sensors: what a trigger's event means to a job that the worker has just read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Context, TaskDeferred

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError, Unavailable
from airflow_provider_mediax.hooks.registry import HOOKS
from airflow_provider_mediax.jobs.stored import JobEvent
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.sensors.job import JobSensor
from tests.unit.jobs.fake_service import FakeService


class OpenJobsHook:
    """Knows every job, and none of them ends."""

    service_type = FakeService
    mediax_conn_id = "mediax_default"
    bucket = None
    region = None
    service = FakeService()

    @classmethod
    def at(cls, *place: Any) -> OpenJobsHook:
        return cls()

    def describe(self, ids: Sequence[str]) -> Mapping[str, Job]:
        return {job_id: Job(id=job_id, state=JobState.OPEN, state_name="WAITING", raw={}) for job_id in ids}

    def close(self) -> None: ...


class OpenJobsSensor(JobSensor):
    service = "open"


@pytest.fixture
def sensor(monkeypatch: pytest.MonkeyPatch) -> JobSensor:
    monkeypatch.setitem(HOOKS, "open", f"{__name__}.OpenJobsHook")
    return OpenJobsSensor(task_id="wait", job_id="job-1", deferrable=True)


def context() -> Context:
    return cast("Context", {"ti": SimpleNamespace(start_date=datetime.fromtimestamp(time.time(), UTC))})


@pytest.mark.parametrize("kind", [AuthenticationFailed, BadRequest, Unavailable])
def test_what_a_triggerer_gives_up_for_can_be_retried(sensor: OpenJobsSensor, kind: type[MediaxError]) -> None:
    """Keys that a triggerer had cached are refused, and the worker has just read the job with the new ones."""
    event = JobEvent("error", {}, kind("refused", status=403)).payload()
    with pytest.raises(MediaxError) as caught:
        sensor.resume(context(), event)
    assert not isinstance(caught.value, AirflowFailException)
    assert (caught.value.job_id, caught.value.status) == ("job-1", 403)


def test_an_event_about_another_job_waits_on(sensor: OpenJobsSensor) -> None:
    event = JobEvent("final", {"job-2": "COMPLETED"}).payload()
    with pytest.raises(TaskDeferred):
        sensor.resume(context(), event)
