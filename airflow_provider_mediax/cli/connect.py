"""The command ``connect``: makes a connection without a secret on a command line, where it would be kept."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence

from airflow.models.connection import Connection
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_mediax.cli.check import judge
from airflow_provider_mediax.cli.command import Exit, ask, command, say
from airflow_provider_mediax.cli.connection_fields import (
    FIELDS,
    STANDARD,
    Field,
    Value,
    clean,
    connection_of,
    read_fields,
)
from airflow_provider_mediax.cli.connections import PLATFORM_NAMES, stored_type, variable_of, write
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.probing import examine

SECTIONS = {
    "MediaX, the music platform": (
        "host",
        "login",
        "password",
        "gateway_source",
        "gateway_secret_id",
        "gateway_secret_key",
        "content_id",
    ),
    "COS, for files and voice separation": ("cos_secret_id", "cos_secret_key", "cos_token", "cos_region", "cos_bucket"),
    "This deployment": ("namespace",),
}
"""The fields that are always asked for; all others only if they are wanted."""


@command
def run(args: Namespace) -> Exit:
    """Take the fields from a person or a file, try them, and write the connection."""
    if Connection(conn_id=args.conn_id).conn_id != args.conn_id:  # Airflow takes an id that it does not like for none
        raise BadRequest.field("conn_id", args.conn_id, "it must consist of letters, digits and #!()-.:/\\_.")
    asking = args.file != "-" and sys.stdin.isatty()
    try:
        old = stored_type(args.conn_id)
    except SQLAlchemyError as error:
        return _explain_variable(args.conn_id, error)
    if args.file is None and not asking:
        raise BadRequest(
            "There is no terminal to ask for the fields",
            advice="Give --file with a JSON file, or --file - to read it from standard input.",
        )
    try:
        if old is not None and not args.overwrite and not _may_overwrite(args.conn_id, old, asking):
            return _leave()
        fields = _asked(args.conn_id) if args.file is None else read_fields(args.file, args.conn_id)
        if not fields:
            raise BadRequest("No field is given, so there is no connection to write", advice="")
        connection = connection_of(args.conn_id, fields)
        settings = MediaxConnection.of(args.conn_id, connection)
        tried = Exit.FINE if args.no_check else _tried(settings)
        if tried is not Exit.FINE and not (asking and _agrees("Write the connection all the same?")):
            say("Nothing is written. Correct the fields, or give --no-check to write them as they are.")
            return tried
    except (EOFError, KeyboardInterrupt):
        say("")
        return _leave()
    write(connection)
    return Exit.FINE


def _leave() -> Exit:
    say("Nothing is written.")
    return Exit.WRONG


def _may_overwrite(conn_id: str, conn_type: str, asking: bool) -> bool:
    """
    Ask whether a connection may be overwritten.

    :raises BadRequest: there is nobody to ask.
    """
    exists = f"Connection {conn_id} of type {conn_type} exists"
    if not asking:
        raise BadRequest(exists, advice="Give --overwrite to write over it, or another id.")
    return _agrees(f"{exists}. Overwrite it?")


def _agrees(question: str) -> bool:
    return ask(f"{question} [y/N]").lower() in ("y", "yes")


def _asked(conn_id: str) -> dict[str, Value]:
    """Ask a person for the fields, and for those of a section again if they break a rule."""
    say(f"Connection {conn_id}. Enter skips a field or keeps its default. Hidden fields do not show what you type.")
    fields: dict[str, Value] = {}
    for title, names in SECTIONS.items():
        _ask_section(conn_id, title, names, fields)
    others = [name for name in FIELDS if name not in STANDARD and not any(name in names for names in SECTIONS.values())]
    if _agrees("\nSet paths, endpoint, rate limit, timeouts or a proxy as well?"):
        _ask_section(conn_id, "More fields", others, fields)
    return fields


def _ask_section(conn_id: str, title: str, names: Sequence[str], fields: dict[str, Value]) -> None:
    say(f"\n{title}")
    while True:
        given = {name: ask(_words(name, FIELDS[name]), hidden=FIELDS[name].hidden) for name in names}
        answers = clean(given)
        try:
            MediaxConnection.of(conn_id, connection_of(conn_id, answers))
        except BadRequest as refused:
            say(f"{refused.sentences} Give these fields again.")
        else:
            fields |= answers
            return


def _words(name: str, field: Field) -> str:
    """Return what a field is called in its prompt."""
    label, notes = field.label, []
    if name in PLATFORM_NAMES:
        label, notes = label.partition(" (")[0], [PLATFORM_NAMES[name]]
    if field.default is not None:
        notes.append(f"default {str(field.default).lower() if isinstance(field.default, bool) else field.default}")
    if field.hidden:
        notes.append("hidden")
    return f"{label} ({', '.join(notes)})" if notes else label


def _tried(connection: MediaxConnection) -> Exit:
    """Try every part, and say what was found."""
    say("Trying the connection; nothing is bought or written by that.")
    findings = examine(connection)
    for finding in findings:
        say(f"  {finding.part}: {finding.verdict}; {finding.says}")
    return judge(findings)


def _explain_variable(conn_id: str, error: SQLAlchemyError) -> Exit:
    """Say what to do on a machine that does not reach Airflow's database."""
    template = {
        "conn_type": "mediax",
        **{name: f"<{PLATFORM_NAMES[name]}>" for name in ("login", "password")},
        "extra": {"gateway_source": "<Source>"}
        | {name: f"<{PLATFORM_NAMES[name]}>" for name in PLATFORM_NAMES if name not in STANDARD},
    }
    say(
        f"Airflow's metadata database cannot be reached from here ({type(error).__name__}), so nothing is written. Run "
        "this where `airflow` commands run, with the same configuration. Or put the connection into the environment "
        "of Airflow's processes, from a secret store or from a file that only they can read, not from a shell:\n\n"
        f"{variable_of(conn_id)}={json.dumps(template)}\n\n"
        "docs/connection.md has all fields."
    )
    return Exit.WRONG
