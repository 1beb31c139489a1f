"""What the services saw: the emulator's ledger, and what a test may ask of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_provider_mediax.emulator.process import MediaxEmulator

SUBMITS = ("CreateJob", "SubmitCiJob")
DESCRIBES = ("GetJob", "DescribeCiJobs")
LISTS = ("ListJobs", "ListCiJobs")
CANCELS = ("CancelCiJobs",)

Record = dict[str, Any]


@dataclass(frozen=True)
class Ledger:
    """All jobs, requests and cancels since the last reset, as of one moment."""

    jobs: list[Record]
    requests: list[Record]
    cancels: list[Record]

    @classmethod
    def read(cls, emulator: MediaxEmulator) -> Ledger:
        """Take the ledger as it is now. Requests whose answer is held back are in it, with the status None."""
        found = emulator.ledger()
        return cls(found["jobs"], found["requests"], found["cancels"])

    @property
    def jobs_per_marker(self) -> Counter[str | None]:
        """How many jobs each marker has."""
        return Counter(job["marker"] for job in self.jobs)

    @property
    def open_jobs(self) -> list[Record]:
        """Jobs that have not come to an end."""
        return [job for job in self.jobs if job["finished_at"] is None]

    def jobs_of(self, marker: str | None) -> list[Record]:
        """The jobs of one marker, oldest first."""
        return [job for job in self.jobs if job["marker"] == marker]

    def seen(self, *actions: str, marker: str | None = None, fault: str | None = None) -> list[Record]:
        """
        The requests for these actions (all, if none is named), oldest first.

        :param marker: only those about it. A submit that is held back by the fault ``slow`` has no marker yet.
        :param fault: only those that this kind of fault has hit.
        """
        return [
            request
            for request in self.requests
            if (not actions or request["action"] in actions)
            and marker in (None, request["marker"])
            and fault in (None, request["fault"])
        ]

    def about(self, job_id: str, *actions: str, after: float = 0.0) -> list[Record]:
        """
        The requests about a job, oldest first.

        :param after: epoch seconds.
        """
        return [
            request
            for request in self.seen(*actions)
            if job_id in (request["job_id"] or "").split(",") and request["at"] > after
        ]

    def without_owner(self, owned: Iterable[str]) -> list[Record]:
        """The jobs that were paid for and that none of the owners' job ids names."""
        known = set(owned)
        return [job for job in self.jobs if job["id"] not in known]


@dataclass(frozen=True)
class Verdict:
    """
    What a scenario did to the services.

    :param jobs: of each task (``dag/run/task``), the ids of the jobs under its marker.
    :param without_owner: jobs whose id no task returned.
    :param late: requests about a job after the task that returned it had ended.
    """

    jobs: dict[str, list[str]]
    without_owner: list[Record]
    late: list[Record]
    cancels: list[Record]
    submits: int

    def require_one_job_each(self, submits: int | None = None) -> None:
        """
        Check the promise: one job per task, none without a task, nothing after the end, no cancel.

        :param submits: how many were sent, if that is not one per task.
        """
        assert self.jobs, "there is no task to judge"
        several = {task: ids for task, ids in self.jobs.items() if len(ids) != 1}
        assert not several, f"not one job for each task: {several}"
        assert not self.without_owner, f"jobs that no task owns: {self.without_owner}"
        assert not self.cancels, f"cancels that nobody asked for: {self.cancels}"
        assert not self.late, f"requests after the end of the task: {self.late}"
        expected = len(self.jobs) if submits is None else submits
        assert self.submits == expected, f"{self.submits} submits were sent, not {expected}"
