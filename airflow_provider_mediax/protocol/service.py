"""What the job engine needs of a service; everything else about it is the service's own affair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList
from airflow_provider_mediax.protocol.mediax.results import ResultView
from airflow_provider_mediax.protocol.urls import CosAddress, cos_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """
    The files that a finished job should have written.

    :param addresses: where they should be; empty if the job writes none, or does not say where.
    :param region: of their bucket, where the service says so; None means the connection's.
    :param missing_is_failure: whether the service says for certain where its files are, so that a missing one proves
        that the job did not do its work.
    :param empty_is_failure: whether a file of no bytes proves it.
    """

    addresses: Sequence[CosAddress]
    region: str | None = None
    missing_is_failure: bool = True
    empty_is_failure: bool = True


class JobRequest(Protocol):
    """What makes a job: known to the service in full, to the engine only by its identity."""

    def identity(self) -> JsonObject:
        """Return the content of the fingerprint, as JSON, without anything secret or passing."""


R = TypeVar("R", bound=JobRequest)


class JobService(ABC, Generic[R]):
    """
    A service that runs jobs, as flows.

    :cvar name: how triggers and manifests name the service.
    :cvar describe_limit: ids that one describe call takes.
    :cvar cancellable: whether the service can cancel a job.
    """

    name: ClassVar[str]
    describe_limit: ClassVar[int]
    cancellable: ClassVar[bool]

    @abstractmethod
    def check(self, request: R) -> None:
        """
        Refuse a request that could not be sent.

        :raises BadRequest: names the field, its value and the rule.
        """

    @abstractmethod
    def submit(self, request: R, marker: str) -> Flow[Job]:
        """Create a job that carries the marker. Never repeated after an unknown outcome."""

    @abstractmethod
    def find(self, marker: str, *, request: R | None = None, since: float | None = None) -> Flow[JobList]:
        """
        List the jobs that carry the marker, newest first.

        :param request: what the job was asked for, where that is known: the service may have less to read.
        :param since: epoch seconds before which the job cannot have been created.
        """

    @abstractmethod
    def matches(self, job: Job, request: R) -> bool:
        """
        Tell whether a job could be the one that a request asks for.

        Only what was sent and what the service echoes is compared: what is not echoed is no contradiction.
        """

    @abstractmethod
    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        """Read up to :attr:`describe_limit` jobs; an id that the service does not know is absent."""

    @abstractmethod
    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        """Cancel up to :attr:`describe_limit` jobs; only called if the service is :attr:`cancellable`."""

    @abstractmethod
    def view(self, job: Job) -> ResultView:
        """Read what the job found and where its files lie."""

    def promised(self, job: Job) -> Promise:
        """Say which files a job that has succeeded should have written: those that its view names."""
        return Promise(addresses=[address for file in self.view(job).files if (address := cos_address(file))])
