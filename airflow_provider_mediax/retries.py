"""When the next try of a failed task should start, by what failed: for the argument ``retry_policy`` of a task."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_mediax import exceptions

try:
    from airflow.sdk import ExceptionRetryPolicy, RetryRule
    from airflow.sdk.exceptions import AirflowTaskTimeout
except ImportError:  # before Airflow 3.3
    ExceptionRetryPolicy = RetryRule = AirflowTaskTimeout = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy

_RETRY_AFTER: tuple[tuple[type[exceptions.MediaxError], float, str], ...] = (
    (exceptions.WaitTimeout, 1.0, "The job is there, and every second is lost to the wait."),
    (exceptions.LookupFailed, 120.0, "The service's lists may lag, and a service that cannot say needs time."),
    (exceptions.OutcomeUnknown, 300.0, "A submit may still be carried out."),
    (exceptions.Throttled, 300.0, "The service asked for a longer pause than a task can wait."),
    (exceptions.MediaxError, 60.0, "The fault may pass."),
)
"""Seconds from a failed try to the next, and why; the first class that fits counts."""


def _retry_policy() -> RetryPolicy | None:
    if ExceptionRetryPolicy is None:
        return None
    # Airflow's own execution_timeout, when it strikes in a worker before ours does.
    own = RetryRule(exception=AirflowTaskTimeout, retry_delay=timedelta(seconds=1), reason=_RETRY_AFTER[0][2])
    return ExceptionRetryPolicy(
        rules=[
            own,
            *(
                RetryRule(exception=kind, retry_delay=timedelta(seconds=seconds), reason=reason)
                for kind, seconds, reason in _RETRY_AFTER
            ),
        ]
    )


RETRY_POLICY: RetryPolicy | None = _retry_policy()
"""
For the argument ``retry_policy`` of a task: a delay for each kind of error, in place of the one ``retry_delay``.

How often a task is retried stays with its ``retries``; permanent errors are not retried at all. None on Airflow
before 3.3, which has no such policies.
"""
