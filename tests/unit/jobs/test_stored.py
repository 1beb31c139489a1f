"""What lies in Airflow's database is read or said to be unreadable; it is never guessed, and breaks nothing."""

from __future__ import annotations

import contextlib
import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject

from airflow_provider_mediax.exceptions import BadRequest, MediaxError, Unavailable
from airflow_provider_mediax.jobs.stored import (
    INLINE_LIMIT,
    SCHEMA,
    UNREADABLE_EVENT,
    JobEvent,
    Owner,
    Pending,
    Record,
    Unreadable,
    error_from,
    manifest,
    owner_in,
    read_manifest,
    too_large,
)
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.rows import Place
from airflow_provider_mediax.protocol.service import JobService
from airflow_provider_mediax.results import rows
from airflow_provider_mediax.sensors.job import MediaxJobSensor
from airflow_provider_mediax.triggers.cos import CosKeyEvent, CosKeyTrigger
from airflow_provider_mediax.triggers.job import JobTrigger

STORED = Path(__file__).parents[2] / "stored"
NEWEST = max(STORED.iterdir(), key=lambda folder: int(folder.name))
TRIGGERS = {"job_trigger": JobTrigger, "cos_trigger": CosKeyTrigger}

later = pytest.mark.parametrize("schema", [SCHEMA + 1, 99, 10**30])
no_schema = pytest.mark.parametrize("schema", [None, 0, -1, True, "1", 1.0, [], {}])

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def stored(name: str) -> Any:
    return json.loads((NEWEST / f"{name}.json").read_text())


def damaged(name: str) -> st.SearchStrategy[Any]:
    """Return what is left of something stored after somebody has cut and edited it."""

    @st.composite
    def build(draw: Any) -> Any:
        value = copy.deepcopy(stored(name))
        for _ in range(draw(st.integers(1, 3))):
            inner = value
            while isinstance(inner, dict) and inner:
                key = draw(st.sampled_from(sorted(inner)))
                if isinstance(inner[key], dict) and inner[key] and draw(st.booleans()):
                    inner = inner[key]
                    continue
                if draw(st.booleans()):
                    del inner[key]
                else:
                    inner[key] = draw(anything)
                break
        return value

    return build()


def quickly(test: Callable[..., Any]) -> Callable[..., Any]:
    return settings(max_examples=300)(test)


def trigger_of(row: dict[str, Any], kind: type) -> Any:
    arguments = row.get("arguments")
    return kind(**(arguments if isinstance(arguments, dict) else {}))


