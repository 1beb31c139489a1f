"""
What OpenLineage learns of a task and its job: the track as input, files as outputs, and a run facet ``mediax_job``.

Airflow's OpenLineage provider calls the methods of :class:`JobLineage`; without it nobody does, so what they return is
imported inside them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_mediax.protocol.urls import cos_address

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset, RunFacet
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_mediax.protocol.job import Job
    from airflow_provider_mediax.protocol.service import JobService

FACET = "mediax_job"
"""Name of the run facet."""


class SeenJob(NamedTuple):
    """
    The job that a task has come to know last.

    :param service: what describes it; it needs no connection any more.
    """

    service: JobService[Any]
    job: Job


class JobLineage:
    """
    Mixin of the operators and sensors of jobs.

    :ivar seen_job: the job, as soon as the task knows it.
    """

    seen_job: SeenJob | None = None

    @property
    def input_name(self) -> str | None:
        """The rendered input, if it is known before the job is."""
        return None

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Return the input, if its address is known before the job is."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        return OperatorLineage(inputs=list(datasets([self.input_name])))

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Return input, files and the job's facts."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        if self.seen_job is None:
            return self.get_openlineage_facets_on_start()
        service, job = self.seen_job
        view = service.view(job)
        facet = _facet_class()(
            service=service.name,
            capability=service.capability(job),
            job_id=job.id,
            marker=job.marker,
            state=job.state_name,
            seconds_queued=job.seconds_queued,
            seconds=job.seconds,
        )
        return OperatorLineage(
            inputs=list(datasets([view.input])), outputs=list(datasets(view.files)), run_facets={FACET: facet}
        )

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any]:
        """Return the same of a job that has failed, or that goes on without its task."""
        return self.get_openlineage_facets_on_complete(task_instance)


def datasets(addresses: Iterable[str | None]) -> Iterable[Dataset]:
    """Yield what lies at addresses, named as assets name it; what is no address is left out."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    for address in addresses:
        if cos := cos_address(address or ""):
            yield Dataset(namespace=f"cos://{cos.bucket}", name=cos.key)
        elif address and "://" in address:
            parts = urlsplit(address)
            yield Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.lstrip("/") or "/")


@functools.cache
def _facet_class() -> Callable[..., RunFacet]:
    """Make the class of the run facet, which only OpenLineage's own package can be the base of."""
    import attrs
    from airflow.providers.common.compat.openlineage.facet import RunFacet

    @attrs.define
    class MediaxJobRunFacet(RunFacet):
        service: str
        capability: str
        job_id: str
        marker: str | None
        state: str
        seconds_queued: float | None
        seconds: float | None

    return MediaxJobRunFacet
