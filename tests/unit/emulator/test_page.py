"""The page of the emulator lists what the emulator has, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_mediax.emulator.mediax.capabilities import ANSWERS
from airflow_provider_mediax.emulator.shared.faults import ACTIONS, KINDS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")


def column(heading: str, place: int) -> list[str]:
    """Return the code words in one column of the table whose heading line begins so."""
    assert PAGE.count(f"\n{heading}") == 1
    rows = PAGE[PAGE.index(f"\n{heading}") :].split("\n\n", 1)[0].splitlines()[3:]
    found = [word for row in rows for word in re.findall("`([^`]+)`", row.split("|")[1 + place])]
    assert found
    return found


def test_every_capability_has_its_row() -> None:
    assert sorted(column("| capability | result |", 0)) == sorted(ANSWERS)


def test_every_action_of_a_service_has_its_row() -> None:
    assert sorted([*column("| service | actions |", 1), "*"]) == sorted(ACTIONS)


def test_every_kind_of_fault_has_its_row() -> None:
    assert sorted(column("| kind | what the caller sees |", 0)) == sorted(KINDS)
