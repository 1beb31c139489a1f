"""
Which package may import which, held by reading every module, and what a DAG file's import may load.

The arrows: operators, sensors, transfers -> triggers -> hooks -> jobs -> client -> protocol. A package imports itself
and what lies to its right. The emulator stands apart, and has arrows of its own between its rooms. Imports inside
functions and under ``TYPE_CHECKING`` count: a late import is a dependency.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_mediax"
ROOT = Path(__file__).parents[2] / PACKAGE

CHAIN = ("triggers", "hooks", "jobs", "client", "protocol")

#: What each package may import besides itself and ``exceptions``. The last ones stand beside the chain.
MAY_IMPORT: dict[str, set[str]] = {
    "operators": {*CHAIN, "links", "assets", "lineage", "arguments", "metrics", "report", "results"},
    "sensors": {*CHAIN, "links", "assets", "lineage", "arguments"},
    "transfers": {*CHAIN, "links", "arguments", "results"},
    **{name: set(CHAIN[place + 1 :]) for place, name in enumerate(CHAIN)},
    "links": {"jobs", "protocol"},
    "fs": set(CHAIN[1:]),
    "assets": {"jobs", "protocol"},
    "lineage": {"protocol"},
    "arguments": {"protocol"},
    "metrics": {"protocol"},
    "report": {"hooks", "jobs", "protocol", "results"},
    "results": {"hooks", "jobs", "protocol"},
    "cli": {"arguments", "operators", "transfers", "fs", "provider_info", "report", *CHAIN},
}

#: What each room of the emulator may import besides itself; the files above the rooms may import all of them.
ROOMS: dict[str, set[str]] = {
    "shared": set(),
    "sound": set(),
    "cos": {"shared"},
    "ci": {"shared", "sound"},
    "mediax": {"shared", "sound", "cos"},
}

#: What a DAG file must not load; each costs tenths of a second at every parse.
HEAVY = ("aiohttp", "requests", "qcloud_cos", "librosa", "pandas", "pyarrow")


def module_name(file: Path, root: Path) -> str:
    parts = [PACKAGE, *file.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of all that a module imports; ``from a import b`` gives ``a.b`` if that is a module."""
    own = module_name(file, root)
    package = own if file.name == "__init__.py" else own.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                inner = root.joinpath(*f"{base}.{alias.name}".split(".")[1:])
                is_module = base.split(".")[0] == PACKAGE and (inner.is_dir() or inner.with_suffix(".py").is_file())
                yield node.lineno, f"{base}.{alias.name}" if is_module else base
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def allowed(importer: str, target: str) -> bool:
    """Say whether the module ``importer`` may import the module ``target`` of this package."""
    mine, theirs = (f"{name}.".split(".")[1] for name in (importer, target))
    if mine == theirs == "emulator":
        return allowed_room(importer, target)
    if mine == theirs:
        return True
    if mine == "emulator":
        # A stand-in that shares the client's code proves nothing about it.
        return False
    if target == f"{PACKAGE}.operators.failures" and mine in {"sensors", "transfers"}:
        return True  # what an error means to a task, whatever kind of task it is
    if theirs == "exceptions":
        return mine != "provider_info"
    if theirs == "":  # the version
        return mine not in {"protocol", "exceptions", "provider_info"}
    return theirs in MAY_IMPORT.get(mine, set())


def allowed_room(importer: str, target: str) -> bool:
    """Say the same of two modules of the emulator."""
    mine, theirs = (f"{name}..".split(".")[2] for name in (importer, target))
    return mine == theirs or mine not in ROOMS or theirs in ROOMS[mine]


