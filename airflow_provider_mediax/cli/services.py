"""What the services list: the jobs of a time, or of known markers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_mediax.cli.owners import Listed
from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.registry import SERVICES
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.service import MARKER_PREFIX


@dataclass(kw_only=True)
class Listing:
    """
    What the services said.

    :param jobs: those listed that carry a marker of an operator.
    :param doubts: why there may be more, one sentence each.
    """

    jobs: list[Listed] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Services:
    """
    The services that a connection is set up for.

    :param unused: why the others are not asked, one sentence each.
    """

    hooks: Sequence[JobHook[Any]]
    unused: Sequence[str]

    def look(self, markers: Collection[str], since: datetime | None, until: datetime | None) -> Listing:
        """
        List the jobs that carry one of the markers and, where a service lists by time, those of any marker of ours.

        :param since: when the first of them can have been created, by the services' clocks.
        """
        listing = Listing()
        left = set(markers)
        # The one that needs no markers first: what it has need not be asked for elsewhere.
        for hook in sorted(self.hooks, key=lambda hook: not hook.service.lists_by_time):
            title = hook.service.title
            span = (moment.timestamp() if moment else None for moment in (since, until))
            try:
                found = hook.run(hook.service.list_since(*span, left))
            except MediaxError as error:
                listing.doubts.append(f"{title} could not list all jobs: {error.sentences}")
                continue
            if not found.complete:
                listing.doubts.append(f"{title} listed only a part of its jobs; choose a shorter time with --since.")
            jobs = [job for job in found.jobs if (job.marker or "").startswith(MARKER_PREFIX)]
            listing.jobs += [listed(hook, job) for job in jobs]
            left -= {job.marker for job in jobs if job.marker}
        return listing


def listed(hook: JobHook[Any], job: Job) -> Listed:
    """Return a job with what can be done about it."""
    service = hook.service
    return Listed(
        service=service.name,
        sensor=hook.sensor,
        cancellable=service.cancellable,
        can_cancel=service.can_cancel(job),
        job=job,
    )


@contextmanager
def open_services(conn_id: str, bucket: str | None, region: str | None, only: str | None) -> Iterator[Services]:
    """
    Open the services that a connection is set up for.

    :param only: name of the one service to ask.
    :raises BadRequest: the connection is set up for none of those asked for.
    """
    hooks: list[JobHook[Any]] = []
    refusals: list[BadRequest] = []
    with ExitStack() as opened:
        for name in SERVICES if only is None else (only,):
            hook = SERVICES[name].at(conn_id, bucket, region)
            opened.callback(hook.close)
            try:
                hook.service  # noqa: B018 - reads the connection
            except BadRequest as refused:
                refusals.append(refused)
            else:
                hooks.append(hook)
        if not hooks:
            raise refusals[0]
        unused = [f"One service is not asked: {refused.sentences}" for refused in refusals]
        yield Services(hooks=hooks, unused=unused)
