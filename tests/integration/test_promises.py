"""Promises 1 to 5 and 7 in real Airflow: tries, clears, lost answers, deadlines; the emulator's ledger is the judge."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Context
from airflow.triggers.base import TriggerEvent

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.exceptions import RequestChanged, WaitTimeout
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.triggers.job import JobTrigger
from tests.audio import click_track
from tests.integration.conftest import PERSISTENT, QUESTIONS, RunDag

STORE = pytest.importorskip("airflow.version").version >= "3.3"
"""Whether Airflow has a task state store."""


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("a.wav", click_track(seconds=3))
    mediax_emulator.put_object("b.wav", click_track(seconds=3))
    mediax_emulator.durations("*", 0.2)
    return mediax_emulator


def tags(dag_id: str, path: str = "a.wav", **options: Any) -> DAG:
    """Return a DAG of one operator."""
    with DAG(dag_id=dag_id) as dag:
        defaults = {"deferrable": True, "poll_interval": 0.3, "retries": 2, "retry_delay": timedelta(hours=1)}
        MusicTagOperator(task_id="tags", path=path, **{**defaults, **options})
    return dag


def jobs(emulator: MediaxEmulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = emulator.ledger()["jobs"]
    return found


def calls(emulator: MediaxEmulator, action: str) -> int:
    return sum(request["action"] == action for request in emulator.ledger()["requests"])


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "html_after", "truncated"])
def test_a_lost_answer_buys_no_second_job(run_dag: RunDag, emulator: MediaxEmulator, kind: str) -> None:
    emulator.fail_next("CreateJob", kind)
    run = run_dag(tags(f"lost_{kind}"), connection=emulator.connection_json())
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == 1
    assert calls(emulator, "CreateJob") == 1


@pytest.mark.parametrize("kind", ["drop_before", "502", "html"])
def test_a_lost_submit_is_sent_once_more_after_the_service_said_that_there_is_none(
    run_dag: RunDag, emulator: MediaxEmulator, kind: str
) -> None:
    emulator.fail_next("CreateJob", kind)
    run = run_dag(tags(f"never_arrived_{kind}"), connection=emulator.connection_json())
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == 1
    assert (calls(emulator, "CreateJob"), calls(emulator, "ListJobs")) == (2, QUESTIONS)


def test_a_try_that_could_not_tell_is_followed_by_one_that_adopts(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.fail_next("CreateJob", "drop_after")
    emulator.fail_next("ListJobs", "error_response", times=PERSISTENT)
    run = run_dag(tags("could_not_tell"), connection=emulator.connection_json())
    assert run.states == {"tags": "up_for_retry"}
    run.retry()
    assert run.states == {"tags": "success"}
    assert run.values["tags"]["reattached"]
    assert len(jobs(emulator)) == 1


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_retry_after_a_timeout_adopts_the_running_job_and_buys_nothing(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    emulator.durations("musicTagV2", 3600)
    dag = tags(f"timeout_{deferrable}", wait_timeout=1.5, deferrable=deferrable)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"tags": "up_for_retry"}
    emulator.finish_jobs()
    run.retry(tags(dag.dag_id, wait_timeout=600, deferrable=deferrable))
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == 1


def test_execution_timeout_lowers_the_deadline_of_a_deferred_wait(
    run_dag: RunDag, emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.outcome("musicTagV2", "NEVER")
    begun: list[Context] = []
    failed: list[Context] = []
    deadlines: list[float] = []
    own_run = JobTrigger.run

    async def noted(trigger: JobTrigger) -> AsyncIterator[TriggerEvent]:
        deadlines.append(trigger.deadline)
        async for event in own_run(trigger):
            yield event

    monkeypatch.setattr(JobTrigger, "run", noted)
    callbacks: dict[str, Any] = {"on_execute_callback": begun.append, "on_failure_callback": failed.append}
    dag = tags("execution_timeout", execution_timeout=timedelta(seconds=4), retries=0, **callbacks)
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"tags": "failed"}
    assert calls(emulator, "GetJob") >= 2
    (context,) = failed
    if "exception" in context:  # Airflow 3.1 does not tell a callback what a retryable failure was
        assert isinstance(context["exception"], WaitTimeout)  # ours, which names the job, and not Airflow's own
        assert context["exception"].job_id == jobs(emulator)[0]["id"]
    assert deadlines == [begun[0]["ti"].start_date.timestamp() + 4]


def test_an_edit_of_retries_between_two_tries_buys_no_second_job(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.durations("musicTagV2", 3600)
    run = run_dag(tags("edited_retries", wait_timeout=0.5), connection=emulator.connection_json())
    assert run.states == {"tags": "up_for_retry"}
    emulator.finish_jobs()
    run.retry(tags("edited_retries", retries=4))
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == 1


@pytest.mark.skipif(not STORE, reason="without a task state store nothing knows what the earlier try asked for")
def test_a_template_that_renders_differently_on_a_retry_fails_and_names_the_field(
    run_dag: RunDag, emulator: MediaxEmulator
) -> None:
    emulator.durations("musicTagV2", 3600)
    run = run_dag(tags("changed", wait_timeout=0.5), connection=emulator.connection_json())
    failed: list[Context] = []
    run.retry(tags("changed", path="b.wav", on_failure_callback=failed.append))
    assert run.states == {"tags": "failed"}  # with a retry left
    assert len(jobs(emulator)) == 1
    (context,) = failed
    assert isinstance(context["exception"], RequestChanged)
    assert context["exception"].what.endswith("what changed: path")


@pytest.mark.parametrize(("on_clear", "expected"), [("rerun", 2), ("reuse", 1)])
def test_a_clear_after_success_submits_anew_or_reuses(
    run_dag: RunDag, emulator: MediaxEmulator, on_clear: str, expected: int
) -> None:
    run = run_dag(tags(f"clear_{on_clear}", on_clear=on_clear), connection=emulator.connection_json())
    run.clear()
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == expected
    assert run.values["tags"]["reattached"] is (on_clear == "reuse")


def test_two_runs_that_share_a_key_share_one_job(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    dag = tags("shared", idempotency_key="{{ dag.dag_id }}-track-17")
    runs = [run_dag(dag, connection=emulator.connection_json()) for _ in range(2)]
    assert [run.states["tags"] for run in runs] == ["success", "success"]
    assert len(jobs(emulator)) == 1
    first, second = (run.values["tags"] for run in runs)
    assert {**second, "owner": None, "reattached": False} == {**first, "owner": None}


def test_namespaces_keep_two_deployments_on_one_account_apart(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    dag = tags("apart", idempotency_key="same")
    for namespace in ("staging", "production"):
        connection = json.loads(emulator.connection_json())
        connection["extra"]["namespace"] = namespace
        run_dag(dag, connection=json.dumps(connection))
    assert len({job["custom_id"] for job in jobs(emulator)}) == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_failed_job_is_not_paid_for_again_by_a_retry(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    emulator.outcome("musicTagV2", "ERROR")
    run = run_dag(tags(f"failed_{deferrable}", deferrable=deferrable), connection=emulator.connection_json())
    assert run.states == {"tags": "failed"}  # with two retries left
    assert len(jobs(emulator)) == 1


def test_a_failed_job_is_replaced_by_a_retry_if_the_user_says_so(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.outcome("musicTagV2", "ERROR")
    run = run_dag(tags("replaced", retry_failed_jobs=True), connection=emulator.connection_json())
    assert run.states == {"tags": "up_for_retry"}
    run.retry()
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == 2


def test_a_job_that_somebody_canceled_is_not_paid_for_again_by_a_retry(
    run_dag: RunDag, emulator: MediaxEmulator
) -> None:
    emulator.outcome("musicTagV2", "CANCELED")
    run = run_dag(tags("canceled"), connection=emulator.connection_json())
    assert run.states == {"tags": "failed"}
    assert run.try_numbers == {"tags": 1}
    assert len(jobs(emulator)) == 1


def test_a_canceled_job_is_replaced_by_a_retry_if_the_user_says_so(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.outcome("musicTagV2", "CANCELED")
    run = run_dag(tags("canceled_again", retry_failed_jobs=True), connection=emulator.connection_json())
    assert run.states == {"tags": "up_for_retry"}
    run.retry()
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == 2


def test_a_wait_survives_errors_of_every_kind(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.durations("musicTagV2", 4)
    for kind in ("html", "500", "429", "drop_before", "truncated", "503", "error_response"):
        emulator.fail_next("GetJob", kind, retry_after=0.2 if kind == "429" else None)
    run = run_dag(tags("survives", deferrable=False), connection=emulator.connection_json())
    assert run.states == {"tags": "success"}
    assert len(jobs(emulator)) == 1


def test_an_unknown_state_is_waited_on_to_the_deadline(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.outcome("musicTagV2", "UNKNOWN")
    run = run_dag(tags("unknown", wait_timeout=3, retries=0), connection=emulator.connection_json())
    assert run.states == {"tags": "failed"}
    assert 2 <= calls(emulator, "GetJob") <= 3 / 0.3 + 3


def test_an_event_of_another_task_does_not_end_the_wait(
    run_dag: RunDag, emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On sqlite an event can reach the task that follows the one it was meant for."""
    emulator.durations("musicTagV2", 2)
    own_run = JobTrigger.run
    strange: list[JobTrigger] = []

    async def run(trigger: JobTrigger) -> AsyncIterator[TriggerEvent]:
        if not strange:
            strange.append(trigger)
            yield TriggerEvent({"schema": 1, "status": "final", "states": {"of-another": "COMPLETED"}, "error": None})
            return
        async for event in own_run(trigger):
            yield event

    monkeypatch.setattr(JobTrigger, "run", run)
    result = run_dag(tags("strange_event"), connection=emulator.connection_json())
    assert result.states == {"tags": "success"}
    assert result.values["tags"]["state"] == "COMPLETED"
    assert strange
    assert len(jobs(emulator)) == 1


@pytest.mark.parametrize("event", [None, "text", {}, {"status": "final", "states": 3, "error": "x"}])
def test_an_event_that_cannot_be_read_does_no_harm(
    run_dag: RunDag,
    emulator: MediaxEmulator,
    monkeypatch: pytest.MonkeyPatch,
    event: dict[str, Any] | str | None,
) -> None:
    seen: list[object] = []
    own_run = JobTrigger.run

    async def run(trigger: JobTrigger) -> AsyncIterator[TriggerEvent]:
        if seen:
            async for regular in own_run(trigger):
                yield regular
        else:
            seen.append(event)
            yield TriggerEvent(event)

    monkeypatch.setattr(JobTrigger, "run", run)
    result = run_dag(tags(f"unreadable_{abs(hash(str(event)))}"), connection=emulator.connection_json())
    assert result.states == {"tags": "success"}
    assert len(jobs(emulator)) == 1