def circles(root: Path) -> list[set[str]]:
    """Return the sets of modules that import each other, directly or through others."""
    modules = {module_name(file, root): file for file in root.rglob("*.py")}
    reached = {
        name: {target for _, target in imported(file, root) if target in modules and target != name}
        for name, file in modules.items()
    }
    for through in modules:  # Warshall's closure
        for name, targets in reached.items():
            if through in targets:
                reached[name] = targets | reached[through]
    found = [
        {name, *(other for other in targets if name in reached[other])}
        for name, targets in reached.items()
        if name in targets
    ]
    return [circle for place, circle in enumerate(found) if circle not in found[:place]]


def classes(folder: Path, without: str = "") -> set[str]:
    return {
        node.name
        for file in folder.rglob("*.py")
        if not without or without not in file.relative_to(folder).parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


def wrong_imports(root: Path) -> list[str]:
    return [
        f"{file.relative_to(root)}:{line}: {module_name(file, root)} imports {target}"
        for file in sorted(root.rglob("*.py"))
        for line, target in imported(file, root)
        if target.split(".")[0] == PACKAGE and not allowed(module_name(file, root), target)
    ]


def test_the_package_keeps_its_arrows() -> None:
    assert wrong_imports(ROOT) == []


def test_every_package_has_its_place() -> None:
    """A new package must be given its place in the table above."""
    present = {folder.name for folder in ROOT.iterdir() if folder.is_dir() and any(folder.glob("*.py"))}
    assert present - set(MAY_IMPORT) <= {"emulator"}


def test_no_file_of_the_emulator_imports_itself_through_others() -> None:
    assert [circle for circle in circles(ROOT) if any(f"{PACKAGE}.emulator." in name for name in circle)] == []


def test_every_room_of_the_emulator_has_its_place() -> None:
    assert {file.parent.name for file in (ROOT / "emulator").glob("*/__init__.py")} == set(ROOMS)


def test_no_class_of_the_emulator_has_the_name_of_one_of_the_client() -> None:
    assert classes(ROOT / "emulator") & classes(ROOT, without="emulator") == set()


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ({"a": "b", "b": "a"}, [{"a", "b"}]),
        ({"a": "b", "b": "c", "c": "a"}, [{"a", "b", "c"}]),
        ({"a": "b", "b": "c", "c": "c2"}, []),
    ],
    ids=["two", "three", "none"],
)
def test_a_circle_is_found_and_nothing_else(tmp_path: Path, imports: dict[str, str], found: list[set[str]]) -> None:
    folder = tmp_path / "emulator"
    folder.mkdir()
    (folder / "c2.py").touch()
    for name, target in imports.items():
        (folder / f"{name}.py").write_text(f"def f():\n    from {PACKAGE}.emulator import {target}", encoding="utf-8")
    assert circles(tmp_path) == [{f"{PACKAGE}.emulator.{name}" for name in circle} for circle in found]


WRONG = {
    "to the left": ("client/a.py", f"from {PACKAGE}.hooks.mediax import MediaxHook"),
    "from protocol": ("protocol/a.py", f"import {PACKAGE}.client.sync"),
    "the version from protocol": ("protocol/a.py", f"from {PACKAGE} import __version__"),
    "between neighbors": ("sensors/a.py", f"from {PACKAGE}.operators import base"),
    "in a function": ("jobs/a.py", f"def f():\n    from {PACKAGE}.triggers import job"),
    "for types only": (
        "hooks/a.py",
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {PACKAGE}.operators import music",
    ),
    "relative": ("client/a.py", "from ..jobs import service"),
    "relative, from the package itself": ("client/__init__.py", "from ..jobs.service import JobService"),
    "a package as a name": ("client/a.py", f"from {PACKAGE} import jobs"),
    "by string": ("client/a.py", f"import importlib\nimportlib.import_module('{PACKAGE}.hooks.cos')"),
    "the emulator": ("hooks/a.py", f"from {PACKAGE}.emulator.app import start"),
    "the emulator, from the top": ("provider_info.py", f"import {PACKAGE}.emulator"),
    "the client's signer in the emulator": ("emulator/a.py", f"from {PACKAGE}.protocol import gateway"),
    "all of protocol in the emulator": ("emulator/a.py", f"import {PACKAGE}.protocol"),
    "the capabilities in the emulator": ("emulator/a.py", f"from {PACKAGE}.protocol import capabilities"),
    "the errors in the emulator": ("emulator/a.py", f"from {PACKAGE}.exceptions import MediaxError"),
    "a service in what the services share": ("emulator/shared/a.py", f"from {PACKAGE}.emulator.ci import b"),
    "one service in another": ("emulator/ci/a.py", f"from {PACKAGE}.emulator.mediax.b import B"),
    "the top of the emulator in a service": ("emulator/cos/a.py", f"from {PACKAGE}.emulator.app import Emulator"),
    "anything in the errors": ("exceptions.py", f"from {PACKAGE}.protocol import job"),
}

