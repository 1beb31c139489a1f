"""The exclusive right to submit: one claim for what is sent within ten seconds, and what meeting another one means."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_mediax.client.clock import steady
from airflow_provider_mediax.exceptions import (
    LookupFailed,
    MediaxError,
    OutcomeUnknown,
    Throttled,
)
from airflow_provider_mediax.jobs.claims import ENTITLES, MOST_CLAIMS, WHOLE_SECONDS
from airflow_provider_mediax.jobs.patience import LIST_LAG
from airflow_provider_mediax.jobs.stored import RECORD_KEY, Claim, Unreadable
from tests.unit.jobs.fake_bucket import FOLDER, ClaimingTask
from tests.unit.jobs.fake_platform import ERROR, LONGEST_SEND, Killed

UNTIL_NOTHING_ARRIVES = ENTITLES + LONGEST_SEND + WHOLE_SECONDS


@pytest.fixture
def task() -> ClaimingTask:
    return ClaimingTask()


class TestAFirstTry:
    def test_claims_once_then_submits_and_asks_for_nothing(self, task: ClaimingTask) -> None:
        task.proved.add(FOLDER)
        assert task.attempt().job.id == "job-1"
        assert task.platform.actions == ["PutObject", "CreateJob"]
        assert sum(task.platform.pauses) == 0.0

    def test_leaves_its_claim_which_holds_no_secret(self, task: ClaimingTask) -> None:
        task.attempt()
        (body, _), (key,) = *task.bucket.objects.values(), [*task.bucket.objects]
        assert key == f"claims/{task.marker}.0"
        assert json.loads(body).keys() == {"schema", "token", "owner", "at", "longest_send"}

    def test_records_its_intent_before_it_claims(self, task: ClaimingTask) -> None:
        seen: list[Any] = []
        task.platform.before["PutObject"] = lambda: seen.append(task.record)
        task.attempt()
        assert seen[0].job_id is None
        assert seen[0].claimed

    def test_sends_again_under_its_claim_what_was_refused_for_the_rate_limit(self, task: ClaimingTask) -> None:
        task.proved.add(FOLDER)
        task.platform.fail("CreateJob", 429)
        task.attempt()
        assert task.platform.actions == ["PutObject", "CreateJob", "CreateJob"]
        assert sum(task.platform.pauses) < ENTITLES  # so long ago is the claim, and the first send was refused

    def test_claims_anew_after_a_pause_that_outlasts_the_claim(self, task: ClaimingTask) -> None:
        task.proved.add(FOLDER)
        task.platform.fail("CreateJob", 429, 429, 429, 429, 429)
        task.attempt()
        assert task.claimed == ["0", "1", "2"]
        assert task.platform.actions.count("CreateJob") == 6
        assert len(task.platform.jobs) == 1


class TestABucketThatFails:
    @pytest.mark.parametrize("fault", [500, 503, "dropped"])
    def test_keeps_everything_from_being_bought(self, task: ClaimingTask, fault: str | int) -> None:
        task.platform.fail("PutObject", *[fault] * 20)
        with pytest.raises(LookupFailed, match="nothing was submitted"):
            task.attempt()
        assert "CreateJob" not in task.platform.actions

    @pytest.mark.parametrize("action", ["PutObject", "GetObject"])
    @pytest.mark.parametrize("status", [403, 400, 404, 429])
    def test_says_why_and_is_asked_again_by_the_next_try(self, task: ClaimingTask, action: str, status: int) -> None:
        task.foreign()
        task.platform.fail(action, *[status] * 99)
        with pytest.raises(LookupFailed, match="claims/ cannot be asked for") as caught:
            task.attempt()
        assert (caught.value.marker, caught.value.status) == (task.marker, status)
        assert "CreateJob" not in task.platform.actions

    def test_leaves_the_intent_so_that_the_next_try_claims(self, task: ClaimingTask) -> None:
        task.platform.fail("PutObject", *[500] * 20)
        task.platform.fail("GetObject", 500, 500, 500, 500)
        with pytest.raises(LookupFailed):
            task.attempt()
        task.platform.faults.clear()
        assert task.attempt().job.id == "job-1"
        assert task.claimed == ["0"]

    @pytest.mark.parametrize("versions", [True, False])
    def test_that_replaces_what_it_should_keep_is_found_out_before_the_submit(
        self, task: ClaimingTask, versions: bool
    ) -> None:
        task.bucket.keeps, task.bucket.versions = False, versions
        with pytest.raises(LookupFailed, match=r"versioning|replaces"):
            task.attempt()
        assert "CreateJob" not in task.platform.actions

    def test_that_keeps_is_proved_once_for_a_process(self, task: ClaimingTask) -> None:
        task.attempt()
        assert task.platform.actions.count("PutObject") == 2
        task.clear()
        task.attempt()
        assert task.platform.actions.count("PutObject") == 3

    def test_that_cannot_be_proved_keeps_everything_from_being_bought(self, task: ClaimingTask) -> None:
        task.platform.faults.clear()
        task.platform.before["PutObject"] = lambda: task.platform.fail("PutObject", "lost", *[500] * 9)
        task.platform.fail("GetObject", 500, 500, 500, 500)
        with pytest.raises(LookupFailed):
            task.attempt()
        assert "CreateJob" not in task.platform.actions


class TestALostAnswerOfTheClaim:
    def test_is_answered_by_the_object_itself(self, task: ClaimingTask) -> None:
        task.platform.fail("PutObject", "lost")
        assert task.attempt().job.id == "job-1"
        assert task.platform.actions == ["PutObject", "GetObject", "CreateJob"]

    def test_asks_for_the_same_name_with_a_token_of_its_own(self, task: ClaimingTask) -> None:
        task.platform.fail("PutObject", "dropped")
        task.proved.add(FOLDER)
        task.attempt()
        assert task.claimed == ["0"]
        assert task.platform.actions == ["PutObject", "GetObject", "PutObject", "CreateJob"]
        assert len(set(task.platform.tokens)) == 2

    def test_makes_an_earlier_token_of_its_own_a_foreign_one(self, task: ClaimingTask) -> None:
        task.proved.add(FOLDER)
        task.platform.fail("PutObject", "dropped")
        task.platform.before["GetObject"] = lambda: task.platform.before.update(PutObject=task.foreign)
        task.attempt()
        assert task.claimed == ["0", "1"]
        assert sum(task.platform.pauses) >= UNTIL_NOTHING_ARRIVES


class TestAClaim:
    @pytest.mark.parametrize(("seconds", "claims"), [(9.0, ["0"]), (11.0, ["0", "1"])])
    def test_entitles_to_what_begins_within_ten_seconds(
        self, task: ClaimingTask, seconds: float, claims: list[str]
    ) -> None:
        task.proved.add(FOLDER)
        task.platform.fail("PutObject", f"slow:{seconds}")
        task.attempt()
        assert task.claimed == claims

    def test_is_spent_by_a_send_of_unknown_outcome(self, task: ClaimingTask) -> None:
        task.platform.fail("CreateJob", "dropped")
        assert task.attempt().job.id == "job-1"
        assert task.claimed == ["0", "1"]

    def test_buys_nothing_after_two_unknown_outcomes(self, task: ClaimingTask) -> None:
        task.platform.fail("CreateJob", "dropped", "dropped")
        with pytest.raises(OutcomeUnknown):
            task.attempt()
        assert task.claimed == ["0", "1"]

    def test_of_a_marker_is_one_of_a_bounded_number(self, task: ClaimingTask) -> None:
        for number in range(MOST_CLAIMS + 1):
            task.foreign(number)
        with pytest.raises(LookupFailed, match="claims lie at"):
            task.attempt()
        assert "CreateJob" not in task.platform.actions


class TestAForeignClaim:
    def test_is_waited_for_until_nothing_of_it_can_arrive_and_lists_have_caught_up(self, task: ClaimingTask) -> None:
        task.foreign()
        assert task.attempt().job.id == "job-1"
        assert task.claimed == ["0", "1"]
        assert sum(task.platform.pauses) == pytest.approx(UNTIL_NOTHING_ARRIVES + LIST_LAG, abs=1.0)

    def test_that_is_old_costs_the_patience_of_one_look_up(self, task: ClaimingTask) -> None:
        task.foreign()
        task.platform.time.now += 500.0
        task.attempt()
        assert sum(task.platform.pauses) == pytest.approx(LIST_LAG)

    def test_lets_the_longer_send_of_the_two_count(self, task: ClaimingTask) -> None:
        task.foreign(longest_send=200.0)
        task.attempt()
        assert sum(task.platform.pauses) == pytest.approx(ENTITLES + 200.0 + WHOLE_SECONDS + LIST_LAG, abs=1.0)

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"schema": 99}'])
    def test_that_cannot_be_read_is_waited_for_the_longest(self, task: ClaimingTask, body: bytes) -> None:
        task.bucket.objects[f"claims/{task.marker}.0"] = body, int(task.platform.now)
        task.attempt()
        assert sum(task.platform.pauses) == pytest.approx(
            ENTITLES + Claim.LONGEST_SEND + WHOLE_SECONDS + LIST_LAG, abs=1.0
        )

    def test_whose_job_appears_meanwhile_is_adopted(self, task: ClaimingTask) -> None:
        task.foreign()
        task.platform.before["ListJobs"] = lambda: task.platform.add(task.marker)
        owned = task.attempt()
        assert owned.reattached
        assert task.platform.actions.count("CreateJob") == 0
        assert task.record is not None
        assert task.record.job_id == owned.job.id

    def test_is_sought_up_to_the_highest(self, task: ClaimingTask) -> None:
        for number in range(4):
            task.foreign(number)
        task.attempt()
        assert task.claimed == ["0", "1", "2", "3", "4"]
        assert sum(task.platform.pauses) == pytest.approx(UNTIL_NOTHING_ARRIVES + LIST_LAG, abs=1.0)

    def test_of_an_own_dead_predecessor_is_not_skipped(self, task: ClaimingTask) -> None:
        task.platform.fail("CreateJob", "dropped")
        task.platform.fail("ListJobs", *["error"] * 40)
        with pytest.raises(LookupFailed):
            task.attempt()
        task.platform.faults.clear()
        task.attempt()
        assert task.claimed == ["0", "1"]

    def test_is_named_with_the_time_until_which_the_task_waits(
        self, task: ClaimingTask, caplog: pytest.LogCaptureFixture
    ) -> None:
        task.foreign()
        with caplog.at_level(logging.INFO):
            task.attempt()
        assert any(line.startswith("Waiting until ") and "claim .0 of another" in line for line in caplog.messages)


class TestALaterTry:
    def test_after_a_kill_in_the_submit_adopts_the_job(self, task: ClaimingTask) -> None:
        task.platform.fail("CreateJob", "killed")
        with pytest.raises(Killed):
            task.attempt()
        assert task.attempt().reattached
        assert len(task.platform.jobs) == 1

    @pytest.mark.parametrize("store", [True, False])
    def test_asks_one_question_where_nobody_has_claimed(self, task: ClaimingTask, store: bool) -> None:
        task.has_store = store
        task.platform.fail("PutObject", *[500] * 20)
        with pytest.raises(MediaxError):
            task.attempt()
        task.platform.faults.clear()
        task.platform.actions.clear()
        task.platform.pauses.clear()
        task.proved.add(FOLDER)
        task.attempt()
        assert task.platform.actions == ["PutObject", "ListJobs", "CreateJob"]
        assert sum(task.platform.pauses) == 0.0

    def test_after_an_intent_without_claims_has_patience_first(self, task: ClaimingTask) -> None:
        task.platform.list_lag = 10.0
        task.platform.fail("CreateJob", "killed")
        with pytest.raises(Killed):
            task.attempt(claims=None)
        assert task.attempt().reattached
        assert task.claimed == []

    def test_that_is_held_back_before_it_could_claim_leaves_the_record_alone(self, task: ClaimingTask) -> None:
        task.platform.fail("CreateJob", "dropped")
        task.platform.fail("ListJobs", *["error"] * 40)
        with pytest.raises(LookupFailed):
            task.attempt()
        before = task.record
        task.platform.pacing.hold(1e9, steady(), submits_only=True)
        task.platform.pacing.hold(1e9, steady() + 200.0, submits_only=True)
        with pytest.raises(Throttled):
            task.attempt()
        assert task.record == before

    def test_of_31_trusts_the_claims_and_one_of_33_that_lost_its_record_has_patience(self, task: ClaimingTask) -> None:
        task.tries = 1
        task.attempt()
        assert sum(task.platform.pauses) == pytest.approx(LIST_LAG)
        other = ClaimingTask(has_store=False, tries=1)
        other.attempt()
        assert sum(other.platform.pauses) == 0.0

    def test_takes_a_failed_job_for_the_end_as_without_claims(self, task: ClaimingTask) -> None:
        task.foreign()
        task.platform.before["ListJobs"] = lambda: task.platform.add(task.marker, ERROR)
        assert task.attempt().job.id == "job-1"
        assert task.platform.actions.count("CreateJob") == 0


def test_a_claim_says_that_it_cannot_be_read_rather_than_anything_else() -> None:
    good = Claim(token="t", owner="o", at=1.0, longest_send=65.0)
    assert Claim.read(good.written()) == good
    for change in ({"longest_send": 1e9}, {"longest_send": 0}, {"token": 3}, {"schema": 2}):
        body = json.dumps({**json.loads(good.written()), **change}).encode()
        assert isinstance(Claim.read(body), Unreadable)
    assert RECORD_KEY not in good.written().decode()
