"""
``quickstart``: a first run in one's own Airflow without an account.

It runs the emulator in the foreground, writes a connection of its own, and copies the example DAGs. It writes over
nothing, and ``--remove`` takes away what its own list names and nobody has changed.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from airflow_provider_mediax.cli.command import Exit, ask, command, say
from airflow_provider_mediax.cli.connections import as_object, write
from airflow_provider_mediax.cli.examples import FOLDER, LIST, Made, connection_digest, place, take_away
from airflow_provider_mediax.exceptions import BadRequest, Unavailable

CONN_ID = FOLDER
"""Id of the connection; never the one that DAGs of the user have."""

START_SECONDS = 120
"""How long the emulator may take to listen: it makes its piece of music before."""

IN_CONTAINERS = (
    "The emulator listens on this machine alone. A worker or a triggerer in a container does not reach it: run this "
    'command in a container that shares their network (in Compose: network_mode: "service:<worker>"), or try it '
    "with `airflow standalone` on this machine."
)

_EXTRA = ("librosa", "soundfile", "numpy")


@command
def run(args: Namespace) -> Exit:
    """Set everything up and run the emulator until Ctrl-C; or remove it all."""
    folder = Path(conf.get_mandatory_value("core", "dags_folder")) / FOLDER
    made = Made.read(folder)
    if args.remove:
        plan = [f"Remove connection {CONN_ID} and the copies in {folder}, as far as nobody has changed them"]
        return _remove(folder, made) if _agreed(args, plan) else _leave()
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise BadRequest(
            f"The emulator needs {', '.join(missing)}",
            advice="Install its extra: pip install 'airflow-provider-mediax[emulator]'",
        )
    plan = [
        f"Run the emulator on http://127.0.0.1:{args.port}, in the foreground",
        f"Write connection {CONN_ID} to Airflow's database",
        f"Copy the example DAGs to {folder}, over nothing that is there",
    ]
    if not _agreed(args, plan):
        return _leave()
    return _set_up(folder, made, args.port)


def _set_up(folder: Path, made: Made, port: int) -> Exit:
    old = _stored()
    if old is not None and connection_digest(old) != made.connection:
        raise BadRequest(
            f"Connection {CONN_ID} exists and is not the quickstart's, so nothing is written",
            advice="Delete or rename it.",
        )
    with _emulator(port) as (process, connection):
        made, left = place(folder, made)
        write(Connection.from_json(json.dumps(connection), conn_id=CONN_ID))
        Made(made.files, connection_digest(_stored() or {})).write(folder)
        for name in left:
            say(f"{folder / name} was there before and is left as it is.")
        say(_next_steps(connection["host"], folder))
        try:
            process.wait()
        except KeyboardInterrupt:
            say("The emulator has ended; what it held is gone. Remove the rest: airflow-mediax quickstart --remove")
            return Exit.FINE
    raise Unavailable("The emulator has ended by itself")


def _remove(folder: Path, made: Made) -> Exit:
    old = _stored()
    if old is not None and connection_digest(old) == made.connection:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == CONN_ID))
        say(f"Connection {CONN_ID} is removed.")
    elif old is not None:
        say(f"Connection {CONN_ID} was changed or is not the quickstart's; it stays.")
    left = take_away(folder, made)
    for name in left:
        say(f"{folder / name} was changed; it stays.")
    if not folder.exists():
        say(f"{folder} is removed.")
        return Exit.FINE
    Made({name: made.files[name] for name in left}, None).write(folder)
    say(f"{folder} stays, because something else lies in it.")
    return Exit.FINE


def _stored() -> dict[str, Any] | None:
    """Return the fields of the connection in Airflow's database, None if there is none."""
    with create_session() as session:
        found = session.scalar(select(Connection).where(Connection.conn_id == CONN_ID))
        return None if found is None else as_object(found)


@contextmanager
def _emulator(port: int) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Run the emulator as long as the context lasts, and yield it with its connection, once it listens."""
    with tempfile.TemporaryDirectory(prefix="mediax-quickstart-") as place_of_file:
        ready = Path(place_of_file) / "ready.json"
        options = ("--port", str(port), "--ready-file", str(ready), "--piece", "--follow-stdin")
        process = subprocess.Popen(  # noqa: S603 - this interpreter and options of ours
            [sys.executable, "-m", "airflow_provider_mediax.emulator", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        try:
            _await(process, ready)
            yield process, json.loads(ready.read_text(encoding="utf-8"))["connection"]
        finally:
            process.terminate()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _await(process: subprocess.Popen[bytes], ready: Path) -> None:
    for _ in range(START_SECONDS * 10):
        if ready.exists():
            return
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        advice = "What it printed above says why; --port takes another port."
        raise BadRequest("The emulator did not start", advice=advice)
    raise Unavailable(f"The emulator did not listen within {START_SECONDS} s")


def _next_steps(url: str, folder: Path) -> str:
    return f"""
The emulator listens at {url}, with a short piece of music at in/track.wav. Nothing leaves this machine.

1. Start Airflow if it does not run: airflow standalone
2. Unpause and trigger the DAG first_track; Airflow finds new files of {folder} within minutes.
   At once, and without the UI: airflow dags reserialize && airflow dags test first_track
3. Look at and listen to what it found: file:///tmp/first_track.html

{IN_CONTAINERS}
Ctrl-C ends the emulator. `airflow-mediax quickstart --remove` takes everything away ({LIST} names it).
"""


def _agreed(args: Namespace, steps: list[str]) -> bool:
    """
    Say what would be done, and ask whether it may.

    :raises BadRequest: there is nobody to ask.
    """
    if args.yes:
        return True
    if not sys.stdin.isatty():
        raise BadRequest("There is no terminal to ask at", advice="Give --yes.")
    say("\n".join(f"* {step}" for step in steps))
    return ask("Go on? [y/N]").lower() in ("y", "yes")


def _leave() -> Exit:
    say("Nothing is changed.")
    return Exit.WRONG
