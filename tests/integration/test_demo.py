"""What a newcomer runs first: the demo, and the DAGs that README and docs show."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.audio import click_track
from tests.integration.conftest import Run, RunDag

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = ROOT / "docs" / "snippets"

# Task states by snippet; a new snippet has to be given a line here.
EXPECTED: dict[str, set[str]] = {
    "retry_policy": {"tags"},
    "first_dag": {"tags", "rows"},
    "list_voices": {"voices"},
    "listen_to_tracks": {
        *("lyrics", "choruses", "sections", "which_song", "intro", "notes", "stems", "singing_starts"),
    },
    "make_music": {"songs", "from_humming", "for_cover", "for_clip", "for_text", "train", "sing", "speak"},
    "many_tracks": {"tags[0]", "tags[1]"},
    "raw_job": {"mood"},
    "read_file": {"beats", "size_of_the_marked_track"},
    "read_parts": {"batch", "moods"},
    "read_rows": {"lyrics", "lines_of"},
    "report": {"tags", "lyrics", "beats", "report"},
    "separate_template": {"template", "separate"},
    "separate_track": {"separate", "wait"},
    "singing_score": {"score"},
    "tag_catalogue": {"tags"},
    "submit_then_wait": {"submit", "wait"},
}

# What a DAG is started with; the emulator knows no singing score either, so it gets something else.
CONF = {"singing_score": {"descriptor": {"musicASR": {"confidence": 0.5}}}}


def demo(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the demo as ``make demo`` does."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "demo.py"), *arguments],
        env={**os.environ, "MEDIAX_DEMO_HOME": str(home / "demo"), "HOME": str(home), "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def rows_in(home: Path) -> dict[str, int]:
    with closing(sqlite3.connect(home / "demo" / "warehouse.sqlite")) as database:
        return {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("tags", "lyrics", "beats", "stems")
        }


def stems_shown(printed: str) -> list[tuple[str, float]]:
    """Return address and seconds of each stem in the demo's report."""
    rows = re.findall(r"│ +(?:voice|background) +│ +([\d.]+) +│ +(cos://.*?) +│", printed)
    return [(address, float(seconds)) for seconds, address in rows]


def tagged_stems(home: Path) -> set[str]:
    """Return the stems that the rows of tags lead back to."""
    with closing(sqlite3.connect(home / "demo" / "warehouse.sqlite")) as database:
        found = database.execute("SELECT DISTINCT file FROM stems JOIN tags ON tags.input = stems.file")
        return {file.removeprefix("cos://music-1250000000/stems/incoming/") for (file,) in found}


