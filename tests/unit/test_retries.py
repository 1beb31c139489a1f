"""When the next try starts, by what failed: for users who put ``RETRY_POLICY`` on a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.operators.failures import MEANINGS, meaning_of
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.retries import RETRY_POLICY
from tests.unit.test_exceptions import KINDS

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision

needs_policies = pytest.mark.skipif(airflow_version < "3.3", reason="Airflow has retry policies from 3.3 on")
RETRYABLE = [kind for kind in KINDS if meaning_of(kind("x")).permanent is None]


def decided(error: BaseException) -> RetryDecision:
    assert RETRY_POLICY is not None
    return RETRY_POLICY.evaluate(error, 1, 3)


def seconds_until_the_next_try(error: BaseException) -> float:
    delay = decided(error).retry_delay
    assert delay is not None
    return float(delay.total_seconds())


def test_it_is_there_from_airflow_3_3_on() -> None:
    assert (RETRY_POLICY is not None) == (airflow_version >= "3.3")


def test_there_are_errors_that_are_retried_and_errors_that_are_not() -> None:
    assert 0 < len(RETRYABLE) < len(KINDS)
    assert MEANINGS


@needs_policies
@pytest.mark.parametrize("kind", RETRYABLE)
def test_every_error_that_is_retried_has_its_delay_and_a_reason(kind: type[exceptions.MediaxError]) -> None:
    decision = decided(kind("x"))
    assert decision.action.value == "retry"
    assert 1 <= seconds_until_the_next_try(kind("x")) <= 300
    assert decision.reason is not None
    assert decision.reason.endswith(".")


@needs_policies
def test_a_timeout_is_retried_at_once_because_its_job_goes_on() -> None:
    from airflow.sdk.exceptions import AirflowTaskTimeout

    for error in (exceptions.WaitTimeout("x"), AirflowTaskTimeout("x")):
        assert seconds_until_the_next_try(error) == 1


@needs_policies
def test_the_narrowest_class_decides() -> None:
    delays = [
        seconds_until_the_next_try(kind("x"))
        for kind in (exceptions.LookupFailed, exceptions.OutcomeUnknown, exceptions.Throttled, exceptions.Unreachable)
    ]
    assert delays == [120, 300, 300, 60]


@needs_policies
def test_what_is_none_of_ours_is_left_to_the_task() -> None:
    assert decided(ValueError("x")).action.value == "default"


@needs_policies
def test_a_dag_that_uses_it_can_be_stored() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    assert RETRY_POLICY is not None
    with DAG("policy") as dag:
        MusicTagOperator(task_id="tags", path="a.mp3", retry_policy=RETRY_POLICY)
    assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == "policy"
    assert "WaitTimeout" in str(RETRY_POLICY.serialize())


def test_an_operator_takes_it_on_every_airflow() -> None:
    assert MusicTagOperator(task_id="tags", path="a.mp3", retry_policy=RETRY_POLICY)
