"""The page about errors has the sentences that the package raises, each in its error's section, and no others."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_mediax import exceptions

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "airflow_provider_mediax"
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ERRORS = {
    kind.__name__
    for kind in vars(exceptions).values()
    if inspect.isclass(kind) and issubclass(kind, exceptions.MediaxError)
}

# Of a command line, which has its own page; of code that no task runs.
ELSEWHERE = ("cli", "emulator")


def template(text: ast.expr) -> str:
    """Return a sentence with three dots for each value in it."""
    match text:
        case ast.Constant(value=str(plain)):
            return plain
        case ast.JoinedStr(values=parts):
            return re.sub(r"\.{3,}", "...", "".join(template(part) for part in parts).replace("`", ""))
        case _:
            return "..."


def raised() -> Iterator[tuple[str, str]]:
    """Yield class and sentence of each error whose sentence stands in the package's code."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.relative_to(PACKAGE).parts[0] not in ELSEWHERE:
            yield from raised_in(ast.parse(file.read_text(encoding="utf-8")), {})


def raised_in(node: ast.AST, known: dict[str, list[ast.expr]]) -> Iterator[tuple[str, str]]:
    """Yield those below a node of the code; a sentence may also be a variable of its function."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        known = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                known.setdefault(inner.targets[0].id, []).append(inner.value)
    if isinstance(node, ast.Call) and node.args:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        given = node.args[0]
        for text in known.get(given.id, []) if isinstance(given, ast.Name) else [given]:
            sentence = template(text)
            if name in ERRORS and len(re.findall(r"\w+", sentence)) > 2:
                yield name, sentence
    for inner in ast.iter_child_nodes(node):
        yield from raised_in(inner, known)


def sections() -> dict[str, str]:
    """Return the sections of the page by the names of the errors."""
    parts = re.split(r"^## `(\w+)`$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[str]:
    """Return the sentences that a section explains."""
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_error_has_a_section_whose_anchor_is_its_name() -> None:
    assert sorted(sections()) == sorted(ERRORS - {"MediaxError"})


def test_every_sentence_stands_in_the_section_of_its_error() -> None:
    explained = {(name, text) for name, section in sections().items() for text in rows(section)}
    assert sorted(set(raised()) - explained) == []


def test_no_sentence_is_explained_that_the_code_does_not_have() -> None:
    code = [ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")]
    known = {template(node) for tree in code for node in ast.walk(tree) if isinstance(node, ast.expr)}
    shown = [text for section in sections().values() for text in rows(section)]
    assert [text for text in shown if text not in known] == []


def test_no_sentence_is_explained_twice_in_a_section() -> None:
    explained = {name: rows(section) for name, section in sections().items()}
    assert {name: sorted(set(texts)) for name, texts in explained.items()} == {
        name: sorted(texts) for name, texts in explained.items()
    }
