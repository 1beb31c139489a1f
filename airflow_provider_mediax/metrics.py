"""
Metrics of jobs, through Airflow's own ``Stats``: what was bought, what became of it, how long it was waited for.

All of them are sent by workers: what a triggerer has counted travels in its event, since the ``Stats`` of providers
sends nothing from there (Airflow 3.3). Tags are ``service`` and ``capability``; a capability without a class of its
own is ``other``, so no user's text becomes a tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_mediax.protocol.rows import Result
from airflow_provider_mediax.protocol.service import JobService

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "mediax.jobs.bought": "jobs that a task has submitted",
        "mediax.jobs.adopted": "jobs that were there before and that a task took over: what retries did not buy again",
        "mediax.jobs.succeeded": "jobs that a task has seen end in success",
        "mediax.jobs.failed": "jobs that a task has seen end in failure",
        "mediax.jobs.canceled": "jobs that a task has seen end as canceled",
        "mediax.polls": "answers of the service about a job that a task waits for",
        "mediax.throttled": "times that the service asked a worker for a pause",
        "mediax.waited": "time that a try waited for its job, up to its end",
    }
)
"""The metrics and what they count; all are counters but ``mediax.waited``, a timer."""


class JobMeter:
    """
    Counts for the attempts of one service.

    :param service: whose jobs they are about.
    """

    def __init__(self, service: type[JobService[Any]]) -> None:
        self._service = service

    def count(self, what: str, capability: str, number: int = 1) -> None:
        """
        Add to a counter.

        :param what: the counter's name after ``mediax.``.
        :param number: how many; none sends nothing.
        """
        if number:
            Stats.incr(f"mediax.{what}", number, tags=self._tags(capability))

    def time(self, what: str, capability: str, seconds: float) -> None:
        """Record how long something took."""
        Stats.timing(f"mediax.{what}", timedelta(seconds=seconds), tags=self._tags(capability))

    def _tags(self, capability: str) -> dict[str, str]:
        known = self._service.result_of(capability) is not Result
        return {"service": self._service.name, "capability": capability if known else "other"}
