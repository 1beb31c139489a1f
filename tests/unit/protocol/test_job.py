from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_mediax.protocol.job import Job, JobState, from_epoch_ms

MOMENT = datetime(2020, 10, 23, 5, 59, 23, tzinfo=UTC)


def test_only_succeeded_failed_and_canceled_are_final() -> None:
    assert {state for state in JobState if state.final} == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED}


@pytest.mark.parametrize("value", ["1603432763000", 1603432763000, 1603432763000.0, "1603432763000.0"])
def test_time_is_read_from_text_and_number(value: object) -> None:
    assert from_epoch_ms(value) == MOMENT


def test_time_keeps_its_milliseconds() -> None:
    assert from_epoch_ms("1603432763123") == MOMENT.replace(microsecond=123_000)


@pytest.mark.parametrize(
    "value", ["0", 0, "", None, "-1", "soon", "nan", "inf", "9" * 30, "9" * 5000, 1e300, True, [], {}, [[1]]]
)
def test_time_that_is_not_there_or_unreadable_is_not_yet(value: object) -> None:
    assert from_epoch_ms(value) is None


def test_summary_names_job_and_state_and_calls_an_unknown_state_so() -> None:
    known = Job(id="j-1", state=JobState.OPEN, state_name="PROCESSING")
    unknown = Job(id="j-1", state=JobState.UNKNOWN, state_name="77")
    assert known.summary == "Job j-1 is PROCESSING"
    assert "77" in unknown.summary
    assert "not a state that is known" in unknown.summary


def test_raw_answer_is_not_part_of_the_repr() -> None:
    assert "5e7" not in repr(Job(id="1", state=JobState.OPEN, state_name="x", raw={"inputs": "5e7"}))
