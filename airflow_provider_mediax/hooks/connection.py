"""An Airflow connection of type ``mediax``, read and checked: one place for every field of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook, Connection, mask_secret

from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.cos_objects import CosObjects
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.mediax.gateway import GatewayKeys
from airflow_provider_mediax.protocol.mediax.request import Repository
from airflow_provider_mediax.protocol.names import broken, refused
from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

DEFAULT_HOST = "https://api.mediax.tencent.com"
DEFAULT_CONN_ID = "mediax_default"

SECRET_EXTRAS = ("gateway_secret_id", "gateway_secret_key", "cos_secret_id", "cos_secret_key", "cos_token", "proxy")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CosSettings:
    """
    What COS and Cloud Infinite need.

    :param endpoint: ``scheme://host:port`` that requests are sent to while they name the service's own host.
    :param bucket_regions: regions of buckets that lie elsewhere than ``region``, by bucket.
    """

    secret_id: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    region: str | None = None
    bucket: str | None = None
    endpoint: str | None = None
    bucket_regions: Mapping[str, str] = field(default_factory=dict)

    def region_of(self, bucket: str | None) -> str | None:
        """Return the region that a bucket lies in, None if the connection names none."""
        return self.bucket_regions.get(bucket or "") or self.region


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaxConnection:
    """
    The fields of a connection, checked. Secrets do not show in its ``repr``.

    :param gateway_keys: None sends no gateway signature.
    :param requests_per_second: limit per service and process.
    :param claims: folder of the claims, whose key ends with a slash; None submits without them.
    """

    conn_id: str
    base_url: str
    job_path: str
    register_path: str
    secret_id: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    gateway_keys: GatewayKeys | None
    repository: Repository
    namespace: str | None
    requests_per_second: float
    transport: Transport
    cos: CosSettings
    claims: CosAddress | None

    @classmethod
    def look_up(cls, conn_id: str) -> MediaxConnection:
        """
        Look the connection up in a worker, and have its secrets masked in logs.

        :raises BadRequest: a field breaks its rule.
        """
        return cls.of(conn_id, BaseHook.get_connection(conn_id))

    @classmethod
    def of(cls, conn_id: str, connection: Connection) -> MediaxConnection:
        """
        Read a connection that is at hand, stored or not, and have its secrets masked in logs.

        :raises BadRequest: a field breaks its rule.
        """
        extra = _decoded(connection)
        _mask(_secrets(connection, extra))
        return cls.read(conn_id, connection, extra)

    @classmethod
    async def alook_up(cls, conn_id: str) -> MediaxConnection:
        """Look the connection up in a triggerer."""
        connection = await get_async_connection(conn_id)
        extra = await get_async_extra_dejson(connection)
        # In a thread: masking tells the supervisor and waits for it, which must not happen on the event loop.
        await asyncio.to_thread(_mask, _secrets(connection, extra))
        return cls.read(conn_id, connection, extra)

    @classmethod
    def read(cls, conn_id: str, connection: Connection, extra: Mapping[str, Any]) -> MediaxConnection:
        """
        Read a connection's fields.

        :param extra: its decoded extra.
        :raises BadRequest: a field breaks its rule.
        """
        fields = _Fields(conn_id, extra)
        base_url = _base_url(conn_id, connection.host, connection.port)
        cos = CosSettings(
            secret_id=fields.text("cos_secret_id"),
            secret_key=fields.text("cos_secret_key"),
            token=fields.text("cos_token"),
            region=fields.name("cos_region"),
            bucket=fields.name("cos_bucket"),
            endpoint=fields.name("cos_endpoint"),
            bucket_regions=fields.bucket_regions(),
        )
        return cls(
            conn_id=conn_id,
            base_url=base_url,
            job_path=fields.path("job_path", "/job"),
            register_path=fields.path("register_path", "/register"),
            secret_id=(connection.login or "").strip() or None,
            secret_key=(connection.password or "").strip() or None,
            gateway_keys=fields.gateway_keys(),
            repository=Repository(
                content_id=fields.text("content_id"),
                bucket=cos.bucket,
                region=cos.region,
                bucket_regions=cos.bucket_regions,
                conn_id=conn_id,
            ),
            namespace=fields.text("namespace"),
            requests_per_second=fields.number("requests_per_second", 10.0, above=0.0, at_most=1000.0),
            transport=Transport(
                connect_timeout=fields.number("connect_timeout", 5.0, above=0.0, at_most=120.0),
                read_timeout=fields.number("read_timeout", 30.0, above=0.0, at_most=120.0),
                proxy=fields.text("proxy"),
                verify=fields.verify(),
            ),
            cos=cos,
            claims=fields.folder("claims"),
        )

    def cos_keys(self) -> CosKeys:
        """
        Return the keys that sign for COS and Cloud Infinite.

        :raises BadRequest: one is missing.
        """
        for name, value in (("cos_secret_id", self.cos.secret_id), ("cos_secret_key", self.cos.secret_key)):
            if not value:
                raise BadRequest.field(name, value, f"connection {self.conn_id} needs it for COS and Cloud Infinite.")
        return CosKeys(secret_id=self.cos.secret_id or "", secret_key=self.cos.secret_key or "", token=self.cos.token)

    def cos_objects(self, bucket: str) -> CosObjects:
        """
        Return the objects of a bucket as flows, for what the job engine itself keeps there.

        :raises BadRequest: a key or the bucket's region is missing.
        """
        region = self.cos.region_of(bucket)
        if region is None:
            raise BadRequest.field("cos_region", region, f"connection {self.conn_id} needs it for {bucket}.")
        return CosObjects(bucket=bucket, region=region, keys=self.cos_keys(), endpoint=self.cos.endpoint)


_LAST_PORT = 65535


class _Fields:
    """The extra of a connection, field by field; the form sends numbers as text and leaves empty text behind."""

    def __init__(self, conn_id: str, extra: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._extra = extra

    def text(self, name: str) -> str | None:
        value = self._extra.get(name)
        return str(value).strip() or None if value is not None else None

    def name(self, name: str) -> str | None:
        """Return a name that the requests hold to the same rule."""
        value = self.text(name)
        if value is not None and (rule := broken(name, value)):
            raise refused(name, value, f"in connection {self._conn_id}, {rule}")
        return value

    def folder(self, name: str) -> CosAddress | None:
        """Return a folder in COS, whose key ends with one slash."""
        address = cos_address(self.name(name) or "")
        return address and address._replace(key=f"{address.key.rstrip('/')}/")

    def bucket_regions(self) -> dict[str, str]:
        """Return regions by bucket: an object in the extra's JSON, and its text where the form wrote it."""
        name = "bucket_regions"
        value = self._extra.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value.strip() or "{}")
            except ValueError:
                value = [value]
        if not value:
            return {}
        rule = 'it must be a JSON object of buckets and their regions, such as {"files-1250000000": "ap-beijing"}.'
        if not isinstance(value, Mapping):
            raise self._refused(name, value[0] if isinstance(value, list) else value, rule)
        for bucket, region in value.items():
            if broken("cos_bucket", bucket) or broken("cos_region", region):
                raise self._refused(name, {bucket: region}, rule)
        return dict(value)

    def path(self, name: str, default: str) -> str:
        value = self.text(name) or default
        if not value.startswith("/"):
            raise self._refused(name, value, "it must begin with a slash.")
        return value

    def number(self, name: str, default: float, *, above: float, at_most: float) -> float:
        value = self.text(name)
        try:
            number = default if value is None else float(value)
        except ValueError:
            number = float("nan")
        if not above < number <= at_most:
            raise self._refused(name, value, f"it must be a number above {above:g} and at most {at_most:g}.")
        return number

    def verify(self) -> bool | str:
        value = self.text("verify")
        return {"none": True, "true": True, "1": True, "false": False, "0": False}.get(
            str(value).lower(), value or True
        )

    def gateway_keys(self) -> GatewayKeys | None:
        names = ("gateway_source", "gateway_secret_id", "gateway_secret_key")
        given = {name: value for name in names if (value := self.text(name))}
        if not given:
            return None
        if missing := [name for name in names if name not in given]:
            rule = "give all three of " + ", ".join(names) + ", or none to send no gateway signature."
            raise self._refused(missing[0], "", rule)
        return GatewayKeys(
            source=given["gateway_source"],
            secret_id=given["gateway_secret_id"],
            secret_key=given["gateway_secret_key"],
        )

    def _refused(self, name: str, value: object, rule: str) -> BadRequest:
        return BadRequest.field(name, value, f"in connection {self._conn_id}, {rule}")


