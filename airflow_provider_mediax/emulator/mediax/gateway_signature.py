"""The gateway's side of the header signature: HMAC-SHA1 over the signed headers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from airflow_provider_mediax.emulator.mediax.errors import (
    MALFORMED,
    MISMATCH,
    MISSING,
    NO_DATE,
    NO_SOURCE,
    NOT_VERIFIABLE,
    UNKNOWN_ID,
    GatewayRefusal,
)
from airflow_provider_mediax.emulator.shared.accounts import Accounts, Customer
from airflow_provider_mediax.emulator.shared.clock import Clock

_MEMBER = re.compile(r'\s*([a-z]+)="([^"]*)"\s*')
_DATE_FORM = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


def check_gateway(headers: Mapping[str, str], accounts: Accounts, clock: Clock) -> Customer:
    """
    Verify the signature headers of a request and return the account that signed.

    :param headers: header names in lower case.
    :raises GatewayRefusal: with the message that the gateway sends.
    """
    members = _read_authorization(headers.get("authorization", ""))
    if members.get("algorithm") != "hmac-sha1":
        raise GatewayRefusal(NOT_VERIFIABLE)
    signed = members.get("headers", "").split(" ")
    if not {"date", "source"}.issuperset(signed) or len(set(signed)) != len(signed):
        raise GatewayRefusal(MALFORMED)
    if "date" not in signed or not headers.get("date"):
        raise GatewayRefusal(NO_DATE)
    if "source" not in signed or not headers.get("source"):
        raise GatewayRefusal(NO_SOURCE)
    account = accounts.by_gateway_id(members["id"])
    if account is None:
        raise GatewayRefusal(UNKNOWN_ID)
    expected = signature([(name, headers[name]) for name in signed], account.gateway_secret_key)
    if not hmac.compare_digest(expected.encode(), members["signature"].encode()):
        raise GatewayRefusal(MISMATCH)
    _check_date(headers["date"], clock)
    if headers["source"] != account.gateway_source:
        raise GatewayRefusal(NOT_VERIFIABLE)
    return account


def signature(signed: list[tuple[str, str]], key: str) -> str:
    """
    Compute the signature of the signed headers.

    :param signed: names in lower case with their values, in signing order.
    """
    text = "\n".join(f"{name}: {value}" for name, value in signed)
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _read_authorization(authorization: str) -> dict[str, str]:
    if not authorization:
        raise GatewayRefusal(MISSING)
    scheme, _, rest = authorization.partition(" ")
    members: dict[str, str] = {}
    for part in rest.split(","):
        found = _MEMBER.fullmatch(part)
        if scheme != "hmac" or found is None or found[1] in members:
            raise GatewayRefusal(MALFORMED)
        members[found[1]] = found[2]
    if not members.get("id") or not members.get("signature"):
        raise GatewayRefusal(MISSING)
    return members


def _check_date(date: str, clock: Clock) -> None:
    try:
        if _DATE_FORM.fullmatch(date) is None:
            raise GatewayRefusal(NO_DATE)
        # strptime checks month, day and time, but not that the weekday belongs to the day.
        when = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S %Z")
        if when.strftime("%a") != date[:3]:
            raise GatewayRefusal(NO_DATE)
        seconds = (when - datetime(1970, 1, 1)).total_seconds()
    except ValueError:
        raise GatewayRefusal(NO_DATE) from None
    if clock.gateway_tolerance is not None and abs(seconds - clock.now()) > clock.gateway_tolerance:
        raise GatewayRefusal(NO_DATE)
