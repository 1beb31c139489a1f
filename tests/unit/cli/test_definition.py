"""The commands are defined once, for both entries, and every one of them and of their options is described."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.cli.cli_config import ActionCommand, CLICommand, GroupCommand

from airflow_provider_mediax.cli.__main__ import main
from airflow_provider_mediax.cli.command import Exit
from airflow_provider_mediax.cli.definition import GROUP, get_commands
from airflow_provider_mediax.provider_info import get_provider_info
from tests.unit.test_provider_info import shipped_schema, validate

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def actions(commands: Iterable[CLICommand], above: str = "") -> Iterator[tuple[str, ActionCommand]]:
    for command in commands:
        if isinstance(command, GroupCommand):
            yield from actions(command.subcommands, f"{above}{command.name} ")
        else:
            yield above + command.name, command


COMMANDS = {name.removeprefix(f"{GROUP} "): command for name, command in actions(get_commands())}

LOADED = """
import sys
from airflow.cli import cli_config
before = set(sys.modules)
from airflow_provider_mediax.cli.definition import get_commands
get_commands()
print(*sorted(set(sys.modules) - before))
"""


def test_the_definition_loads_nothing_but_itself_and_names() -> None:
    """Airflow loads it on every ``airflow`` command."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own = {"cli", "cli.definition", "hooks", "hooks.registry"}
    assert {name.removeprefix("airflow_provider_mediax").lstrip(".") for name in done.stdout.split()} - {""} == own


def test_airflow_is_told_where_the_commands_are() -> None:
    (path,) = get_provider_info()["cli"]
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name) is get_commands
    schema = shipped_schema("provider.yaml.schema.json")["properties"]
    if "cli" in schema:  # since Airflow 3.2, which has provider commands
        validate(get_provider_info()["cli"], schema["cli"])


def test_the_console_script_leads_to_the_same_commands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"][f"airflow-{GROUP}"].partition(":")
    assert getattr(importlib.import_module(module), name) is main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded(name: str) -> None:
    load: Any = COMMANDS[name].func
    path = load.__closure__[0].cell_contents
    module, _, function = path.rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    assert f"airflow-mediax {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["no-such-command"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: airflow-mediax" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described_with_default_and_choices(name: str) -> None:
    assert f"\n## `{name}`\n" in PAGE
    section = PAGE.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| (`[^|]+`) \|([^|]*)\|", section, re.MULTILINE))
    described = {flags: default.strip() for flags, default in rows.items() if flags.startswith(("`-", "`<"))}
    meanings = dict(re.findall(r"^\| (`[^|]+`) \|[^|]*\|([^|]*)\|", section, re.MULTILINE))
    expected: dict[str, Any] = {}
    for argument in COMMANDS[name].args:
        flags = sorted(argument.flags, key=len, reverse=True)
        shown = flags if flags[0].startswith("-") else [f"<{flags[0].upper()}>"]
        named = ", ".join(f"`{flag}`" for flag in shown)
        expected[named] = argument.kwargs.get("default")
        for choice in argument.kwargs.get("choices") or ():
            assert f"`{choice}`" in meanings[named], named
    assert expected
    assert set(described) == set(expected)
    defaults = {named: f"`{default}`" for named, default in expected.items() if default is not None}
    assert {named: described[named] for named in defaults} == defaults


def test_every_exit_code_is_described() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE)} == set(Exit)
