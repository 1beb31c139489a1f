"""Templated arguments get their type, or are refused with field, value and rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_mediax import arguments
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicBeat, MusicTag


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        (arguments.as_float, "0.25", 0.25),
        (arguments.as_float, 3, 3.0),
        (arguments.as_seconds, timedelta(minutes=1), 60.0),
        (arguments.as_int, "4", 4),
        (arguments.as_int, 4.0, 4),
        (arguments.as_optional_int, None, None),
        (arguments.as_optional_int, "None", None),
        (arguments.as_optional_int, "", None),
        (arguments.as_optional_int, "7", 7),
        (arguments.as_optional_float, "None", None),
        (arguments.as_optional_float, "1.5", 1.5),
        (arguments.as_optional_bool, None, None),
        (arguments.as_optional_bool, "None", None),
        (arguments.as_optional_bool, True, True),
        (arguments.as_optional_bool, "False", False),
        (arguments.as_optional_bool, " true ", True),
        (arguments.as_text, "x", "x"),
        (arguments.as_text, None, None),
        (arguments.as_text, 12, "12"),
        (arguments.as_texts, "all", "all"),
        (arguments.as_texts, "['a', 'b']", ["a", "b"]),
        (arguments.as_texts, '["a", "b"]', ["a", "b"]),
        (arguments.as_texts, ("a", "b"), ["a", "b"]),
        (arguments.as_object, "{'a': 1}", {"a": 1}),
        (arguments.as_object, '{"a": null}', {"a": None}),
        (arguments.as_objects, "[{'a': 1}]", [{"a": 1}]),
        (arguments.as_seconds, "5", 5.0),
        (arguments.as_seconds, timedelta(days=3650), 315_360_000.0),
        (arguments.as_whole_seconds, timedelta(minutes=10), 600),
        (arguments.as_whole_seconds, "None", None),
        (arguments.as_float, Decimal("0.1"), 0.1),
        (arguments.as_float, " 1e3 ", 1000.0),
        (arguments.as_float, Fraction(1, 2), 0.5),
        (arguments.as_int, "9007199254740993", 9007199254740993),
        (arguments.as_int, 9007199254740993, 9007199254740993),
        (arguments.as_int, Decimal("12.0"), 12),
        (arguments.as_int, "1e3", 1000),
        (arguments.as_int, "-5.0", -5),
        (arguments.as_optional_bool, 1, True),
        (arguments.as_optional_bool, 0, False),
        (arguments.as_texts, {"mood", "bgm", "vocal"}, ["bgm", "mood", "vocal"]),
        (arguments.as_text, "[Live].mp3", "[Live].mp3"),
        (arguments.as_text, 2**63 - 1, "9223372036854775807"),
        (arguments.as_text, 1 - 2**63, "-9223372036854775807"),
        (arguments.as_seconds, 0.5, 0.5),
        (arguments.as_int, "0" * 399 + "7", 7),
        (arguments.as_object, '\n {"a": 1}\n', {"a": 1}),
        (arguments.as_objects, "({'a': 1},)", [{"a": 1}]),
        (arguments.as_texts, " ['a']", ["a"]),
        (arguments.as_texts, "(1)", "(1)"),  # the name of a file, for example
    ],
)
def test_rendered_text_gets_its_type(read: Callable[..., Any], given: Any, expected: Any) -> None:
    assert read("field", given) == expected


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (arguments.as_float, "fast"),
        (arguments.as_float, "nan"),
        (arguments.as_float, "inf"),
        (arguments.as_float, True),
        (arguments.as_float, None),
        (arguments.as_int, "3.5"),
        (arguments.as_int, ""),
        (arguments.as_optional_int, "many"),
        (arguments.as_optional_bool, "yes"),
        (arguments.as_optional_bool, 2),
        (arguments.as_optional_bool, 1.0),
        (arguments.as_optional_bool, "{{ params.sieve }}"),
        (arguments.as_float, timedelta(seconds=1)),
        (arguments.as_float, 10**400),
        (arguments.as_float, "1e400"),
        (arguments.as_float, "1_000"),
        (arguments.as_float, "１２"),
        (arguments.as_float, "0x10"),
        (arguments.as_float, Decimal("NaN")),
        (arguments.as_float, 1j),
        (arguments.as_float, object()),
        (arguments.as_float, b"1"),
        (arguments.as_float, "9" * 5000),
        (arguments.as_int, 10**400),
        (arguments.as_int, -(2**63)),
        (arguments.as_int, "1e400"),
        (arguments.as_int, "1_000"),
        (arguments.as_int, "٣"),
        (arguments.as_int, True),
        (arguments.as_int, 3.5),
        (arguments.as_int, float("inf")),
        (arguments.as_int, float("nan")),
        (arguments.as_int, timedelta(seconds=3)),
        (arguments.as_int, [3]),
        (arguments.as_text, True),
        (arguments.as_text, 10**400),
        (arguments.as_text, 2**63),
        (arguments.as_text, -(2**63)),
        (arguments.as_int, "0" * 400 + "7"),
        (arguments.as_text, b"a"),
        (arguments.as_texts, [1]),
        (arguments.as_texts, {"a": 1}),
        (arguments.as_object, "{[]: 1}"),
        (arguments.as_object, "[" * 100_000),
        (arguments.as_object, "{'a': \x00}"),
        (arguments.as_object, "{" * 3000),
        (arguments.as_object, "{'a': " + "-" * 100_000 + "1}"),
        (arguments.as_seconds, 1e12),
        (arguments.as_seconds, "1e12"),
        (arguments.as_seconds, "inf"),
        (arguments.as_seconds, True),
        (arguments.as_seconds, timedelta(days=4000)),
        (arguments.as_seconds, timedelta(seconds=-1)),
        (arguments.as_whole_seconds, "1.5"),
        (arguments.as_whole_seconds, 1e12),
        (arguments.as_whole_seconds, timedelta(milliseconds=1500)),
        (arguments.as_optional_float, "much"),
        (arguments.as_text, ["x"]),
        (arguments.as_texts, 3),
        (arguments.as_object, "[1]"),
        (arguments.as_object, "text"),
        (arguments.as_objects, "{}"),
        (arguments.as_objects, "[1]"),
        (arguments.as_seconds, 0),
        (arguments.as_seconds, -1),
    ],
)
def test_what_has_no_such_type_is_refused_by_name(read: Any, given: Any) -> None:
    with pytest.raises(BadRequest, match=r"^the_field=.* is refused: it must be"):
        read("the_field", given)


@pytest.mark.parametrize(
    ("read", "given", "shown", "rule"),
    [
        (arguments.as_float, "fast", "'fast'", "it must be a number."),
        (arguments.as_int, "many", "'many'", "it must be a whole number."),
        (arguments.as_int, 3.5, "3.5", "it must be a whole number."),
        (arguments.as_seconds, 0, "0", "it must be a positive number of seconds, at most ten years."),
        (
            arguments.as_seconds,
            timedelta(0),
            "'0:00:00'",
            "it must be a positive number of seconds, at most ten years.",
        ),
        (arguments.as_text, ["x"], "['x']", "it must be text."),
        (arguments.as_text, 2**63, "9223372036854775808", "it must be text."),
        (arguments.as_texts, 3, "3", "it must be text or a list of texts."),
        (arguments.as_object, "text", "'text'", "it must be an object."),
        (arguments.as_objects, "{}", "'{}'", "it must be a list of objects."),
        (lambda name, value: arguments.as_addresses(name, value, "c"), [], "[]", "it must be a key or a list of keys."),
    ],
)
def test_a_refusal_names_the_field_its_value_and_the_rule(
    read: Callable[..., Any], given: Any, shown: str, rule: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read("field", given)
    assert refused.value.what == f"field={shown} is refused: {rule}"


def test_a_word_outside_the_choices_is_refused() -> None:
    assert arguments.as_choice("on_clear", "reuse", ("rerun", "reuse")) == "reuse"
    with pytest.raises(BadRequest, match="on_clear='again' is refused: it must be one of rerun, reuse"):
        arguments.as_choice("on_clear", "again", ("rerun", "reuse"))


def test_a_capability_is_made_of_rendered_arguments_and_its_own_defaults() -> None:
    given = {"enlarge_level": "6", "split_num": "None", "path": "not an argument of the request"}
    assert arguments.as_capability(MusicBeat, given) == MusicBeat(enlarge_level=6, split_num=None)
    assert arguments.as_capability(MusicTag, {"tag_types": "['mood']"}) == MusicTag(tag_types=["mood"])
    with pytest.raises(BadRequest, match="enlarge_level"):
        arguments.as_capability(MusicBeat, {"enlarge_level": "7"})


class TestBooleans:
    @pytest.mark.parametrize("default", [True, False])
    def test_none_is_the_default(self, default: bool) -> None:
        assert arguments.as_bool("deferrable", None, default) is default

    @pytest.mark.parametrize("value", [True, 1, "true", "True", "TRUE", " true "])
    def test_true_is_true(self, value: bool | int | str) -> None:
        assert arguments.as_bool("deferrable", value, False) is True

    @pytest.mark.parametrize("value", [False, 0, "false", "False", "FALSE"])
    def test_false_is_false_also_as_a_text(self, value: bool | int | str) -> None:
        assert arguments.as_bool("retry_failed_jobs", value, True) is False

    @pytest.mark.parametrize(
        "value",
        ["", "None", "yes", "no", "on", "off", 2, -1, 1.0, 0.0, [], {}, b"true", "{{ var.value.retry }}"],
    )
    def test_anything_else_is_refused(self, value: Any) -> None:
        with pytest.raises(BadRequest, match=r"^retry_failed_jobs=.* is refused: it must be true or false"):
            arguments.as_bool("retry_failed_jobs", value, True)

    def test_what_another_task_is_to_return_is_refused(self) -> None:
        with DAG("booleans"):
            returned = MusicTagOperator(task_id="t", path="a").output
        with pytest.raises(BadRequest, match=r"^deferrable='PlainXComArg' is refused"):
            arguments.as_bool("deferrable", returned, False)


class TestIdempotencyKey:
    @pytest.mark.parametrize("value", ["", " ", "None", "[]", "{}", "nan", " nan ", "a\ud800", [], {}, True, math.nan])
    def test_an_accident_of_rendering_is_no_key(self, value: Any) -> None:
        with pytest.raises(BadRequest, match=r"^idempotency_key=.* is refused: "):
            arguments.as_idempotency_key(value)

    @pytest.mark.parametrize(
        ("value", "rule"),
        [("", "it must not be empty."), ("[]", "this is what a template makes of a value that is missing.")],
    )
    def test_the_refusal_says_why_and_what_to_do(self, value: str, rule: str) -> None:
        with pytest.raises(BadRequest) as refused:
            arguments.as_idempotency_key(value)
        assert refused.value.what == f"idempotency_key={value!r} is refused: {rule} Leave it out, or give a key."

    @pytest.mark.parametrize("value", ["none", "a b", "[1]", "nan-1", "{}x", "天", "a/../b", "\n1"])
    def test_any_other_text_is_a_key_as_it_stands(self, value: str) -> None:
        assert arguments.as_idempotency_key(value) == value

    def test_it_may_be_a_number_or_missing(self) -> None:
        assert arguments.as_idempotency_key(None) is None
        assert arguments.as_idempotency_key(20261126) == "20261126"


class TestAddresses:
    PATH = ObjectStoragePath("cos://mine@music-1/in/a b.mp3")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (PATH, "cos://music-1/in/a b.mp3"),
            (str(PATH), "cos://music-1/in/a b.mp3"),
            (ObjectStoragePath("cos://music-1/a", conn_id="mine"), "cos://music-1/a"),
            (ObjectStoragePath("cos://music-1/a"), "cos://music-1/a"),
            ("cos://music-1/a?b#c", "cos://music-1/a?b#c"),
            ("https://u@h/a", "https://u@h/a"),
            ("in/a@b.mp3", "in/a@b.mp3"),
            (ObjectStoragePath("file:///tmp/a"), "file:///tmp/a"),
            ("None", None),
            (None, None),
        ],
    )
    def test_an_address_loses_the_id_of_the_tasks_connection(
        self, value: ObjectStoragePath | str | None, expected: str | None
    ) -> None:
        assert arguments.as_address("url", value, "mine") == expected

    @pytest.mark.parametrize("value", [PATH, str(PATH), Path("/a"), ["cos://music-1/a"], b"cos://music-1/a"])
    def test_another_connection_or_another_type_is_refused(self, value: Any) -> None:
        with pytest.raises(BadRequest, match=r"^url=.* is refused: it (names the connection mine|must be text)"):
            arguments.as_address("url", value, "another")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("a.mp3", ["a.mp3"]),
            (PATH, ["cos://music-1/in/a b.mp3"]),
            ([PATH, "b"], ["cos://music-1/in/a b.mp3", "b"]),
            ("['cos://mine@music-1/a', 'b']", ["cos://music-1/a", "b"]),
            ("[Live] a.mp3", ["[Live] a.mp3"]),
            ({"b", 1, "a"}, ["1", "a", "b"]),
        ],
    )
    def test_several_addresses_are_read_one_by_one(self, value: Any, expected: list[str]) -> None:
        assert arguments.as_addresses("key", value, "mine") == expected

    @pytest.mark.parametrize("value", ["", None, [], [""], [None], "[]", {"a": 1}, [PATH, "cos://theirs@music-1/a"]])
    def test_none_or_a_wrong_one_among_several_is_refused(self, value: dict[str, int] | list[Any] | str | None) -> None:
        with pytest.raises(BadRequest, match=r"^key=.* is refused: "):
            arguments.as_addresses("key", value, "mine")


def test_a_word_that_is_nearly_a_choice_is_suggested() -> None:
    with pytest.raises(BadRequest, match=r"it must be one of rerun, reuse\. Did you mean rerun\?"):
        arguments.as_choice("on_clear", "Re-run", ("rerun", "reuse"))


@pytest.mark.parametrize("value", [None, 1, ["rerun"], "{{ x }}", "x" * 100_000, "\ud800"])
def test_what_is_no_word_is_no_choice(value: int | list[str] | str | None) -> None:
    with pytest.raises(BadRequest, match=r"^on_clear=.* is refused: it must be one of rerun, reuse"):
        arguments.as_choice("on_clear", value, ("rerun", "reuse"))


def test_a_refused_number_of_any_size_is_shown_in_few_words() -> None:
    with pytest.raises(BadRequest) as refused:
        arguments.as_int("bitrate", 10**6000)
    assert refused.value.what == "bitrate='a number with more than 30 digits' is refused: it must be a whole number."
