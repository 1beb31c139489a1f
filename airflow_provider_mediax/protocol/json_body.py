"""JSON that came from outside: decoded strictly, and fit to be stored as JSON anywhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_mediax.exceptions import ProtocolError

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.exchange import JsonObject

MAX_DEPTH = 100
"""Deepest nesting of an answer: far above any answer seen, far below where reading it would exhaust the stack."""

_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000|.)", re.DOTALL)


def parse_json(body: bytes, where: str) -> Any:
    """
    Decode JSON strictly; what it returns can be stored as JSON anywhere.

    Half a surrogate pair, as a service makes it that cuts text in the middle of a character, and the character zero
    are replaced: databases refuse them, and the result around them was paid for.

    :raises ProtocolError: the body is not JSON (``NaN`` is not), nested beyond reason, or not text.
    """
    try:
        decoded = body.decode(json.detect_encoding(body))
        if "\\u" in decoded and any(mark in decoded for mark in ("\\ud", "\\uD", "\\u0000")):
            decoded = _ESCAPE.sub(_whole_character, decoded)
        read = json.loads(decoded.removeprefix("\ufeff"), parse_float=_finite, parse_constant=_finite)
        if decoded.count("[") + decoded.count("{") > MAX_DEPTH and _too_deep(read):
            raise RecursionError
        return read
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{where} is not JSON ({len(body)} bytes, {type(error).__name__})") from None


def member(value: object, name: str) -> JsonObject:
    """Return the JSON object under ``name``, or an empty one: a missing member reads as its zero value."""
    inner = value.get(name) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, dict) else {}


def text(value: object) -> str | None:
    """Return a scalar as text, whether the service sent it as a string or as a number; anything else is None."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def objects(value: object) -> list[JsonObject]:
    """Return the JSON objects of an array; a lone object counts as an array of one, anything else as empty."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _whole_character(escape: re.Match[str]) -> str:
    written = escape.group()
    return r"\ufffd" if len(written) == 6 else written


def _finite(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise ValueError("no number that JSON knows")
    return value


def _too_deep(value: object) -> bool:
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True
