"""The script that installs a browser: only where there is none, and never by asking for a password."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install_chromium.sh"

Machine: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a function that runs the script where there are only these programs; each notes how it was called."""

    def run(**programs: str) -> subprocess.CompletedProcess[str]:
        for name in ("sh", "env"):
            tmp_path.joinpath(name).symlink_to(str(shutil.which(name)))
        for name, body in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >> "{tmp_path}/called"\n{body}\n')
            program.chmod(0o700)
        environment = {**os.environ, "PATH": str(tmp_path)}
        return subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=False)

    return run


def called(tmp_path: Path) -> list[str]:
    file = tmp_path / "called"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


@pytest.mark.parametrize("name", ["chromium", "chromium_browser", "google_chrome"])
def test_a_browser_that_is_there_is_left_alone(machine: Machine, tmp_path: Path, name: str) -> None:
    assert machine(**{name: ""}, apt_get="", id="echo 0").returncode == 0
    assert called(tmp_path) == []


@pytest.mark.parametrize(("user", "sudo"), [("0", "exit 1"), ("1000", 'shift; [ "$1" = true ] || "$@"')])
def test_a_browser_that_is_missing_is_installed(machine: Machine, tmp_path: Path, user: str, sudo: str) -> None:
    done = machine(apt_get="", id=f"echo {user}", sudo=sudo)
    assert done.returncode == 0, done.stderr
    assert [line for line in called(tmp_path) if line.startswith("apt-get")] == [
        "apt-get --quiet=2 update",
        "apt-get --quiet=2 install --yes --no-install-recommends chromium",
    ]


def test_nobody_is_asked_for_a_password(machine: Machine, tmp_path: Path) -> None:
    done = machine(apt_get="", id="echo 1000", sudo="exit 1")
    assert done.returncode == 1
    assert "sudo apt-get install chromium" in done.stderr
    assert [line for line in called(tmp_path) if "apt-get" in line] == []


def test_a_failed_installation_is_a_failure(machine: Machine) -> None:
    assert machine(apt_get='[ "$2" = update ]', id="echo 0").returncode != 0


def test_where_there_are_no_debian_packages_it_says_what_is_left_out(machine: Machine) -> None:
    done = machine(id="echo 0")
    assert done.returncode == 0
    assert "are skipped" in done.stderr
