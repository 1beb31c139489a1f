"""Claims in real Airflow, against the emulated bucket: what is written, and what is bought."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks import base
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import Acquisition, Owned
from airflow_provider_mediax.jobs.stored import Owner
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput
from tests.audio import click_track
from tests.integration.conftest import PERSISTENT, Run

RunDag = Callable[..., Run]


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> MediaxEmulator:
    mediax_emulator.put_object("a.wav", click_track(seconds=1))
    mediax_emulator.durations("*", 0.2)
    monkeypatch.setattr(base, "_PROVED", set())
    return mediax_emulator


def connection(emulator: MediaxEmulator) -> str:
    made = json.loads(emulator.connection_json())
    made["extra"]["claims"] = "cos://music-1250000000/mediax/claims"
    return json.dumps(made)


def claims(emulator: MediaxEmulator) -> list[str]:
    return [key.rpartition(".")[2] for key in emulator.object_keys() if key.startswith("mediax/claims/")]


def one(operator: type[Any], dag_id: str, **options: Any) -> DAG:
    with DAG(dag_id=dag_id) as dag:
        defaults = {"deferrable": True, "poll_interval": 0.3, "retries": 2, "retry_delay": timedelta(hours=1)}
        operator(task_id="job", **{**defaults, **options})
    return dag


def tags(dag_id: str, **options: Any) -> DAG:
    return one(MusicTagOperator, dag_id, path="a.wav", **options)


def separation(dag_id: str) -> DAG:
    return one(VoiceSeparationOperator, dag_id, source="a.wav", mode="IsAudio", codec="wav", destination="stems")


@pytest.mark.parametrize("made", [tags, separation])
def test_a_submit_of_either_service_is_claimed_once(
    run_dag: RunDag, emulator: MediaxEmulator, made: Callable[[str], DAG]
) -> None:
    run = run_dag(made(f"claimed_{made.__name__}"), connection=connection(emulator))
    assert run.states == {"job": "success"}
    assert len(emulator.ledger()["jobs"]) == 1
    assert claims(emulator) == ["0"]
    marker = emulator.ledger()["jobs"][0]["marker"]
    body = emulator.get_object(f"mediax/claims/{marker}.0")
    assert json.loads(body)["owner"].startswith(f"claimed_{made.__name__} ")


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "500_after"])
def test_a_lost_answer_of_the_bucket_buys_one_job(run_dag: RunDag, emulator: MediaxEmulator, kind: str) -> None:
    emulator.fail_next("PutObject", kind)
    run = run_dag(tags(f"lost_claim_{kind}"), connection=connection(emulator))
    assert run.states == {"job": "success"}
    assert len(emulator.ledger()["jobs"]) == 1
    assert claims(emulator) == ["0"]


@pytest.mark.parametrize("kind", ["500", "unauthorized", "html"])
def test_a_bucket_that_fails_buys_nothing_and_the_next_try_does(
    run_dag: RunDag, emulator: MediaxEmulator, kind: str
) -> None:
    emulator.fail_next("PutObject", kind, times=9)
    run = run_dag(tags(f"bucket_fails_{kind}"), connection=connection(emulator))
    assert run.states == {"job": "up_for_retry"}
    assert emulator.ledger()["jobs"] == []
    emulator.reset()
    emulator.put_object("a.wav", click_track(seconds=1))
    run.retry()
    assert run.states == {"job": "success"}
    assert len(emulator.ledger()["jobs"]) == 1


@pytest.mark.parametrize("state", ["Enabled", "Suspended"])
def test_a_bucket_that_replaces_objects_buys_nothing(run_dag: RunDag, emulator: MediaxEmulator, state: str) -> None:
    emulator.versioning(state)
    run = run_dag(tags(f"versioned_{state}"), connection=connection(emulator))
    assert run.states == {"job": "up_for_retry"}
    assert emulator.ledger()["jobs"] == []


def test_a_retry_that_meets_its_predecessors_claim_adopts_the_job(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    emulator.fail_next("CreateJob", "drop_after")
    emulator.fail_next("ListJobs", "error_response", times=PERSISTENT)
    run = run_dag(tags("meets_a_claim"), connection=connection(emulator))
    assert run.states == {"job": "up_for_retry"}
    emulator.clock(1000.0)  # by the bucket's own clock the claim is old
    run.retry()
    assert run.states == {"job": "success"}
    assert len(emulator.ledger()["jobs"]) == 1
    assert claims(emulator) == ["0"]


def test_a_retry_whose_predecessor_sent_nothing_claims_the_next_number(
    run_dag: RunDag, emulator: MediaxEmulator
) -> None:
    emulator.fail_next("CreateJob", "drop_before")
    emulator.fail_next("ListJobs", "error_response", times=PERSISTENT)
    run = run_dag(tags("claims_the_next"), connection=connection(emulator))
    assert run.states == {"job": "up_for_retry"}
    emulator.clock(1000.0)
    run.retry()
    assert run.states == {"job": "success"}
    assert len(emulator.ledger()["jobs"]) == 1
    assert claims(emulator) == ["0", "1"]


def submitted_at_once(hooks: Sequence[MediaxHook]) -> list[Owned]:
    """Let tasks with one key submit in the same instant, as workers do that know nothing of each other."""
    together = threading.Barrier(len(hooks))

    def submit(hook: MediaxHook) -> Owned:
        acquisition = Acquisition(
            hook.service,
            CapabilityRequest(capability=MusicTag(), input=MediaxInput(path="a.wav")),
            Identity(
                namespace=None,
                owner=Owner(dag_id="dag", run_id="run", task_id=f"task {id(hook)}", map_index=-1),
                generation=0,
                key="shared",
            ),
            store=None,
            claims=hook.claims,
            try_number=1,
            longest_send=65.0,
        )
        together.wait()
        try:
            return hook.run(acquisition.run())
        finally:
            hook.close()

    with ThreadPoolExecutor(len(hooks)) as pool:
        return list(pool.map(submit, hooks))


def test_tasks_with_one_key_that_submit_in_the_same_instant_buy_one_job(
    emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", connection(emulator))
    emulator.fail_next("ListJobs", "slow", times=4, seconds=0.3)  # so that all have asked before one submits
    owned = submitted_at_once([MediaxHook() for _ in range(4)])
    assert len({each.job.id for each in owned}) == 1
    assert len(emulator.ledger()["jobs"]) == 1
    assert sum(not each.reattached for each in owned) == 1
