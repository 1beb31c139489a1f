"""
What OpenLineage learns of a task and its job: the track as input, files as outputs, and a run facet ``mediax_job``.

Airflow's OpenLineage provider calls the methods of :class:`JobLineage`; without it nobody does, so what they return is
imported inside them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
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


class JobFacts(NamedTuple):
    """
    What is known of a task's job when the task ends.

    :param facts: the members of the run facet.
    :param input: address of what the job works on; None if it is not known.
    :param files: addresses of what it has written.
    """

    facts: dict[str, Any]
    input: str | None
    files: tuple[str, ...]


def facts_of(service: JobService[Any], job: Job) -> JobFacts:
    """Return the facts of a job as its service describes it."""
    view = service.view(job)
    facts = {
        "service": service.name,
        "capability": service.capability(job),
        "job_id": job.id,
        "marker": job.marker,
        "state": job.state_name,
        "seconds_queued": job.seconds_queued,
        "seconds": job.seconds,
    }
    return JobFacts(facts, view.input, tuple(view.files))


class JobLineage:
    """
    Mixin of the operators and sensors of jobs.

    :ivar job_facts: of the job that the task has come to know last.
    """

    job_facts: JobFacts | None = None

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

        if self.job_facts is None:
            return self.get_openlineage_facets_on_start()
        facts, track, files = self.job_facts
        return OperatorLineage(
            inputs=list(datasets([track])),
            outputs=list(datasets(files)),
            run_facets={FACET: _facet_class()(**facts)},
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
def _facet_class() -> type[RunFacet]:
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
