"""What a DAG's own tasks use of a result; mypy checks this file as it checks theirs."""

from __future__ import annotations

from typing import Any, assert_type

import pytest
from airflow.sdk import Context, task

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.results import Column, Manifest, Owner, Place, Row, rows, schema
from tests import manifests

OWNER: Owner = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3}
LINE = {"text": "la", "start": 1.0, "end": 2.0, "confidence": 0.8}
COMMON = ["dag_id", "run_id", "task_id", "map_index", "job_id", "input", "capability", "schema_version"]


def manifest(capability: str, result: dict[str, Any], service: str = "mediax") -> Manifest:
    return manifests.manifest(capability, result, of=OWNER, service=service)


def typed_consumer(operator: MusicTagOperator, other: VoiceSeparationOperator, context: Context) -> None:
    """Never called: mypy holds these types."""
    found = operator.execute(context)
    assert_type(found, Manifest)
    assert_type(other.execute(context), Manifest)
    assert_type(found["job_id"], str)
    assert_type(found["files"], list[str])
    assert_type(found["owner"], Owner | None)
    assert_type(found["place"], Place)
    assert_type(rows(found, "another_connection"), list[Row])
    assert_type(schema(found["capability"]).version, int)
    assert_type(schema(found["capability"]).columns, tuple[Column, ...])


def test_a_row_says_whose_job_it_was_and_of_which_input() -> None:
    assert rows(manifest("musicASR", {"lines": [LINE]})) == [
        {
            **OWNER,
            "job_id": "job-1",
            "input": "cos://music-1250000000/in/a.mp3",
            "capability": "musicASR",
            "schema_version": 1,
            "line": 0,
            "text": "la",
            "start_s": 1.0,
            "end_s": 2.0,
            "confidence": 0.8,
        }
    ]


def test_a_job_without_an_owner_has_rows_without_one() -> None:
    alone: Manifest = {**manifest("musicASR", {"lines": [LINE]}), "owner": None}
    (row,) = rows(alone)
    assert [row[name] for name in ("dag_id", "run_id", "task_id", "map_index")] == [None] * 4


def test_rows_of_several_outputs_have_the_columns_and_the_input_of_each() -> None:
    result = {"outputs": [{"lines": [LINE]}, {"a": 1}], "inputs": ["cos://b-1/1", None]}
    first, second = rows(manifest("musicASR,unheardOf", result))
    assert (first["capability"], first["input"], first["text"]) == ("musicASR", "cos://b-1/1", "la")
    assert (second["capability"], second["input"], second["result"]) == ("unheardOf", None, '{"a": 1}')


def test_rows_of_a_job_with_several_outputs_that_is_not_final_are_none() -> None:
    assert rows(manifest("musicASR,musicASR", {})) == []
    assert rows(manifest("musicASR,musicASR", {"outputs": "cut", "inputs": 3})) == []


@pytest.mark.parametrize("given", [{}, {"schema": 2}, None, "text", {"schema": 1, "service": "mediax"}])
def test_what_is_no_manifest_is_refused(given: Any) -> None:
    with pytest.raises(BadRequest, match="manifest="):
        rows(given)


def test_a_service_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="must be one of mediax, cloud_infinite"):
        rows(manifest("musicASR", {}, service="other"))


@pytest.mark.parametrize(
    ("capability", "service", "result"),
    [
        ("musicASR", "mediax", {"lines": [LINE]}),
        ("VoiceSeparate", "cloud_infinite", {"stems": {"voice": "cos://music-1250000000/v.wav"}}),
        ("unheardOf", "mediax", {"a": 1}),
    ],
)
def test_rows_have_the_columns_of_the_schema_in_their_order(
    capability: str, service: str, result: dict[str, Any]
) -> None:
    """``tests/unit/test_every_capability.py`` holds the columns of each capability itself."""
    (row,) = rows(manifest(capability, result, service))
    version, columns = schema(capability)
    assert list(row) == [column.name for column in columns]
    assert list(row)[: len(COMMON)] == COMMON
    assert row["schema_version"] == version


def test_a_name_of_each_service_finds_its_own_schema() -> None:
    own = {name: [column.name for column in schema(name).columns[len(COMMON) :]] for name in ("musicASR", "unheardOf")}
    assert own == {"musicASR": ["line", "text", "start_s", "end_s", "confidence"], "unheardOf": ["result"]}
    assert schema("VoiceSeparate") == schema("musicSeperate") == schema("musicSeparate")


def test_a_task_that_returns_a_manifest_needs_multiple_outputs_false() -> None:
    """Airflow takes the annotation for several XComs, so results.md and the module say what to write."""

    def found() -> Manifest:
        return manifest("musicASR", {})

    inferred: Any = task(found)()
    declined: Any = task(multiple_outputs=False)(found)()
    assert (inferred.operator.multiple_outputs, declined.operator.multiple_outputs) == (True, False)
