"""What a job's end means to the task that waits for it."""

from __future__ import annotations

from airflow_provider_mediax.exceptions import JobCanceled, JobFailed, RetryableJobFailed
from airflow_provider_mediax.protocol.job import Job, JobState


def require_success(job: Job, *, retry_failed: bool = False) -> None:
    """
    Raise what a job that ended without success means; do nothing otherwise.

    :param retry_failed: a retry of the task may pay for another job.
    :raises JobFailed: the service ended it in failure.
    :raises RetryableJobFailed: likewise, and ``retry_failed`` is set.
    :raises JobCanceled: it was canceled.
    """
    if job.state is JobState.CANCELED:
        raise JobCanceled(f"The job ended as {job.state_name}", job_id=job.id, marker=job.marker)
    if job.state is JobState.FAILED:
        reason = f": {job.message[:500]}" if job.message else ", and the service gave no reason"
        kind = RetryableJobFailed if retry_failed else JobFailed
        raise kind(f"The job ended as {job.state_name}{reason}", job_id=job.id, marker=job.marker)
