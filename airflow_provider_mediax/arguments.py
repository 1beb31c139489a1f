"""Templated arguments arrive as text; here they get their type, or are refused with field, value and rule."""

from __future__ import annotations

import ast
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeVar

from airflow_provider_mediax.protocol.mediax.capabilities import Capability
from airflow_provider_mediax.protocol.names import MOST_SECONDS, accident, check, check_choice, own_address, refused

C = TypeVar("C", bound=Capability)

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_MOST_DIGITS = 400
"""Longest text of a number that is read."""

_DESCRIBED = re.compile(r"^:param (\w+):.*(?:\n +.*)*", re.MULTILINE)
"""What a docstring says of an argument."""


def as_float(name: str, value: object) -> float:
    """Return a finite number, from a number or the text that a template makes of one."""
    try:
        number = float(_number(value))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise refused(name, value, "it must be a number.")
    return number


def as_int(name: str, value: object) -> int:
    """Return a whole number; ``3.0`` counts, ``3.5`` does not."""
    try:
        number = _number(value)
        whole = int(number)
    except (TypeError, ValueError, OverflowError):
        raise refused(name, value, "it must be a whole number.") from None
    if whole != number or abs(whole) >= 2**63:
        raise refused(name, value, "it must be a whole number.")
    return whole


def as_optional_int(name: str, value: object) -> int | None:
    """Return a whole number, or None for None and for what a template renders None to."""
    return None if is_absent(value) else as_int(name, value)


def as_optional_float(name: str, value: object) -> float | None:
    """Return a finite number, or None for None and for what a template renders None to."""
    return None if is_absent(value) else as_float(name, value)


def as_bool(name: str, value: object, default: bool) -> bool:
    """
    Return true or false: of a boolean, of 1 and 0, and of the words true and false in any case.

    Nothing else is taken for one of them, because every text that is not empty counts as true in Python: neither
    ``"no"`` nor a template that was not rendered nor what another task is to return.

    :param default: what None stands for.
    """
    if value is None:
        return default
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    said = value.strip().lower() if isinstance(value, str) else None
    if said not in ("true", "false"):
        raise refused(name, value, "it must be true or false.")
    return said == "true"


def as_optional_bool(name: str, value: object) -> bool | None:
    """Return true or false as :func:`as_bool`, or None for None and for what a template renders None to."""
    return None if is_absent(value) else as_bool(name, value, False)


def as_seconds(name: str, value: object) -> float:
    """Return a positive number of seconds, at most ten years, also from a ``timedelta``."""
    rule = "it must be a positive number of seconds, at most ten years."
    seconds = value.total_seconds() if isinstance(value, timedelta) else as_float(name, value)
    if not 0 < seconds <= MOST_SECONDS:
        raise refused(name, str(value) if isinstance(value, timedelta) else value, rule)
    return seconds


def as_whole_seconds(name: str, value: object) -> int | None:
    """Return a whole number of seconds as :func:`as_seconds`, or None for what is absent."""
    return None if is_absent(value) else as_int(name, as_seconds(name, value))


def as_text(name: str, value: object) -> str | None:
    """Return text, or None for None and for what a template renders None to."""
    if is_absent(value):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise refused(name, value, "it must be text.")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise refused(name, value, "it must be text.")
    return str(value)


def as_name(name: str, value: object) -> str | None:
    """Return text as :func:`as_text` does, if it is what a field of this name allows."""
    text = as_text(name, value)
    if text is not None:
        check(name, text)
    return text


def as_address(name: str, value: object, conn_id: str) -> str | None:
    """
    Return a text that may be an address, also of an ``ObjectStoragePath``; None as :func:`as_text`.

    ``cos://conn_id@bucket/key`` loses the connection's id.

    :param conn_id: this task's connection.
    :raises BadRequest: the address names another connection, or no object.
    """
    said = str(value) if _is_storage_path(value) else as_text(name, value)
    address = own_address(name, said, conn_id) if said is not None else None
    return str(address) if address else said


def as_addresses(name: str, value: object, conn_id: str) -> list[str]:
    """Return one or several of what :func:`as_address` returns; there must be at least one, and no empty one."""
    several = value if _is_storage_path(value) else _listed(value)
    items = several if isinstance(several, list) else [several]
    texts = [as_address(name, item, conn_id) for item in items]
    if not texts or not all(texts):
        raise refused(name, value, "it must be a key or a list of keys.")
    return [text for text in texts if text]


