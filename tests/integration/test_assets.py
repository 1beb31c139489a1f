"""The events of a job's outlets, as Airflow keeps them, and the example DAG that they start."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.operators.music import MusicBeatOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.sensors.job import MediaxJobSensor
from tests.audio import click_track
from tests.integration.conftest import Run, RunDag

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "music-1250000000"


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("in/track.wav", click_track(seconds=2))
    mediax_emulator.durations("*", 0.2)
    return mediax_emulator


def events_of(run: Run) -> list[tuple[str, dict[str, Any]]]:
    """Return address and extra of the asset events that a run has left in the database."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(select(AssetEvent).filter_by(source_run_id=run.run_id).order_by(AssetEvent.id))
        return [(row.uri, row.extra) for row in rows]


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_assets_event_names_the_job_and_an_aliass_events_name_its_files(
    run_dag: RunDag, emulator: MediaxEmulator, deferrable: bool
) -> None:
    asset = Asset(f"cos://{BUCKET}/beats/{deferrable}")
    with DAG(f"beats_as_assets_{deferrable}", schedule=None) as dag:
        MusicBeatOperator(
            task_id="beats", path="in/track.wav", deferrable=deferrable, outlets=[asset, AssetAlias("beats")]
        )
    run = run_dag(dag, connection=emulator.connection_json())
    manifest = run.values["beats"]
    says = {"job_id": manifest["job_id"], "capability": "musicBeat"}
    assert len(manifest["files"]) == 2
    assert sorted(events_of(run), key=str) == sorted(((uri, says) for uri in (asset.uri, *manifest["files"])), key=str)


def test_a_sensors_events_are_those_of_the_operator(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG("beats_waited_for", schedule=None) as dag:
        submit = MusicBeatOperator(task_id="submit", path="in/track.wav", wait_for_completion=False)
        submit >> MediaxJobSensor(
            task_id="wait",
            job_id="{{ ti.xcom_pull('submit') }}",
            deferrable=True,
            poke_interval=1,
            outlets=[AssetAlias("beats")],
        )
    run = run_dag(dag, connection=emulator.connection_json())
    manifest = run.values["wait"]
    assert [uri for uri, _ in events_of(run)] == manifest["files"]
    assert {extra["job_id"] for _, extra in events_of(run)} == {manifest["job_id"]}


def test_a_file_that_airflow_takes_for_no_asset_fails_no_task(run_dag: RunDag, emulator: MediaxEmulator) -> None:
    with DAG("stems_without_ascii", schedule=None) as dag:
        VoiceSeparationOperator(
            task_id="separate",
            source="in/track.wav",
            mode="AudioAndBackground",
            outputs={"voice": "\u5929\u7a7a.mp3", "background": "background.mp3"},
            outlets=[AssetAlias("stems")],
        )
    run = run_dag(dag, connection=emulator.connection_json())
    assert run.states == {"separate": "success"}
    assert [uri for uri, _ in events_of(run)] == [f"cos://{BUCKET}/background.mp3"]


def test_the_stems_of_one_dag_start_the_report_of_another_which_buys_nothing(
    run_dag: RunDag, emulator: MediaxEmulator, tmp_path: Path
) -> None:
    emulator.put_object("incoming/a.wav", click_track(seconds=2))
    emulator.put_object("incoming/b.wav", click_track(seconds=2))
    connection = emulator.connection_json()
    stems = runpy.run_path(str(ROOT / "dags" / "separate_stems.py"))["stem_separation"]
    warehouse = f'{{"conn_type": "sqlite", "host": "{tmp_path / "warehouse.sqlite"}"}}'
    producer = run_dag(stems, connection=connection, conn_env={"AIRFLOW_CONN_WAREHOUSE": warehouse})
    assert set(producer.states.values()) == {"success"}
    bought = len(emulator.ledger()["jobs"])

    report = runpy.run_path(str(ROOT / "dags" / "report_stems.py"))["stem_report"]
    run = started_by(producer, report, connection)
    assert set(run.states.values()) == {"success"}
    separated = {producer.xcom(f"one_track.separate[{index}]")["job_id"] for index in (0, 1)}
    assert set(run.values["new_jobs"]) == separated
    page = emulator.get_object(run.values["report"].removeprefix(f"cos://{BUCKET}/")).decode()
    assert "a.wav" in page
    assert "b.wav" in page
    assert len(emulator.ledger()["jobs"]) == bought


def started_by(producer: Run, dag: DAG, connection: str) -> Run:
    """Run a DAG as the scheduler starts it for the events of a run: they are given to the new run."""
    import airflow.models.dagrun as dagrun
    from airflow.models.asset import AssetEvent
    from sqlalchemy import select

    create = dagrun.get_or_create_dagrun

    def with_events(*, session: Any, **new: Any) -> Any:
        run = create(session=session, **new)
        run.consumed_asset_events.extend(session.scalars(select(AssetEvent).filter_by(source_run_id=producer.run_id)))
        session.commit()
        return run

    with patch.object(dagrun, "get_or_create_dagrun", with_events):
        return Run(dag, f"of_{producer.run_id}", {"AIRFLOW_CONN_MEDIAX_DEFAULT": connection})._drive()
