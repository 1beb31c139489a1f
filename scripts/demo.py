"""
A first run without an account: the DAGs of ``dags/`` in real Airflow, against the emulator and an SQLite file.

``analyze_track.py`` looks at one track; ``separate_stems.py`` takes that track apart, and a variation of the demo's
piece; ``catalogue_to_warehouse.py`` tags a dozen small tracks in one task.

``make demo`` makes a short piece of music; ``make demo AUDIO=~/song.mp3`` takes a file of yours. Everything that is
written lies under ``.demo/`` beside the README (or under ``$MEDIAX_DEMO_HOME``).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from airflow_provider_mediax.emulator.process import EmulatorError, MediaxEmulator
from airflow_provider_mediax.emulator.sound.analysis import NotAudio, duration_of
from airflow_provider_mediax.emulator.sound.piece import TEMPO, piece

ROOT = Path(__file__).resolve().parent.parent
ANALYZE = ROOT / "dags" / "analyze_track.py"
SEPARATE = ROOT / "dags" / "separate_stems.py"
CATALOGUE = ROOT / "dags" / "catalogue_to_warehouse.py"
RUNNER = ROOT / "scripts" / "run_dag.py"

TRACKS = 12
"""Tracks of the catalogue."""

screen = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """The demo cannot go on; the text says why, to the user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__.strip().splitlines()[0])
    own = "an audio file of yours; without it a short piece is made"
    parser.add_argument("audio", nargs="?", default=argparse.SUPPRESS, help=own)
    parser.add_argument("--audio", dest="audio", metavar="AUDIO", help="the same")
    audio = parser.parse_args(arguments).audio
    home = Path(os.environ.get("MEDIAX_DEMO_HOME") or ROOT / ".demo").expanduser().resolve()
    try:
        analyze(audio, home)
    except KeyboardInterrupt:
        return 130
    except DemoFailed as failure:
        screen.print(f"\nThe demo failed: {failure}", markup=False, style="red")
        return 1
    return 0


def analyze(audio: str | None, home: Path) -> None:
    """Run everything from the track to the tables on the screen."""
    started = time.monotonic()
    airflow_home = home / f"airflow-{version('apache-airflow')}"
    airflow_home.mkdir(parents=True, exist_ok=True)
    track, seconds = users_track(audio) if audio else own_track(home)
    say(f"Track      {track} ({seconds:.0f} s)")
    log = home / "airflow.log"
    log.unlink(missing_ok=True)
    database, page = home / "warehouse.sqlite", home / "report.html"
    try:
        with MediaxEmulator.start() as emulator:
            say(f"Emulator   listens at {emulator.url}; nothing leaves this machine")
            key = f"in/{track.name}"
            emulator.put_object(key, track.read_bytes())
            for name, content in {track.name: track.read_bytes(), "demo-variation.wav": variation(home)}.items():
                emulator.put_object(f"incoming/{name}", content)
            for number in range(TRACKS):
                emulator.put_object(f"catalogue/{number:02}.wav", small_track(home, number))
            first = "" if (airflow_home / "migrated").exists() else "; the first start makes its database"
            say(f"Airflow    {version('apache-airflow')} starts{first}")
            say(f"           its log: {log}")
            plan: list[tuple[Path, dict[str, Any]]] = [
                (ANALYZE, {"path": key, "page": page.as_uri()}),
                (SEPARATE, {}),
                (CATALOGUE, {"collect_interval": 2}),
            ]
            tasks = run_dags(environment(emulator, airflow_home, database), log, plan, emulator)
            stems = fetch_stems(emulator, tasks["separate_stems"], home / "stems")
    except EmulatorError as error:
        raise DemoFailed(str(error)) from None
    say(f"Done       in {time.monotonic() - started:.0f} s")
    show_findings(tasks["analyze_track"], database, None if audio else TEMPO)
    show_stems(stems, tasks["separate_stems"], database)
    screen.print(f"       {home / 'stems'} has the stems to listen to", markup=False)
    show_catalogue(tasks["catalogue_to_warehouse"])
    show_next_steps(database, page)


def users_track(name: str) -> tuple[Path, float]:
    """
    Return the user's file and its length in seconds.

    :raises DemoFailed: it is not there, or it is no audio.
    """
    # make hands a quoted ~ over as it is.
    track = Path(name).expanduser().resolve()
    try:
        return track, duration_of(track.read_bytes())
    except OSError as error:
        raise DemoFailed(f"{track} cannot be read: {error.strerror}.") from None
    except NotAudio:
        raise DemoFailed(
            f"{track} is not audio that can be decoded. Give a WAV, FLAC, OGG or MP3 file; "
            "AAC and M4A need ffmpeg on this machine. Without a file the demo makes a piece of music itself."
        ) from None