def test_the_demo_shows_what_was_found_and_a_second_one_doubles_no_row(tmp_path: Path) -> None:
    first = demo(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    found = re.search(r"Tempo +([\d.]+) .*made at ([\d.]+)", first.stdout)
    assert found
    tempo, made_at = map(float, found.groups())
    assert tempo == pytest.approx(made_at, rel=0.02)
    assert re.search(r"│ mood +│ Exciting +│ 0.2953", first.stdout)
    assert "还记得那年的夏天" in first.stdout
    assert "\nairflow-mediax connect\n" in first.stdout
    # Five tags of the track, of each of two voices and of each of twelve small tracks; two stems of each track.
    assert rows_in(tmp_path) == {"tags": 15 + 60, "lyrics": 4, "beats": 2, "stems": 4}
    shown = stems_shown(first.stdout)
    tracks = {"demo-track": 30.5, "demo-variation": 17.6}
    stems = [(track, role) for track in tracks for role in ("voice", "background")]
    assert [stem for stem, _ in shown] == [
        f"cos://music-1250000000/stems/incoming/{track}/{role}.wav" for track, role in stems
    ]
    assert [seconds for _, seconds in shown] == pytest.approx([tracks[track] for track, _ in stems], abs=0.1)
    assert re.search(r"demo-variation.wav, its voice tagged \* .*Exciting", first.stdout)
    assert tagged_stems(tmp_path) == {"demo-track/voice.wav", "demo-variation/voice.wav"}

    log = (tmp_path / "demo" / "airflow.log").read_text(encoding="utf-8")
    assert log.count("running trigger in line") >= 3 + 2 * 2, "every operator of one job deferred"
    assert re.search(r"Catalogue +12 total, 12 done, 0 skipped, 0 failed, 60 rows", first.stdout)

    # A file of the user's, with a name that needs care, given as make gives it.
    (tmp_path / "Lied #1, 天空.wav").write_bytes(click_track(bpm=90))
    second = demo(tmp_path, "--audio", "~/Lied #1, 天空.wav")
    assert second.returncode == 0, second.stdout + second.stderr
    found = re.search(r"Tempo +([\d.]+)", second.stdout)
    assert found
    assert float(found[1]) == pytest.approx(90, rel=0.02)
    # The new track's rows, beside those of the first; the variation's are replaced.
    assert rows_in(tmp_path) == {"tags": 25 + 60, "lyrics": 8, "beats": 4, "stems": 6}
    assert tagged_stems(tmp_path) == {
        f"{track}/voice.wav" for track in ("Lied #1, 天空", "demo-track", "demo-variation")
    }
    own = tmp_path / "demo" / "stems" / "Lied #1, 天空"
    assert {file.name for file in own.iterdir()} == {"voice.wav", "background.wav"}
    assert not (tmp_path / "airflow").exists(), "the user's own Airflow home was touched"


def test_what_is_no_audio_is_refused_in_one_paragraph(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_text("la la la")
    refused = demo(tmp_path, "~/song.mp3")
    assert refused.returncode == 1
    assert f"{tmp_path / 'song.mp3'} is not audio that can be decoded." in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr


def test_a_failure_of_airflow_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    blocked = demo(tmp_path, PYTHONPATH=str(broken_airflow(tmp_path)))
    assert blocked.returncode == 1
    assert "Airflow ended before the DAG did" in blocked.stdout
    assert "RuntimeError: this Airflow is broken" in blocked.stdout


def broken_airflow(folder: Path) -> Path:
    """Return a path from which ``airflow`` imports as something broken."""
    package = folder / "broken" / "airflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('this Airflow is broken')")
    return package.parent


@pytest.mark.parametrize("name", EXPECTED)
def test_a_dag_of_the_docs_runs_as_it_stands(
    run_dag: RunDag, mediax_emulator: MediaxEmulator, tmp_path: Path, name: str
) -> None:
    for track in ("in/track.wav", "in/other.wav"):
        mediax_emulator.put_object(track, click_track(seconds=3))
    for other in ("in/cover.png", "in/clip.mp4"):
        mediax_emulator.put_object(other, b"not looked at")
    mediax_emulator.durations("*", 0.2)
    dag = runpy.run_path(str(SNIPPETS / f"{name}.py"))["dag"]
    run = run_dag(
        dag, connection=mediax_emulator.connection_json(), conn_env=warehouse_in(tmp_path), run_conf=CONF.get(name)
    )
    assert run.states == dict.fromkeys(EXPECTED[name], "success")


def warehouse_in(folder: Path) -> dict[str, str]:
    """Return the connection to an SQLite file of this test."""
    host = str(folder / "warehouse.sqlite")
    return {"AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": host})}


def separate_stems(run_dag: RunDag, emulator: MediaxEmulator, home: Path) -> Run:
    """Run dags/separate_stems.py; every call is a run of its own."""
    dag = runpy.run_path(str(ROOT / "dags" / "separate_stems.py"))["stem_separation"]
    return run_dag(dag, connection=emulator.connection_json(), conn_env=warehouse_in(home))


