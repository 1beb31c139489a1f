"""Calls to a bucket's host, of COS or of Cloud Infinite: where they go and how they are signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from airflow_provider_mediax.protocol.cos_signature import (
    NOTHING,
    SIGNATURE_SECONDS,
    CosKeys,
    authorization,
    encoded,
)
from airflow_provider_mediax.protocol.exchange import Call, Repeat, Throttling
from airflow_provider_mediax.protocol.names import check


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketAccess:
    """
    A bucket, and what it takes to send requests about it.

    :param bucket: with its APPID, for example ``music-1250000000``.
    :param region: for example ``ap-guangzhou``.
    :param endpoint: ``scheme://host:port`` that requests are sent to, while Host header and signature keep the
        service's own name (private endpoint, emulator).
    :raises BadRequest: one of these cannot be part of an address.
    """

    bucket: str
    region: str
    keys: CosKeys
    endpoint: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be part of an address."""
        check("cos_bucket", self.bucket)
        check("cos_region", self.region)
        if self.endpoint is not None:
            check("cos_endpoint", self.endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class CosHost:
    """
    One host whose calls carry a ``q-sign`` signature (CI API reference section 3).

    :param name: the service's own name of the host, which is signed.
    :param token_header: how the host calls the session token of temporary keys (section 3.2).
    :param throttled: recognizes the answer that refuses for a rate limit.
    :param endpoint: ``scheme://host:port`` that requests are sent to instead (private endpoint, emulator).
    :param paced: whether the connection's ``requests_per_second`` counts these calls.
    """

    name: str
    keys: CosKeys
    token_header: str
    throttled: Throttling = field(repr=False)
    endpoint: str | None = None
    paced: bool = True

    @property
    def base_url(self) -> str:
        """Where requests are sent to."""
        return self.endpoint.rstrip("/") if self.endpoint else f"https://{self.name}"

    def call(
        self,
        action: str,
        method: str,
        path: str,
        query: Mapping[str, str] = NOTHING,
        *,
        headers: Mapping[str, str] = NOTHING,
        body: bytes = b"",
        repeat: Repeat = Repeat.SAFE,
    ) -> Call:
        """
        Return one signed request.

        :param path: decoded, with its leading slash.
        :param query: decoded parameters, all of them signed; one without a value has an empty one.
        :param headers: what is sent and signed besides Host and the length of the body.
        """
        sent = {"Host": self.name, **headers}
        if body:
            sent["Content-Length"] = str(len(body))
        # The token is a secret, and a call shows its headers; so it comes with the signature.
        token = {self.token_header: self.keys.token} if self.keys.token else {}

        def sign(now: float) -> Mapping[str, str]:
            signed = {**sent, **token}
            said = authorization(self.keys, method, path, query=query, headers=signed, now=now, ahead=SIGNATURE_SECONDS)
            return {**token, "Authorization": said}

        asked = "&".join(f"{encoded(name)}={encoded(said)}" if said else encoded(name) for name, said in query.items())
        return Call(
            action=action,
            method=method,
            url=self.base_url + quote(path, safe="/,-_.~") + (f"?{asked}" if asked else ""),
            headers=sent,
            body=body,
            sign=sign,
            repeat=repeat,
            throttled=self.throttled,
            paced=self.paced,
        )
