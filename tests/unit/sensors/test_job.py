"""Where a sensor looks for a job and its files: as the manifest says, else as the connection does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators.music import MusicBeatOperator
from airflow_provider_mediax.sensors.cos import CosKeySensor
from airflow_provider_mediax.sensors.job import CloudInfiniteJobSensor, MediaxJobSensor
from tests.unit.protocol.examples import finished, output

CONTENT = {"musicBeat": {"mergeFileName": "a.wav"}}
JOB = finished(output("musicBeat", CONTENT, contentId="another", destination="/out/"))
SEPARATION = {
    "schema": 1,
    "service": "cloud_infinite",
    "capability": "VoiceSeparate",
    "job_id": "j1",
    "place": {"content_id": None, "bucket": "far-1250000000", "region": "ap-beijing"},
    "result": {},
}


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {
        "content_id": "own",
        "cos_bucket": "near-1250000000",
        "cos_region": "ap-guangzhou",
        "cos_secret_id": "id",
        "cos_secret_key": "key",
    }
    connection = {"conn_type": "mediax", "login": "id", "password": "key", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(connection))


def test_a_sensor_describes_a_job_in_another_repository_as_its_operator_did() -> None:
    operator = MusicBeatOperator(task_id="o", path="a.wav", content_id="another", cos_bucket="far-1250000000")
    manifest = operator.make_hook().manifest(JOB, None, reattached=True)
    assert manifest["files"] == ["cos://far-1250000000/out/a.wav"]
    for given in (dict(manifest), json.dumps(manifest), str(manifest)):
        sensor = MediaxJobSensor(task_id="s", job_id=given)
        assert sensor.make_hook().manifest(JOB, None, reattached=True) == manifest


def test_a_sensor_that_has_only_the_id_does_not_guess_another_repositorys_bucket() -> None:
    manifest = MediaxJobSensor(task_id="s", job_id="1").make_hook().manifest(JOB, None, reattached=True)
    assert manifest["files"] == []
    assert manifest["place"] == {"content_id": "another", "bucket": None, "region": "ap-guangzhou"}
    assert manifest["result"] == {"mergeFileName": "a.wav"}


@pytest.mark.parametrize(
    ("job_id", "own", "place"),
    [
        (SEPARATION, {}, ("far-1250000000", "ap-beijing")),
        (SEPARATION, {"bucket": "own-1250000000", "region": "ap-nanjing"}, ("own-1250000000", "ap-nanjing")),
        ("j1", {"bucket": "own-1250000000", "region": "ap-nanjing"}, ("own-1250000000", "ap-nanjing")),
        ("j1", {}, ("near-1250000000", "ap-guangzhou")),
        ({**SEPARATION, "place": None}, {}, ("near-1250000000", "ap-guangzhou")),
    ],
)
def test_a_separation_is_looked_for_as_given_then_as_in_the_manifest_then_as_connected(
    job_id: dict[str, Any] | str, own: dict[str, str], place: tuple[str, str]
) -> None:
    sensor = CloudInfiniteJobSensor(task_id="s", job_id=job_id, **own)
    manifest = sensor.make_hook().manifest(finished(output("musicBeat", CONTENT)), None, reattached=True)
    assert (manifest["place"]["bucket"], manifest["place"]["region"]) == place
    trigger = sensor.make_trigger(0.0)
    connected = place == ("near-1250000000", "ap-guangzhou")  # which the triggerer looks up by itself
    assert (trigger.bucket, trigger.region) == ((None, None) if connected else place)


@pytest.mark.parametrize("sensor", [CloudInfiniteJobSensor, CosKeySensor])
@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *(("bucket", value) for value in ("cos://b-1250000000", "b-1250000000/", "music", "nan", True)),
        *(("region", value) for value in ("cos.ap-guangzhou.myqcloud.com", "AP-Guangzhou", "5", True)),
    ],
)
def test_a_place_that_is_none_is_refused_by_the_arguments_name(
    sensor: type[CloudInfiniteJobSensor | CosKeySensor], field: str, wrong: object
) -> None:
    what = {"key": "a"} if sensor is CosKeySensor else {"job_id": "j1"}
    arguments: dict[str, Any] = {field: wrong, **what}
    with pytest.raises(BadRequest, match=rf"^{field}="):
        sensor(task_id="s", **arguments).poke({})


@pytest.mark.parametrize("wrong", ["", " ", "None", "nan", "[]", "j\n1", None, True, [], float("nan"), 2**70, {}])
def test_an_id_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(BadRequest, match=r"^job_id="):
        MediaxJobSensor(task_id="s", job_id=wrong).poke({})
