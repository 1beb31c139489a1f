"""Templated arguments get their type, or are refused with field, value and rule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs import arguments
from airflow_provider_mediax.protocol.capabilities import MusicBeat, MusicTag


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
    ],
)
def test_rendered_text_gets_its_type(read, given, expected):
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
def test_what_has_no_such_type_is_refused_by_name(read, given):
    with pytest.raises(BadRequest, match=r"^the_field=.* is refused: it must be"):
        read("the_field", given)


def test_a_word_outside_the_choices_is_refused():
    assert arguments.as_choice("on_clear", "reuse", ("rerun", "reuse")) == "reuse"
    with pytest.raises(BadRequest, match="on_clear='again' is refused: it must be one of rerun, reuse"):
        arguments.as_choice("on_clear", "again", ("rerun", "reuse"))


def test_a_capability_is_made_of_rendered_arguments_and_its_own_defaults():
    given = {"enlarge_level": "6", "split_num": "None", "path": "not an argument of the request"}
    assert arguments.as_capability(MusicBeat, given) == MusicBeat(enlarge_level=6, split_num=None)
    assert arguments.as_capability(MusicTag, {"tag_types": "['mood']"}) == MusicTag(tag_types=["mood"])
    with pytest.raises(BadRequest, match="enlarge_level"):
        arguments.as_capability(MusicBeat, {"enlarge_level": "7"})
