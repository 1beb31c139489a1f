"""What a job's end means to the one who waits for it."""

from __future__ import annotations

from airflow_provider_mediax.exceptions import JobCanceled, JobFailed
from airflow_provider_mediax.protocol.job import Job, JobState


def require_success(job: Job) -> None:
    """
    Raise what a job that ended without success means; do nothing otherwise.

    :raises JobFailed: the service ended it in failure.
    :raises JobCanceled: it was canceled.
    """
    if job.state is JobState.CANCELED:
        raise JobCanceled(f"The job ended as {job.state_name}", job_id=job.id, marker=job.marker)
    if job.state is JobState.FAILED:
        reason = f": {job.message[:500]}" if job.message else ", and the service gave no reason"
        raise JobFailed(f"The job ended as {job.state_name}{reason}", job_id=job.id, marker=job.marker)
