"""A batch whose process ends in every phase, in real Airflow: the emulator has one job per item."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks.batch_folder import StorageFolder
from airflow_provider_mediax.jobs.batch import chunk
from airflow_provider_mediax.operators.batch import MusicBatchOperator
from tests.integration.conftest import RunDag
from tests.unit.cli.said import run_command

ROOT = Path(__file__).resolve().parents[2]

#: What the process does when it ends: verb and begin of the name, and whether it has done it by then.
PHASES = [
    ("write", "plan/", True),
    ("create", "plan.json", False),
    ("create", "plan.json", True),
    ("create", "chunks/000000.00.intent", True),
    ("write", "chunks/000002.", False),
    ("create", "chunks/000005.00.intent", False),
    ("create", "chunks/000007.00.intent", True),
    ("write", "parts/", True),
    ("create", "chunks/000008.done", True),
    ("upload", "rows/", True),
    ("create", "outcome.json", False),
    ("create", "outcome.json", True),
]


class Mortal:
    """Lets the process end at a step: from there on nothing of it reaches the folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.phase: tuple[str, str, bool] | None = None
        self.dead = False
        for verb in ("write", "create", "upload", "read", "entries", "delete"):
            monkeypatch.setattr(StorageFolder, verb, self._guarded(verb, getattr(StorageFolder, verb)))

    def dies(self, phase: tuple[str, str, bool] | None) -> None:
        self.phase, self.dead = phase, False

    def _guarded(self, verb: str, does: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(folder: StorageFolder, name: Any, *more: Any) -> Any:
            if self.dead:
                raise RuntimeError("this process has ended")
            due = self.phase is not None and self.phase[0] == verb and str(name).startswith(self.phase[1])
            self.dead = due
            if due and self.phase is not None and not self.phase[2]:
                raise RuntimeError("this process ends here")
            result = does(folder, name, *more)
            if due:
                raise RuntimeError("this process ends here")
            return result

        return guarded


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Mortal:
    """Return what ends processes; waits for what a dead one may still send are short, since it sends nothing."""
    monkeypatch.setattr(chunk, "CLAIM_SECONDS", 2.0)
    monkeypatch.setattr(chunk, "CLOCKS", 0.5)
    return Mortal(monkeypatch)


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.durations("*", 0.5)
    mediax_emulator.canned()
    return mediax_emulator


def a_batch(dag_id: str, output: str, count: int, **options: Any) -> DAG:
    with DAG(dag_id=dag_id) as dag:
        defaults: dict[str, Any] = {
            "capability": "musicTagV2",
            "items": [f"in/{number}.mp3" for number in range(count)],
            "output": output,
            "requests_per_second": 500,
            "poll_interval": 0.5,
            "collect_interval": 1,
            "retries": 20,
            "retry_delay": timedelta(hours=1),
            "allow_local_output": True,
        }
        MusicBatchOperator(task_id="batch", **{**defaults, **options})
    return dag


def bought(emulator: MediaxEmulator) -> int:
    jobs: list[dict[str, Any]] = emulator.ledger()["jobs"]
    return len(jobs)


def lines(address: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ObjectStoragePath(address).read_text().splitlines()]


def test_killed_in_every_phase_a_batch_of_500_buys_each_item_once(
    run_dag: RunDag, emulator: MediaxEmulator, tmp_path: Path, mortal: Mortal
) -> None:
    dag = a_batch("killed_500", f"file://{tmp_path}", 500, deferrable=True)
    mortal.dies(PHASES[0])
    run = run_dag(dag, connection=emulator.connection_json())
    for number, phase in enumerate([*PHASES[1:], None], 2):
        assert run.states == {"batch": "up_for_retry"}, PHASES[number - 2]
        mortal.dies(phase)
        run.retry()
    assert run.states == {"batch": "success"}
    assert bought(emulator) == 500
    said = run.values["batch"]
    items = lines(said["outcome"])
    assert Counter(item["state"] for item in items) == {"done": 500}
    assert len({item["id"] for item in items}) == 500
    assert len({row["item_id"] for part in said["parts"] for row in lines(part)}) == 500


def test_a_night_that_was_cut_off_is_not_bought_again_by_the_next(
    run_dag: RunDag, emulator: MediaxEmulator, tmp_path: Path, mortal: Mortal, capsys: Any, monkeypatch: Any
) -> None:
    output = f"file://{tmp_path}/out"
    options = {"skip_known_in": output, "retries": 0}
    mortal.dies(("create", "chunks/000001.done", False))
    first = run_dag(a_batch("cut_off", output, 100, **options), connection=emulator.connection_json())
    assert first.states == {"batch": "failed"}
    mortal.dies(None)
    second = run_dag(a_batch("next_night", output, 120, **options), connection=emulator.connection_json())
    assert second.states == {"batch": "success"}
    counts = second.values["batch"]["counts"]
    assert bought(emulator) == 120
    assert counts["done"] == 20
    assert counts["skipped"] + counts["elsewhere"] == 100
    # What was cut off is collected by hand, and is known then.
    (folder,) = {line["error"] for line in lines(second.values["batch"]["outcome"]) if line["state"] == "elsewhere"}
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", emulator.connection_json())
    said = run_command(("batch", "settle", folder, "-o", "json"), capsys, monkeypatch, emulator.connection_json())
    assert said.code == 0, said.err
    assert said.json["states"] == {"done": 100}
    said = run_command(("batch", "show", folder, "-o", "json"), capsys, monkeypatch, emulator.connection_json())
    assert (said.code, said.json["states"], said.json["task"]["dag_id"]) == (0, {"done": 100}, "cut_off")
    third = run_dag(a_batch("third_night", output, 120, **options), connection=emulator.connection_json())
    assert third.values["batch"]["counts"]["skipped"] == 120
    assert bought(emulator) == 120


def test_the_nightly_catalogue_runs_as_it_stands(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    (dag,) = [
        value
        for value in runpy.run_path(str(ROOT / "dags" / "nightly_catalogue.py")).values()
        if isinstance(value, DAG)
    ]
    for number in range(6):
        emulator.put_object(f"in/{number}.mp3", b"not looked at")
    emulator.outcome("musicTagV2", "ERROR", times=1)
    first = run_dag(dag, connection=emulator.connection_json())
    assert first.state == "success"
    assert first.values["count_tracks"]["done"] == 5
    emulator.put_object("in/new.mp3", b"not looked at")
    second = run_dag(dag, connection=emulator.connection_json())
    assert (second.values["count_tracks"]["done"], second.values["count_tracks"]["skipped"]) == (2, 5)
    assert bought(emulator) == 8
