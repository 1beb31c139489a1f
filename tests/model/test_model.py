"""Promise 1, in every order of events: nothing is bought twice unasked, and nothing that is bought is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.model.explore import at_random, exhaustive
from tests.model.histories import History
from tests.model.mutants import MUTANTS
from tests.model.world import Setting

DEPTH = int(os.environ.get("MODEL_DEPTH", "2"))
"""Faults in a schedule up to which every one is carried out; 3 takes an hour."""

RANDOM = int(os.environ.get("MODEL_RANDOM", "200"))
"""Random schedules of up to six faults for each history and setting."""

SEED = int(os.environ.get("MODEL_SEED", "1"))

YEAR = 365 * 86400.0

CASES = [
    ("t", Setting()),
    ("t", Setting(lag=15.0, gap=0.0, clocks=(YEAR, -YEAR))),
    ("t", Setting(store=False, lag=5.0)),
    ("r", Setting(lag=5.0, cancellable=False)),
    ("r", Setting(store=False, lag=15.0, gap=0.0, clocks=(-30.0, 30.0))),
    ("c", Setting(lag=5.0, clocks=(-YEAR, 0.0))),
    ("c", Setting(store=False, cancellable=False)),
    ("c", Setting(reuse=True, lag=15.0, gap=20.0)),
    ("t", Setting(retry_failed=True, lag=5.0)),
    ("t", Setting(retry_failed=True, store=False, lag=15.0)),
    ("o", Setting(key=True, lag=15.0, gap=20.0)),
    ("o", Setting(key=True, store=False, gap=20.0, clocks=(YEAR, 30.0))),
]
"""Histories and settings of which every schedule is carried out."""

LONGER = [
    ("tt", Setting(lag=15.0, gap=0.0, clocks=(30.0, -YEAR, YEAR))),
    ("tt", Setting(store=False, lag=5.0)),
    ("rt", Setting(store=False, lag=15.0)),
    ("tr", Setting(retry_failed=True, lag=5.0, gap=0.0)),
    ("tct", Setting(lag=5.0)),
    ("ct", Setting(reuse=True, retry_failed=True)),
    ("tot", Setting(key=True, lag=5.0, gap=20.0)),
    ("oct", Setting(key=True, store=False, retry_failed=True, gap=20.0)),
]
"""Histories of three attempts and more, of which only random schedules are carried out."""


def named(cases: list[tuple[str, Setting]]) -> list[pytest.ParameterSet]:
    return [
        pytest.param(History(follows), setting, id=f"{follows}-{number}")
        for number, (follows, setting) in enumerate(cases)
    ]


@pytest.mark.parametrize(("history", "setting"), named(CASES))
def test_no_schedule_of_a_few_faults_buys_twice_or_loses_a_job(
    history: History, setting: Setting, record_property: Callable[..., Any]
) -> None:
    findings = exhaustive(history, setting, DEPTH)
    record_property("schedules", (f"all of up to {DEPTH} faults", findings.schedules, dict(findings.excluded)))
    assert not findings.broken, "\n\n".join(findings.broken)


@pytest.mark.parametrize(("history", "setting"), named(CASES + LONGER))
def test_no_random_schedule_of_many_faults_buys_twice_or_loses_a_job(
    history: History, setting: Setting, record_property: Callable[..., Any]
) -> None:
    findings = at_random(history, setting, RANDOM, SEED)
    record_property("schedules", ("random, of up to 6 faults", findings.schedules, dict(findings.excluded)))
    assert not findings.broken, "\n\n".join(findings.broken)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_checker_finds_an_engine_that_breaks_a_rule(
    mutant: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This tests the checker: each mutant is the engine without one of its rules."""
    mutant(monkeypatch)
    assert any(exhaustive(History(follows), setting, 2, stop_at=1).broken for follows, setting in CASES)
