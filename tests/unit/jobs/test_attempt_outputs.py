"""An attempt whose job has succeeded without its files: what it keeps, and when it pays again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from airflow_provider_mediax.exceptions import ResultMissing
from airflow_provider_mediax.jobs.attempt import Attempt, Deferral, TaskInstance, Terms
from airflow_provider_mediax.jobs.manifest import Manifest
from airflow_provider_mediax.jobs.stored import MANIFEST_KEY
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.jobs.clocks import NOON, Clocks
from tests.unit.jobs.fake_hook import FakeHook, FakeNotes, KeptLog, KeptMeter
from tests.unit.jobs.fake_service import FakeService, Order
from tests.unit.jobs.fake_store import Store
from tests.unit.jobs.tasks import OWNER

T = TypeVar("T")


@dataclass
class Lacking(FakeHook):
    """A hook whose jobs succeed at once; ``lacking`` are those whose files are not there."""

    lacking: set[str] = field(default_factory=set)

    def run(self, flow: Flow[T], patience: object = None) -> T:
        for job_id in self.service.jobs:
            self.service.turn(job_id, JobState.SUCCEEDED, "Success")
        return super().run(flow, patience)

    def check_outputs(self, job: Job) -> None:
        self.checked.append(job.id)
        if job.id in self.lacking:
            raise ResultMissing("The job succeeded, but lacks 1 of its 1 files: cos://b-1/k is missing")


@dataclass
class Task:
    """One task, try after try."""

    has_store: bool = True
    lacking: set[str] = field(default_factory=set)
    notes: FakeNotes = field(default_factory=FakeNotes)
    tries: int = 0

    def __post_init__(self) -> None:
        self.hook = Lacking(lacking=self.lacking)
        self.store = Store() if self.has_store else None

    @property
    def service(self) -> FakeService:
        return self.hook.service

    def attempt(self, **terms: Any) -> Manifest:
        self.tries += 1
        clocks = Clocks(self.service.time)
        manifest = Attempt(
            self.hook,
            Order,
            Terms(**terms),
            TaskInstance(owner=OWNER, try_number=self.tries, generation=2, started=NOON),
            namespace=None,
            notes=self.notes,
            store=self.store,
            log=KeptLog(),
            meter=KeptMeter(),
            clock=clocks.epoch,
            monotonic=clocks.monotonic,
        ).begin()
        assert not isinstance(manifest, Deferral)
        return manifest


def outcome(manifest: Manifest) -> tuple[str, bool]:
    return manifest["job_id"], manifest["reattached"]


def test_the_manifest_of_a_job_without_its_files_is_kept_before_the_task_fails() -> None:
    task = Task(lacking={"job-1"})
    with pytest.raises(ResultMissing) as caught:
        task.attempt()
    assert outcome(task.notes.values[MANIFEST_KEY]) == ("job-1", False)
    assert caught.value.job_id == "job-1"


def test_nothing_is_looked_for_if_the_user_says_so() -> None:
    task = Task(lacking={"job-1"})
    assert task.attempt(verify_outputs=False)["job_id"] == "job-1"
    assert task.hook.checked == []


@pytest.mark.parametrize("has_store", [True, False])
def test_a_retry_replaces_a_job_without_its_files_if_the_user_says_so(has_store: bool) -> None:
    task = Task(has_store, lacking={"job-1"})
    with pytest.raises(ResultMissing):
        task.attempt(retry_failed_jobs=True)
    assert outcome(task.attempt(retry_failed_jobs=True)) == ("job-2", False)
    assert outcome(task.attempt(retry_failed_jobs=True)) == ("job-2", True)


@pytest.mark.parametrize("has_store", [True, False])
def test_a_retry_takes_the_job_whose_files_have_come_by_then(has_store: bool) -> None:
    task = Task(has_store, lacking={"job-1"})
    with pytest.raises(ResultMissing):
        task.attempt(retry_failed_jobs=True)
    task.lacking.clear()
    assert outcome(task.attempt(retry_failed_jobs=True)) == ("job-1", True)


def test_without_the_users_word_no_try_pays_again() -> None:
    task = Task(lacking={"job-1"})
    for _ in range(2):
        with pytest.raises(ResultMissing):
            task.attempt()
    assert len(task.service.jobs) == 1


@pytest.mark.parametrize("has_store", [True, False])
def test_one_attempt_pays_for_one_job_without_its_files_at_most(has_store: bool) -> None:
    task = Task(has_store, lacking={f"job-{number}" for number in range(1, 9)})
    for bought in (1, 2, 3):
        with pytest.raises(ResultMissing):
            task.attempt(retry_failed_jobs=True)
        assert len(task.service.jobs) == bought
