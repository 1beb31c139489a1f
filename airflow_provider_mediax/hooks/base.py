"""What the hooks of both services have in common: a connection, a session, flows carried out, a job described."""

from __future__ import annotations

import _thread
import contextlib
import json
import logging
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, ClassVar, Generic, Self, TypeVar

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing, shared_pacing
from airflow_provider_mediax.client.retry import ONE_TRY, PATIENT, Patience
from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID, MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.outputs import check_outputs
from airflow_provider_mediax.jobs.claims import Claims
from airflow_provider_mediax.jobs.mailbox import Mailbox
from airflow_provider_mediax.jobs.manifest import Manifest
from airflow_provider_mediax.jobs.stored import Owner, manifest, too_large
from airflow_provider_mediax.jobs.watcher import Opened
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList
from airflow_provider_mediax.protocol.service import JobService, R
from airflow_provider_mediax.protocol.urls import CosAddress, Located, cos_address, shown_line

S = TypeVar("S", bound=JobService[Any])
T = TypeVar("T")

log = logging.getLogger(__name__)

_PROVED: set[CosAddress] = set()
"""Folders of claims whose bucket has refused to replace an object in this process."""


def pacing_of(service: JobService[R], connection: MediaxConnection) -> Pacing:
    """Return this process's pacing for the account of a service."""
    return shared_pacing(service.name, *service.account, connection.requests_per_second)


def claims_of(connection: MediaxConnection) -> Claims | None:
    """
    Return where a connection's right to submit is claimed, None without its ``claims``.

    :raises BadRequest: it lacks what it takes to write there.
    """
    folder = connection.claims
    if folder is None:
        return None
    return Claims(
        store=connection.cos_objects(folder.bucket),
        folder=folder,
        longest_send=connection.transport.longest_send,
        proved=_PROVED,
    )


def mailbox_of(connection: MediaxConnection) -> Mailbox | None:
    """
    Return where services tell of the ends of a connection's jobs, None without its ``mailbox``.

    :raises BadRequest: it lacks what it takes to read there.
    """
    folder = connection.mailbox
    return None if folder is None else Mailbox(objects=connection.cos_objects(folder.bucket), folder=folder)


