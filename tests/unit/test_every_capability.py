"""No capability can be merged half: operator, request, result, emulator, docs, example and a row of the table."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.emulator.mediax.capabilities import ANSWERS
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators import music
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music_base import MediaxOperator
from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES
from airflow_provider_mediax.protocol.mediax.capabilities.base import REQUIRED
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys, read_job
from airflow_provider_mediax.protocol.mediax.request import MediaxRequest, Repository
from airflow_provider_mediax.protocol.mediax.results import read_result
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from airflow_provider_mediax.protocol.rows import COMMON
from airflow_provider_mediax.protocol.service import Prepared
from airflow_provider_mediax.results import schema
from tests.capability_cases import CASES, Case, label
from tests.unit.protocol.helpers import repositories, rows_of, wired

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [*(ROOT / "docs" / "snippets").glob("*.py"), *(ROOT / "dags").glob("*.py")]
OPERATORS = {
    operator.computes.name: operator
    for operator in vars(music).values()
    if inspect.isclass(operator) and issubclass(operator, MediaxOperator) and hasattr(operator, "computes")
}
REPOSITORY = Repository(content_id="repository", bucket="music-1")
PLATFORM = MediaxService(Gateway(base_url="http://x", platform_keys=PlatformKeys("id", "key")), REPOSITORY)

by_capability = pytest.mark.parametrize("name", CAPABILITIES)
by_case = pytest.mark.parametrize("case", CASES, ids=label)


@by_capability
def test_a_capability_has_everything_that_belongs_to_it(name: str) -> None:
    operator = OPERATORS[name].__name__
    pages = {page: (ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("operators.md", "results.md")}
    missing = {
        "answer of the emulator": name in ANSWERS,
        "section of docs/operators.md": f"\n### `{operator}`\n" in pages["operators.md"],
        "section of docs/results.md": re.search(rf"^## .*`{name}`", pages["results.md"], re.MULTILINE),
        "example DAG": any(f" {operator}(" in file.read_text(encoding="utf-8") for file in EXAMPLES),
        "row of the test table": any(case.name == name for case in CASES),
        "row of the README": f"| `{name}` | `{operator}` |" in (ROOT / "README.md").read_text(encoding="utf-8"),
    }
    assert [what for what, found in missing.items() if not found] == []


def test_nothing_has_a_place_without_being_a_capability() -> None:
    assert set(ANSWERS) == set(OPERATORS) == set(CAPABILITIES)
    assert {case.name for case in CASES} == set(CAPABILITIES)


@by_capability
def test_an_operator_takes_the_fields_of_its_request_with_their_defaults(name: str) -> None:
    operator, request = OPERATORS[name], CAPABILITIES[name]
    own = inspect.signature(vars(operator).get("__init__", lambda: None)).parameters.values()
    taken = {
        one.name: REQUIRED if one.default is one.empty else one.default for one in own if one.kind is one.KEYWORD_ONLY
    }
    assert taken == {field: known.default for field, known in request.fields.items()}
    assert set(operator.template_fields) >= {*taken, *JobOperator.template_fields}


@by_capability
def test_an_operator_keeps_what_it_is_given_until_it_runs(name: str) -> None:
    """Nothing is looked at before it is rendered."""
    given: dict[str, Any] = {field: f"{{{{ {field} }}}}" for field in CAPABILITIES[name].fields}
    operator = OPERATORS[name](task_id="t", **given)
    assert {argument: getattr(operator, argument) for argument in given} == given


@by_case
def test_arguments_become_the_documented_parameters(case: Case) -> None:
    body = wired(case.operate().build_request(), REPOSITORY)
    (output,) = body["outputs"]
    assert output["smartContentDescriptor"] == {case.name: case.sent}
    files = case.row.get("file") is not None
    place = {"contentId": "repository", "destination": "/mediax/m/"} if files else {}
    selectors = {"inputSelectors": [0]} if case.input else {}
    assert {
        member: value for member, value in output.items() if member != "smartContentDescriptor"
    } == place | selectors
    assert len(body.get("inputs", [])) == len(case.input)


def prepared(operator: MediaxOperator) -> Prepared[MediaxRequest]:
    """Take an operator as far as it goes before anything is sent."""
    return replace(PLATFORM, cos_bucket=operator._cos_bucket()).prepare(operator.build_request())


REFUSALS = [(case, changes, field) for case in CASES for changes, field in case.refused]


@pytest.mark.parametrize(
    ("case", "changes", "field"), REFUSALS, ids=[f"{label(case)}-{changes}"[:80] for case, changes, _ in REFUSALS]
)
def test_bad_input_is_refused_by_field(case: Case, changes: dict[str, Any], field: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        prepared(case.operate(**changes))
    if field is None:
        assert caught.value.what.startswith("Give ")
        assert "; got " in caught.value.what
    else:
        assert caught.value.what.startswith(f"{field}=")
        assert " is refused: " in caught.value.what


@by_case
def test_a_capability_has_at_least_three_refusals(case: Case) -> None:
    assert len(case.refused) >= 3


@by_case
def test_an_answer_becomes_rows_of_its_schema(case: Case) -> None:
    output = {"smartContentDescriptor": {case.name: case.sent}, "smartContentResult": case.answer}
    view = read_result(read_job({"id": "1", "state": 3, "outputs": [output]}, "GetJob"), repositories({}))
    row, *_ = rows_of(view.capability, view.result)
    assert row == {"capability": case.name, "schema_version": 1, **case.row}


@by_case
def test_the_columns_of_a_capability_are_named_and_typed_by_its_schema(case: Case) -> None:
    types = {"text": str, "integer": int, "number": float}
    own = schema(case.name).columns[len(COMMON) :]
    assert own
    assert list(case.row) == [column.name for column in own]
    for column in own:
        assert case.row[column.name] is None or isinstance(case.row[column.name], types[column.type])
        assert column.meaning
