"""Promise 8 in real Airflow: bad input fails the task for good, with nothing sent or nothing half-done."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.music import MusicAsrOperator, MusicBeatOperator, MusicTagOperator
from airflow_provider_mediax.operators.music_base import MediaxOperator
from tests.integration.conftest import Run, RunDag

SECRET = "mistyped-SECRET"


def run_one(
    run_dag: RunDag,
    emulator: MediaxEmulator,
    operator: type[MediaxOperator],
    *,
    dag_id: str,
    changes: dict[str, str] | None = None,
    **options: Any,
) -> Run:
    """Run one operator; with retries left, so that only a permanent error ends it."""
    connection = json.loads(emulator.connection_json())
    for name, value in (changes or {}).items():
        (connection if name in connection else connection["extra"])[name] = value
    emulator.durations("*", 0.1)
    with DAG(dag_id=dag_id) as dag:
        operator(task_id="t", retries=2, poll_interval=0.2, **options)
    return run_dag(dag, connection=json.dumps(connection))


@pytest.mark.parametrize(
    ("name", "operator", "options"),
    [
        ("no_input", MusicTagOperator, {}),
        ("two_inputs", MusicTagOperator, {"url": "http://127.0.0.1/a", "path": "a"}),
        ("rendered_confidence", MusicAsrOperator, {"path": "a", "confidence": "{{ 1 + 1 }}"}),
        ("rendered_tags", MusicTagOperator, {"path": "a", "tag_types": "{{ ['all', 'mood'] }}"}),
        ("job_timeout", MusicTagOperator, {"path": "a", "job_timeout": 60, "wait_timeout": 60}),
        ("wait_timeout", MusicTagOperator, {"path": "a", "wait_timeout": 0}),
        ("poll_interval", MusicTagOperator, {"path": "a", "idempotency_key": "{{ '' }}"}),
        ("on_clear", MusicTagOperator, {"path": "a", "on_clear": "{{ 'sometimes' }}"}),
    ],
)
def test_it_is_refused_before_anything_is_sent(
    run_dag: RunDag,
    mediax_emulator: MediaxEmulator,
    name: str,
    operator: type[MediaxOperator],
    options: dict[str, Any],
) -> None:
    run = run_one(run_dag, mediax_emulator, operator, dag_id=f"refused_{name}", **options)
    assert run.states == {"t": "failed"}
    assert mediax_emulator.ledger()["requests"] == []


@pytest.mark.parametrize("field", ["login", "password", "content_id"])
def test_a_connection_field_that_the_request_needs_is_asked_for_before_anything_is_sent(
    run_dag: RunDag, mediax_emulator: MediaxEmulator, field: str
) -> None:
    run = run_one(run_dag, mediax_emulator, MusicBeatOperator, dag_id=f"lacks_{field}", changes={field: ""}, path="a")
    assert run.states == {"t": "failed"}
    assert mediax_emulator.ledger()["requests"] == []


@pytest.mark.parametrize("field", ["login", "password", "gateway_secret_id", "gateway_secret_key", "gateway_source"])
def test_a_wrong_key_fails_the_task_for_good_with_no_job_and_no_secret_shown(
    run_dag: RunDag, mediax_emulator: MediaxEmulator, capfd: pytest.CaptureFixture[str], field: str
) -> None:
    run = run_one(
        run_dag, mediax_emulator, MusicTagOperator, dag_id=f"wrong_{field}", changes={field: SECRET}, path="a"
    )
    assert run.states == {"t": "failed"}
    assert mediax_emulator.ledger()["jobs"] == []
    shown = capfd.readouterr()
    assert ("AuthenticationFailed" in shown.out) or ("BadRequest" in shown.out)
    assert SECRET not in shown.out + shown.err


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("not_audio", b"this is no audio", {"path": "x.bin"}),
        ("missing_path", None, {"path": "nowhere.mp3"}),
        ("missing_url", None, {"url": "http://127.0.0.1:9/gone.mp3"}),
    ],
)
def test_an_input_that_cannot_be_read_ends_in_a_failed_job_that_is_not_repeated(
    run_dag: RunDag,
    mediax_emulator: MediaxEmulator,
    name: str,
    content: bytes | None,
    options: dict[str, Any],
    deferrable: bool,
) -> None:
    if content is not None:
        mediax_emulator.put_object("x.bin", content)
    run = run_one(
        run_dag,
        mediax_emulator,
        MusicBeatOperator,
        dag_id=f"unreadable_{name}_{deferrable}",
        deferrable=deferrable,
        **options,
    )
    assert run.states == {"t": "failed"}
    assert [job["state"] for job in mediax_emulator.ledger()["jobs"]] == ["ERROR"]
    assert [key for key in mediax_emulator.object_keys() if key != "x.bin"] == []