@later
class TestALaterVersion:
    def test_of_a_record_is_not_taken_for_none(self, schema: int) -> None:
        assert isinstance(Record.read({**stored("record"), "schema": schema}), Unreadable)

    def test_of_a_wait_is_not_taken_for_none(self, schema: int) -> None:
        assert isinstance(Pending.read({**stored("wait"), "schema": schema}), Unreadable)

    def test_of_an_event_says_nothing(self, schema: int) -> None:
        assert JobEvent.read({**stored("event"), "schema": schema}, "job-1") is UNREADABLE_EVENT
        assert CosKeyEvent.read({"schema": schema, "status": "found"}).status == "unreadable"

    @pytest.mark.parametrize("name", TRIGGERS)
    async def test_of_a_trigger_waits_for_nothing_and_says_nothing(
        self, schema: int, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("asyncio.sleep", _at_once)
        trigger = TRIGGERS[name](**{**stored(name)["arguments"], "schema": schema})
        (event,) = [event async for event in trigger.run()]
        assert event.payload["status"] == "unreadable"

    def test_of_a_manifest_is_refused_by_name_in_sensor_and_rows(self, schema: int) -> None:
        manifest = {**stored("manifest_mediax"), "schema": schema}
        sensor = MediaxJobSensor(task_id="s", job_id=manifest)
        for read in (lambda: rows(manifest), lambda: sensor.make_trigger(0.0)):
            with pytest.raises(BadRequest) as caught:
                read()
            assert "a later version wrote it" in caught.value.what


@no_schema
def test_what_names_no_schema_is_unreadable(schema: Any) -> None:
    assert isinstance(Record.read({**stored("record"), "schema": schema}), Unreadable)
    assert isinstance(Pending.read({**stored("wait"), "schema": schema}), Unreadable)
    assert JobEvent.read({**stored("event"), "schema": schema}, "job-1") is UNREADABLE_EVENT


@pytest.mark.parametrize("read", [Record.read, Pending.read])
def test_nothing_is_nothing_and_not_unreadable(read: Callable[..., Any]) -> None:
    assert read(None) is None


@pytest.mark.parametrize("read", [Record.read, Pending.read])
@quickly
@given(value=anything.filter(lambda value: value is not None))
def test_anything_else_is_unreadable(read: Callable[..., Any], value: Any) -> None:
    assert isinstance(read(value), Unreadable)


class TestWhatWasCutOrEdited:
    @quickly
    @given(value=damaged("record"))
    def test_of_a_record_is_read_as_it_is_or_is_unreadable(self, value: dict[str, Any]) -> None:
        read = Record.read(value)
        if isinstance(read, Record):
            assert isinstance(read.marker, str)
            assert read.marker == value["marker"]
            assert read.job_id == value["job_id"]
            assert Record.read(json.loads(json.dumps(read.written()))) == read
        else:
            assert isinstance(read, Unreadable)

    @quickly
    @given(value=damaged("wait"))
    def test_of_a_wait_is_read_as_it_is_or_is_unreadable(self, value: dict[str, Any]) -> None:
        read = Pending.read(value)
        if isinstance(read, Pending):
            assert (read.job_id, read.deadline) == (value["job_id"], value["deadline"])
        else:
            assert isinstance(read, Unreadable)

    @quickly
    @given(value=damaged("error_event") | damaged("event") | anything)
    def test_of_an_event_is_a_hint_or_says_nothing(self, value: dict[str, Any] | int | list[Any] | None) -> None:
        for read in (JobEvent.read(value, "job-1"), CosKeyEvent.read(value)):
            assert isinstance(read.status, str)
            assert read.error is None or isinstance(read.error, MediaxError)
            assert str(read.error)

    @quickly
    @given(value=damaged("manifest_mediax") | damaged("manifest_cloud_infinite") | anything)
    def test_of_a_manifest_is_refused_or_read(self, value: Any) -> None:
        with contextlib.suppress(BadRequest):
            read = read_manifest("manifest", value)
            assert isinstance(read["job_id"], str)
            owner_in(read)
            rows(value)

    @pytest.mark.parametrize("name", TRIGGERS)
    @quickly
    @given(data=st.data())
    def test_of_a_trigger_is_noticed_before_it_waits(self, name: str, data: DataObject) -> None:
        trigger = trigger_of(data.draw(damaged(name)), TRIGGERS[name])
        if trigger.damage() is None:
            assert trigger.failure(ValueError("x"))["status"] == "error"
        else:
            assert trigger.silence()["status"] == "unreadable"
        assert set(trigger.serialize()[1]) >= set(stored(name)["arguments"])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("job_ids", []),
        ("job_ids", "job-1"),
        ("job_ids", [None]),
        ("service", "elsewhere"),
        ("service", None),
        ("deadline", "soon"),
        ("deadline", float("nan")),
        ("poll_interval", 0),
        ("schema", "1"),
        ("cancel_on_kill", "False"),
    ],
)
async def test_a_job_trigger_with_a_damaged_argument_says_nothing_and_cancels_nothing(
    argument: str, value: float | list[None] | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncio.sleep", _at_once)
    trigger = JobTrigger(**{**stored("job_trigger")["arguments"], argument: value})
    (event,) = [event async for event in trigger.run()]
    assert event.payload == UNREADABLE_EVENT.payload()
    await trigger.on_kill()


def test_an_error_of_a_class_that_is_not_known_is_a_passing_fault() -> None:
    assert type(error_from({"class": "OfALaterVersion", "status": 418})).__name__ == "Unavailable"
    assert type(error_from({"class": "annotations"})).__name__ == "Unavailable"


def test_an_event_tells_states_and_class_and_facts_of_an_error() -> None:
    facts: dict[str, Any] = {
        "job_id": "job-1",
        "marker": "mx1-a",
        "request_id": "r-1",
        "status": 503,
        "code": "SlowDown",
    }
    read = JobEvent.read(JobEvent("error", {"job-1": "Running"}, Unavailable("secret", **facts)).payload(), "job-1")
    assert (read.status, read.states) == ("error", {"job-1": "Running"})
    assert type(read.error) is Unavailable
    assert read.error.facts() == facts
    assert read.error.what == "Waiting was given up after an error (Unavailable; the log of the trigger says more)"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock on the wall is neither UTC nor the service's."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/Los_Angeles")
        time.tzset()
        yield
    time.tzset()


OWNER = Owner(dag_id="d", run_id="r", task_id="t", map_index=3)


@pytest.mark.parametrize("owner", [OWNER, None])
def test_a_manifest_says_all_that_is_known_of_a_job(owner: Owner | None, elsewhere: None) -> None:
    class Service:
        name = "a service"

        def view(self, job: Job) -> SimpleNamespace:
            place = Place(content_id="c", bucket="b-1", region="r")
            return SimpleNamespace(capability="beat", input="cos://b-1/a", place=place, result={"n": 1}, files=["f"])

    created = datetime(2026, 11, 21, 12, 0, 5, 700_000, tzinfo=timezone(timedelta(hours=8)))
    minute = timedelta(minutes=1)
    job = Job(
        id="job-1",
        state=JobState.SUCCEEDED,
        state_name="Success",
        marker="mx1-a",
        created_at=created,
        started_at=created + minute,
        completed_at=created + 2 * minute,
    )
    service = cast("JobService[Any]", Service())
    made = manifest(service, job, owner, reattached=True)
    assert made == {
        "schema": 1,
        "service": "a service",
        "capability": "beat",
        "job_id": "job-1",
        "marker": "mx1-a",
        "state": "Success",
        "reattached": True,
        "owner": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3} if owner else None,
        "input": "cos://b-1/a",
        "created_at": "2026-11-21T04:00:05Z",
        "started_at": "2026-11-21T04:01:05Z",
        "completed_at": "2026-11-21T04:02:05Z",
        "place": {"content_id": "c", "bucket": "b-1", "region": "r"},
        "result": {"n": 1},
        "files": ["f"],
    }
    assert manifest(service, replace(job, started_at=None), owner, reattached=True)["started_at"] is None
    assert owner_in(read_manifest("job_id", made)) == owner
    assert owner_in({"owner": {"dag_id": "d"}}) is owner_in({"owner": "d"}) is None


