"""The music platform, from a connection: sign, call, collect."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID, MediaxConnection
from airflow_provider_mediax.protocol.cos_signature import presigned_query
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.json_body import objects
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys, Registration
from airflow_provider_mediax.protocol.mediax.request import MediaxRequest
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from airflow_provider_mediax.protocol.urls import CosAddress, object_url

PRESIGNED_SECONDS = 24 * 3600
"""How long the platform can fetch an input that lies outside its repository: a day in its queue."""


class MediaxHook(JobHook[MediaxService]):
    """
    Calls the music platform with a connection's keys (API reference sections 3 to 8).

    :param mediax_conn_id: connection of type ``mediax``.
    :param cos_bucket: bucket of the repository that requests name in the connection's place.
    :param stop: once set, nothing more is sent and every pause ends.
    """

    conn_type = "mediax"
    hook_name = "MediaX (Tencent Cloud music)"
    service_type = MediaxService
    sensor = "MediaxJobSensor"
    keys = "login and password, which registration returns"

    def __init__(
        self,
        mediax_conn_id: str = DEFAULT_CONN_ID,
        *,
        cos_bucket: str | None = None,
        stop: StopSignal | None = None,
    ) -> None:
        super().__init__(mediax_conn_id, stop=stop)
        self._cos_bucket = cos_bucket

    @classmethod
    def service_of(cls, connection: MediaxConnection, bucket: str | None, region: str | None) -> MediaxService:
        """
        Return the music platform with a connection's keys.

        :raises BadRequest: login or password is missing.
        """
        keys = {"login": connection.secret_id, "password": connection.secret_key}
        for (name, value), part in zip(keys.items(), ("Id", "Key"), strict=True):
            if not value:
                rule = f"the {name} of connection {connection.conn_id} holds the platform's secret{part}."
                raise BadRequest.field(name, "", rule)
        gateway = Gateway(
            base_url=connection.base_url,
            job_path=connection.job_path,
            register_path=connection.register_path,
            platform_keys=PlatformKeys(connection.secret_id or "", connection.secret_key or ""),
            gateway_keys=connection.gateway_keys,
        )
        return MediaxService(gateway, replace(connection.repository, presign=_presigner(connection)))

    @classmethod
    def at(cls, mediax_conn_id: str, bucket: str | None, region: str | None) -> MediaxHook:
        """Return the platform's hook: its jobs belong to no bucket, but their files may lie in one."""
        return cls(mediax_conn_id, cos_bucket=bucket)

    @classmethod
    def is_set_up(cls, connection: MediaxConnection) -> bool:
        """Tell whether there is a login or a password."""
        return bool(connection.secret_id or connection.secret_key)

    @property
    def service(self) -> MediaxService:
        """The platform as the job engine knows it."""
        if self._service is None:
            self._service = replace(self.service_of(self.connection, None, None), cos_bucket=self._cos_bucket)
        return self._service

    def submit(self, request: MediaxRequest, marker: str) -> Job:
        """
        Create a job (section 5.1); it is never sent twice.

        :param marker: the job's ``customId``, shorter than 64 characters.
        :raises BadRequest: the request breaks a rule, or the platform refused it.
        :raises Unavailable: the outcome is not known; ask :meth:`jobs_of` before submitting again.
        """
        return self.run(self.service.submit(self.service.prepare(request), marker))

    def register(self, registration: Registration) -> JsonObject:
        """
        Register a customer (section 4); takes about two minutes, is never repeated by itself.

        :return: ``registerInfo``, which holds two secret keys.
        """
        return self.run(self.service.gateway.register(registration))

    def models(self, *, kind: int | None = None, offset: int = 0, limit: int = 100) -> Sequence[JsonObject]:
        """
        List trained voices (section 5.4).

        :param kind: 2 for singing models; what else there is, is not known. None does not ask for a kind.
        :param offset: how many to leave out, 0 or more.
        :param limit: 1 to 100.
        :return: one object per voice, with ``name`` and, where the platform sends it, ``createdAt``.
        :raises BadRequest: a number is out of its range, or the platform refused.
        """
        answer = self.run(self.service.gateway.list_models(kind=kind, offset=offset, limit=limit))
        return objects(answer.get("models"))

    def test_connection(self) -> tuple[bool, str]:
        """
        Try everything that the connection sets, COS included; nothing is bought.

        :return: whether all of it works, and which parts do or what is wrong with them, for the user.
        """
        from airflow_provider_mediax.hooks.probing import examine, summary

        try:
            return summary(examine(self.connection))
        except BadRequest as refused:  # a field breaks its rule
            return False, refused.sentences


def _presigner(connection: MediaxConnection) -> Callable[[CosAddress], str] | None:
    """Return what makes passing addresses of objects outside the repository, None if the keys for that are missing."""
    cos = connection.cos
    if not ((cos.region or cos.bucket_regions) and cos.secret_id and cos.secret_key):
        return None
    keys = connection.cos_keys()

    def presign(address: CosAddress) -> str:
        region = cos.region_of(address.bucket)
        if region is None:
            raise BadRequest.field("cos_region", "", f"connection {connection.conn_id} needs it to sign {address}.")
        headers = {"host": urlsplit(object_url(address, region)).netloc}
        query = presigned_query(
            keys, "GET", f"/{address.key}", headers=headers, now=time.time(), ahead=PRESIGNED_SECONDS
        )
        mask_secret(query)
        return object_url(address, region, query)

    return presign
