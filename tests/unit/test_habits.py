"""What holds for the tree as a whole: the same checks in make, before a commit and in CI, and where tests stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "airflow_provider_mediax"
TESTS = ROOT / "tests"

makefile = pytest.fixture(lambda: (ROOT / "Makefile").read_text(encoding="utf-8"))


def recipe(makefile: str, target: str) -> list[str]:
    """Return the commands of a target."""
    found = re.search(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", makefile, re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def test_before_a_commit_the_same_tools_run_as_in_make_lint(makefile: str) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    of_make = [*recipe(makefile, "lint"), *recipe(makefile, "types")]
    tools = [re.sub(r" --check| \.$|\$\(VENV\)/bin/", "", command) for command in of_make]
    assert [re.sub(r" --force-exclude|\.venv/bin/", "", hook["entry"]) for hook in hooks] == tools
    assert len(tools) >= 4


def test_the_workflow_runs_targets_and_python_versions_that_exist(makefile: str) -> None:
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9.-]+):", makefile, re.MULTILINE))
    matrix = yaml.safe_load(workflow)["jobs"]["matrix"]["strategy"]["matrix"]
    lanes = {target for lane in matrix["include"] for target in lane["target"].split()}
    assert lanes <= targets
    assert {target for target in targets if target.startswith("integration")} <= lanes
    assert {lane["airflow"] for lane in matrix["include"]} == set(matrix["airflow"])
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert matrix["python"] == classifiers


def test_the_versions_that_are_tested_are_those_that_the_readme_names(makefile: str) -> None:
    tested = re.findall(r"^AIRFLOW\w* := ([\w.]+)$", makefile, re.MULTILINE)
    assert len(tested) == 3
    assert [version for version in tested if not (ROOT / "constraints" / f"airflow-{version}.txt").is_file()] == []
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [version for version in tested if version not in text] == [], page


def test_unit_tests_mirror_the_package() -> None:
    rooms = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}
    tested = {file.relative_to(TESTS / "unit").parts[0] for file in (TESTS / "unit").rglob("test_*.py")}
    assert {name for name in tested if not name.endswith(".py")} <= rooms


def modules(folder: Path = TESTS) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(folder.rglob("*.py")):
        yield file.relative_to(TESTS).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def is_fixture(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_no_fixture_is_imported_from_a_test_module() -> None:
    """What several modules use stands in a ``conftest.py``, where pytest finds it, or in a module of helpers."""
    fixtures = {
        (f"tests.{path.removesuffix('.py').replace('/', '.')}", node.name)
        for path, tree in modules()
        if path.rpartition("/")[2].startswith("test_")
        for node in ast.walk(tree)
        if is_fixture(node) and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert fixtures
    imported = {
        (path, node.module, alias.name)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {found for found in imported if found[1:] in fixtures} == set()


#: Fixtures that start the emulator's process.
STARTS_THE_EMULATOR = {"mediax_emulator"}


def test_unit_tests_start_no_emulator() -> None:
    """But those of the emulator itself; what needs services that answer is an integration test."""
    starting = {
        path
        for path, tree in modules(TESTS / "unit")
        if not path.startswith("unit/emulator/")
        for node in ast.walk(tree)
        if isinstance(node, ast.arg) and node.arg in STARTS_THE_EMULATOR
    }
    assert starting == set()