class JobHook(BaseHook, Generic[S]):
    """
    One service behind one connection.

    :param mediax_conn_id: connection of type ``mediax``.
    :param bucket: the bucket that jobs belong to, where a service has it so; None means the connection's.
    :param region: likewise.
    :param stop: once set, nothing more is sent and every pause ends.
    :cvar service_type: the service.
    :cvar sensor: name of the sensor class that collects a job which another task has submitted.
    :cvar keys: the connection's fields with the service's keys, in words for the user.
    """

    conn_name_attr = "mediax_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    service_type: type[S]
    sensor: ClassVar[str]
    keys: ClassVar[str]

    def __init__(
        self,
        mediax_conn_id: str = DEFAULT_CONN_ID,
        bucket: str | None = None,
        region: str | None = None,
        *,
        stop: StopSignal | None = None,
    ) -> None:
        super().__init__()
        self.mediax_conn_id = mediax_conn_id
        self.bucket = bucket
        self.region = region
        self._stop = stop
        self._settings: MediaxConnection | None = None
        self._service: S | None = None
        self._client: SyncClient | None = None
        self._pacing: Pacing | None = None
        self._holds_before = 0

    @classmethod
    @abstractmethod
    def service_of(cls, connection: MediaxConnection, bucket: str | None, region: str | None) -> S:
        """
        Return the service with a connection's keys.

        :raises BadRequest: the connection lacks a field that every call needs.
        """

    @classmethod
    def at(cls, mediax_conn_id: str, bucket: str | None, region: str | None) -> Self:
        """
        Return the hook of jobs that may belong to another bucket than the connection's.

        :param bucket: None means the connection's; ``region`` likewise.
        """
        return cls(mediax_conn_id, bucket, region)

    @classmethod
    @abstractmethod
    def is_set_up(cls, connection: MediaxConnection) -> bool:
        """Tell whether a connection has any of the keys that the service needs."""

    @classmethod
    def opened(cls, connection: MediaxConnection) -> Self:
        """Return a hook for a connection that was read already, and need not be stored anywhere."""
        hook = cls(connection.conn_id)
        hook._settings = connection
        return hook

    @classmethod
    async def open(cls, mediax_conn_id: str, bucket: str | None, region: str | None) -> Opened:
        """Look the connection up and open a client, in a triggerer."""
        connection = await MediaxConnection.alook_up(mediax_conn_id)
        service = cls.service_of(connection, bucket, region)
        client = AsyncClient(connection.transport, pacing_of(service, connection))
        try:
            mailbox = mailbox_of(connection)
        except BadRequest as refused:  # a submit fails with it; waits do without
            log.warning("No mailbox is read: %s", refused.what)
            mailbox = None
        return Opened(service, client, mailbox)

    @property
    def connection(self) -> MediaxConnection:
        """The connection's fields, looked up once."""
        if self._settings is None:
            self._settings = MediaxConnection.look_up(self.mediax_conn_id)
        return self._settings

    @property
    def service(self) -> S:
        """The service as the job engine knows it."""
        if self._service is None:
            self._service = self.service_of(self.connection, self.bucket, self.region)
        return self._service

    def describe(self, ids: Sequence[str]) -> Mapping[str, Job]:
        """
        Read jobs, as many as the service describes in one call; an unknown id is absent, or refused by the service.

        :raises BadRequest: too many ids, or one that the service refuses.
        """
        return self.run(self.service.describe(ids))

    def jobs_of(self, marker: str, *, since: float | None = None) -> JobList:
        """
        List the jobs that carry a marker, newest first.

        :param since: epoch seconds before which none can have been created; a service that lists by time reads less.
        """
        return self.run(self.service.jobs_of(marker, since=since))

    @property
    def longest_send(self) -> float:
        """Seconds from the begin of a submit after which the service has received it or never will."""
        return self.connection.transport.longest_send

    @property
    def throttled(self) -> int:
        """How often the service has asked this process for a pause since the hook's first call."""
        return self._pacing.holds - self._holds_before if self._pacing is not None else 0

    @property
    def claims(self) -> Claims | None:
        """
        Where the right to submit is claimed, None without the connection's ``claims``.

        :raises BadRequest: the connection lacks what it takes to write there.
        """
        return claims_of(self.connection)

    def callback(self, marker: str, until: float) -> str | None:
        """
        Return where a service can tell of a job's end, None without the connection's ``mailbox``.

        :param until: epoch seconds; the deadline of the wait for it.
        """
        mailbox = mailbox_of(self.connection)
        address = mailbox.address(marker, now=time.time(), until=until) if mailbox is not None else None
        if address is not None:
            mask_secret(address.partition("?")[2])
        return address

    def collected(self, marker: str) -> None:
        """Remove what a service has left in the mailbox for a job; what keeps that from being done is of no account."""
        with contextlib.suppress(MediaxError):
            mailbox = mailbox_of(self.connection)
            if mailbox is not None:
                self.run(mailbox.remove(marker), ONE_TRY)

    def check_outputs(self, job: Job) -> None:
        """
        Look for the files that a finished job promises; takes about ten seconds at most.

        What keeps COS from answering is one warning.

        :raises ResultMissing: one is missing or empty.
        """
        check_outputs(
            job,
            self.service.promised(job),
            self.connection,
            run=self.run,
            killed=lambda: self._stop is not None and self._stop.is_set(),
            log=self.log,
        )

    def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        """Carry a protocol flow out on this hook's session and return its result."""
        if self._client is None:
            self._pacing = pacing_of(self.service, self.connection)
            self._holds_before = self._pacing.holds
            self._client = SyncClient(self.connection.transport, self._pacing, self._stop)
        return self._client.run(flow, patience)

    def run_apart(self, flow: Flow[T], seconds: float) -> T:
        """
        Carry a flow out on a thread and a session of its own, once and within ``seconds``.

        For a signal handler: what it interrupted may hold the session, the limiter or any lock, so none of them is
        waited for. The connection must have been looked up before.

        :raises TimeoutError: it takes longer; it goes on by itself, as long as the process lives.
        :raises MediaxError: whatever the flow raises.
        """
        own = self.connection.transport
        transport = replace(
            own, connect_timeout=min(own.connect_timeout, seconds), read_timeout=min(own.read_timeout, seconds)
        )
        pacing = Pacing(1000.0)
        pacing.clock_offset = self._pacing.clock_offset if self._pacing is not None else 0.0
        outcome: Future[T] = Future()

        def carry_out() -> None:
            try:
                with SyncClient(transport, pacing) as client:
                    outcome.set_result(client.run(flow, ONE_TRY))
            except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
                outcome.set_exception(error)

        # Not threading.Thread: its start takes a lock that the interrupted code may hold.
        _thread.start_new_thread(carry_out, ())
        return outcome.result(seconds)

    def manifest(self, job: Job, owner: Owner | None, *, reattached: bool) -> Manifest:
        """
        Describe a job; a result too large for XCom is written beside the job's files and replaced by its address.

        :param owner: the task instance that the job belongs to.
        """
        described = manifest(self.service, job, owner, reattached=reattached)
        if unresolved := self.service.view(job).unresolved_files:
            self.log.warning("The bucket of %s is not known (set cos_bucket), so files stays without it", unresolved)
        if too_large(described["result"]):
            described["result"] = self._stored_aside(job, described["result"], described["files"])
        return described

    def found(self, manifest: Manifest) -> str:
        """Say in one line what a job found and where its files lie."""
        result, files = manifest["result"], manifest["files"]
        aside = result.get("uri") if result.keys() == {"uri"} else None
        words = (
            f"a large result, which lies at {aside}"
            if aside
            else self.service.result_of(manifest["capability"]).summary(result)
        )
        if files:
            folder = files[0].rpartition("/")[0]
            words = f"{words}; {len(files)} files, the first in {folder}/".removeprefix("; ")
        return shown_line(words or "nothing")

    def located(self, job: Job) -> dict[str, Located]:
        """Return where a job's ``input`` and the first of its ``files`` lie in COS, as far as that is known."""
        view = self.service.view(job)

        def region_of(bucket: str) -> str | None:
            own = bucket == view.place.bucket and view.place.region
            return own or self.connection.cos.region_of(bucket)

        said = {"input": view.input, "files": next(iter(view.files), None)}
        found = {name: cos_address(address) for name, address in said.items() if address is not None}
        return {name: Located(address, region_of(address.bucket)) for name, address in found.items() if address}

    def close(self) -> None:
        """Close the session's connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _stored_aside(self, job: Job, result: JsonObject, files: Sequence[str]) -> JsonObject:
        first = cos_address(files[0]) if files else None
        if first is None:
            self.log.warning("The result of job %s is large, and there is no output to keep it beside", job.id)
            return result
        directory, slash, _ = first.key.rpartition("/")
        address = first._replace(key=f"{directory}{slash}{job.id}.result.json")
        cos = CosHook(self.mediax_conn_id, bucket=address.bucket, region=self.service.promised(job).region)
        try:
            cos.write_bytes(address.key, json.dumps(result, ensure_ascii=False).encode())
        finally:
            cos.close()
        return {"uri": str(address)}
