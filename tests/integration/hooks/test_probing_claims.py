"""Trying a connection's ``claims``: does the bucket keep what it is asked to keep, and for long enough."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.probing_claims import examine_claims

FOLDER = "cos://music-1250000000/mediax/claims/"


@pytest.fixture
def verdicts(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, str]]]:
    """Return a function that examines the claims of the emulator's connection with some fields changed."""

    def examine(**changes: object) -> list[tuple[str, str]]:
        connection = json.loads(mediax_emulator.connection_json())
        connection["extra"] |= {"claims": FOLDER, **changes}
        monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(connection))
        return [(found.verdict, found.says) for found in examine_claims(MediaxConnection.look_up("mediax_default"))]

    return examine


Verdicts = Callable[..., list[tuple[str, str]]]


def test_a_bucket_that_keeps_objects_works_and_keeps_one_probe(
    mediax_emulator: MediaxEmulator, verdicts: Verdicts
) -> None:
    for _ in range(2):
        (keeps, says), (lasts, _rules) = verdicts()
        assert (keeps, lasts) == ("works", "works")
        assert "cos:PutObject and cos:GetObject" in says
    assert mediax_emulator.object_keys() == ["mediax/claims/check"]


@pytest.mark.parametrize("state", ["Enabled", "Suspended"])
def test_a_bucket_that_ever_had_versioning_is_wrong(
    mediax_emulator: MediaxEmulator, verdicts: Verdicts, state: str
) -> None:
    mediax_emulator.versioning(state)
    keeps, says = verdicts()[0]
    assert keeps == "wrong"
    assert "versioning" in says


@pytest.mark.parametrize(
    ("prefix", "days", "lasts"),
    [
        ("mediax/", 6, "wrong"),
        ("", 1, "wrong"),
        ("mediax/claims/mx1-", 3, "wrong"),
        ("mediax/", 7, "works"),
        ("other/", 1, "works"),
    ],
)
def test_a_lifecycle_rule_must_leave_claims_for_a_week(
    mediax_emulator: MediaxEmulator, verdicts: Verdicts, prefix: str, days: int, lasts: str
) -> None:
    mediax_emulator.expire(prefix, days)
    assert verdicts()[1][0] == lasts


def test_a_key_without_the_right_to_read_the_rules_is_no_fault(
    mediax_emulator: MediaxEmulator, verdicts: Verdicts
) -> None:
    mediax_emulator.fail_next("GetBucketLifecycle", "unauthorized")
    assert [verdict for verdict, _ in verdicts()] == ["works", "not tried"]


def test_a_key_without_the_right_to_write_names_the_rights_that_are_missing(
    mediax_emulator: MediaxEmulator, verdicts: Verdicts
) -> None:
    mediax_emulator.fail_next("PutObject", "unauthorized")
    keeps, says = verdicts()[0]
    assert keeps == "wrong"
    assert f"cos:PutObject and cos:GetObject on {FOLDER}*" in says


def test_a_bucket_that_does_not_answer_is_not_called_wrong(mediax_emulator: MediaxEmulator, verdicts: Verdicts) -> None:
    mediax_emulator.fail_next("PutObject", "500", times=9)
    assert [verdict for verdict, _ in verdicts()] == ["unknown"]


def test_a_connection_without_claims_says_what_that_means(verdicts: Verdicts) -> None:
    ((verdict, says),) = verdicts(claims="")
    assert verdict == "not set up"
    assert "two jobs" in says


def test_a_bucket_elsewhere_needs_its_region(verdicts: Verdicts) -> None:
    ((verdict, says),) = verdicts(claims="cos://far-1250000000/c/", cos_region="")
    assert verdict == "wrong"
    assert "cos_region" in says
