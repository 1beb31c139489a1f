"""An Airflow connection of type ``mediax``, read and checked: one place for every field of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os.path
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
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
from airflow_provider_mediax.protocol.names import broken, refused, shown
from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

DEFAULT_CONN_ID = "mediax_default"

DEFAULT_HOST = "https://api.mediax.tencent.com"

DEFAULTS: Mapping[str, str | float | bool] = MappingProxyType(
    {
        "host": DEFAULT_HOST,
        "job_path": "/job",
        "register_path": "/register",
        "requests_per_second": 10,
        "connect_timeout": 5,
        "read_timeout": 30,
        "verify": True,
    }
)
"""What counts where a field is not set. None of it is ever stored: it may change, and Airflow masks what is stored."""

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
    :param mailbox: folder where services tell that jobs have ended, likewise; None has no callback made.
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
    mailbox: CosAddress | None

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
        standard = {"login": connection.login, "password": connection.password, "host": connection.host}
        fields = _Fields(conn_id, {**_object(conn_id, connection.extra, extra), **standard})
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
            base_url=fields.base_url(connection.port),
            job_path=fields.name("job_path") or str(DEFAULTS["job_path"]),
            register_path=fields.name("register_path") or str(DEFAULTS["register_path"]),
            secret_id=fields.text("login"),
            secret_key=fields.text("password"),
            gateway_keys=fields.gateway_keys(),
            repository=Repository(
                content_id=fields.name("content_id"),
                bucket=cos.bucket,
                region=cos.region,
                bucket_regions=cos.bucket_regions,
                conn_id=conn_id,
            ),
            namespace=fields.name("namespace"),
            requests_per_second=fields.number("requests_per_second", at_most=1000.0),
            transport=Transport(
                connect_timeout=fields.number("connect_timeout", at_most=120.0),
                read_timeout=fields.number("read_timeout", at_most=120.0),
                proxy=fields.text("proxy"),
                verify=fields.verify(),
            ),
            cos=cos,
            claims=fields.folder("claims"),
            mailbox=fields.folder("mailbox"),
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
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]*:[0-9a-f:.]*")


class _Fields:
    """The fields of a connection, one by one; the form sends numbers as text and leaves empty text behind."""

    def __init__(self, conn_id: str, given: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._given = given

    def text(self, name: str) -> str | None:
        """Return a text without white space at its ends; a whole number stands for its digits."""
        value = self._given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise self._refused(name, f"({type(value).__name__})", "it must be text.")
        return str(value).strip() or None

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
        value = self._given.get(name)
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

    def number(self, name: str, *, at_most: float) -> float:
        value = self._given.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return float(DEFAULTS[name])
        try:
            number = float("nan") if isinstance(value, bool) or "_" in str(value) else float(value)
        except (OverflowError, TypeError, ValueError):
            number = float("nan")
        if not 0 < number <= at_most:
            raise self._refused(name, shown(value), f"it must be a number above 0 and at most {at_most:g}.")
        return number

    def verify(self) -> bool | str:
        value = self._given.get("verify")
        said = value.strip() if isinstance(value, str) else value
        if said is None or said == "":
            return bool(DEFAULTS["verify"])
        if isinstance(said, str) and os.path.isabs(said):
            return said
        if isinstance(said, int) and said in (0, 1):
            return bool(said)
        if isinstance(said, str) and said.lower() in ("true", "false", "0", "1"):
            return said.lower() in ("true", "1")
        raise self._refused("verify", shown(value), "it must be true, false, or the whole path of a file or a folder.")

    def base_url(self, port: object) -> str:
        """Return scheme, name and port of the gateway, which is all that its address has."""
        given = self.text("host") or DEFAULT_HOST
        rule = f"it must be a scheme, a name and perhaps a port, such as {DEFAULT_HOST}, and no path (see job_path)."
        try:
            parts = urlsplit(given if "://" in given else f"https://{given}")
            host, own_port = parts.hostname or "", parts.port
        except ValueError:  # its text may be a password that was not quoted
            raise self._refused("host", "(an unreadable address)", rule) from None
        more = parts.path.rstrip("/") or "@" in parts.netloc or re.search(r"[?#\s]", given)
        if parts.scheme not in ("http", "https") or more or own_port == 0 or not _HOST.fullmatch(host):
            raise self._refused("host", host if _HOST.fullmatch(host) else "(an unreadable address)", rule)
        if isinstance(port, bool) or not (port is None or (isinstance(port, int) and 0 <= port <= _LAST_PORT)):
            raise self._refused("port", shown(port), f"it must be a whole number up to {_LAST_PORT}.")
        if parts.scheme == "http" and not _is_loopback(host):
            log.warning("Connection %s sends its keys in clear text: %s is plain HTTP", self._conn_id, host)
        named = f"[{host}]" if ":" in host else host
        number = own_port or port
        return f"{parts.scheme}://{named}:{number}" if number else f"{parts.scheme}://{named}"

    def gateway_keys(self) -> GatewayKeys | None:
        names = ("gateway_source", "gateway_secret_id", "gateway_secret_key")
        given = {name: value for name in names if (value := self.text(name))}
        self.name("gateway_source")
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


def _object(conn_id: str, stored: object, extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Return the decoded extra.

    :raises BadRequest: what is stored is no JSON object, of which Airflow makes an empty one.
    """
    if extra or not isinstance(stored, str) or stored.strip() in ("", "{}", "null"):
        return extra
    with contextlib.suppress(ValueError):
        if json.loads(stored) == {}:
            return extra
    raise BadRequest.field("extra", "(hidden)", f"in connection {conn_id}, it must be a JSON object.")


def _secrets(connection: Connection, extra: Mapping[str, Any]) -> Iterable[str]:
    values = [connection.login, connection.password, *(extra.get(name) for name in SECRET_EXTRAS)]
    known = [str(value).strip() for value in values if isinstance(value, (str, int)) and not isinstance(value, bool)]
    return filter(None, known)  # as they are used


def _mask(secrets: Iterable[str]) -> None:
    for secret in secrets:
        mask_secret(secret)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
