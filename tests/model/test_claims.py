"""Promise 1 with claims: what no client can close without them, in every order of events, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.model import faults, mutants
from tests.model.explore import at_random, exhaustive
from tests.model.faults import Fault
from tests.model.histories import History, carried_out
from tests.model.test_model import DEPTH, RANDOM, SEED, YEAR
from tests.model.world import Process, Setting, World

CASES = [
    ("t", Setting(claims=True, store=False, lag=15.0)),
    ("b", Setting(claims=True, key=True, lag=15.0)),
    ("t", Setting(claims=True, unclaimed=1, lag=15.0, gap=0.0)),
]
"""Histories and settings of which every schedule is carried out."""

LONGER = [
    ("tt", Setting(claims=True, lag=15.0, gap=0.0, clocks=(30.0, -YEAR, YEAR))),
    ("tt", Setting(claims=True, store=False, lag=15.0)),
    ("rt", Setting(claims=True, store=False, lag=5.0)),
    ("bt", Setting(claims=True, key=True, lag=15.0)),
    ("tbt", Setting(claims=True, key=True, store=False, lag=5.0)),
    ("bobt", Setting(claims=True, key=True, store=False, lag=15.0, gap=0.0, longest=(65.0, 245.0, 65.0))),
    ("dt", Setting(claims=True, store=False, lag=15.0)),
    ("tdt", Setting(claims=True, lag=5.0)),
    ("tct", Setting(claims=True, lag=5.0)),
    ("tr", Setting(claims=True, retry_failed=True, lag=15.0)),
    ("ct", Setting(claims=True, reuse=True, retry_failed=True)),
    ("cbt", Setting(claims=True, key=True, lag=15.0)),
]
"""Histories of three attempts and more, of which only random schedules are carried out."""


def named(cases: list[tuple[str, Setting]]) -> list[object]:
    return [
        pytest.param(History(follows), setting, id=f"{follows}-{number}")
        for number, (follows, setting) in enumerate(cases)
    ]


@pytest.mark.parametrize(("history", "setting"), named(CASES))
def test_no_schedule_of_a_few_faults_buys_twice_or_loses_a_job(
    history: History, setting: Setting, record_property: Callable[[str, object], None]
) -> None:
    findings = exhaustive(history, setting, DEPTH)
    record_property(
        "schedules", (f"all of up to {DEPTH} faults, with claims", findings.schedules, dict(findings.excluded))
    )
    assert not findings.broken, "\n\n".join(findings.broken)


@pytest.mark.parametrize(("history", "setting"), named(CASES + LONGER))
def test_no_random_schedule_of_many_faults_buys_twice_or_loses_a_job(
    history: History, setting: Setting, record_property: Callable[[str, object], None]
) -> None:
    findings = at_random(history, setting, RANDOM, SEED, most=8)
    record_property(
        "schedules", ("random, of up to 8 faults, with claims", findings.schedules, dict(findings.excluded))
    )
    assert not findings.broken, "\n\n".join(findings.broken)


MUTANTS: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, Setting]] = {
    mutants.a_claim_entitles_for_ever: ("t", Setting(claims=True, lag=15.0)),
    mutants.a_foreign_claim_is_not_waited_for: ("t", Setting(claims=True, lag=15.0)),
    mutants.after_a_foreign_claim_the_lists_have_no_time: ("t", Setting(claims=True, lag=15.0)),
    mutants.an_own_predecessors_claim_is_passed: ("t", Setting(claims=True, lag=15.0)),
    mutants.a_foreign_send_takes_as_long_as_an_own_one: (
        "b",
        Setting(claims=True, key=True, store=False, longest=(245.0, 65.0), gap=0.0),
    ),
    mutants.an_intent_without_claims_is_taken_for_one_with: (
        "t",
        Setting(claims=True, unclaimed=1, lag=15.0, gap=0.0),
    ),
}
"""Each with the history and the setting in which two faults show it."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_checker_finds_an_engine_that_breaks_a_rule(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This tests the checker: each mutant is the engine without one of its rules of claims."""
    follows, setting = MUTANTS[mutant]
    mutant(monkeypatch)
    assert exhaustive(History(follows), setting, 2, stop_at=1).broken


def waited(
    follows: str, setting: Setting, wrong: Mapping[tuple[int, str], Fault], who: Callable[[Process], bool]
) -> float:
    """
    Return how many seconds an attempt took.

    :param wrong: what happens at the first step of its kind, by the attempt's number.
    """
    schedule: dict[tuple[int, int], Fault] = {}
    world = carried_out(History(follows), setting, schedule)
    for (number, kind), fault in wrong.items():
        place = next(point.place for point in world.points if (point.place[0], point.kind) == (number, kind))
        schedule[place] = fault
        world = carried_out(History(follows), setting, schedule)
    return _seconds(world, who)


def _seconds(world: World, who: Callable[[Process], bool]) -> float:
    (process,) = filter(who, world.processes)
    return process.ended_at - process.began_at


SUBMIT = "claimed submit"
KEY = Setting(claims=True, key=True, lag=2.0)
OWN = Setting(claims=True, lag=2.0)
WAITS = {
    "no fault, first try": ("", OWN, {}, 0, 1.0),
    "no fault, first try on 3.1": ("", Setting(claims=True, store=False), {}, 0, 1.0),
    "killed between claim and send, next try at once": ("t", OWN, {(0, SUBMIT): faults.DIES}, 1, 93.0),
    "the same, next try later": ("t", Setting(claims=True, lag=2.0, gap=90.0), {(0, SUBMIT): faults.DIES}, 1, 18.0),
    "killed in mid-send, job created": ("t", OWN, {(0, SUBMIT): faults.DIES_SENDING}, 1, 3.0),
    "two tasks, one key, same instant": ("b", KEY, {}, 1, 4.0),
    "the same, and lists lag": ("b", Setting(claims=True, key=True, lag=15.0), {}, 1, 18.0),
    "another's claim that was never used, met at once": (
        "o",
        Setting(claims=True, key=True, lag=2.0, gap=5.0),
        {(0, SUBMIT): faults.DIES},
        1,
        90.0,
    ),
    "the same, met later": (
        "o",
        Setting(claims=True, key=True, lag=2.0, gap=120.0),
        {(0, SUBMIT): faults.DIES},
        1,
        18.0,
    ),
    "submit lost, job created": ("", OWN, {(0, SUBMIT): faults.ANSWER_LOST}, 0, 36.5),
    "submit lost, nothing created": ("", OWN, {(0, SUBMIT): faults.LOST}, 0, 83.0),
}


@pytest.mark.parametrize(("follows", "setting", "wrong", "number", "most"), WAITS.values(), ids=WAITS)
def test_an_attempt_waits_as_long_as_the_guarantees_say(
    follows: str, setting: Setting, wrong: Mapping[tuple[int, str], Fault], number: int, most: float
) -> None:
    assert 0.0 < waited(follows, setting, wrong, lambda process: process.number == number) <= most
