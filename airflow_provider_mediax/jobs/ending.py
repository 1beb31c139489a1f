"""What the end of a job, and the end of a wait, means to the task."""

from __future__ import annotations

from airflow_provider_mediax.exceptions import (
    JobCanceled,
    JobFailed,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
)
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


def given_up(error: MediaxError) -> MediaxError:
    """
    Return what a triggerer gave the wait for an open job up for, as an error that a retry can help.

    The worker has read the job by now, so it exists and the connection works, whatever was refused before.
    """
    if isinstance(error, (Throttled, Unavailable, ProtocolError)):
        return error
    retryable = ProtocolError(f"The wait in the triggerer was given up: {error.what}", **error.facts())
    retryable.__cause__ = error
    return retryable
