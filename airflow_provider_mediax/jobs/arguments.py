"""Templated arguments arrive as text; here they get their type, or are refused with field, value and rule."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, TypeVar, get_type_hints

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.capabilities import Capability

C = TypeVar("C", bound=Capability)


def as_float(name: str, value: object) -> float:
    """Return a finite number."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # refused below
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadRequest.field(name, value, "it must be a number.")
    return number


def as_int(name: str, value: object) -> int:
    """Return a whole number; ``3.0`` counts, ``3.5`` does not."""
    number = as_float(name, value)
    if number != int(number):
        raise BadRequest.field(name, value, "it must be a whole number.")
    return int(number)


def as_optional_int(name: str, value: object) -> int | None:
    """Return a whole number, or None for None and for what a template renders None to."""
    return None if is_absent(value) else as_int(name, value)


def as_optional_float(name: str, value: object) -> float | None:
    """Return a finite number, or None for None and for what a template renders None to."""
    return None if is_absent(value) else as_float(name, value)


def as_optional_bool(name: str, value: object) -> bool | None:
    """Return true or false, also from the text that a template makes of them, or None for none of them."""
    if is_absent(value):
        return None
    said = str(value).strip().lower()
    if said not in ("true", "false"):
        raise BadRequest.field(name, value, "it must be true or false.")
    return said == "true"


def as_bool(name: str, value: object, default: bool) -> bool:
    """Return true or false; None is the default."""
    said = as_optional_bool(name, value)
    return default if said is None else said


def as_key(name: str, value: object) -> str | None:
    """Return a key, None if there is none."""
    if is_absent(value) and value is not None:
        raise BadRequest.field(name, value, "leave it out, or give a key.")
    return as_text(name, value)


def as_seconds(name: str, value: object) -> float:
    """Return a positive number of seconds."""
    seconds = as_float(name, value)
    if seconds <= 0:
        raise BadRequest.field(name, value, "it must be a positive number of seconds.")
    return seconds


def as_text(name: str, value: object) -> str | None:
    """Return text, or None for None and for what a template renders None to."""
    if is_absent(value):
        return None
    if not isinstance(value, (str, int, float)):
        raise BadRequest.field(name, type(value).__name__, "it must be text.")
    return str(value)


def as_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return one of a few words."""
    if value not in choices:
        raise BadRequest.field(name, value, f"it must be one of {', '.join(choices)}.")
    return str(value)


def as_object(name: str, value: object) -> dict[str, Any]:
    """Return a JSON object, also from the text that a template makes of one."""
    parsed = parsed_literal(value)
    if not isinstance(parsed, Mapping):
        raise BadRequest.field(name, value, "it must be an object.")
    return dict(parsed)


def as_objects(name: str, value: object) -> list[dict[str, Any]]:
    """Return a list of JSON objects, also from the text that a template makes of one."""
    parsed = parsed_literal(value)
    if not isinstance(parsed, (list, tuple)):
        raise BadRequest.field(name, value, "it must be a list of objects.")
    return [as_object(name, item) for item in parsed]


def as_texts(name: str, value: object) -> str | list[str]:
    """Return text as it is, or a list of texts, also from the text that a template makes of one."""
    parsed = parsed_literal(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    if isinstance(parsed, (list, tuple, set, frozenset)):
        return [str(item) for item in parsed]
    if not isinstance(parsed, str):
        raise BadRequest.field(name, value, "it must be text or a list of texts.")
    return parsed


def is_absent(value: object) -> bool:
    """Tell whether an optional argument was not given; a template renders None to ``"None"``, nothing to ``""``."""
    return value is None or value in ("", "None")


def parsed_literal(value: object) -> object:
    """Read the JSON or Python literal that a template makes of an object; any other text stays as it is."""
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError, RecursionError):
            continue
    return value


_READERS: Mapping[object, Callable[[str, object], object]] = {
    int: as_int,
    int | None: as_optional_int,
    float: as_float,
    float | None: as_optional_float,
    bool | None: as_optional_bool,
    str | Sequence[str]: as_texts,
}
"""How rendered text becomes an argument, by the type of the request's field; every other field is text."""


def as_capability(kind: type[C], given: Mapping[str, object]) -> C:
    """
    Make a typed request from arguments as they were rendered.

    :param given: an argument for each field that is not to have its default; others are ignored.
    :raises BadRequest: an argument cannot be read, or breaks a rule of the capability.
    """
    types = get_type_hints(kind)
    names = [field.name for field in fields(kind) if field.name in given]
    return kind(**{name: _READERS.get(types[name], as_text)(name, given[name]) for name in names})
