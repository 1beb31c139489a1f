from __future__ import annotations

import dataclasses

import pytest

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
from airflow_provider_mediax.emulator.mediax.gateway_signature import check_gateway
from airflow_provider_mediax.emulator.shared.accounts import PRESET, Accounts, Customer
from airflow_provider_mediax.emulator.shared.clock import Clock

# Section 3.2 of the API reference: date, source, id, key, signature.
VECTORS = [
    (
        "Wed, 01 Jan 2025 00:00:00 GMT",
        "1234567890_demoUser",
        "exampleGatewayId",
        "exampleGatewayKey",
        "qyPn4empn9+H/KCRFDpwzCVDYUM=",
    ),
    (
        "Thu, 29 Feb 2024 23:59:59 GMT",
        "uin_userName",
        "apiSecretId",
        "apiSecretKey",
        "RBkl4+Zvx7ApE6YL33JGXQA5t3E=",
    ),
]


class Owned(Accounts):
    """The accounts of one vector."""

    def __init__(self, account: Customer) -> None:
        super().__init__()
        self._accounts = [account]


def signed(vector: tuple[str, ...]) -> tuple[dict[str, str], Owned]:
    date, source, gateway_id, key, signature = vector
    authorization = f'hmac id="{gateway_id}", algorithm="hmac-sha1", headers="date source", signature="{signature}"'
    account = dataclasses.replace(PRESET, gateway_source=source, gateway_secret_id=gateway_id, gateway_secret_key=key)
    return {"date": date, "source": source, "authorization": authorization}, Owned(account)


def refusal(headers: dict[str, str], accounts: Accounts, clock: Clock | None = None) -> str:
    with pytest.raises(GatewayRefusal) as caught:
        check_gateway(headers, accounts, clock or Clock())
    return str(caught.value)


@pytest.mark.parametrize("vector", VECTORS)
def test_the_reference_vectors_are_accepted(vector: tuple[str, ...]) -> None:
    headers, accounts = signed(vector)
    assert check_gateway(headers, accounts, Clock()).gateway_secret_id == vector[2]


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize(
    ("member", "old", "new", "message"),
    [
        ("date", " 20", " 19", MISMATCH),
        ("source", "e", "E", MISMATCH),
        ("authorization", "+", "-", MISMATCH),
        ("authorization", 'headers="date source"', 'headers="source date"', MISMATCH),
        ("authorization", 'headers="date source"', 'headers="source"', NO_DATE),
        ("authorization", 'headers="date source"', 'headers="date"', NO_SOURCE),
        ("authorization", "hmac-sha1", "hmac-sha256", NOT_VERIFIABLE),
        ("authorization", 'hmac id="', 'hmac id="x', UNKNOWN_ID),
        ("authorization", "hmac id", "HMAC1 id", MALFORMED),
        ("authorization", ", algorithm", " algorithm", MALFORMED),
        ("authorization", 'signature="', 'signatur="', MISSING),
        ("authorization", 'hmac id="', 'hmac name="', MISSING),
        ("date", " GMT", " CST", NO_DATE),
    ],
)
def test_every_tampered_variant_is_refused(
    vector: tuple[str, ...], member: str, old: str, new: str, message: str
) -> None:
    headers, accounts = signed(vector)
    assert old in headers[member]
    headers[member] = headers[member].replace(old, new)
    # A date is only looked at once it is signed rightly, so a changed form shows as a mismatch too.
    assert refusal(headers, accounts) in ((message, MISMATCH) if member == "date" else (message,))


@pytest.mark.parametrize(("missing", "message"), [("authorization", MISSING), ("date", NO_DATE), ("source", NO_SOURCE)])
def test_each_missing_header_is_named(missing: str, message: str) -> None:
    headers, accounts = signed(VECTORS[0])
    del headers[missing]
    assert refusal(headers, accounts) == message


def test_a_rightly_signed_source_of_somebody_else_is_refused() -> None:
    headers, accounts = signed(VECTORS[0])
    account = dataclasses.replace(accounts._accounts[0], gateway_source="somebody_else")
    assert refusal(headers, Owned(account)) == NOT_VERIFIABLE


def test_an_old_date_is_refused_only_when_a_tolerance_is_set() -> None:
    headers, accounts = signed(VECTORS[0])
    clock = Clock()
    assert check_gateway(headers, accounts, clock)
    clock.gateway_tolerance = 900
    assert refusal(headers, accounts, clock) == NO_DATE