RIGHT = {
    "to the right": ("operators/a.py", f"from {PACKAGE}.client.retry import decide"),
    "itself": ("operators/a.py", "from .base import Base"),
    "the errors": ("protocol/a.py", f"from {PACKAGE}.exceptions import BadRequest"),
    "what the emulated services share": ("emulator/ci/a.py", f"from {PACKAGE}.emulator.shared.b import B"),
    "the emulated services at the top": ("emulator/app.py", f"from {PACKAGE}.emulator.ci.b import B"),
    "others": ("protocol/a.py", "import json\nfrom collections import abc"),
}


def example(root: Path, path: str, source: str) -> Path:
    """Make a small package in which the imports of ``WRONG`` and ``RIGHT`` name modules."""
    for name in (*MAY_IMPORT, "emulator", *(f"emulator/{room}" for room in ROOMS)):
        (root / name).mkdir()
        (root / name / "__init__.py").touch()
    for room in ROOMS:
        (root / "emulator" / room / "b.py").touch()
    (root / "emulator" / "app.py").touch()
    for name in ("gateway", "capabilities", "job"):
        (root / "protocol" / f"{name}.py").touch()
    (root / path).write_text(source, encoding="utf-8")
    return root


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_import_is_found(tmp_path: Path, case: str) -> None:
    assert len(wrong_imports(example(tmp_path, *WRONG[case]))) == 1


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_import_is_not_complained_about(tmp_path: Path, case: str) -> None:
    assert wrong_imports(example(tmp_path, *RIGHT[case])) == []


LOADED = """
import sys
from airflow.sdk import DAG, BaseOperator
before = set(sys.modules)
import {module}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} & {heavy!r}))
"""


def newly_loaded(module: str) -> list[str]:
    """Return which heavy libraries a module loads that Airflow alone has not loaded."""
    code = LOADED.format(module=module, heavy=set(HEAVY))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("module", ["operators.music", "sensors.cos", "assets", "fs.cos"])
def test_a_dag_files_import_loads_nothing_heavy(module: str) -> None:
    """Airflow loads the filesystem for any path, the assets for any asset."""
    assert newly_loaded(f"{PACKAGE}.{module}") == []


def test_a_heavy_import_would_be_found() -> None:
    assert newly_loaded("aiohttp") == ["aiohttp"]


COMPILED = f"""
import sys
from airflow.sdk import DAG, BaseOperator
import {PACKAGE}.operators.music, {PACKAGE}.operators.voice_separation
modules = [module for name, module in sys.modules.items() if name.startswith("{PACKAGE}.")]
classes = {{kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}}
ours = {{kind for kind in classes if kind.__module__.startswith("{PACKAGE}.")}}
print(len(ours), *sorted(kind.__qualname__ for kind in ours if "__dataclass_fields__" in vars(kind)))
"""


def test_importing_the_operators_generates_no_code() -> None:
    """Each dataclass would take up to two milliseconds of every parse of a DAG file."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, *dataclasses = done.stdout.split()
    assert int(found) > 50
    assert dataclasses == []
