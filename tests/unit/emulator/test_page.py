"""The page of the emulator lists what the emulator has, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest

from airflow_provider_mediax.emulator.__main__ import main
from airflow_provider_mediax.emulator.ci.service import CiEndpoint
from airflow_provider_mediax.emulator.control import Control
from airflow_provider_mediax.emulator.mediax.capabilities import ANSWERS
from airflow_provider_mediax.emulator.mediax.service import MediaxEndpoint
from airflow_provider_mediax.emulator.shared.faults import ACTIONS, KINDS, Fault
from airflow_provider_mediax.emulator.shared.settings import Settings
from airflow_provider_mediax.emulator.shared.world import World

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """Return the rows of the table whose heading line begins so."""
    assert PAGE.count(f"\n{heading}") == 1
    return PAGE[PAGE.index(f"\n{heading}") :].split("\n\n", 1)[0].splitlines()[3:]


def words(row: str, place: int) -> list[str]:
    """Return the code words in one cell of a row."""
    return re.findall("`([^`]+)`", row.split("|")[1 + place])


def column(heading: str, place: int) -> list[str]:
    found = [word for row in rows(heading) for word in words(row, place)]
    assert found
    return found


def test_every_capability_has_its_row() -> None:
    assert sorted(column("| capability | result |", 0)) == sorted(ANSWERS)


def test_every_option_of_the_command_line_has_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert {words(row, 0)[0].split()[0] for row in rows("| option | default |")} == options
    defaults = {words(row, 0)[0]: words(row, 1) for row in rows("| option | default |")}
    assert defaults["--max-records"] == [str(Settings().max_records)]
    assert defaults["--max-object-mib"] == [str(Settings().max_object_mib)]


def test_every_request_of_the_control_interface_has_its_row() -> None:
    world = World(Settings())
    known = Control(world, cast("MediaxEndpoint", None), cast("CiEndpoint", None)).routes
    listed = {tuple(words(row, 0)[0].split()) for row in rows("| request | body | effect |")}
    objects = ("PUT",)  # the row of three methods on one object, which is no fixed path
    assert listed - {objects} == set(known)


def test_every_action_of_a_service_has_its_row() -> None:
    assert sorted([*column("| service | actions |", 1), "*"]) == sorted(ACTIONS)


def test_every_kind_of_fault_has_its_row() -> None:
    assert sorted(column("| kind | what the caller sees |", 0)) == sorted(KINDS)
    happened = {kind for row in rows("| kind | what the caller sees |") if "**yes**" in row for kind in words(row, 0)}
    # A slow request is done after its wait, so nothing has happened when the caller gives up.
    assert happened - {"slow"} == {kind for kind in KINDS if Fault("*", kind).happens}
