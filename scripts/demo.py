"""
A first run without an account: analyse a track with ``dags/analyse_track.py`` in real Airflow, against the emulator.

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
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo_track import TEMPO, write_track
from rich.console import Console
from rich.table import Table

from airflow_provider_mediax.emulator.analysis import NotAudio, duration_of
from airflow_provider_mediax.emulator.process import EmulatorError, MediaxEmulator

ROOT = Path(__file__).resolve().parent.parent
DAG_FILE = ROOT / "dags" / "analyse_track.py"
RUNNER = ROOT / "scripts" / "run_dag.py"

# A connection to the real service, to be filled in: what registration returned, and a key for the bucket.
REAL_CONNECTION = {
    "conn_type": "mediax",
    "host": "https://api.mediax.tencent.com",
    "login": "<tmpSecretId>",
    "password": "<tmpSecretKey>",
    "extra": {
        "gateway_source": "<Source>",
        "gateway_secret_id": "<apiGateSecretId>",
        "gateway_secret_key": "<apiGateSecretKey>",
        "content_id": "<tmpContentId>",
        "cos_secret_id": "<COS secret id>",
        "cos_secret_key": "<COS secret key>",
        "cos_region": "ap-guangzhou",
        "cos_bucket": "<bucket>-<appid>",
    },
}

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
        analyse(audio, home)
    except KeyboardInterrupt:
        return 130
    except DemoFailed as failure:
        screen.print(f"\nThe demo failed: {failure}", markup=False, style="red")
        return 1
    return 0


def analyse(audio: str | None, home: Path) -> None:
    """Run everything from the track to the tables on the screen."""
    started = time.monotonic()
    airflow_home = home / f"airflow-{version('apache-airflow')}"
    airflow_home.mkdir(parents=True, exist_ok=True)
    track, seconds = users_track(audio) if audio else own_track(home)
    say(f"Track      {track} ({seconds:.0f} s)")
    try:
        with MediaxEmulator.start() as emulator:
            say(f"Emulator   listens at {emulator.url}; nothing leaves this machine")
            key = f"in/{track.name}"
            emulator.put_object(key, track.read_bytes())
            log = home / "airflow.log"
            database = home / "music.sqlite"
            first = "" if (airflow_home / "migrated").exists() else "; the first start makes its database"
            say(f"Airflow    {version('apache-airflow')} runs {DAG_FILE.relative_to(ROOT)}{first}")
            say(f"           its log: {log}")
            tasks = run_dag(emulator, airflow_home, log, {"path": key, "database": str(database)})
    except EmulatorError as error:
        raise DemoFailed(str(error)) from None
    say(f"Done       in {time.monotonic() - started:.0f} s")
    show(tasks, database, None if audio else TEMPO)


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
    write_track(track)
    return track, duration_of(track.read_bytes())


def run_dag(emulator: MediaxEmulator, airflow_home: Path, log: Path, conf: dict[str, str]) -> dict[str, Any]:
    """
    Run the DAG in a process of its own and return what became of each task.

    :raises DemoFailed: a task or Airflow itself failed.
    """
    result = airflow_home / "result.json"
    result.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this interpreter and files of ours
            [sys.executable, str(RUNNER), str(DAG_FILE), json.dumps(conf), str(result)],
            env=environment(emulator, airflow_home),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            for line in progress(emulator, process):
                say(f"           {line}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    tasks: dict[str, Any] = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    failed = [name for name, task in tasks.items() if task["state"] != "success"]
    if process.returncode or failed or not tasks:
        reason = f"not all tasks succeeded ({', '.join(failed)})" if failed else "Airflow ended before the DAG did"
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise DemoFailed(f"{reason}. The end of {log}:\n\n{tail}")
    return tasks


def environment(emulator: MediaxEmulator, airflow_home: Path) -> dict[str, str]:
    """Return the environment of a private Airflow: nothing in it comes from, or leads to, a deployment of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    return kept | {
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAG_FILE.parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        # The trigger keeps its event back for this interval and a second, which a demo need not wait for.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW_CONN_MEDIAX_DEFAULT": emulator.connection_json(),
        # The emulator is on loopback, and no proxy of the shell's is to stand in between.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def progress(emulator: MediaxEmulator, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield a line for every job that the emulator gets or ends, until the process has ended."""
    shown: set[tuple[str, str]] = set()
    running = True
    while running:
        try:
            process.wait(0.3)
            running = False
        except subprocess.TimeoutExpired:
            pass
        for job in emulator.ledger()["jobs"]:
            ended = job["state"] if job["finished_at"] else "submitted"
            if (job["id"], ended) not in shown:
                shown.add((job["id"], ended))
                yield f"job {job['id'][:8]}  {job['capability']:<11} {ended}"


def show(tasks: dict[str, Any], database: Path, true_tempo: float | None) -> None:
    """Print what was found, where the rows are, and the way to the real service."""
    tags, lyrics = Table(title="Tags *", title_justify="left"), Table(title="Lyrics *", title_justify="left")
    for column in ("dimension", "label", "probability"):
        tags.add_column(column)
    for column in ("from (s)", "to (s)", "line", "confidence"):
        lyrics.add_column(column)
    run = tasks["land_rows"]["run_id"]
    with closing(sqlite3.connect(database)) as rows:
        for row in rows.execute("SELECT dimension, label, probability FROM musicTagV2 WHERE run_id = ?", (run,)):
            tags.add_row(*map(str, row))
        lines = "SELECT start_s, end_s, text, confidence FROM musicASR WHERE run_id = ? ORDER BY line"
        for row in rows.execute(lines, (run,)):
            lyrics.add_row(*map(str, row))
    for table in (tags, lyrics):
        screen.print()
        screen.print(table)
    beats = tasks["read_beats"]["returned"]
    made = f" (the piece was made at {true_tempo:g})" if true_tempo else ""
    screen.print(f"\nTempo  {beats['tempo']:.1f} beats per minute{made}\nBeats  {len(beats['beats'])}")
    landed = ", ".join(f"{count} in {table}" for table, count in tasks["land_rows"]["returned"].items())
    query = "SELECT dimension, label, probability, job_id FROM musicTagV2"
    command = f"sqlite3 {shlex.quote(str(database))} {shlex.quote(query)}"
    add = f"airflow connections add mediax_default --conn-json '{json.dumps(REAL_CONNECTION, indent=2)}'"
    screen.print(
        f"""
* The emulator's tags and lyrics are the same for every track; only the beats are really listened for.

Rows   {landed}
       {database}
       {command}

The same DAG against the real service: copy {DAG_FILE.relative_to(ROOT)} into your dags folder, and

{add}

or fill in the form of connection type "MediaX (Tencent Cloud music)" in the UI. docs/connection.md has every field.""",
        markup=False,
    )


def say(line: str) -> None:
    """Print a line of progress at once."""
    screen.print(line, markup=False)


if __name__ == "__main__":
    sys.exit(main())
