"""Which jobs are orphans, and what is said about each: every tie between a task and a job, by table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_mediax.cli.owners import OVER, Listed, Trace, in_span, orphans
from airflow_provider_mediax.hooks.registry import SERVICES
from airflow_provider_mediax.jobs.stored import Earlier, Owner, Record
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.sensors import job as sensors

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OWNER = Owner(dag_id="catalogue", run_id="daily", task_id="tags", map_index=3)
MARKER = "mx1-now"

ALIVE = (None, "scheduled", "queued", "running", "deferred", "up_for_retry", "up_for_reschedule", "restarting")


def listed(
    job_id: str = "1", state: JobState = JobState.OPEN, *, marker: str | None = MARKER, completed: datetime = NOON
) -> Listed:
    """Return a job of the music platform."""
    job = Job(
        id=job_id,
        state=state,
        state_name=state.name,
        marker=marker,
        created_at=NOON,
        completed_at=completed if state.final else None,
    )
    return Listed(service="mediax", sensor="MediaxJobSensor", cancellable=False, can_cancel=False, job=job)


def separation(state_name: str) -> Listed:
    job = Job(id="1", state=JobState.OPEN, state_name=state_name, marker=MARKER)
    return Listed(
        service="cloud_infinite",
        sensor="CloudInfiniteJobSensor",
        cancellable=True,
        can_cancel=state_name != "Running",
        job=job,
    )


def trace(state: str | None = "failed", **more: Any) -> Trace:
    record = {"generation": 2, "marker": MARKER, "fields": {}, "at": 0.0, "job_id": "1"}
    facts = {name: more.pop(name) for name in ("stored", "succeeded", "returned", "owner") if name in more}
    return Trace(state=state, record=Record(**{**record, **more}), **{"owner": OWNER, **facts})


def reasons(jobs: list[Listed], traces: list[Trace], strangers: bool = True) -> list[str]:
    return [orphan.reason for orphan in orphans(jobs, traces, strangers=strangers)]


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("job", [listed(), listed(state=JobState.SUCCEEDED), listed(state=JobState.UNKNOWN)])
def test_the_job_of_a_task_that_is_not_over_is_owned(state: str | None, job: Listed) -> None:
    assert reasons([job], [trace(state)]) == []


@pytest.mark.parametrize("state", sorted(OVER))
def test_an_open_job_of_a_task_that_is_over_is_an_orphan(state: str) -> None:
    assert reasons([listed()], [trace(state)]) == [f"its task is over ({state}) and has not collected it"]


@pytest.mark.parametrize("state", sorted(OVER - {"success"}))
def test_a_result_that_a_task_never_collected_is_an_orphan(state: str) -> None:
    assert len(reasons([listed(state=JobState.SUCCEEDED)], [trace(state)])) == 1


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELED])
@pytest.mark.parametrize("known", [[], [trace()], [trace(job_id="2")], [trace(job_id="2", abandoned=["1"])]])
def test_what_failed_or_was_canceled_needs_nobody(state: JobState, known: list[Trace]) -> None:
    assert reasons([listed(state=state)], known) == []


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("more", "orphan"),
    [
        pytest.param({"succeeded": {2: NOON + SECOND}}, False, id="the task ended after it"),
        pytest.param({"succeeded": {2: NOON}}, False, id="both ended at once"),
        pytest.param({"succeeded": {2: NOON - SECOND}}, True, id="the task was marked before it ended"),
        pytest.param({"succeeded": {2: NOON - SECOND}, "returned": frozenset("1")}, False, id="the manifest names it"),
        pytest.param({"succeeded": {2: None}}, False, id="when the task ended is not known"),
        pytest.param({"succeeded": {1: NOON + SECOND}}, True, id="only the generation before has succeeded"),
    ],
)
def test_a_task_that_has_succeeded_has_collected_what_had_ended_before(more: dict[str, Any], orphan: bool) -> None:
    assert bool(reasons([listed(state=JobState.SUCCEEDED)], [trace("success", **more)])) is orphan


def test_a_task_that_does_not_wait_owns_the_job_that_its_manifest_names() -> None:
    assert reasons([listed()], [trace("success", succeeded={2: NOON}, returned=frozenset("1"))]) == []


def test_a_submit_without_an_answer_is_owned_until_its_task_is_over() -> None:
    both = [listed(), listed("2")]
    assert reasons(both, [trace("up_for_retry", job_id=None)]) == []
    assert (
        reasons(both, [trace("failed", job_id=None)])
        == ["its task is over (failed) and never had the answer to the submit"] * 2
    )


@pytest.mark.parametrize("state", ["running", "success"])
def test_a_second_job_of_the_same_marker_is_an_orphan_beside_the_one_that_was_adopted(state: str) -> None:
    jobs = [listed(), listed("2")]
    (orphan,) = orphans(jobs, [trace(state, returned=frozenset("1"))], strangers=False)
    assert orphan.listed.job.id == "2"
    assert orphan.reason == "it is a second one beside the task's job 1"
    assert not orphan.adoptable


def test_a_job_that_was_replaced_and_is_still_open_is_an_orphan() -> None:
    assert reasons([listed()], [trace("running", job_id="2", abandoned=["1"])]) == ["another job has replaced it"]


@pytest.mark.parametrize("left", [{"job_id": "1", "marker": "mx1-old"}, {"job_id": None, "marker": "mx1-old"}])
@pytest.mark.parametrize("state", ["running", "success"])
def test_what_a_clear_left_behind_is_an_orphan(left: dict[str, Any], state: str) -> None:
    now = trace(state, marker="mx1-new", job_id="2", earlier=[Earlier(generation=1, **left)])
    assert reasons([listed(marker="mx1-old")], [now]) == ["a clear of its task left it behind"]
    assert reasons([listed(marker="mx1-old", state=JobState.SUCCEEDED)], [now]) == [
        "a clear of its task left it behind"
    ]


def test_what_was_collected_before_a_clear_is_no_orphan() -> None:
    left = Earlier(generation=1, marker="mx1-old", job_id="1")
    now = trace("running", marker="mx1-new", job_id="2", earlier=[left], succeeded={1: NOON + SECOND})
    assert reasons([listed(marker="mx1-old", state=JobState.SUCCEEDED)], [now]) == []


def test_a_job_that_one_of_several_tasks_owns_is_no_orphan() -> None:
    """They share it by ``idempotency_key``."""
    other = trace("deferred", owner=Owner(dag_id="catalogue", run_id="next", task_id="tags", map_index=-1))
    assert reasons([listed()], [trace("failed"), other]) == []
    assert reasons([listed()], [other, trace("failed")]) == []


def test_a_job_that_airflow_does_not_know_counts_only_if_it_carries_a_marker_and_strangers_are_asked_for() -> None:
    jobs = [listed(), listed("2", marker="somebody-else"), listed("3", marker=None)]
    (orphan,) = orphans(jobs, [], strangers=True)
    assert orphan.listed.job.id == "1"
    assert orphan.owner is None
    assert "another deployment" in orphan.reason
    assert orphans(jobs, [], strangers=False) == []


def todo(job: Listed, *known: Trace) -> list[str]:
    (orphan,) = orphans([job], known, strangers=True)
    return orphan.todo


ADOPT = 'set on_clear="reuse" and clear the task to adopt it'
COLLECT = 'collect its result with MediaxJobSensor(job_id="1")'
COLLECT_CI = 'collect its result with CloudInfiniteJobSensor(job_id="1")'
ENDS = "it cannot be canceled and ends by itself"
RUNS = "it has started, so it cannot be canceled and ends by itself"


@pytest.mark.parametrize(
    ("job", "known", "expected"),
    [
        pytest.param(listed(), [trace()], [ENDS, ADOPT, COLLECT], id="open"),
        pytest.param(listed(state=JobState.SUCCEEDED), [trace()], [ADOPT, COLLECT], id="ended"),
        pytest.param(listed(), [trace(stored=False)], [ENDS, COLLECT], id="known by its XCom only"),
        pytest.param(listed(), [trace("removed")], [ENDS, COLLECT], id="of a task that is gone"),
        pytest.param(listed(), [trace(job_id="2")], [ENDS, COLLECT], id="a second one"),
        pytest.param(separation("Submitted"), [trace()], ["cancel it: --cancel", ADOPT, COLLECT_CI], id="waiting"),
        pytest.param(separation("Pause"), [trace()], ["cancel it: --cancel", ADOPT, COLLECT_CI], id="paused"),
        pytest.param(separation("Running"), [trace()], [RUNS, ADOPT, COLLECT_CI], id="started"),
        pytest.param(separation("Submitted"), [], ["cancel it: --cancel-unknown", COLLECT_CI], id="unknown"),
    ],
)
def test_each_says_what_can_be_done_about_it(job: Listed, known: list[Trace], expected: list[str]) -> None:
    assert todo(job, *known) == expected


def test_every_service_has_a_sensor_that_collects() -> None:
    assert SERVICES
    assert all(hasattr(sensors, hook.sensor) for hook in SERVICES.values())


@pytest.mark.parametrize(
    ("since", "until", "inside"),
    [(None, None, True), (NOON, NOON, True), (NOON + SECOND, None, False), (None, NOON - SECOND, False)],
)
def test_a_span_of_time_holds_what_was_created_in_it(
    since: datetime | None, until: datetime | None, inside: bool
) -> None:
    assert in_span(listed().job, since, until) is inside


def test_a_job_that_does_not_say_when_it_was_created_is_in_every_span() -> None:
    assert in_span(separation("Submitted").job, NOON, NOON)


def test_the_oldest_comes_first() -> None:
    young, old = (
        listed("young"),
        replace(
            listed(),
            job=Job(id="old", state=JobState.OPEN, state_name="x", marker=MARKER, created_at=NOON - SECOND),
        ),
    )
    found = orphans([young, old], [], strangers=True)
    assert [orphan.listed.job.id for orphan in found] == ["old", "young"]