@pytest.mark.parametrize(
    ("given", "shown", "reason"),
    [
        ("job-1", "'job-1'", "it is a str, not an object"),
        (
            {"schema": 1, "job_id": "j", "result": {}},
            "['job_id', 'result', 'schema']",
            "its capability is missing or damaged",
        ),
    ],
)
def test_what_is_no_manifest_is_refused_with_argument_value_and_reason(
    given: dict[str, dict[str, Any] | int | str] | str, shown: str, reason: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read_manifest("manifests", given)
    rule = "it must be what an operator or a sensor of a job returned, but"
    assert refused.value.what == f"manifests={shown} is refused: {rule} {reason}."


def test_a_result_travels_in_the_manifest_up_to_48_kilobytes() -> None:
    room = INLINE_LIMIT - len('{"a": ""}')
    assert INLINE_LIMIT == 49_152
    assert not too_large({"a": "é" * (room // 2) + "x" * (room % 2)})
    assert too_large({"a": "é" * (room // 2) + "x" * (room % 2 + 1)})


def test_an_event_is_stored_without_the_words_of_an_error() -> None:
    payload = JobEvent("error", {"job-1": "X"}, MediaxError("secret words", job_id="job-1", status=500)).payload()
    assert "secret" not in json.dumps(payload)
    assert payload["error"] == {
        "class": "MediaxError",
        "job_id": "job-1",
        "marker": None,
        "request_id": None,
        "status": 500,
        "code": None,
    }


async def _at_once(seconds: float) -> None:
    """Instead of a sleep."""