def as_idempotency_key(value: object) -> str | None:
    """
    Return the key, None if none is given.

    :raises BadRequest: its whole text is what a template makes of a value that is missing. All tasks to which that
        happens would share one job.
    """
    if value is None:
        return None
    text = value if is_absent(value) else as_text("idempotency_key", value)
    if rule := accident(str(text)):
        raise refused("idempotency_key", value, f"{rule} Leave it out, or give a key.")
    return str(text)


def as_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return one of a few words."""
    check_choice(name, value, choices)
    return str(value)


def as_object(name: str, value: object) -> dict[str, Any]:
    """Return a JSON object, also from the text that a template makes of one."""
    parsed = parsed_literal(value)
    if not isinstance(parsed, Mapping):
        raise refused(name, value, "it must be an object.")
    return dict(parsed)


def as_objects(name: str, value: object) -> list[dict[str, Any]]:
    """Return a list of JSON objects, also from the text that a template makes of one."""
    parsed = parsed_literal(value)
    if not isinstance(parsed, (list, tuple)):
        raise refused(name, value, "it must be a list of objects.")
    return [as_object(name, item) for item in parsed]


def as_texts(name: str, value: object) -> str | list[str]:
    """Return text as it is, or a list of texts, also from the text that a template makes of one."""
    parsed = _listed(value)
    if not isinstance(parsed, (str, list)) or not all(isinstance(item, str) for item in parsed):
        raise refused(name, value, "it must be text or a list of texts.")
    return parsed


def is_absent(value: object) -> bool:
    """Tell whether an optional argument was not given; a template renders None to ``"None"``, nothing to ``""``."""
    return value is None or (isinstance(value, str) and value in ("", "None"))


def parsed_literal(value: object) -> object:
    """Read the JSON or Python literal that a template makes of an object; any other text stays as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[", "(")):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return value


def _number(value: object) -> Any:
    """Return the number that a value or its text is; the text holds digits from 0 to 9 alone, no underscore."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _MOST_DIGITS or not _NUMBER.fullmatch(text):
            raise ValueError
        return Decimal(text)
    if isinstance(value, bool) or not isinstance(value, (Integral, Real, Decimal)):
        raise TypeError
    return value


def _listed(value: object) -> object:
    """Return the items of what is a list, or the text of one, in an order that is the same in every process."""
    parsed = parsed_literal(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    if isinstance(parsed, (set, frozenset)):
        return sorted(parsed, key=str)
    return list(parsed) if isinstance(parsed, tuple) else parsed


def _is_storage_path(value: object) -> bool:
    """Tell whether it is an ``ObjectStoragePath``, without importing that class for everything else."""
    return any(kind.__name__ == "ObjectStoragePath" for kind in type(value).__mro__)


READERS: Mapping[str, Callable[[str, object], object]] = {
    "int": as_int,
    "int | None": as_optional_int,
    "float": as_float,
    "float | None": as_optional_float,
    "bool | None": as_optional_bool,
    "str": as_text,
    "str | None": as_text,
    "str | int": as_text,
    "str | int | None": as_text,
    "str | Sequence[str]": as_texts,
}
"""How rendered text becomes an argument, by the annotation of the request's field."""


def as_capability(kind: type[C], given: Mapping[str, object]) -> C:
    """
    Make a typed request from arguments as they were rendered.

    :param given: an argument for each field that is not to have its default; others are ignored.
    :raises BadRequest: an argument cannot be read, or breaks a rule of the capability.
    """
    fields = kind.fields.items()
    return kind(**{name: READERS[field.type](name, given[name]) for name, field in fields if name in given})


def describe_inherited(kind: type, root: type) -> None:
    """
    Describe the arguments of the bases in the docstring of a class, too: ``help`` shows no other text about them.

    :param root: the class up to which this is done.
    """
    above = next((base for base in kind.__mro__[1:] if issubclass(base, root) and base.__doc__), None)
    if above is None or kind.__doc__ is None:  # Python runs without docstrings, or help shows the base's
        return
    own = inspect.cleandoc(kind.__doc__)
    described = list(_DESCRIBED.finditer(own))
    names = {found[1] for found in described}
    inherited = [
        found[0] for found in _DESCRIBED.finditer(inspect.cleandoc(above.__doc__ or "")) if found[1] not in names
    ]
    end = described[-1].end() if described else len(own)
    kind.__doc__ = "\n".join((own[:end] + ("" if described else "\n"), *inherited)) + own[end:]
