"""
The names and signatures that users may rely on, held against ``public_api.txt``: a change of one touches that file.

``python -m tests.unit.test_public_api`` writes the file anew.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, is_typeddict

PACKAGE = "airflow_provider_mediax"
FILE = Path(__file__).with_name("public_api.txt")

MODULES = (
    "exceptions",
    "results",
    "retries",
    "operators.base",
    "operators.batch",
    "operators.music",
    "operators.music_base",
    "operators.report",
    "operators.voice_separation",
    "sensors.cos",
    "sensors.job",
    "transfers.results_to_sql",
    "triggers.cos",
    "triggers.job",
    "hooks.base",
    "hooks.cloud_infinite",
    "hooks.cos",
    "hooks.mediax",
    "emulator.process",
)


def described() -> Iterator[str]:
    for name in MODULES:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        for public, value in sorted(vars(module).items()):
            if getattr(value, "__module__", None) == module.__name__ and not public.startswith("_"):
                yield from described_object(f"{name}.{public}", value)


def described_object(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        yield f"{name}{signature(value)}" if callable(value) else name
        return
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    yield f"class {name}({bases}){signature(value)}"
    for member, annotation in getattr(value, "__annotations__", {}).items() if is_typeddict(value) else ():
        yield f"    {name}.{member}: {annotation.__forward_arg__}"
    for member, found in sorted(vars(value).items()):
        if not member.startswith("_"):
            plain = getattr(value, member) if isinstance(found, classmethod | staticmethod) else found
            yield f"    {name}.{member}{signature(plain) if callable(plain) else ''}"


def signature(of: Any) -> str:
    try:
        found = inspect.signature(of)
    except (TypeError, ValueError):
        return "()"
    return str(found).replace(f"{PACKAGE}.", "")


def current() -> str:
    return "".join(f"{line}\n" for line in described())


def test_a_change_of_the_public_api_is_written_down() -> None:
    assert current().splitlines() == FILE.read_text(encoding="utf-8").splitlines()


def test_every_operator_of_the_platform_is_public() -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("class operators.music.") for line in lines) >= 17


if __name__ == "__main__":
    FILE.write_text(current(), encoding="utf-8")
