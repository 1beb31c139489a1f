"""
What earlier code has stored still works: an upgrade in the middle of a wait neither loses a job nor buys another.

Each directory of ``tests/stored`` holds what one version of the code stored; a change of any format adds a directory.
"""

from __future__ import annotations

import json
import pkgutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import Unavailable
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import Acquisition
from airflow_provider_mediax.jobs.stored import RECORD_KEY, JobEvent, Owner, Pending, Record, manifest
from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicAsr, MusicBeat
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput
from airflow_provider_mediax.protocol.service import JobRequest, JobService
from airflow_provider_mediax.results import rows
from tests.unit.jobs.fake_platform import LONGEST_SEND, FakePlatform, service, tags_of
from tests.unit.jobs.fake_service import FakeService
from tests.unit.jobs.fake_store import Store

STORED = Path(__file__).parents[1] / "stored"
VERSIONS = sorted(path.name for path in STORED.iterdir())
OWNER = Owner(dag_id="catalogue", run_id="scheduled__2026-11-20T00:00:00+00:00", task_id="analyse", map_index=3)
STEMS = {"voice": "v.wav", "background": "b.wav", "bass": "s.wav", "drum": "d.wav"}

by_version = pytest.mark.parametrize("version", VERSIONS)


def stored(version: str, name: str) -> Any:
    return json.loads((STORED / version / f"{name}.json").read_text())


def acquisition(
    request: JobRequest, store: Store | None = None, *, tries: int = 1, on: JobService[Any] | None = None
) -> Acquisition[Any]:
    identity = Identity(namespace="production", owner=OWNER, generation=2)
    return Acquisition(on or service(), request, identity, store=store, try_number=tries, longest_send=LONGEST_SEND)


def beats_of(url: str) -> CapabilityRequest:
    return CapabilityRequest(capability=MusicBeat(), input=MediaxInput(url=url), destination="/out/", output_prefix="p")


@by_version
@pytest.mark.parametrize("name", ["record", "intent"])
def test_a_job_recorded_by_another_version_is_adopted(version: str, name: str) -> None:
    record = stored(version, name)
    platform, store = FakePlatform(), Store()
    platform.add(record["marker"])
    store.set(RECORD_KEY, record)
    owned = platform.run(acquisition(tags_of("in/a.mp3"), store, tries=2).run())
    assert owned.job.id == "job-1"
    assert platform.count("CreateJob") == 0


@by_version
def test_an_intent_is_looked_up_by_the_marker_that_was_sent(version: str) -> None:
    """Even if the code of today would make another marker of the same request."""
    platform, store = FakePlatform(), Store()
    platform.add("mx1-of-another-version")
    store.set(RECORD_KEY, {**stored(version, "intent"), "marker": "mx1-of-another-version"})
    assert platform.run(acquisition(tags_of("in/a.mp3"), store, tries=2).run()).job.id == "job-1"


@by_version
@pytest.mark.parametrize("name", ["job_trigger", "cos_trigger"])
def test_a_trigger_stored_by_another_version_is_made_and_waits_for_the_same(version: str, name: str) -> None:
    row = stored(version, name)
    trigger = pkgutil.resolve_name(row["class"])(**row["arguments"], retired_since=1)
    classpath, arguments = trigger.serialize()
    assert classpath == row["class"]
    # What a later version has added says nothing about a trigger that was stored without it.
    assert {name: value for name, value in arguments.items() if value is not None or name in row["arguments"]} == (
        row["arguments"]
    )


@by_version
def test_a_task_deferred_by_another_version_finds_what_it_waited_for(version: str) -> None:
    pending = Pending.read({**stored(version, "wait"), "retired_since": 1})
    assert isinstance(pending, Pending)
    assert (pending.job_id, pending.deadline) == ("job-1", 1800086400.0)


@by_version
def test_an_event_of_another_version_is_understood(version: str) -> None:
    assert JobEvent.read(stored(version, "event"), "job-1").status == "final"
    error = JobEvent.read(stored(version, "error_event"), "job-1").error
    assert isinstance(error, Unavailable)
    assert error.status == 503


@by_version
@pytest.mark.parametrize(("name", "column"), [("manifest_mediax", "label"), ("manifest_cloud_infinite", "stem")])
def test_a_manifest_of_another_version_gives_rows(version: str, name: str, column: str) -> None:
    (row,) = rows(stored(version, name))
    assert row[column]
    assert (row["dag_id"], row["map_index"]) == ("catalogue", 3)


@pytest.mark.parametrize(
    ("request_of_today", "marker"),
    [
        (tags_of("in/a.mp3"), "mx1-fef1d83288bb2fd8d6c112c44ebd0d59bd0cec54"),
        (beats_of("https://cdn.example.com/a.mp3?q-signature=1&v=2#x"), "mx1-c4ea8cd79ea92ef686b7e47c0454d6cb0e3a1b4d"),
        (beats_of("https://cdn.example.com/a.mp3?sign=1&v=2#x"), "mx1-a0dd830d341d2dee9658017fe298e9e39c4cd8a5"),
        (
            CapabilityRequest(
                capability=MusicAsr(confidence=0.4), input=MediaxInput(url="cos://music-1250000000/in/a.mp3")
            ),
            "mx1-391e8676ff57a2f68b708a7e964e3799bd27d112",
        ),
        (
            VoiceSeparationRequest(source="in/a.mp3", mode="MusicMode", audio=AudioConfig(codec="wav"), outputs=STEMS),
            "mx1-c39bb593afb72a9fd1308d862111946dd84c99a5",
        ),
    ],
)
def test_the_marker_of_a_request_is_the_same_in_every_version(request_of_today: JobRequest, marker: str) -> None:
    """Where no record says otherwise (Airflow 3.1, a deleted run), the marker is all that leads to the job."""
    assert acquisition(request_of_today, on=FakeService()).marker == marker


class TestANewFormat:
    """A member that is added or retired makes these fail: then add a directory to ``tests/stored``."""

    def test_of_the_record_has_an_example(self) -> None:
        platform, store = FakePlatform(), Store()
        platform.run(acquisition(tags_of("in/a.mp3"), store).run())
        newest = stored(VERSIONS[-1], "record")
        assert set(store.get(RECORD_KEY)) == set(newest)
        record = Record.read(newest)
        assert isinstance(record, Record)
        assert asdict(record) == newest

    def test_of_what_a_task_waits_for_has_an_example(self) -> None:
        newest = stored(VERSIONS[-1], "wait")
        pending = Pending.read(newest)
        assert isinstance(pending, Pending)
        assert asdict(pending) == newest

    def test_of_the_event_has_an_example(self) -> None:
        newest = stored(VERSIONS[-1], "event")
        assert JobEvent("final", {"job-1": "COMPLETED"}, None).payload() == newest

    def test_of_the_manifest_has_an_example(self) -> None:
        platform = FakePlatform()
        platform.add("m")
        (job,) = platform.run(service().describe(["job-1"])).values()
        described = manifest(service(), job, OWNER, reattached=False)
        assert set(described) == set(stored(VERSIONS[-1], "manifest_mediax"))
