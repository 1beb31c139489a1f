"""The command line on Airflow's real database, against the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from tests.audio import click_track
from tests.integration.conftest import PERSISTENT, Run, RunDag
from tests.unit.cli.said import Said, run_command

VERSION = pytest.importorskip("airflow.version").version
STORE = VERSION >= "3.3"
"""Whether Airflow has a task state store."""


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> MediaxEmulator:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # so that what a command sets is taken back
    mediax_emulator.put_object("a.wav", click_track(seconds=1))
    mediax_emulator.durations("*", 0.2)
    return mediax_emulator


@pytest.fixture
def cli(
    emulator: MediaxEmulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    """Return a function that runs a command as the console script does."""
    return lambda *arguments, **how: run_command(arguments, capsys, monkeypatch, emulator.connection_json(), **how)


def tags(dag_id: str, **options: Any) -> DAG:
    return one_task(MusicTagOperator, dag_id, path="a.wav", **options)


def separation(dag_id: str, **options: Any) -> DAG:
    return one_task(
        VoiceSeparationOperator, dag_id, source="a.wav", mode="IsAudio", codec="wav", destination="stems", **options
    )


def one_task(operator: type[JobOperator[Any]], dag_id: str, **options: Any) -> DAG:
    defaults = {"deferrable": True, "poll_interval": 0.3, "retries": 0, "retry_delay": timedelta(hours=1)}
    with DAG(dag_id=dag_id) as dag:
        operator(task_id="job", **{**defaults, **options})
    return dag


def delete(run: Run) -> None:
    """Delete a DAG run, as the UI does."""
    from airflow.utils.session import create_session

    with create_session() as session:
        session.delete(run._dag_run(session))


def job_ids(emulator: MediaxEmulator) -> list[str]:
    return [job["id"] for job in emulator.ledger()["jobs"]]


@pytest.mark.parametrize("make", [tags, separation])
@pytest.mark.parametrize("options", [{}, {"wait_for_completion": False}])
def test_a_healthy_run_has_no_orphans(
    run_dag: RunDag,
    emulator: MediaxEmulator,
    cli: Callable[..., Said],
    make: Callable[..., DAG],
    options: dict[str, bool],
) -> None:
    run = run_dag(make(f"healthy_{make.__name__}_{len(options)}", **options))
    assert run.states == {"job": "success"}
    said = cli("orphans", "--dag-id", run.dag.dag_id, "--output", "json")
    assert (said.code, said.json) == (0, [])
    assert cli("orphans", "--dag-id", run.dag.dag_id).out == "No data found\n"


@pytest.mark.skipif(not STORE, reason="without a task state store nothing knows what was there before the clear")
def test_what_a_clear_leaves_behind_is_listed(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    emulator.outcome("musicTagV2", "NEVER")
    run = run_dag(tags("left_behind", wait_timeout=1))
    assert run.states == {"job": "failed"}
    run.clear(dag=tags("left_behind"))
    assert run.states == {"job": "success"}
    said = cli("orphans", "--dag-id", "left_behind", "--run-id", run.run_id, "--output", "json")
    assert said.code == 1
    (orphan,) = said.json
    left = emulator.ledger()["jobs"][0]
    assert (orphan["job_id"], orphan["marker"], orphan["state"]) == (left["id"], left["marker"], "PROCESSING")
    assert orphan["service"] == "mediax"
    assert orphan["created_at"].endswith("Z")
    assert orphan["owner"] == {"dag_id": "left_behind", "run_id": run.run_id, "task_id": "job", "map_index": -1}
    assert orphan["reason"] == "a clear of its task left it behind"
    assert "cannot be canceled" in orphan["todo"][0]


@pytest.mark.skipif(not STORE, reason="without a task state store nothing knows what was there before the clear")
def test_what_was_collected_before_a_clear_is_no_orphan(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    run = run_dag(tags("collected"))
    run.clear()
    assert len(job_ids(emulator)) == 2
    assert cli("orphans", "--dag-id", "collected").code == 0


def test_the_open_job_of_a_failed_task_is_listed(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    emulator.outcome("musicTagV2", "NEVER")
    run = run_dag(tags("failed", wait_timeout=1))
    assert run.states == {"job": "failed"}
    table = cli("orphans", "--dag-id", "failed")
    assert table.code == 1
    (job_id,) = job_ids(emulator)
    assert job_id in table.out
    assert "its task is over (failed)" in " ".join(table.out.split())
    assert ('on_clear="reuse"' in table.out) is STORE
    assert cli("orphans", "--dag-id", "failed", "--until", "2001-01-01").code == 0


def test_a_result_that_came_after_its_task_had_failed_is_listed(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    emulator.durations("musicTagV2", 600)
    run_dag(tags("too_late", wait_timeout=1))
    emulator.finish_jobs()
    until(lambda: states(emulator) == ["COMPLETED"])
    (orphan,) = cli("orphans", "--dag-id", "too_late", "-o", "json").json
    assert orphan["state"] == "COMPLETED"
    assert orphan["todo"][-1] == f'collect its result with MediaxJobSensor(job_id="{orphan["job_id"]}")'


@pytest.mark.parametrize("elsewhere", [pytest.param(True, id="store elsewhere"), pytest.param(False, id="store here")])
def test_the_job_of_a_task_that_waits_for_its_retry_is_owned(
    run_dag: RunDag,
    emulator: MediaxEmulator,
    cli: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: bool,
) -> None:
    if elsewhere:
        monkeypatch.setattr("airflow_provider_mediax.cli.tables.TaskStateStoreModel", None)
    emulator.outcome("musicTagV2", "NEVER")
    run = run_dag(tags("between_tries", wait_timeout=1, retries=1))
    assert run.states == {"job": "up_for_retry"}
    assert cli("orphans", "--dag-id", "between_tries").code == 0


@pytest.mark.skipif(not STORE, reason="without a task state store nothing knows that a submit was under way")
def test_a_submit_whose_answer_never_arrived_is_looked_up(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    emulator.fail_next("CreateJob", "drop_after")
    emulator.fail_next("ListJobs", "error_response", times=PERSISTENT)
    run = run_dag(tags("lost_answer"))
    assert run.states == {"job": "failed"}
    (orphan,) = cli("orphans", "--dag-id", "lost_answer", "-o", "json").json
    assert [orphan["job_id"]] == job_ids(emulator)
    assert "never had the answer" in orphan["reason"]


def test_a_second_job_of_one_marker_is_listed_beside_the_one_that_was_adopted(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    from airflow_provider_mediax.hooks.mediax import MediaxHook
    from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
    from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput

    run = run_dag(tags("second"))
    own = run.values["job"]
    request = CapabilityRequest(capability=MusicTag(), input=MediaxInput(path="a.wav"))
    hook = MediaxHook()
    second = hook.submit(request, own["marker"])
    hook.close()
    (orphan,) = cli("orphans", "--dag-id", "second", "-o", "json").json
    assert orphan["job_id"] == second.id
    assert own["job_id"] in orphan["reason"]


def test_a_job_that_a_task_of_another_run_shares_is_owned(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    emulator.durations("musicTagV2", 3600)
    first = run_dag(tags("shared", idempotency_key="shared-track", wait_timeout=0.5))
    emulator.finish_jobs()
    second = run_dag(tags("shared", idempotency_key="shared-track"))
    assert (first.states["job"], second.states["job"]) == ("failed", "success")
    assert len(job_ids(emulator)) == 1
    assert cli("orphans", "--dag-id", "shared", "--run-id", first.run_id).code == 0


def states(emulator: MediaxEmulator) -> list[str]:
    return [job["state"] for job in emulator.ledger()["jobs"]]


def until(happened: Callable[[], bool]) -> None:
    patience = threading.Event()
    assert any(happened() or patience.wait(0.1) for _ in range(3000))


@pytest.fixture
def waiting_separation(run_dag: RunDag, emulator: MediaxEmulator) -> Callable[..., Run]:
    """Leave a separation behind that has not started, of a task that has failed."""
    emulator.pause_queue()

    def leave(dag_id: str, **options: Any) -> Run:
        run = run_dag(separation(dag_id, wait_timeout=1, cancel_on_kill=False, **options))
        assert run.states == {"job": "failed"}
        return run

    return leave


def test_cancel_ends_a_separation_that_has_not_started(
    waiting_separation: Callable[..., Run], emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    waiting_separation("to_cancel")
    said = cli("orphans", "--dag-id", "to_cancel", "--cancel", "--yes", "-o", "json")
    assert said.code == 1
    assert [(orphan["state"], orphan["todo"]) for orphan in said.json] == [("Cancel", [])]
    assert states(emulator) == ["Cancel"]
    assert cli("orphans", "--dag-id", "to_cancel").code == 0


@pytest.mark.parametrize(("answer", "canceled"), [("y\n", True), ("n\n", False), ("", False)])
def test_cancel_asks_before(
    waiting_separation: Callable[..., Run],
    emulator: MediaxEmulator,
    cli: Callable[..., Said],
    answer: str,
    canceled: bool,
) -> None:
    waiting_separation(f"ask_{len(answer)}_{canceled}")
    said = cli("orphans", "--since", "1h", "--dag-id", f"ask_{len(answer)}_{canceled}", "--cancel", stdin=answer)
    assert "Cancel this job? [y/N]" in said.err
    assert states(emulator) == ["Cancel" if canceled else "Pause"]


def test_nothing_is_canceled_unasked(
    waiting_separation: Callable[..., Run], emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    waiting_separation("unasked")
    said = cli("orphans", "--dag-id", "unasked", "--yes", "-o", "json")
    assert said.json[0]["todo"][0] == "cancel it: --cancel"
    assert emulator.ledger()["cancels"] == []


def test_cancel_leaves_a_separation_that_has_started(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    emulator.outcome("VoiceSeparate", "NEVER")
    emulator.durations("VoiceSeparate", 0)
    run_dag(separation("started", wait_timeout=1.5, cancel_on_kill=False))
    said = cli("orphans", "--dag-id", "started", "--cancel", "--yes", "-o", "json")
    assert [orphan["state"] for orphan in said.json] == ["Running"]
    assert emulator.ledger()["cancels"] == []


def test_the_separation_of_a_deleted_run_is_found_by_its_time_and_canceled_only_on_a_word_of_its_own(
    waiting_separation: Callable[..., Run], emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    delete(waiting_separation("deleted"))
    (job_id,) = job_ids(emulator)
    said = cli("orphans", "--since", "1h", "--cancel", "--yes", "-o", "json")
    (orphan,) = [orphan for orphan in said.json if orphan["job_id"] == job_id]
    assert orphan["owner"] is None
    assert "another deployment with this account" in orphan["reason"]
    assert emulator.ledger()["cancels"] == []
    assert cli("orphans", "--since", "2001-01-01", "--until", "2001-01-02", "-o", "json").json == []
    cli("orphans", "--since", "1h", "--cancel-unknown", "--yes")
    assert states(emulator) == ["Cancel"]


def test_a_deleted_run_is_no_reason_to_say_that_there_are_no_orphans(run_dag: RunDag, cli: Callable[..., Said]) -> None:
    run = run_dag(tags("run_deleted"))
    delete(run)
    said = cli("orphans", "--dag-id", "run_deleted", "--run-id", run.run_id)
    assert said.code == 2
    assert "--since" in said.err


def test_a_mistyped_task_is_no_reason_to_say_that_there_are_no_orphans(
    run_dag: RunDag, cli: Callable[..., Said]
) -> None:
    run_dag(tags("mistyped"))
    assert cli("orphans", "--dag-id", "mistyped", "--task-id", "jbo").code == 2
    assert cli("orphans", "--dag-id", "mistyped", "--task-id", "job").code == 0


def test_a_service_that_cannot_say_is_no_all_clear(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    run_dag(tags("unsure"))
    emulator.fail_next("ListJobs", "error_response", times=50)
    said = cli("orphans", "--dag-id", "unsure", "-o", "json")
    assert (said.code, said.json) == (3, [])
    assert "MediaX could not list all jobs" in said.err


def test_a_list_that_insists_on_a_queue_is_read(
    waiting_separation: Callable[..., Run], emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    waiting_separation("queue_wanted")
    emulator.precondition("queue_id_optional", False)
    assert len(cli("orphans", "--dag-id", "queue_wanted", "-o", "json").json) == 1


def test_one_service_alone_can_be_asked(run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]) -> None:
    run_dag(tags("one_service"))
    emulator.fail_next("ListCiJobs", "unauthorized", times=50)
    assert cli("orphans", "--dag-id", "one_service").code == 3
    assert cli("orphans", "--dag-id", "one_service", "--service", "mediax").code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--since"),
        (("--run-id", "x", "--since", "1h"), "--dag-id"),
        (("--since", "yesterday"), "24h"),
        (("--since", "1h", "--conn-id", "nowhere"), "nowhere"),
        (("--dag-id", "no_such_dag"), "no such run"),
        (("--since", "1h", "--service", "pop"), "cloud_infinite"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_to_do(
    execution_api: None, cli: Callable[..., Said], arguments: tuple[str, ...], told: str
) -> None:
    said = cli("orphans", *arguments)
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_a_connection_without_any_service_ends_with_2(
    execution_api: None, cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "mediax"}')
    said = cli("orphans", "--since", "1h", "--conn-id", "empty")
    assert said.code == 2
    assert "login" in said.err


def test_a_connection_without_cos_keys_leaves_the_other_service(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dag(tags("no_cos"))
    connection = json.loads(emulator.connection_json())
    for name in ("cos_secret_id", "cos_secret_key"):
        del connection["extra"][name]
    monkeypatch.setenv("AIRFLOW_CONN_NO_COS", json.dumps(connection))
    said = cli("orphans", "--dag-id", "no_cos", "--conn-id", "no_cos")
    assert said.code == 0
    assert "cos_secret_id" in said.err


def test_a_connection_of_the_metadata_database_is_found(
    run_dag: RunDag, emulator: MediaxEmulator, cli: Callable[..., Said]
) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    run_dag(tags("stored_connection"))
    connection = Connection.from_json(emulator.connection_json(), conn_id="stored_mediax")
    with create_session() as session:
        session.add(connection)
    assert cli("orphans", "--dag-id", "stored_connection", "--conn-id", "stored_mediax").code == 0


@pytest.mark.skipif(VERSION < "3.2", reason="Airflow has provider commands from 3.2 on")
def test_airflows_own_command_does_the_same(run_dag: RunDag, cli: Callable[..., Said]) -> None:
    from airflow.cli.cli_parser import get_parser

    def airflow(arguments: list[str]) -> None:
        options = get_parser().parse_args(["mediax", *arguments])
        options.func(options)

    run_dag(tags("own_command"))
    arguments = ("orphans", "--dag-id", "own_command", "--output", "json")
    assert cli(*arguments, entry=airflow) == cli(*arguments)


def test_what_is_printed_for_programs_is_nothing_but_json(
    waiting_separation: Callable[..., Run], emulator: MediaxEmulator
) -> None:
    """Also where something is logged, here that the keys of the other service would travel in clear text."""
    waiting_separation("for_programs")
    connection = json.loads(emulator.connection_json())
    connection["host"] = "http://gateway.invalid"
    named = ["--dag-id", "for_programs", "--service", "cloud_infinite", "-o", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_mediax.cli", "orphans", *named],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AIRFLOW_CONN_MEDIAX_DEFAULT": json.dumps(connection)},
    )
    assert done.returncode == 1, done.stderr
    assert [orphan["job_id"] for orphan in json.loads(done.stdout)] == job_ids(emulator)
    assert "clear text" in done.stderr
