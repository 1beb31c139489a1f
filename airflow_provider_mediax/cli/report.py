"""``report``: manifests from files, or jobs by their ids, as an HTML page."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_mediax.cli.command import Exit, command, say
from airflow_provider_mediax.exceptions import BadRequest


@command
def run(args: Namespace) -> Exit:
    """Write the page and print where it is."""
    from airflow_provider_mediax.report.pages import report_page

    manifests = [manifest for file in args.files for manifest in _read(file)]
    page = report_page(
        manifests, args.conn_id, audio=_address(args.audio), title=args.title, log=logging.getLogger(__name__)
    )
    target = Path(args.out).expanduser().resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        say(f"{target} cannot be written: {error.strerror}.")
        return Exit.WRONG
    sys.stdout.write(f"{target}\n")
    return Exit.FINE


def _read(file: str) -> Iterator[Any]:
    """
    Yield the manifests of a file: one, a list of them, or one a line.

    :raises BadRequest: it cannot be read.
    """
    try:
        content = sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadRequest(f"{file} cannot be read: {reason}") from None
    try:
        values = [json.loads(content)]
    except ValueError:
        try:
            values = [json.loads(line) for line in content.splitlines() if line.strip()]
        except ValueError:
            raise BadRequest(f"{file} is no JSON, and no lines of JSON") from None
    for value in values:
        if isinstance(value, list):
            yield from filter(None, value)
        elif value:
            yield value


def _address(audio: str | None) -> str | None:
    """Return an address of a sound: a file of this machine gets one."""
    if audio is None or "://" in audio:
        return audio
    return f"file://{Path(audio).expanduser().resolve()}"  # not quoted, which the path library would not undo
