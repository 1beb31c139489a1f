# ruff: noqa: D103, S101 - a test
"""A test of one's own DAG, as the README shows it."""

# [START test_first_dag]
from pathlib import Path

from first_dag import dag  # a file of your dags folder

pytest_plugins = ["airflow_provider_mediax.emulator.pytest_plugin"]


def test_the_track_is_bought_once_and_has_rows(mediax_emulator, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f'{{"conn_type": "sqlite", "host": "{tmp_path}/rows.sqlite"}}')
    mediax_emulator.put_object("in/track.wav", Path("track.wav").read_bytes())
    run = dag.test(run_conf={"path": "in/track.wav"})
    assert run.state == "success"
    assert [job["capability"] for job in mediax_emulator.ledger()["jobs"]] == ["musicTagV2"]


# [END test_first_dag]