def _decoded(connection: Connection) -> Mapping[str, Any]:
    extra = connection.extra_dejson
    return extra if isinstance(extra, dict) else {}


def _secrets(connection: Connection, extra: Mapping[str, Any]) -> Iterable[str]:
    values = [connection.login, connection.password, *(extra.get(name) for name in SECRET_EXTRAS)]
    return [text for value in values if value and (text := str(value).strip())]  # as they are used


def _mask(secrets: Iterable[str]) -> None:
    for secret in secrets:
        mask_secret(secret)


def _base_url(conn_id: str, host: str | None, port: int | None) -> str:
    base_url = (host or DEFAULT_HOST).strip()
    if "://" not in base_url:
        base_url = f"https://{base_url}"
    rule = f"in connection {conn_id}, it must be a scheme and a host, for example {DEFAULT_HOST}."
    try:
        base_url = base_url.rstrip("/") if urlsplit(base_url).netloc else base_url
        parts = urlsplit(base_url)
        own_port = parts.port
    except ValueError:  # its text may be a password that was not quoted
        raise BadRequest.field("host", "(an unreadable address)", rule) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise BadRequest.field("host", parts.hostname or "", rule)
    if port is not None and not (isinstance(port, int) and 0 <= port <= _LAST_PORT):
        raise BadRequest.field("port", port, f"in connection {conn_id}, it must be a whole number up to {_LAST_PORT}.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        log.warning("Connection %s sends its keys in clear text: %s is plain HTTP", conn_id, parts.hostname)
    return f"{base_url}:{port}" if port and own_port is None else base_url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
