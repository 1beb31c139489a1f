"""
The ``q-sign`` signature of COS and Cloud Infinite (CI API reference section 3), as pure code.

Hex text, not raw bytes, is what each step hands to the next.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.urls import shown_line

BACKDATED = 60
"""Seconds that a signature begins before ``now``, so that a clock ahead by less does no harm."""

SIGNATURE_SECONDS = 600
"""How long a signature holds: longer than a request takes, short enough to be worth little in a log."""

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CosKeys:
    """
    The pair that signs, of a sub-user or a temporary one.

    :param secret_id: ``SecretId``; travels in the signature.
    :param secret_key: ``SecretKey``; never travels.
    :param token: session token of temporary keys; travels in a header of its own (section 3.2).
    """

    secret_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is missing, and what no header can carry."""
        for name, value in (("cos_secret_id", self.secret_id), ("cos_secret_key", self.secret_key)):
            if not value:
                raise BadRequest.field(name, value, "it must not be empty.")
        for name, value in (("cos_secret_id", self.secret_id), ("cos_token", self.token or "")):
            if not (value.isascii() and value.isprintable()):
                raise BadRequest.field(name, "***", "a header carries printable ASCII characters only.")

    def hide(self, said: str) -> str:
        """Blank the keys and the signatures of addresses in what an answer repeats, and return it as one line."""
        return shown_line(said, (self.secret_id, self.secret_key, self.token))


def authorization(
    keys: CosKeys,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] = NOTHING,
    headers: Mapping[str, str] = NOTHING,
    now: float,
    ahead: int,
) -> str:
    """
    Return the value of the ``Authorization`` header (section 3.1).

    Whatever is named here must reach the service unchanged; everything else is simply not protected.

    :param method: of HTTP, in any case.
    :param path: decoded, with its leading slash, without query.
    :param query: decoded parameters to sign; one without a value has an empty one.
    :param headers: headers to sign, in any case.
    :param now: the service's time in epoch seconds.
    :param ahead: seconds from ``now`` that the signature holds, above 0.
    """
    return "&".join(f"{name}={value}" for name, value in _fields(keys, method, path, query, headers, now, ahead))


def presigned_query(
    keys: CosKeys,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] = NOTHING,
    headers: Mapping[str, str] = NOTHING,
    now: float,
    ahead: int,
    token_name: str = "x-cos-security-token",  # noqa: S107 - the name of a parameter
) -> str:
    """
    Return the query of a presigned address: the same fields, each value encoded, and the parameters that they sign.

    Everybody who has the result can open the object, so it is as secret as a key until it expires.

    :param headers: signed headers, which a request to the address must send as well.
    :param token_name: how the host calls the token; ``x-ci-security-token`` on the CI host.
    """
    if keys.token:
        query = {**query, token_name: keys.token}
    pairs = [*_fields(keys, method, path, query, headers, now, ahead), *query.items()]
    return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in pairs)


def encoded(text: str) -> str:
    """Percent-encode the UTF-8 bytes of everything but letters, digits and ``-_.~``."""
    return quote(text, safe="-_.~")


def _fields(
    keys: CosKeys,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    now: float,
    ahead: int,
) -> list[tuple[str, str]]:
    key_time = f"{int(now) - BACKDATED};{int(now) + ahead}"
    param_names, params = _canonical(query)
    header_names, header_text = _canonical(headers)
    http_string = f"{method.lower()}\n{path}\n{params}\n{header_text}\n"
    digest = hashlib.sha1(http_string.encode()).hexdigest()  # noqa: S324 - the algorithm of the service
    signature = _hmac(_hmac(keys.secret_key, key_time), f"sha1\n{key_time}\n{digest}\n")
    return [
        ("q-sign-algorithm", "sha1"),
        ("q-ak", keys.secret_id),
        ("q-sign-time", key_time),
        ("q-key-time", key_time),
        ("q-header-list", header_names),
        ("q-url-param-list", param_names),
        ("q-signature", signature),
    ]


def _canonical(pairs: Mapping[str, str]) -> tuple[str, str]:
    """Return the names joined by semicolons and the pairs joined by ampersands, both in the order of the names."""
    ordered = sorted((encoded(name).lower(), encoded(value)) for name, value in pairs.items())
    return ";".join(name for name, _ in ordered), "&".join(f"{name}={value}" for name, value in ordered)


def _hmac(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha1).hexdigest()
