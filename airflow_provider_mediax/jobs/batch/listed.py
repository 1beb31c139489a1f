"""A job service whose jobs are read by the lists of their markers: one call for a chunk in place of one per job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.service import JobService, R

PER_CALL = 50
"""Jobs that are asked for together."""


def for_batches(service: JobService[R], markers: Mapping[str, str]) -> JobService[R]:
    """
    Return the service as a batch polls it: by lists, unless it describes several jobs in one call anyway.

    :param markers: of each job, by its id; may grow.
    """
    return service if service.describe_limit > 1 else cast("JobService[R]", _ListedJobs(service, markers))


class _ListedJobs:
    """Everything is the service's own but :meth:`describe`."""

    describe_limit = PER_CALL

    def __init__(self, service: JobService[Any], markers: Mapping[str, str]) -> None:
        self._service = service
        self._markers = markers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        """
        Read the list of each marker, and one by one the jobs that it leaves out.

        A service whose lists have no room for all of them costs no more than if it had none.
        """
        found: dict[str, Job] = {}
        groups: dict[str | None, list[str]] = {}
        for job_id in ids:
            groups.setdefault(self._markers.get(job_id), []).append(job_id)
        for marker, mine in groups.items():
            if marker is not None and len(mine) > 1:
                listed = yield from self._service.jobs_of(marker)
                found |= {job.id: job for job in listed.jobs if job.id in mine}
            for job_id in mine:
                if job_id not in found:
                    try:
                        found |= yield from self._service.describe([job_id])
                    except BadRequest:  # one that is not known to the service; the others must not suffer for it
                        if len(ids) == 1:
                            raise
        return found
