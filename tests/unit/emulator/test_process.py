"""Starting and ending: nothing may be left behind, however the emulator ends."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from airflow_provider_mediax.emulator.__main__ import main
from airflow_provider_mediax.emulator.process import EmulatorError, MediaxEmulator
from tests.unit.emulator.helpers import PATIENCE, Platform, clicks, wait_for

MODULE = [sys.executable, "-m", "airflow_provider_mediax.emulator"]


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    children = wait_for(lambda: found if len(found := parent.children(recursive=True)) >= 2 else None)
    return [parent, *children]


def all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=PATIENCE)[1]


def test_stop_leaves_no_process_even_while_the_tracker_compiles_and_a_job_runs() -> None:
    emulator = MediaxEmulator.start()
    emulator.outcome("*", "NEVER")
    Platform(emulator.url).create()
    processes = family(emulator.pid)
    emulator.stop()
    assert all_gone(processes)
    emulator.stop()


def test_stop_does_not_wait_for_a_slow_answer() -> None:
    emulator = MediaxEmulator.start()
    emulator.fail_next("*", "slow", seconds=3600)
    platform = Platform(emulator.url)
    with pytest.raises(OSError, match="timed out"):
        platform.call("GetJob", {"id": "x"}, timeout=0.2)
    process = psutil.Process(emulator.pid)
    process.terminate()
    process.wait(PATIENCE)
    emulator.stop()


def test_the_children_end_with_a_killed_emulator() -> None:
    emulator = MediaxEmulator.start()
    processes = family(emulator.pid)
    os.kill(emulator.pid, signal.SIGKILL)
    emulator.stop()
    assert all_gone(processes)


def test_an_analysis_process_that_died_is_replaced() -> None:
    with MediaxEmulator.start() as emulator:
        emulator.durations("*", 0)
        emulator.put_object("in/track.wav", clicks(120, 1))
        platform = Platform(emulator.url)
        assert platform.finish(platform.create())["state"] == 3
        for child in psutil.Process(emulator.pid).children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
        wait_for(lambda: platform.finish(platform.create())["state"] == 3)


def test_the_emulator_ends_when_the_process_that_started_it_is_killed() -> None:
    script = (
        "import signal\n"
        "from airflow_provider_mediax.emulator.process import MediaxEmulator\n"
        "print(MediaxEmulator.start().pid, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        processes = family(int(starter.stdout.readline()))
        starter.kill()
        assert all_gone(processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_success_and_no_traceback(tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready.json"
    command = [*MODULE, "--port", "0", "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(ready.exists)
        content = json.loads(ready.read_text())
        assert content["pid"] == process.pid
        assert content["url"] == content["cos_endpoint"] == content["connection"]["host"]
        process.send_signal(number)
        printed, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert f"export AIRFLOW_CONN_MEDIAX_DEFAULT='{json.dumps(content['connection'])}'" in printed
    assert f"curl -s {content['url']}/_emulator/connection | airflow-mediax connect --file -" in printed
    assert "fake" in printed
    assert list(tmp_path.iterdir()) == [ready]


def test_it_listens_on_loopback_only(capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.com"):
        with pytest.raises(SystemExit):
            main(["--host", host])
        assert "loopback" in capsys.readouterr().err


def test_a_taken_port_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorError, match=f"cannot listen on 127.0.0.1:{port}"):
            MediaxEmulator.start(port=port)


def test_a_missing_extra_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main([]) == 2
    assert capsys.readouterr().err == "The emulator needs its extra: pip install 'airflow-provider-mediax[emulator]'\n"


def test_the_serving_process_loads_none_of_the_audio_libraries() -> None:
    code = (
        "import sys, airflow_provider_mediax.emulator.server, airflow_provider_mediax.emulator.process\n"
        "print(sorted({'librosa', 'numba', 'soundfile', 'numpy', 'airflow'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_the_emulator_shares_no_code_with_the_client() -> None:
    allowed = ("airflow_provider_mediax", "airflow_provider_mediax.emulator")
    code = (
        "import sys, airflow_provider_mediax.emulator.server\n"
        "print(*(name for name in sys.modules if name.startswith('airflow_provider_mediax')))"
    )
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert [name for name in loaded if name not in allowed and not name.startswith(f"{allowed[1]}.")] == []
