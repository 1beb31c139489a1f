"""Objects in COS, through the official SDK (which is not used for jobs: it would resend paid submits)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError, Unavailable
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID, MediaxConnection

if TYPE_CHECKING:
    import requests

KEY_LIMIT = 850
"""Bytes of a key, as UTF-8."""


class CosHook(BaseHook):
    """
    Reads and writes objects of one bucket.

    :param mediax_conn_id: connection of type ``mediax``.
    :param bucket: bucket with its APPID, for example ``music-1250000000``; default: the connection's.
    :param region: for example ``ap-guangzhou``; default: the connection's.
    """

    conn_name_attr = "mediax_conn_id"
    default_conn_name = DEFAULT_CONN_ID

    def __init__(
        self, mediax_conn_id: str = DEFAULT_CONN_ID, bucket: str | None = None, region: str | None = None
    ) -> None:
        super().__init__()
        self.mediax_conn_id = mediax_conn_id
        self._bucket = bucket
        self._region = region
        self._client: Any = None
        self._session: requests.Session | None = None
        self._settings: MediaxConnection | None = None

    @property
    def bucket(self) -> str:
        """
        The bucket that is read and written.

        :raises BadRequest: neither the hook nor the connection names one.
        """
        return self._required("cos_bucket", self._bucket or self._connection().cos.bucket)

    def read_bytes(self, key: str) -> bytes:
        """
        Read a whole object.

        :param key: the object's key in the bucket.
        :raises BadRequest: there is no such object or bucket.
        """
        with self._errors("read", key):
            body = self._cos().get_object(Bucket=self.bucket, Key=_checked(key))["Body"]
            return bytes(body.get_raw_stream().read())

    def write_bytes(self, key: str, data: bytes) -> None:
        """Write a whole object, replacing what is there; its MD5 is checked on arrival."""
        with self._errors("write", key):
            self._cos().put_object(Bucket=self.bucket, Key=_checked(key), Body=data, EnableMD5=True)

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object; a missing bucket counts as no."""
        with self._errors("look for", key):
            return bool(self._cos().object_exists(Bucket=self.bucket, Key=_checked(key)))

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is no error."""
        with self._errors("delete", key):
            self._cos().delete_object(Bucket=self.bucket, Key=_checked(key))

    def close(self) -> None:
        """Close the session's connections."""
        if self._session is not None:
            self._session.close()
        self._session = self._client = None

    def _connection(self) -> MediaxConnection:
        if self._settings is None:
            self._settings = MediaxConnection.look_up(self.mediax_conn_id)
        return self._settings

    def _required(self, field: str, value: str | None) -> str:
        if not value:
            raise BadRequest.field(field, value, f"connection {self.mediax_conn_id} needs it to reach COS.")
        return value

    def _cos(self) -> Any:
        """Return the SDK's client, made on first use: importing the SDK costs a third of a second."""
        if self._client is None:
            from qcloud_cos import CosConfig, CosS3Client

            from airflow_provider_mediax.client.session import new_session

            # At INFO it logs customers' keys and callback addresses, at ERROR every handled 404.
            logging.getLogger("qcloud_cos").setLevel(logging.CRITICAL)
            connection = self._connection()
            cos = connection.cos
            config = CosConfig(
                Region=self._required("cos_region", self._region or cos.region),
                SecretId=self._required("cos_secret_id", cos.secret_id),
                SecretKey=self._required("cos_secret_key", cos.secret_key),
                Token=cos.token,
                Scheme="https",
                Timeout=(connection.transport.connect_timeout, connection.transport.read_timeout),
            )
            # A session of our own: the SDK's is shared by every client of the process, cookies included.
            self._session = new_session(connection.transport, cos.endpoint)
            self._client = CosS3Client(config, retry=3, session=self._session)
        return self._client

    @contextlib.contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        """Turn the errors of SDK and transport into typed ones."""
        from qcloud_cos import CosClientError, CosServiceError
        from urllib3.exceptions import HTTPError

        try:
            yield
        except CosServiceError as error:
            raise _refusal(error, f"cos://{self.bucket}/{key}", verb) from None
        except (CosClientError, HTTPError) as error:
            # The SDK keeps the cause as context only, and puts the address with its query into the text.
            cause = type(error.__context__ or error).__name__
            raise Unavailable(f"COS could not be asked to {verb} cos://{self.bucket}/{key}: {cause}") from None


def _refusal(error: Any, address: str, verb: str) -> MediaxError:
    """Turn an answer of COS into a typed error."""
    facts: dict[str, Any] = {"status": int(error.get_status_code()), "code": str(error.get_error_code())}
    refused = f"COS refused to {verb} {address}"
    if facts["status"] in (401, 403):
        advice = "Check cos_secret_id, cos_secret_key and the rights of their user on the bucket."
        return AuthenticationFailed(refused, advice=advice, **facts)
    if facts["status"] == 404:
        return BadRequest(f"There is no {address}", **facts)
    return (Unavailable if facts["status"] >= 500 else BadRequest)(refused, **facts)


def _checked(key: str) -> str:
    """
    Return the key as it is stored, without the slash that paths of the platform begin with.

    :raises BadRequest: such a key would address the bucket itself, or is too long.
    """
    name = key.lstrip("/")
    if name in ("", ".", ".."):
        raise BadRequest.field("key", key, "it must name an object.")
    if len(name.encode()) > KEY_LIMIT:
        raise BadRequest.field("key", key, f"it must have at most {KEY_LIMIT} bytes.")
    return name
