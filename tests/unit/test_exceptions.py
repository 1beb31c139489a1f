"""Errors of hooks and protocols are plain: they carry facts, fit into a list, and know nothing of Airflow."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.exceptions import LONGEST_SENTENCE, BadRequest, MediaxError

KINDS = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, MediaxError)]
NOTHING_DONE = {"BadRequest", "NotFound", "AuthenticationFailed", "Throttled", "Unreachable"}

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_an_error_is_one_sentence_that_names_its_job(kind: type[Any]) -> None:
    error = kind("Something happened", job_id="j-1", marker="mx1-2", request_id="r-3", status=418, code="Teapot")
    assert str(error) == "Something happened (job j-1)."
    assert error.reason == "Something happened (job j-1, marker mx1-2, request r-3, HTTP status 418, code Teapot)."


@every_kind
def test_without_a_job_the_marker_is_named(kind: type[Any]) -> None:
    assert str(kind("Something happened.", marker="mx1-2")) == "Something happened (marker mx1-2)."


@every_kind
@given(what=st.text(max_size=400), job_id=st.none() | st.text(min_size=1, max_size=64))
def test_the_sentence_has_at_most_200_characters_whatever_is_in_it(
    kind: type[Any], what: str, job_id: str | None
) -> None:
    said = str(kind(what, job_id=job_id, marker="mx1-" + "0" * 40))
    assert len(said) <= LONGEST_SENTENCE
    assert (job_id or "mx1-" + "0" * 40) in said


def test_an_id_of_any_length_keeps_the_sentence_short() -> None:
    assert len(str(MediaxError("x" * 300, job_id="j" * 5000))) <= LONGEST_SENTENCE


@every_kind
def test_airflow_retries_a_task_that_lets_a_plain_error_out(kind: type[Any]) -> None:
    assert not issubclass(kind, AirflowException)


@every_kind
def test_only_a_proven_refusal_says_that_nothing_was_done(kind: type[Any]) -> None:
    assert kind("x").nothing_done == (kind.__name__ in NOTHING_DONE)


@every_kind
def test_an_error_survives_pickling_whole(kind: type[Any]) -> None:
    error = kind("Something happened", advice="Do this.", job_id="j", marker="m", request_id="r", status=1, code="c")
    error.layer, error.retry_after, error.sent_at, error.nothing_done = "gateway", 3.0, 4.0, False
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_a_missing_object_is_a_missing_file_to_python() -> None:
    error = exceptions.NotFound("No such object", filename="cos://b/k")
    copy = pickle.loads(pickle.dumps(error))
    for said in (error, copy):
        assert isinstance(said, FileNotFoundError)
        assert (said.errno, said.filename) == (2, "cos://b/k")


def test_a_refused_field_is_named_with_its_value_and_rule() -> None:
    error = BadRequest.field("confidence", 2, "it must be a number from 0 to 1.")
    assert str(error) == "confidence=2 is refused: it must be a number from 0 to 1."


def test_of_a_long_value_begin_and_end_are_shown_and_the_rule_whole() -> None:
    said = BadRequest.field("x", "begin" + "y" * 10_000 + "end", "the rule.").what
    assert said.startswith("x='beginy")
    assert said.endswith("yend' is refused: the rule.")
    assert len(said) < 200


def test_what_is_known_is_not_overwritten_from_further_out() -> None:
    error = MediaxError("x", job_id="known").about(job_id="other", marker="m")
    assert (error.job_id, error.marker) == ("known", "m")


@pytest.mark.parametrize("module", ["exceptions", "protocol.mediax.gateway", "protocol.ci.operations", "client.retry"])
def test_what_speaks_with_a_service_loads_no_airflow(module: str) -> None:
    code = (
        f"import sys, airflow_provider_mediax.{module}\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'airflow'])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.strip() == "[]"
