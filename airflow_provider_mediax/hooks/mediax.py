"""The music platform, from a connection: sign, call, collect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unreachable,
)
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID, MediaxConnection
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.job import Job, JobList, objects
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, Registration
from airflow_provider_mediax.protocol.mediax.request import MediaxRequest
from airflow_provider_mediax.protocol.mediax.service import MediaxService


class MediaxHook(JobHook):
    """
    Calls the music platform with a connection's keys (API reference sections 3 to 8).

    :param mediax_conn_id: connection of type ``mediax``.
    :param stop: once set, nothing more is sent and every pause ends.
    :param buckets: COS buckets of repositories other than the connection's, by their ids: where their files lie.
    """

    conn_type = "mediax"
    hook_name = "MediaX (Tencent Cloud music)"
    service_name = MediaxService.name
    cancellable = MediaxService.cancellable

    def __init__(
        self,
        mediax_conn_id: str = DEFAULT_CONN_ID,
        *,
        stop: StopSignal | None = None,
        buckets: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(mediax_conn_id, stop=stop)
        self._buckets = dict(buckets or {})
        self._platform: MediaxService | None = None

    @property
    def service(self) -> MediaxService:
        """The platform as the job engine knows it."""
        if self._platform is None:
            self._platform = replace(self.service_of(self.connection, None, None), buckets=self._buckets)
        return self._platform

    @classmethod
    def service_of(cls, connection: MediaxConnection, bucket: str | None, region: str | None) -> MediaxService:
        """Return the music platform with a connection's keys."""
        return MediaxService(connection.gateway(), connection.signing_repository())

    def submit(self, request: MediaxRequest, marker: str) -> Job:
        """
        Create a job; it is never sent twice.

        :param marker: the job's ``customId``, shorter than 64 characters.
        :raises BadRequest: the request breaks a rule, or the platform refused it.
        :raises Unavailable: the outcome is not known; ask :meth:`find` before submitting again.
        """
        return self.run(self.service.submit(request, marker))

    def get(self, job_id: str) -> Job:
        """Read one job (section 5.2)."""
        return self.run(self._gateway().get_job(job_id))

    def list(self, custom_id: str) -> JobList:
        """List the jobs with a ``customId``, newest first (section 5.3)."""
        return self.run(self.service.find(custom_id))

    def find(self, marker: str) -> Job | None:
        """Return the newest job that carries the marker, None if the platform lists none."""
        return next(iter(self.list(marker).jobs), None)

    def register(self, registration: Registration) -> JsonObject:
        """
        Register a customer (section 4); takes about two minutes, is never repeated by itself.

        :return: ``registerInfo``, which holds two secret keys.
        """
        return self.run(self._gateway().register(registration))

    def list_models(self, *, kind: int | None = None, offset: int = 0, limit: int = 100) -> Sequence[JsonObject]:
        """
        List trained voices (section 5.4).

        :param kind: 2 for singing models; what else there is, is not known. None does not ask for a kind.
        :param offset: how many to leave out, 0 or more.
        :param limit: 1 to 100.
        :return: one object per voice, with ``name`` and, where the platform sends it, ``createdAt``.
        :raises BadRequest: a number is out of its range, or the platform refused.
        """
        answer = self.run(self._gateway().list_models(kind=kind, offset=offset, limit=limit))
        return objects(answer.get("models"))

    def test_connection(self) -> tuple[bool, str]:
        """
        Ask the platform one cheap thing, and say which part of the connection is wrong if it fails.

        :return: whether all is well, and a sentence for the user.
        """
        try:
            self.list("mx1-connection-test")
        except MediaxError as error:
            return False, _diagnosis(error, self._settings)
        finally:
            self.close()
        signed = "signed" if self.connection.gateway_keys else "without a gateway signature"
        return True, f"{urlsplit(self.connection.base_url).netloc} accepts the connection ({signed})."

    def _gateway(self) -> Gateway:
        return self.connection.gateway()


def _diagnosis(error: MediaxError, connection: MediaxConnection | None) -> str:
    """Say in one sentence which part of the connection is wrong."""
    host = urlsplit(connection.base_url).netloc if connection else "the host"
    if isinstance(error, Unreachable):
        return f"Host unreachable: {error.what}. Check host and proxy."
    if isinstance(error, ProtocolError):
        return f"Something other than the gateway answers at {host}: {error.what}. Check host and job_path."
    if isinstance(error, (AuthenticationFailed, BadRequest)) and error.layer == "platform":
        return f"Platform keys refused: {error.what}. Check login and password."
    if isinstance(error, AuthenticationFailed):
        return f"Gateway signature refused: {error.what}. Check the three gateway fields."
    if isinstance(error, Throttled):
        return f"{host} is there, but refuses for its rate limit: {error.what}."
    return f"{error.what.rstrip('.')}. {error.advice}".strip()
