"""Cancel what nobody waits for any more, where the service can: after a kill, a clear, a deadline, or by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.jobs.waiting import batches
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.service import JobService, R


def cancel_flow(
    service: JobService[R], job_ids: Sequence[str], on_trouble: Callable[[MediaxError], Any]
) -> Flow[list[Job]]:
    """
    Cancel jobs and return what they are afterwards; those that the service would not describe are left out.

    What a service answers for a job that has started or ended may be undocumented, so it is only reported, and the
    job itself says what became of it. The service must be ``cancellable``.

    :param on_trouble: is given each failure.
    """
    jobs: list[Job] = []
    for ids in batches(job_ids, service.describe_limit):
        try:
            yield from service.cancel(ids)
        except MediaxError as error:
            on_trouble(error)
        try:
            described = yield from service.describe(ids)
        except MediaxError as error:
            on_trouble(error)
        else:
            jobs.extend(described.values())
    return jobs


def describe_outcome(job: Job) -> str:
    """Return one sentence for a log: what became of a job that was to be canceled."""
    if job.state.final:
        return f"Job {job.id} is {job.state_name}"
    return f"Job {job.id} is {job.state_name}: it has started, so it goes on and costs money"
