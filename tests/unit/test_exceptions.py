"""Errors say what happened, to which job, what the next attempt will do and what the user can do."""

from __future__ import annotations

import inspect
import pickle

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.operators.music import MusicTagOperator

KINDS = [
    kind
    for _, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, MediaxError) and kind is not MediaxError
]
needs_policies = pytest.mark.skipif(airflow_version < "3.3", reason="Airflow has retry policies from 3.3 on")
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


class TestRetryPolicy:
    def test_it_is_there_from_airflow_3_3_on(self):
        assert (exceptions.RETRY_POLICY is not None) == (airflow_version >= "3.3")

    @needs_policies
    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__name__ not in PERMANENT])
    def test_every_error_that_is_retried_has_its_delay_and_says_what_comes_next(self, kind):
        decision = exceptions.RETRY_POLICY.evaluate(kind("x"), 1, 3)
        assert decision.action.value == "retry"
        assert 1 <= decision.retry_delay.total_seconds() <= 300
        assert decision.reason == kind.next_attempt

    @needs_policies
    def test_a_timeout_is_retried_at_once_because_its_job_runs_on(self):
        from airflow.sdk.exceptions import AirflowTaskTimeout

        for error in (exceptions.WaitTimeout("x"), AirflowTaskTimeout("x")):
            assert exceptions.RETRY_POLICY.evaluate(error, 1, 3).retry_delay.total_seconds() == 1

    @needs_policies
    def test_what_is_none_of_ours_is_left_to_the_task(self):
        assert exceptions.RETRY_POLICY.evaluate(ValueError("x"), 1, 3).action.value == "default"

    @needs_policies
    def test_a_dag_that_uses_it_can_be_stored(self):
        from airflow.serialization.serialized_objects import DagSerialization

        with DAG("policy") as dag:
            MusicTagOperator(task_id="tags", path="a.mp3", retry_policy=exceptions.RETRY_POLICY)
        assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == "policy"
        assert "WaitTimeout" in str(exceptions.RETRY_POLICY.serialize())

    def test_an_operator_takes_it_on_every_airflow(self):
        assert MusicTagOperator(task_id="tags", path="a.mp3", retry_policy=exceptions.RETRY_POLICY)
