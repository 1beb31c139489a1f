"""What the job engine needs of a service; everything else about it is the service's own affair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList
from airflow_provider_mediax.protocol.rows import Result, ResultView
from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

MARKER_PREFIX = "mx1-"
"""What the marker of every job begins with that an operator has submitted."""

NOBODYS_MARKER = f"{MARKER_PREFIX}connection-test"
"""A marker that no job carries, to ask for."""

Verdict: TypeAlias = Literal["works", "wrong", "unknown", "not tried", "not set up"]


class JobRequest(Protocol):
    """What makes a job: known to the service in full, to the engine only by its identity and a line for the log."""

    @property
    def capability_name(self) -> str:
        """What is computed: the capability's name on the wire."""

    @property
    def summary(self) -> str:
        """What is asked of which input, in one line without anything secret."""

    def identity(self) -> JsonObject:
        """Return the content of the fingerprint, as JSON, without anything secret or passing."""


R = TypeVar("R", bound=JobRequest)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[R]):
    """
    A request that was held against every rule, and all that is made of it; made once.

    :param identity: content of the fingerprint, without what is not given: so a field that a later version adds does
        not make another request.
    :param body: what is sent, but for the marker and what depends on it.
    """

    request: R
    identity: JsonObject
    body: JsonObject

    @classmethod
    def of(cls, request: R, body: JsonObject) -> Prepared[R]:
        """Return a request with its body, and what says which request it is."""
        return cls(request, {name: value for name, value in request.identity().items() if value is not None}, body)


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


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What a probe has found about one part of a connection.

    :param part: what was tried, in words for the user.
    :param says: what was seen, or whole sentences about what is wrong and what to do.
    """

    part: str
    verdict: Verdict
    says: str

    @classmethod
    def refused(cls, part: str, error: MediaxError, says: str | None = None) -> Finding:
        """
        Return what an error means for a part: wrong by itself, or not known because something else failed.

        :param says: default: the error's own sentences.
        """
        verdict: Verdict = "wrong" if isinstance(error, (AuthenticationFailed, BadRequest)) else "unknown"
        return cls(part, verdict, says or error.sentences)


class JobService(ABC, Generic[R]):
    """
    A service that runs jobs, as flows.

    :cvar name: how triggers and manifests name the service.
    :cvar title: how people name it.
    :cvar succeeded: the service's word for the state of a job that has succeeded.
    :cvar describe_limit: ids that one describe call takes.
    :cvar cancellable: whether the service can cancel a job.
    :cvar lists_by_time: whether :meth:`list_since` lists every job of a time, not only those of known markers.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    succeeded: ClassVar[str]
    describe_limit: ClassVar[int]
    cancellable: ClassVar[bool]
    lists_by_time: ClassVar[bool]

    @property
    @abstractmethod
    def account(self) -> tuple[str, str]:
        """Host that the calls go to, and id of the key that they are counted for, which is a secret."""

    @abstractmethod
    def prepare(self, request: R) -> Prepared[R]:
        """
        Hold a request against every rule and build what is sent.

        :raises BadRequest: names the field, its value and the rule.
        """

    def called_back(self, prepared: Prepared[R], address: str) -> Prepared[R]:
        """Return a request whose job is posted to an address at its end, unless it says itself whom to tell."""
        return prepared

    @abstractmethod
    def submit(self, prepared: Prepared[R], marker: str) -> Flow[Job]:
        """Create a job that carries the marker. Never repeated after an unknown outcome."""

    @abstractmethod
    def jobs_of(self, marker: str, *, prepared: Prepared[R] | None = None, since: float | None = None) -> Flow[JobList]:
        """
        List the jobs that carry the marker, newest first.

        :param prepared: what the job was asked for, where that is known: the service may have less to read.
        :param since: epoch seconds before which the job cannot have been created.
        """

    @abstractmethod
    def list_since(self, since: float | None, until: float | None, markers: Collection[str]) -> Flow[JobList]:
        """
        List the jobs that were created in a time.

        :param since: epoch seconds, by the service's clock; ``until`` likewise.
        :param markers: of the jobs that are looked for, which is what a service goes by that cannot list by time.
        """

    @abstractmethod
    def matches(self, job: Job, prepared: Prepared[R]) -> bool:
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
    def probe(self) -> Flow[Sequence[Finding]]:
        """Try what a connection needs for this service, and buy nothing; what fails is a finding, not an error."""

    @abstractmethod
    def view(self, job: Job) -> ResultView:
        """Read what the job found and where its files lie."""

    @classmethod
    @abstractmethod
    def result_of(cls, capability: str) -> type[Result]:
        """Return how a capability's result is read and made into rows; of one that is not known, as it came."""

    def capability(self, job: Job) -> str:
        """Return the capability that a job computes: what its kind is called in manifests."""
        return self.view(job).capability

    def promised(self, job: Job) -> Promise:
        """Say which files a job that has succeeded should have written: those that its view names."""
        return Promise(addresses=[address for file in self.view(job).files if (address := cos_address(file))])

    def can_cancel(self, job: Job) -> bool:
        """Tell whether a cancel can do something about a job: it has not started."""
        return self.cancellable and not job.state.final and job.started_at is None
