"""The fields of a connection of type ``mediax``, and how they are read from a file: what is not known is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from airflow.models.connection import Connection

from airflow_provider_mediax.cli.connections import PLATFORM_NAMES
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.connection import DEFAULTS
from airflow_provider_mediax.provider_info import get_provider_info

Value: TypeAlias = str | int | float | bool

STANDARD = ("host", "port", "login", "password", "description")
"""Fields that Airflow's connections have by themselves; all others are stored in the extra."""

AIRFLOWS_OWN = ("conn_id", "conn_type", "extra")
"""What a connection has in a file beside its fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """
    A field of the connection.

    :param label: what the form calls it.
    :param hidden: whether it is a secret.
    :param default: what counts where it is not set; it is never stored.
    :param kind: of its value: ``string``, ``number`` or ``boolean``.
    """

    label: str
    hidden: bool = False
    default: Value | None = None
    kind: str = "string"


def _fields() -> dict[str, Field]:
    """Return the fields as the form has them, in its order."""
    (form,) = get_provider_info()["connection-types"]
    labels = form["ui-field-behaviour"]["relabeling"]
    fields = {
        "host": Field(label=labels["host"], default=DEFAULTS["host"]),
        "port": Field(label="Port", kind="number"),
        "login": Field(label=labels["login"], hidden=True),
        "password": Field(label=labels["password"], hidden=True),
        "description": Field(label="Description"),
    }
    for name, field in form["conn-fields"].items():
        schema, default = field["schema"], DEFAULTS.get(name)
        hidden = schema.get("format") == "password"
        kind = "boolean" if isinstance(default, bool) else schema["type"][0]
        fields[name] = Field(label=field["label"], hidden=hidden, default=default, kind=kind)
    return fields


FIELDS = _fields()


def read_fields(file: str, conn_id: str) -> dict[str, Value]:
    """
    Read the fields of a connection from JSON.

    It is what ``airflow connections export`` writes, one connection as Airflow's environment variables take it, or
    the fields side by side.

    :param file: path, or ``-`` for standard input.
    :param conn_id: which connection of an export.
    :raises BadRequest: it cannot be read, is something else, or holds a field that does not exist.
    """
    content = _json(file)
    if content and not _known(content) and all(isinstance(value, dict) for value in content.values()):
        if conn_id not in content:
            raise BadRequest.field("file", file, f"it has no connection {conn_id}, only {', '.join(sorted(content))}.")
        content = content[conn_id]
    conn_type = content.get("conn_type") or "mediax"
    if conn_type != "mediax":
        raise BadRequest.field("conn_type", conn_type, "it must be mediax.")
    extra = content.get("extra") or {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError:
            extra = None
    if not isinstance(extra, dict):
        raise BadRequest("The extra of the connection is no JSON object", advice="")
    given = {name: value for name, value in content.items() if name not in AIRFLOWS_OWN} | extra
    if not given.get("schema"):  # an export has it, empty
        given.pop("schema", None)
    if isinstance(regions := given.get("bucket_regions"), dict):
        given["bucket_regions"] = json.dumps(regions)  # as the form writes it
    for name, value in given.items():
        _check(name, value)
    return clean(given)


def _check(name: str, value: object) -> None:
    """
    Refuse what no field takes; the rest is judged by the connection's own rules.

    :raises BadRequest: there is no such field, or it takes another type: Airflow's own class fails at such a value.
    """
    if name not in FIELDS:
        raise BadRequest(f"A connection has no field {name!r}", advice=_suggestion(name))
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise BadRequest(f"The field {name} must be text, a number, true or false", advice="")
    if FIELDS[name].kind == "string" and isinstance(value, (float, bool)):
        raise BadRequest(f"The field {name} must be text", advice="")


def connection_of(conn_id: str, fields: Mapping[str, Value]) -> Connection:
    """Return the connection that these fields make, which :func:`clean` has left."""
    standard: dict[str, Any] = {name: fields[name] for name in STANDARD if name in fields}
    extra = {name: value for name, value in fields.items() if name not in STANDARD}
    return Connection(conn_id=conn_id, conn_type="mediax", **standard, extra=json.dumps(extra) if extra else None)


def clean(given: Mapping[str, Any]) -> dict[str, Value]:
    """Return the fields that are worth storing: stripped of white space, neither empty nor a default."""
    fields: dict[str, Value] = {}
    for name, value in given.items():
        field = FIELDS[name]
        whole = isinstance(value, int) and not isinstance(value, bool)
        cleaned = str(value) if whole and field.kind == "string" else value
        if isinstance(cleaned, str):
            cleaned = _typed(cleaned.strip(), field.kind)
        if cleaned not in (None, "", field.default) and (name, cleaned) != ("port", 0):
            fields[name] = cleaned
    return fields


def _typed(text: str, kind: str) -> Value:
    """Return text as what it stands for, if it does; the connection's own rules judge the rest."""
    if kind == "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if kind == "number":
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                pass
    return text


def _known(content: Mapping[str, Any]) -> bool:
    return any(name in FIELDS or name in AIRFLOWS_OWN for name in content)


def _json(file: str) -> dict[str, Any]:
    if file == "-" and sys.stdin.isatty():
        raise BadRequest("What is typed into --file - would be shown", advice="Leave --file out to be asked instead.")
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise BadRequest(f"{file} cannot be read ({type(error).__name__})", advice="") from None
    try:
        content = json.loads(text)
    except ValueError:  # its text may show a part of the file
        content = None
    if not isinstance(content, dict):
        raise BadRequest.field("file", file, "it must hold a JSON object.")
    return content


def _suggestion(name: str) -> str:
    ours = {theirs.lower(): field for field, theirs in PLATFORM_NAMES.items()} | {field: field for field in FIELDS}
    if close := get_close_matches(name.lower(), ours, n=1):
        return f"Did you mean {ours[close[0]]}?"
    return f"Its fields are {', '.join(FIELDS)}."
