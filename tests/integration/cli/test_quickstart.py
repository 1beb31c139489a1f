"""``quickstart``: what it makes, leaves alone and takes away; and the page "Five minutes", word by word."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from airflow_provider_mediax.cli import examples, quickstart
from airflow_provider_mediax.cli.quickstart import CONN_ID
from tests.unit.cli.said import Said, run_command
from tests.unit.emulator.helpers import wait_for

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "five-minutes.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
NOT_OURS = '{"conn_type": "mediax", "login": "id-of-somebody", "password": "key-of-somebody", "extra": {}}'


@pytest.fixture
def dags(tmp_path: Path, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path))
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")
    yield tmp_path / "mediax_quickstart"
    with create_session() as session:
        session.execute(delete(Connection))


Run = Callable[..., Said]


@pytest.fixture
def run(dags: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command; the user presses Ctrl-C as soon as everything is in place."""

    def interrupt(process: subprocess.Popen[bytes], ready: Path) -> None:
        awaited(process, ready)
        monkeypatch.setattr(process, "wait", interrupted(process.wait))

    def interrupted(wait: Callable[..., int]) -> Callable[..., int]:
        calls = iter((KeyboardInterrupt(),))

        def once(timeout: float | None = None) -> int:
            for error in calls:
                raise error
            return wait(timeout)

        return once

    awaited = quickstart._await
    monkeypatch.setattr(quickstart, "_await", interrupt)
    return lambda *options: run_command(["quickstart", *options], capsys, monkeypatch, NOT_OURS, may_show_secrets=True)


def stored() -> Connection | None:
    with create_session() as session:
        return session.scalar(select(Connection).where(Connection.conn_id == CONN_ID))


def test_it_makes_a_connection_and_copies_and_takes_both_away(run: Run, dags: Path) -> None:
    said = run("--yes", "--port", "0")
    assert said.code == 0, said.err
    for words in ("1. ", "2. ", "3. ", "airflow standalone", "in a container"):
        assert words in said.err
    connection = stored()
    assert connection is not None
    assert str(connection.host).startswith("http://127.0.0.1:")
    sources = {file.name: file.read_text(encoding="utf-8") for file in dags.glob("*.py")}
    assert set(sources) == {file.name for file in (ROOT / "dags").glob("*.py")}
    assert not [name for name, source in sources.items() if "mediax_default" in source]
    assert '"mediax_quickstart"' in sources["first_track.py"]
    (dags / "__pycache__").mkdir()
    (dags / "__pycache__" / "first_track.cpython-311.pyc").touch()
    assert run("--remove", "--yes").code == 0
    assert stored() is None
    assert not dags.exists()


def test_a_second_run_renews_its_own_and_nothing_else(run: Run, dags: Path) -> None:
    dags.mkdir()
    (dags / "first_track.py").write_text("mine")
    assert run("--yes", "--port", "0").code == 0
    (dags / "analyze_track.py").write_text("changed")
    said = run("--yes", "--port", "0")
    assert said.code == 0
    assert said.err.count("is left as it is") == 2
    assert (dags / "first_track.py").read_text() == "mine"
    assert (dags / "analyze_track.py").read_text() == "changed"
    said = run("--remove", "--yes")
    assert "analyze_track.py was changed; it stays" in said.err
    assert {file.name for file in dags.iterdir()} == {"first_track.py", "analyze_track.py", "quickstart.json"}


def test_a_connection_of_somebody_else_is_neither_overwritten_nor_removed(run: Run, dags: Path) -> None:
    with create_session() as session:
        session.add(Connection.from_json(NOT_OURS, conn_id=CONN_ID))
    said = run("--yes", "--port", "0")
    assert said.code == 2
    assert "is not the quickstart's" in said.err
    assert not dags.exists()
    assert run("--remove", "--yes").code == 0
    connection = stored()
    assert connection is not None
    assert connection.login == "id-of-somebody"


@pytest.mark.parametrize("options", [[], ["--remove"]])
def test_without_a_terminal_it_wants_yes(run: Run, dags: Path, options: list[str]) -> None:
    said = run(*options)
    assert (said.code, dags.exists(), stored()) == (2, False, None)
    assert "--yes" in said.err


def test_a_damaged_list_stops_everything(run: Run, dags: Path) -> None:
    dags.mkdir()
    (dags / examples.LIST).write_text('{"files": 7}')
    for options in (["--yes", "--port", "0"], ["--remove", "--yes"]):
        said = run(*options)
        assert said.code == 2
        assert "nothing is touched" in said.err


def test_a_port_that_is_taken_changes_nothing(run: Run, dags: Path, mediax_emulator: object) -> None:
    said = run("--yes", "--port", str(mediax_emulator.url.rpartition(":")[2]))  # type: ignore[attr-defined]
    assert said.code == 2
    assert "--port takes another port" in said.err
    assert (dags.exists(), stored()) == (False, None)


@contextmanager
def in_background(command: list[str], environment: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as target:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=target, stdout=target)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


@pytest.mark.full
def test_the_page_is_true_word_by_word_on_a_fresh_machine(tmp_path: Path) -> None:
    install, start, reserialize, test, remove, connect = COMMANDS
    assert install == "pip install 'airflow-provider-mediax[emulator]'"
    assert connect == "airflow-mediax connect"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    environment = {
        **kept,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "NO_PROXY": "127.0.0.1",
    }
    (tmp_path / "dags").mkdir()

    def carried_out(command: str, *more: str) -> str:
        module = {"airflow": "airflow", "airflow-mediax": "airflow_provider_mediax.cli"}
        program, *arguments = command.split()
        done = subprocess.run(
            [sys.executable, "-m", module[program], *arguments, *more],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    carried_out("airflow db migrate")
    said = tmp_path / "said.txt"
    program, *arguments = start.split()
    assert program == "airflow-mediax"
    command = [sys.executable, "-m", "airflow_provider_mediax.cli", *arguments, "--yes", "--port", "0"]
    page = tmp_path / "page.html"
    with in_background(command, environment, said) as process:
        wait_for(lambda: "Ctrl-C ends" in said.read_text() or process.poll() is not None)
        assert process.poll() is None, said.read_text()
        carried_out(reserialize)
        carried_out(test, "--conf", json.dumps({"page": f"file://{page}"}))
    text = page.read_text(encoding="utf-8")
    assert "beats per minute" in text
    assert text.count("data:audio/wav") == 2
    assert process.returncode == 0
    carried_out(remove, "--yes")
    assert not (tmp_path / "dags" / "mediax_quickstart").exists()
