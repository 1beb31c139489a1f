"""Promise 6, the worker's side, in real Airflow: what a kill sends and what it does not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Context

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from tests.audio import click_track
from tests.integration.conftest import RunDag


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("a.wav", click_track(seconds=1))
    mediax_emulator.outcome("*", "NEVER")  # the first job of each test
    return mediax_emulator


@pytest.fixture
def kill_when(emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """
    Return a function that kills the running task once an action was seen at the service.

    As the task runner does it: the task's ``on_kill`` is called by the handler of a signal.
    """
    ends = threading.Event()
    operators: list[JobOperator[Any]] = []
    own_execute = JobOperator.execute

    def execute(operator: JobOperator[Any], context: Context) -> Any:
        operators.append(operator)
        return own_execute(operator, context)

    monkeypatch.setattr(JobOperator, "execute", execute)
    before = signal.signal(signal.SIGUSR1, lambda *_: operators[-1].on_kill())

    def arrange(action: str) -> None:
        def watch() -> None:
            while not ends.wait(0.05):
                if any(request["action"] == action for request in emulator.ledger()["requests"]):
                    os.kill(os.getpid(), signal.SIGUSR1)
                    return

        threading.Thread(target=watch, daemon=True).start()

    yield arrange
    ends.set()
    signal.signal(signal.SIGUSR1, before)


def one_task(operator: type[JobOperator[Any]], dag_id: str, **options: Any) -> DAG:
    with DAG(dag_id=dag_id) as dag:
        operator(
            task_id="job",
            **{"deferrable": False, "poll_interval": 0.3, "retries": 3, "retry_delay": timedelta(hours=1), **options},
        )
    return dag


def separation(dag_id: str, **options: Any) -> DAG:
    return one_task(
        VoiceSeparationOperator, dag_id, source="a.wav", mode="IsAudio", codec="wav", destination="stems", **options
    )


def test_a_killed_worker_cancels_its_job_and_the_next_try_buys_the_one_that_replaces_it(
    run_dag: RunDag, emulator: MediaxEmulator, kill_when: Callable[[str], None]
) -> None:
    emulator.pause_queue()
    kill_when("DescribeCiJobs")
    run = run_dag(separation("kill_ci"), connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    assert [job["state"] for job in emulator.ledger()["jobs"]] == ["Cancel"]
    emulator.resume_queue()
    run.retry()
    assert run.states == {"job": "success"}
    assert [job["state"] for job in emulator.ledger()["jobs"]] == ["Cancel", "Success"]


def test_a_killed_worker_leaves_a_job_that_has_started_and_the_next_try_adopts_it(
    run_dag: RunDag, emulator: MediaxEmulator, kill_when: Callable[[str], None]
) -> None:
    emulator.durations("VoiceSeparate", 0)
    kill_when("DescribeCiJobs")
    run = run_dag(separation("kill_running", wait_timeout=20), connection=emulator.connection_json())
    ledger = emulator.ledger()
    assert [(cancel["state"], cancel["accepted"]) for cancel in ledger["cancels"]] == [("Running", False)]
    run.retry(separation("kill_running", wait_timeout=1))
    assert len(emulator.ledger()["jobs"]) == 1


@pytest.mark.parametrize("options", [{"cancel_on_kill": False}, {"idempotency_key": "shared"}])
def test_a_kill_does_not_cancel_what_it_must_not(
    run_dag: RunDag, emulator: MediaxEmulator, kill_when: Callable[[str], None], options: dict[str, Any]
) -> None:
    emulator.pause_queue()
    kill_when("DescribeCiJobs")
    run = run_dag(separation(f"kill_not_{next(iter(options))}", **options), connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    assert emulator.ledger()["cancels"] == []


def test_a_killed_worker_of_the_music_platform_ends_at_once_and_its_job_is_adopted(
    run_dag: RunDag, emulator: MediaxEmulator, kill_when: Callable[[str], None]
) -> None:
    kill_when("GetJob")
    dag = one_task(MusicTagOperator, "kill_mediax", path="a.wav")
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    run.retry(one_task(MusicTagOperator, "kill_mediax", path="a.wav", wait_timeout=1))
    assert len(emulator.ledger()["jobs"]) == 1


def test_a_worker_that_is_killed_in_the_submit_sends_no_second_one(
    run_dag: RunDag, emulator: MediaxEmulator, kill_when: Callable[[str], None]
) -> None:
    """The submit is left in flight; its answer is lost, and the next try finds the job by its marker."""
    emulator.fail_next("CreateJob", "slow_after", seconds=1.5)
    kill_when("CreateJob")
    run = run_dag(one_task(MusicTagOperator, "kill_in_submit", path="a.wav"), connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    run.retry(one_task(MusicTagOperator, "kill_in_submit", path="a.wav", wait_timeout=1))
    assert len(emulator.ledger()["jobs"]) == 1


def test_an_execution_timeout_cancels_what_has_not_started(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.pause_queue()
    dag = separation("kill_by_timeout", execution_timeout=timedelta(seconds=5))
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"job": "up_for_retry"}
    assert [job["state"] for job in emulator.ledger()["jobs"]] == ["Cancel"]