@pytest.fixture
def incoming(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.durations("*", 0.2)
    for name in ("a", "b"):
        mediax_emulator.put_object(f"incoming/{name}.wav", click_track(seconds=2))
    return mediax_emulator


def bought(emulator: MediaxEmulator) -> list[str]:
    return sorted(job["capability"] for job in emulator.ledger()["jobs"])


def test_a_later_run_and_a_clear_pay_for_new_tracks_only(
    run_dag: RunDag, incoming: MediaxEmulator, tmp_path: Path
) -> None:
    incoming.put_object("incoming/", b"")  # what the console makes for a folder
    first = separate_stems(run_dag, incoming, tmp_path)
    assert set(first.states.values()) == {"success"}
    assert bought(incoming) == ["VoiceSeparate"] * 2 + ["musicTagV2"] * 2

    first.clear()
    assert set(first.states.values()) == {"success"}
    assert bought(incoming) == ["VoiceSeparate"] * 2 + ["musicTagV2"] * 2, "the tracks are the work, not the run"

    incoming.put_object("incoming/c.wav", click_track(seconds=3))
    later = separate_stems(run_dag, incoming, tmp_path)
    assert set(later.states.values()) == {"success"}
    assert bought(incoming) == ["VoiceSeparate"] * 3 + ["musicTagV2"] * 3
    with closing(sqlite3.connect(tmp_path / "warehouse.sqlite")) as database:
        count = "SELECT count(*), count(DISTINCT file) FROM stems"
        assert database.execute(count).fetchone() == (6, 6)


def test_a_track_that_fails_holds_up_no_other(run_dag: RunDag, incoming: MediaxEmulator, tmp_path: Path) -> None:
    incoming.put_object("incoming/a.wav", b"no audio at all")
    run = separate_stems(run_dag, incoming, tmp_path)
    assert run.states["one_track.separate[0]"] == "failed"
    assert run.states["one_track.load_tags[0]"] == "upstream_failed"
    assert run.states["one_track.load_tags[1]"] == "success"


def tag_catalogue(run_dag: RunDag, emulator: MediaxEmulator, home: Path) -> Run:
    """Run dags/catalogue_to_warehouse.py; every call is a run of its own."""
    dag = runpy.run_path(str(ROOT / "dags" / "catalogue_to_warehouse.py"))["catalogue"]
    dag.get_task("batch").retries = 0
    conf, environment = {"collect_interval": 1}, warehouse_in(home)
    return run_dag(dag, connection=emulator.connection_json(), conn_env=environment, run_conf=conf)


def test_a_later_night_tags_new_tracks_only_and_loads_what_is_done(
    run_dag: RunDag, mediax_emulator: MediaxEmulator, tmp_path: Path
) -> None:
    mediax_emulator.durations("*", 0.2)
    for name in ("a", "b"):
        mediax_emulator.put_object(f"catalogue/{name}.wav", click_track(seconds=2))
    first = tag_catalogue(run_dag, mediax_emulator, tmp_path)
    assert first.values["counts"] == {"total": 2, "done": 2, "skipped": 0, "failed": 0, "rows": 10}

    mediax_emulator.put_object("catalogue/c.wav", click_track(seconds=3))
    mediax_emulator.put_object("catalogue/bad.wav", b"no audio at all")
    later = tag_catalogue(run_dag, mediax_emulator, tmp_path)
    assert later.states == {"batch": "failed", "load": "success", "counts": "upstream_failed"}
    assert later.values["load"] == {"table": "tags", "items": 1, "rows": 5}
    assert bought(mediax_emulator) == ["musicTagV2"] * 4

    idle = tag_catalogue(run_dag, mediax_emulator, tmp_path)
    assert idle.values["load"]["rows"] == 0
    with closing(sqlite3.connect(tmp_path / "warehouse.sqlite")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT item_key) FROM tags").fetchone() == (15, 3)


@pytest.mark.parametrize("again", ["clear", "another run"])
def test_a_clear_and_another_run_of_the_first_dag_double_no_row(
    run_dag: RunDag, mediax_emulator: MediaxEmulator, tmp_path: Path, again: str
) -> None:
    mediax_emulator.put_object("in/track.wav", click_track(seconds=3))
    mediax_emulator.durations("*", 0.2)
    dag = runpy.run_path(str(SNIPPETS / "first_dag.py"))["dag"]
    given: dict[str, Any] = {"connection": mediax_emulator.connection_json(), "conn_env": warehouse_in(tmp_path)}
    first = run_dag(dag, **given)
    second = first.clear() if again == "clear" else run_dag(dag, **given)
    assert second.states == {"tags": "success", "rows": "success"}
    assert bought(mediax_emulator) == ["musicTagV2"] * 2
    with closing(sqlite3.connect(tmp_path / "warehouse.sqlite")) as database:
        found = database.execute("SELECT count(*), count(DISTINCT dimension), min(run_id) FROM tags").fetchone()
    assert found == (second.values["rows"]["rows"],) * 2 + (second.run_id,)


def test_every_dag_of_the_docs_is_run() -> None:
    assert set(EXPECTED) == {file.stem for file in SNIPPETS.glob("*.py") if not file.name.startswith("test_")}


def test_the_test_that_the_readme_shows_passes(tmp_path: Path) -> None:
    """In a project of its own, as a user has it: a dags folder, a test, a track."""
    for file in ("first_dag.py", "test_first_dag.py"):
        shutil.copy(SNIPPETS / file, tmp_path)
    (tmp_path / "track.wav").write_bytes(click_track(seconds=3))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    }
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    test = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_first_dag.py"]
    for command in (migrate, test):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
