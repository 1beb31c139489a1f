"""What errors mean to a task: a total table, classes that travel, and nothing of it for hooks in a user's own task."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.operators import failures
from airflow_provider_mediax.operators.failures import MEANINGS, as_failure, explained, meaning_of
from airflow_provider_mediax.results import rows
from tests.unit.jobs.fake_hook import KeptLog

PERMANENT = {
    *("BadRequest", "NotFound", "AuthenticationFailed", "RequestChanged"),
    *("JobFailed", "JobCanceled", "ResultMissing"),
}
RETRYABLE = {
    *("MediaxError", "WaitTimeout", "Throttled", "Unavailable", "Unreachable", "ProtocolError", "AnswerTooLarge"),
    *("OutcomeUnknown", "LookupFailed", "LoadFailed", "Stopped"),
}


def subclasses(kind: type[MediaxError]) -> Iterator[type[MediaxError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from subclasses(inner)


PLAIN = sorted(
    {kind for kind in subclasses(MediaxError) if not issubclass(kind, AirflowException)}, key=lambda kind: kind.__name__
)
# Others are raised and caught inside the engine and reach no task.
every_kind = pytest.mark.parametrize("kind", [kind for kind in PLAIN if kind.__module__ == exceptions.__name__])


def full(kind: type[MediaxError]) -> MediaxError:
    error = kind("It broke", job_id="j", marker="m", request_id="r", status=418, code="C", advice="Look.")
    error.__cause__ = OSError("the socket")
    return error


@every_kind
def test_every_error_has_a_meaning(kind: type[MediaxError]) -> None:
    assert kind.__name__ in PERMANENT | RETRYABLE
    meaning = meaning_of(kind("x"))
    assert meaning.consequence.endswith(".")
    assert (meaning.permanent is not None) == (kind.__name__ in PERMANENT)


def test_the_table_lists_plain_classes_only_and_the_base_of_all() -> None:
    assert MediaxError in MEANINGS
    assert all(not issubclass(kind, AirflowException) for kind in MEANINGS)


@every_kind
def test_a_permanent_one_becomes_an_importable_subclass_with_all_it_knew(kind: type[MediaxError]) -> None:
    error = full(kind)
    failure = as_failure(error)
    if kind.__name__ in RETRYABLE:
        assert failure is error
        return
    assert isinstance(failure, AirflowFailException)
    assert isinstance(failure, kind)
    assert getattr(importlib.import_module(type(failure).__module__), type(failure).__name__) is type(failure)
    assert failure.facts() == error.facts()
    assert (failure.what, failure.advice, failure.__cause__) == (error.what, error.advice, error.__cause__)


@every_kind
def test_it_travels_between_processes(kind: type[MediaxError]) -> None:
    failure = as_failure(full(kind))
    copy = pickle.loads(pickle.dumps(failure))
    assert type(copy) is type(failure)
    assert (str(copy), copy.facts()) == (str(failure), failure.facts())


def test_a_missing_object_stays_a_missing_file() -> None:
    failure = as_failure(exceptions.NotFound("gone", filename="cos://b/k"))
    copy = pickle.loads(pickle.dumps(failure))
    assert isinstance(copy, FileNotFoundError)
    assert (copy.errno, copy.filename) == (2, "cos://b/k")


def test_a_failure_is_translated_once() -> None:
    failure = as_failure(exceptions.JobFailed("x"))
    assert as_failure(failure) is failure


@pytest.mark.parametrize("kind", [exceptions.JobFailed, exceptions.JobCanceled, exceptions.ResultMissing])
def test_what_may_be_paid_for_again_is_retried(kind: type[MediaxError]) -> None:
    assert as_failure(kind("x"), retry_failed=True).__class__ is kind
    assert "submits a new job" in meaning_of(kind("x"), retry_failed=True).consequence


@pytest.mark.parametrize("kind", [exceptions.BadRequest, exceptions.AuthenticationFailed, exceptions.RequestChanged])
def test_what_a_new_job_does_not_mend_is_not(kind: type[MediaxError]) -> None:
    assert isinstance(as_failure(kind("x"), retry_failed=True), AirflowFailException)


@pytest.mark.parametrize("passing", [AirflowSkipException("x"), ValueError("x"), KeyboardInterrupt()])
def test_what_is_none_of_ours_passes_unsaid(passing: KeyboardInterrupt | ValueError | AirflowSkipException) -> None:
    log = KeptLog()
    with pytest.raises(type(passing)) as caught, explained(log):
        raise passing
    assert caught.value is passing
    assert log.lines == []


def test_a_deferral_passes() -> None:
    with pytest.raises(TaskDeferred), explained(KeptLog()):
        raise TaskDeferred(trigger=object(), method_name="resume")


@every_kind
def test_each_is_explained_in_three_lines(kind: type[MediaxError]) -> None:
    log = KeptLog()
    with pytest.raises(kind), explained(log):
        raise full(kind)
    assert [line.split(":")[0] for _, line in log.lines] == ["What happened", "What happens next", "What you can do"]
    assert "job j, marker m, request r, HTTP status 418, code C" in log.lines[0][1]
    assert "Look." in log.lines[2][1]


@every_kind
def test_a_task_that_submits_nothing_is_not_said_to_submit(kind: type[MediaxError]) -> None:
    log = KeptLog()
    with pytest.raises(kind), explained(log, if_retried="It looks again."):
        raise full(kind)
    assert ("It looks again." in log.lines[1][1]) == (kind.__name__ in RETRYABLE)


@pytest.mark.parametrize("kind", [exceptions.OutcomeUnknown, exceptions.Unreachable, exceptions.Throttled])
def test_where_no_job_may_exist_the_log_says_that_one_is_submitted_then(kind: type[MediaxError]) -> None:
    assert "submits one only if there is none" in meaning_of(kind("x")).consequence


def test_a_wait_that_canceled_its_job_is_not_said_to_leave_it_running() -> None:
    consequence = meaning_of(exceptions.WaitTimeout("This attempt canceled the job")).consequence
    assert "goes on" not in consequence
    assert "canceled before it started is replaced" in consequence


@pytest.mark.parametrize(
    ("error", "collects"),
    [
        (exceptions.ResultMissing("x", job_id="j"), True),
        (exceptions.AuthenticationFailed("x", job_id="j"), True),
        (exceptions.AuthenticationFailed("x"), False),
        (exceptions.JobFailed("x", job_id="j"), False),
        (exceptions.JobCanceled("x", job_id="j"), False),
        (exceptions.WaitTimeout("x", job_id="j"), False),
    ],
)
def test_a_permanent_error_after_a_purchase_says_how_to_collect_without_paying_again(
    error: exceptions.MediaxError, collects: bool
) -> None:
    log = KeptLog()
    with pytest.raises(MediaxError), explained(log, collect="Collect it."):
        raise error
    assert log.lines[2][1].endswith("Collect it.") == collects


def test_a_hook_in_a_users_own_task_leaves_the_users_retries_alone() -> None:
    with pytest.raises(exceptions.BadRequest) as caught:
        rows({"nonsense": 1})
    assert not isinstance(caught.value, AirflowException)
    assert "task" not in str(caught.value)


def test_the_names_of_the_permanent_ones_are_those_of_the_plain_ones() -> None:
    declared: dict[str, Any] = {
        name: kind for name, kind in vars(failures).items() if isinstance(kind, type) and issubclass(kind, MediaxError)
    }
    assert set(declared) - {"MediaxError"} == PERMANENT
