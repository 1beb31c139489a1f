"""Errors say what happened, to which job, what the next attempt will do and what the user can do."""

from __future__ import annotations

import inspect
import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.exceptions import BadRequest, MediaxError

KINDS = [
    kind
    for _, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, MediaxError) and kind is not MediaxError
]
PERMANENT = {"BadRequest", "AuthenticationFailed", "RequestChanged", "JobFailed"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_names_its_job_and_says_what_comes_next(kind):
    error = kind("Something happened", job_id="j-1", marker="mx1-2", request_id="r-3", status=418, code="Teapot")
    text = str(error)
    assert text.startswith("Something happened (job j-1, marker mx1-2, request r-3, HTTP status 418, code Teapot). ")
    assert ("next attempt" in text) or ("without a retry" in text)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_permanent_ones_forbid_a_retry(kind):
    assert issubclass(kind, AirflowFailException) == (kind.__name__ in PERMANENT)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling_whole(kind):
    error = kind("Something happened", advice="Do this.", job_id="j", marker="m", request_id="r", status=1, code="c")
    error.layer = "gateway"
    copy = pickle.loads(pickle.dumps(error))
    assert copy.layer == "gateway"
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.facts() == error.facts()


def test_a_refused_field_is_named_with_its_value_and_rule():
    assert str(BadRequest.field("confidence", 2, "it must be a number from 0 to 1.")).startswith(
        "confidence=2 is refused: it must be a number from 0 to 1. The task fails without a retry"
    )


def test_a_long_value_is_cut():
    assert len(BadRequest.field("x", "y" * 10_000, "rule.").what) < 300


def test_what_is_known_is_not_overwritten_from_further_out():
    error = MediaxError("x", job_id="known").about(job_id="other", marker="m")
    assert (error.job_id, error.marker) == ("known", "m")
