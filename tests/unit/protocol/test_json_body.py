from __future__ import annotations

import pytest

from airflow_provider_mediax.protocol.json_body import member, objects, text


@pytest.mark.parametrize(
    ("value", "read"),
    [("a", "a"), ("", None), (1, "1"), (0, "0"), (0.5, "0.5"), (None, None), (True, None), ([], None), ({}, None)],
)
def test_text_is_read_from_any_scalar(value: object, read: str | None) -> None:
    assert text(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ([{"a": 1}, {}], [{"a": 1}, {}]),
        ({"a": 1}, [{"a": 1}]),
        ([1, None, {"a": 1}, []], [{"a": 1}]),
        (None, []),
        ("text", []),
        (3, []),
    ],
)
def test_objects_are_read_from_arrays_and_lone_objects(value: object, read: list[object]) -> None:
    assert objects(value) == read


@pytest.mark.parametrize("value", [None, [], "job", {"job": None}, {"job": []}, {"other": {}}])
def test_missing_member_reads_as_empty(value: object) -> None:
    assert member(value, "job") == {}
