"""The engine without one of its rules, for a test of the checker: it must find each of these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest, LookupFailed
from airflow_provider_mediax.jobs import ownership
from airflow_provider_mediax.jobs.claims import Foreign, MarkerClaims
from airflow_provider_mediax.jobs.ownership import Acquisition
from airflow_provider_mediax.jobs.patience import PATIENCE
from airflow_provider_mediax.jobs.stored import RECORD_KEY, Claim, Record, Unreadable

Patch = pytest.MonkeyPatch


def patience_is_counted_from_the_intent(patch: Patch) -> None:
    look_up = Acquisition._look_up

    def hurried(self: Any, *, patience: Any = PATIENCE, record: Record | None = None, just_sent: bool = False) -> Any:
        age = self._clock() - record.at if record is not None else 0.0
        return look_up(self, patience=[seconds - age for seconds in patience], record=record, just_sent=just_sent)

    patch.setattr(Acquisition, "_look_up", hurried)


def sixteen_seconds_are_enough_after_an_unknown_outcome(patch: Patch) -> None:
    patch.setattr(Acquisition, "_patience_after", lambda self, began: list(PATIENCE))


def refused_is_written_before_the_attempt_has_ended(patch: Patch) -> None:
    write = Acquisition._write

    def early(self: Any, *, job_id: str | None = None, refused: bool = False) -> None:
        write(self, job_id=job_id, refused=refused or job_id is None)

    patch.setattr(Acquisition, "_write", early)


def an_unreadable_record_is_none(patch: Patch) -> None:
    may_exist = Acquisition._may_exist
    patch.setattr(
        Acquisition, "_may_exist", lambda self, stored: not isinstance(stored, Unreadable) and may_exist(self, stored)
    )


def a_recorded_id_that_is_refused_is_bought_again(patch: Patch) -> None:
    bought = Acquisition._bought

    def forgetful(self: Any, record: Record, job_id: str) -> Any:
        try:
            return (yield from bought(self, record, job_id))
        except LookupFailed:
            return None

    patch.setattr(Acquisition, "_bought", forgetful)


def a_resume_on_the_first_try_submits_at_once(patch: Patch) -> None:
    begin = Acquisition.__init__

    def hasty(self: Any, *args: Any, **options: Any) -> None:
        begin(self, *args, **{**options, "resumed": False})

    patch.setattr(Acquisition, "__init__", hasty)


def the_last_answer_need_not_be_complete(patch: Patch) -> None:
    ask = Acquisition._ask

    def trusting(self: Any, record: Record | None, just_sent: bool) -> Any:
        job, _ = yield from ask(self, record, just_sent)
        return job, None

    patch.setattr(Acquisition, "_ask", trusting)


def jobs_are_looked_for_from_the_intent_on(patch: Patch) -> None:
    patch.setattr(Acquisition, "_since", lambda self, sent: sent)


def the_intent_is_not_read_back(patch: Patch) -> None:
    def blind(self: Any, *, job_id: str | None = None, refused: bool = False) -> None:
        if self._store is None:
            return
        record = Record(
            generation=self._identity.generation,
            marker=self.marker,
            fields=self._fields,
            at=self._clock(),
            job_id=job_id,
            refused=refused,
            abandoned=self._abandoned,
            earlier=self._earlier,
        )
        self._store.set(RECORD_KEY, record.written())

    patch.setattr(Acquisition, "_write", blind)


def a_refusal_that_proves_nothing_is_believed(patch: Patch) -> None:
    after = Acquisition._after

    def believing(self: Any, failure: Any) -> Any:
        if isinstance(failure, BadRequest):
            raise failure
        return (yield from after(self, failure))

    patch.setattr(Acquisition, "_after", believing)


def a_claim_entitles_for_ever(patch: Patch) -> None:
    patch.setattr(MarkerClaims, "entitled", property(lambda self: self._age is not None))


def a_foreign_claim_is_not_waited_for(patch: Patch) -> None:
    patch.setattr(MarkerClaims, "_foreign", lambda self, number, found: Foreign(number, "", 0.0))


def after_a_foreign_claim_the_lists_have_no_time(patch: Patch) -> None:
    patch.setattr(ownership, "patience_after", lambda seconds: [0.0, seconds])


def an_own_predecessors_claim_is_passed(patch: Patch) -> None:
    foreign = MarkerClaims._foreign

    def familiar(self: Any, number: int, found: Any) -> Foreign:
        theirs = foreign(self, number, found)
        return replace(theirs, seconds=0.0) if theirs.owner == self._owner else theirs

    patch.setattr(MarkerClaims, "_foreign", familiar)


def a_foreign_send_takes_as_long_as_an_own_one(patch: Patch) -> None:
    patch.setattr(Claim, "LONGEST_SEND", 0.0)  # none can be read, and then an own one is all that is known


def an_intent_without_claims_is_taken_for_one_with(patch: Patch) -> None:
    existing = Acquisition._existing

    def trusting(self: Any, record: Record | None, *, may_exist: bool) -> Any:
        self._claims_say = self._claims is not None
        return (yield from existing(self, record, may_exist=may_exist))

    patch.setattr(Acquisition, "_existing", trusting)


MUTANTS = (
    patience_is_counted_from_the_intent,
    sixteen_seconds_are_enough_after_an_unknown_outcome,
    refused_is_written_before_the_attempt_has_ended,
    an_unreadable_record_is_none,
    a_recorded_id_that_is_refused_is_bought_again,
    a_resume_on_the_first_try_submits_at_once,
    the_last_answer_need_not_be_complete,
    jobs_are_looked_for_from_the_intent_on,
    the_intent_is_not_read_back,
    a_refusal_that_proves_nothing_is_believed,
)
