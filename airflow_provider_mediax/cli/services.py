"""What the services list: jobs of known markers, and all separations of a time that carry a marker of ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_mediax.cli.command import told_error
from airflow_provider_mediax.cli.owners import MARKER_PREFIX, Listed
from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.protocol.ci.answers import QUEUE_WANTED
from airflow_provider_mediax.protocol.ci.operations import MOST_PAGES
from airflow_provider_mediax.protocol.job import Job


@dataclass(kw_only=True)
class Listing:
    """
    What the services said.

    :param jobs: those listed.
    :param doubts: why there may be more, one sentence each.
    """

    jobs: list[Listed] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Services:
    """
    The services that a connection is set up for.

    :param unused: why the other one is not asked, one sentence each.
    """

    mediax: MediaxHook | None
    cloud_infinite: CloudInfiniteHook | None
    unused: list[str]

    def look(self, markers: Collection[str], since: datetime | None, until: datetime | None) -> Listing:
        """
        List the jobs that carry one of the markers, and every separation of the time that carries any marker of ours.

        :param since: when the first of them can have been created, by the services' clocks.
        """
        listing = Listing()
        if (separations := self.cloud_infinite) is not None:
            with _noting(listing, "Cloud Infinite"):
                for job in _all_separations(separations, since, until, listing):
                    _add(listing, separations, job)
        if (platform := self.mediax) is not None:
            found = {listed.job.marker for listed in listing.jobs}
            with _noting(listing, "The music platform"):
                for marker in sorted(set(markers) - found):
                    listed = platform.list(marker)
                    if not listed.complete:
                        listing.doubts.append(f"The music platform listed only a part of the jobs of {marker}.")
                    for job in listed.jobs:
                        _add(listing, platform, job)
        return listing


@contextmanager
def open_services(conn_id: str, bucket: str | None, region: str | None, only: str | None) -> Iterator[Services]:
    """
    Open the services that a connection is set up for.

    :param only: name of the one service to ask.
    :raises BadRequest: the connection is set up for none of those asked for.
    """
    hooks: dict[str, JobHook] = {}
    refusals: list[BadRequest] = []
    with ExitStack() as opened:
        for hook in (MediaxHook(conn_id), CloudInfiniteHook(conn_id, bucket=bucket, region=region)):
            if only not in (None, hook.service_name):
                continue
            opened.callback(hook.close)
            try:
                hook.service  # noqa: B018 - reads the connection
            except BadRequest as refused:
                refusals.append(refused)
            else:
                hooks[hook.service_name] = hook
        if not hooks:
            raise refusals[0]
        platform, separations = hooks.get(MediaxHook.service_name), hooks.get(CloudInfiniteHook.service_name)
        yield Services(
            mediax=platform if isinstance(platform, MediaxHook) else None,
            cloud_infinite=separations if isinstance(separations, CloudInfiniteHook) else None,
            unused=[f"One service is not asked: {told_error(refused)}" for refused in refusals],
        )


@contextmanager
def _noting(listing: Listing, service: str) -> Iterator[None]:
    """Take a failure down as a doubt; a service that fails is not asked again."""
    try:
        yield
    except MediaxError as error:
        listing.doubts.append(f"{service} could not list all jobs: {told_error(error)}")


def _add(listing: Listing, hook: JobHook, job: Job) -> None:
    listing.jobs.append(Listed(service=hook.service_name, cancellable=hook.cancellable, job=job))


def _all_separations(
    hook: CloudInfiniteHook, since: datetime | None, until: datetime | None, listing: Listing
) -> Iterator[Job]:
    """Yield the separations of a time that carry a marker of ours, from all pages of the list."""
    window = {"start": since.timestamp() if since else None, "end": until.timestamp() if until else None}
    queue_id: str | None = None
    token: str | None = None
    for _ in range(MOST_PAGES):
        try:
            page = hook.list(**window, queue_id=queue_id, next_token=token)
        except BadRequest as refused:
            if queue_id is not None or refused.code not in QUEUE_WANTED or not (queues := hook.queues()):
                raise
            queue_id = queues[0].id
            continue
        if not page.complete:
            listing.doubts.append("Cloud Infinite listed a job that cannot be read.")
        yield from (job for job in page.jobs if (job.marker or "").startswith(MARKER_PREFIX))
        if page.next_token in (None, token):
            return
        token = page.next_token
    listing.doubts.append("Cloud Infinite lists more jobs than are read at once: choose a shorter time with --since.")
