"""An attempt whose job has succeeded without its files: what it keeps, and when it pays again."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import ResultMissing
from airflow_provider_mediax.jobs.attempt import Attempt, TaskInstance, Terms
from airflow_provider_mediax.jobs.stored import Owner
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.jobs.fake_service import FakeService, Order

OWNER = Owner(dag_id="d", run_id="r", task_id="t", map_index=-1)


@dataclass
class Task:
    """One task against the service, try after try; ``lacking`` are the jobs whose files are not there."""

    has_store: bool = True
    lacking: set[str] = field(default_factory=set)
    service: FakeService = field(default_factory=FakeService)
    values: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)
    tries: int = 0
    longest_send = 1.0

    def run(self, flow: Any, patience: Any = None) -> Any:
        for job_id in self.service.jobs:
            self.service.turn(job_id, JobState.SUCCEEDED, "Success")
        return self.service.run(flow)

    def manifest(self, job: Job, owner: Owner | None, *, reattached: bool) -> dict[str, Any]:
        return {"job_id": job.id, "reattached": reattached}

    def check_outputs(self, job: Job) -> None:
        self.checked.append(job.id)
        if job.id in self.lacking:
            raise ResultMissing("The job succeeded, but lacks 1 of its 1 files: cos://b-1/k is missing")

    def write(self, key: str, value: Any) -> None:
        self.values[key] = value

    def read(self, key: str) -> Any:
        return self.values.get(key)

    def get(self, key: str) -> Any:
        return self.stored.get(key)

    def set(self, key: str, value: Any) -> None:
        self.stored[key] = value

    def attempt(self, **terms: Any) -> Any:
        self.tries += 1
        instance = TaskInstance(owner=OWNER, try_number=self.tries, generation=2, started=self.service.now)
        attempt: Attempt[Order] = Attempt(
            self,
            Order,
            Terms(**terms),
            instance,
            namespace=None,
            notes=self,
            store=self if self.has_store else None,
            log=logging.getLogger("test"),
            clock=lambda: self.service.now,
            monotonic=lambda: self.service.now,
        )
        return attempt.begin()


def test_the_manifest_of_a_job_without_its_files_is_kept_before_the_task_fails():
    task = Task(lacking={"job-1"})
    with pytest.raises(ResultMissing) as caught:
        task.attempt()
    assert task.values["manifest"] == {"job_id": "job-1", "reattached": False}
    assert caught.value.job_id == "job-1"


def test_nothing_is_looked_for_if_the_user_says_so():
    task = Task(lacking={"job-1"})
    assert task.attempt(verify_outputs=False)["job_id"] == "job-1"
    assert task.checked == []


@pytest.mark.parametrize("has_store", [True, False])
def test_a_retry_replaces_a_job_without_its_files_if_the_user_says_so(has_store):
    task = Task(has_store, lacking={"job-1"})
    with pytest.raises(ResultMissing):
        task.attempt(retry_failed_jobs=True)
    assert task.attempt(retry_failed_jobs=True) == {"job_id": "job-2", "reattached": False}
    assert task.attempt(retry_failed_jobs=True) == {"job_id": "job-2", "reattached": True}


@pytest.mark.parametrize("has_store", [True, False])
def test_a_retry_takes_the_job_whose_files_have_come_by_then(has_store):
    task = Task(has_store, lacking={"job-1"})
    with pytest.raises(ResultMissing):
        task.attempt(retry_failed_jobs=True)
    task.lacking.clear()
    assert task.attempt(retry_failed_jobs=True) == {"job_id": "job-1", "reattached": True}


def test_without_the_users_word_no_try_pays_again():
    task = Task(lacking={"job-1"})
    for _ in range(2):
        with pytest.raises(ResultMissing):
            task.attempt()
    assert len(task.service.jobs) == 1


@pytest.mark.parametrize("has_store", [True, False])
def test_one_attempt_pays_for_one_job_without_its_files_at_most(has_store):
    task = Task(has_store, lacking={f"job-{number}" for number in range(1, 9)})
    for bought in (1, 2, 3):
        with pytest.raises(ResultMissing):
            task.attempt(retry_failed_jobs=True)
        assert len(task.service.jobs) == bought