def own_track(home: Path) -> tuple[Path, float]:
    """Return a piece of music that is made here, and its length in seconds."""
    track = home / "demo-track.wav"
    track.write_bytes(piece())
    return track, duration_of(track.read_bytes())


def variation(home: Path) -> bytes:
    """Return a shorter, higher variation of the demo's piece."""
    file = home / "demo-variation.wav"
    file.write_bytes(piece(bars=8, transpose=5))
    return file.read_bytes()


def small_track(home: Path, number: int) -> bytes:
    """Return one of the small tracks of the catalogue, each in another key."""
    file = home / "catalogue" / f"{number:02}.wav"
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        file.write_bytes(piece(bars=1, transpose=number))
    return file.read_bytes()


def run_dags(
    settings: dict[str, str], log: Path, plan: Sequence[tuple[Path, dict[str, Any]]], emulator: MediaxEmulator
) -> dict[str, dict[str, Any]]:
    """
    Run DAGs in one process and return what became of each one's tasks; mapped ones are named ``task_id[0]``.

    :param settings: the environment of the process.
    :param plan: DAG files, each with the ``conf`` of its run.
    :raises DemoFailed: a task or Airflow itself failed.
    """
    result = Path(settings["AIRFLOW_HOME"]) / "result.json"
    result.unlink(missing_ok=True)
    steps = json.dumps([(str(file), conf) for file, conf in plan])
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - this interpreter and files of ours
            [sys.executable, str(RUNNER), steps, str(result)],
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            started = time.monotonic()
            for line in progress(emulator, process, result):
                say(f"{time.monotonic() - started:6.1f} s   {line}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    dags = written(result)
    states = {name: task["state"] for tasks in dags.values() for name, task in tasks.items()}
    failed = [name for name, state in states.items() if state != "success"]
    if process.returncode or failed or len(dags) < len(plan):
        reason = f"not all tasks succeeded ({', '.join(failed)})" if failed else "Airflow ended before the DAG did"
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise DemoFailed(f"{reason}. The end of {log}:\n\n{tail}")
    return dags


def environment(emulator: MediaxEmulator, airflow_home: Path, database: Path) -> dict[str, str]:
    """Return the environment of a private Airflow: nothing in it comes from, or leads to, a deployment of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    return kept | {
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ANALYZE.parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        # The trigger keeps its event back for this interval and a second, which a demo need not wait for.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW_CONN_MEDIAX_DEFAULT": emulator.connection_json(),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(database)}),
        # The emulator is on loopback, and no proxy of the shell's is to stand in between.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def written(result: Path) -> dict[str, dict[str, Any]]:
    """Return what the runner has written so far."""
    return json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}


def progress(emulator: MediaxEmulator, process: subprocess.Popen[bytes], result: Path) -> Iterator[str]:
    """Yield a line for every DAG that begins, and every job that the emulator gets or ends, until the process ends."""
    shown: set[tuple[str, str]] = set()
    running = True
    while running:
        try:
            process.wait(0.3)
            running = False
        except subprocess.TimeoutExpired:
            pass
        seen = [(dag, "runs", f"DAG {dag}") for dag in written(result)]
        for job in emulator.ledger()["jobs"]:
            state = job["state"] if job["finished_at"] else "submitted"
            seen.append((job["id"], state, f"job {job['id'][:8]}  {job['capability']:<13} {state}"))
        for name, state, line in seen:
            if (name, state) not in shown:
                shown.add((name, state))
                yield line


def fetch_stems(emulator: MediaxEmulator, tasks: dict[str, Any], folder: Path) -> list[tuple[str, str, str, float]]:
    """Keep the stems, which end with the emulator, in a folder; return track, role, address and seconds of each."""
    stems = []
    for manifest in returned_by(tasks, "one_track.separate["):
        for role, address in manifest["result"]["stems"].items():
            key = address.removeprefix("cos://").partition("/")[2]
            content = emulator.get_object(key)
            file = folder / key.removeprefix("stems/incoming/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            stems.append((manifest["input"], role, address, duration_of(content)))
    return stems


def returned_by(tasks: dict[str, Any], prefix: str) -> list[Any]:
    """Return what the tasks whose names begin so have returned, in the order of their names."""
    return [tasks[name]["returned"] for name in sorted(tasks) if name.startswith(prefix)]


def show_findings(tasks: dict[str, Any], database: Path, true_tempo: float | None) -> None:
    """Print what the first DAG found, and where its rows are."""
    tags, lyrics = titled("Tags *"), titled("Lyrics *")
    for column in ("dimension", "label", "probability"):
        tags.add_column(column)
    for column in ("from (s)", "to (s)", "line", "confidence"):
        lyrics.add_column(column)
    track = (tasks["tags"]["returned"]["input"],)
    with closing(sqlite3.connect(database)) as rows:
        found = "SELECT dimension, label, probability FROM tags WHERE input = ? ORDER BY row_no"
        for row in rows.execute(found, track):
            tags.add_row(*map(str, row))
        lines = "SELECT start_s, end_s, text, confidence FROM lyrics WHERE input = ? ORDER BY line"
        for row in rows.execute(lines, track):
            lyrics.add_row(*map(str, row))
    for table in (tags, lyrics):
        screen.print()
        screen.print(table)
    beats = tasks["read_beats"]["returned"]
    made = f" (the piece was made at {true_tempo:g})" if true_tempo else ""
    screen.print(f"\nTempo  {beats['tempo']:.1f} beats per minute{made}\nBeats  {len(beats['beats'])}")
    screen.print(f"Rows   {loaded_rows(returned_by(tasks, 'load_'))}\n", markup=False)


def show_stems(stems: list[tuple[str, str, str, float]], tasks: dict[str, Any], database: Path) -> None:
    """Print the second DAG's stems with their true lengths, and the tags of each voice."""
    tables: dict[str, Table] = {}
    with closing(sqlite3.connect(database)) as rows:
        # The tag's input is the stem's file.
        found = "SELECT label FROM tags WHERE input = ? ORDER BY row_no"
        for track, role, address, seconds in stems:
            table = tables.setdefault(track, Table(title_justify="left"))
            if not table.columns:
                for column in ("stem", "seconds", "address"):
                    table.add_column(column, overflow="fold", no_wrap=column != "address")
            if labels := [label for (label,) in rows.execute(found, (address,))]:
                table.title = escape(f"{track.rpartition('/')[2]}, its {role} tagged * {', '.join(labels)}")
            table.add_row(role, f"{seconds:.1f}", escape(address))
    for table in tables.values():
        screen.print(table)
    screen.print(f"Rows   {loaded_rows(returned_by(tasks, 'one_track.load_'))}", markup=False)


def show_catalogue(tasks: dict[str, Any]) -> None:
    """Print what the third DAG has made of its catalogue in one task."""
    counts = tasks["counts"]["returned"]
    screen.print(f"\nCatalogue  {', '.join(f'{count} {name}' for name, count in counts.items())}\n", markup=False)


def loaded_rows(loads: list[dict[str, Any]]) -> str:
    """Return how many rows were loaded into which table."""
    total: Counter[str] = Counter()
    for load in loads:
        total[load["table"]] += load["rows"]
    return ", ".join(f"{count} in {table}" for table, count in total.items())


def titled(title: str) -> Table:
    """Return an empty table."""
    return Table(title=title, title_justify="left")


def show_next_steps(database: Path, page: Path) -> None:
    """Print how to read the rows, the way to the real service, and where to look and listen."""
    query = "SELECT stem, stems.file, label FROM stems LEFT JOIN tags ON tags.input = stems.file"
    command = f"sqlite3 {shlex.quote(str(database))} {shlex.quote(query)}"
    screen.print(
        f"""       {database}
       {command}

* The emulator's tags and lyrics are the same for every track; beats and stems are really computed, the stems without
  a model, so that a voice is only what both channels share.

The same DAGs run against the real services. Copy {ANALYZE.parent.relative_to(ROOT)}/ to your dags folder and run

airflow-mediax connect

which asks for the fields of the connection. Or fill in the form of connection type "MediaX (Tencent Cloud music)" in
the UI. The DAGs also need a connection "warehouse" to an SQL database of yours. docs/connection.md has every field,
docs/voice-separation.md what a bucket needs before it can separate.

The track with its beats and lyrics, to look at and to listen to in a browser:
{page}""",
        markup=False,
    )


def say(line: str) -> None:
    """Print a line of progress at once."""
    screen.print(line, markup=False)


if __name__ == "__main__":
    sys.exit(main())
