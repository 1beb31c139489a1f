"""Sensor, filesystem and file transfer for COS in real Airflow, against the emulator."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.providers.common.io.operators.file_transfer import FileTransferOperator
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.sensors.cos import CosKeySensor
from tests.integration.conftest import RunDag

BUCKET = "music-1250000000"
KEY = "in/a b+c%🎵.wav"


@pytest.fixture
def later() -> Iterator[Callable[[MediaxEmulator, str, float], None]]:
    """Return a function that puts an object into the bucket some seconds after COS was first asked for anything."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def put(emulator: MediaxEmulator, key: str, seconds: float) -> None:
        def wait_and_put() -> None:
            while not emulator.ledger()["requests"]:
                if over.wait(0.1):
                    return
            if not over.wait(seconds):
                emulator.put_object(key, b"12345")

        threads.append(threading.Thread(target=wait_and_put))
        threads[-1].start()

    yield put
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("key", "options"),
    [(KEY, {}), ([KEY, "there"], {}), ("in/*.wav", {"wildcard": True, "min_size": 5})],
    ids=["one", "many", "wildcard"],
)
def test_a_dag_goes_on_with_what_lands_in_a_bucket(
    run_dag: RunDag,
    mediax_emulator: MediaxEmulator,
    later: Callable[[MediaxEmulator, str, float], None],
    deferrable: bool,
    key: list[str] | str,
    options: dict[str, Any],
) -> None:
    mediax_emulator.put_object("there", b"")
    with DAG(dag_id=f"lands_{deferrable}_{len(key)}") as dag:
        landed = CosKeySensor(task_id="landed", key=key, deferrable=deferrable, poke_interval=1, timeout=600, **options)

        @task
        def size(addresses: list[str]) -> int:
            return sum(ObjectStoragePath(address, conn_id="mediax_default").stat().st_size for address in addresses)

        size(cast("list[str]", landed.output))
    later(mediax_emulator, KEY, 2.5)
    run = run_dag(dag, connection=mediax_emulator.connection_json())
    assert run.states == {"landed": "success", "size": "success"}
    there = [f"cos://{BUCKET}/there"] if isinstance(key, list) else []
    assert run.values["landed"] == [f"cos://{BUCKET}/{KEY}", *there]
    assert run.values["size"] == 5
    assert len(mediax_emulator.ledger()["requests"]) > 4  # it did wait


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("switch", "state"), [("silent_fail", "failed"), ("soft_fail", "skipped"), ("never_fail", "skipped")]
)
def test_a_sensor_that_waits_in_vain_fails_or_is_skipped(
    run_dag: RunDag, mediax_emulator: MediaxEmulator, deferrable: bool, switch: str, state: str
) -> None:
    with DAG(dag_id=f"in_vain_{deferrable}_{switch}") as dag:
        options: dict[str, Any] = {"deferrable": deferrable, "poke_interval": 1, "timeout": 3, switch: True}
        CosKeySensor(task_id="landed", key="never", retries=3, **options)
    run = run_dag(dag, connection=mediax_emulator.connection_json())
    assert run.states == {"landed": state}


def test_files_move_to_cos_and_back_by_airflows_own_operator(
    run_dag: RunDag, mediax_emulator: MediaxEmulator, tmp_path: Path
) -> None:
    (tmp_path / "in.wav").write_bytes(b"content")
    address = f"cos://{BUCKET}/{KEY}"
    with DAG(dag_id="file_transfer") as dag:
        up = FileTransferOperator(task_id="up", src=f"file://{tmp_path}/in.wav", dst=address, dest_conn_id="music")
        inside = FileTransferOperator(
            task_id="inside", src=address, dst=f"cos://{BUCKET}/copy.wav", source_conn_id="music", dest_conn_id="music"
        )
        down = FileTransferOperator(
            task_id="down", src=f"cos://music@{BUCKET}/copy.wav", dst=f"file://{tmp_path}/out.wav"
        )
        again = FileTransferOperator(task_id="again", src=address, dst=f"cos://{BUCKET}/copy.wav")
        up >> inside >> down >> again
    run = run_dag(dag, conn_env={"AIRFLOW_CONN_MUSIC": mediax_emulator.connection_json()})
    assert run.states == {"up": "success", "inside": "success", "down": "success", "again": "failed"}
    assert (tmp_path / "out.wav").read_bytes() == b"content"
    copies = [request for request in mediax_emulator.ledger()["requests"] if request["action"] == "CopyObject"]
    assert len(copies) == 1  # inside COS, not through the worker


def test_a_path_travels_between_tasks_without_keys(run_dag: RunDag, mediax_emulator: MediaxEmulator) -> None:
    with DAG(dag_id="paths") as dag:

        @task
        def write() -> ObjectStoragePath:
            path = ObjectStoragePath(f"cos://mediax_default@{BUCKET}/out/a b.txt")
            path.write_text("text")
            return path

        @task
        def read(path: ObjectStoragePath) -> list[Any]:
            return [path.read_text(), [found.name for found in path.parent.iterdir()]]

        read(cast("ObjectStoragePath", write()))
    run = run_dag(dag, connection=mediax_emulator.connection_json())
    assert run.values["read"] == ["text", ["a b.txt"]]
    extra = json.loads(mediax_emulator.connection_json())["extra"]
    assert extra["cos_secret_key"] not in repr(run.values["write"])
