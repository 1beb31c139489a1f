"""A batch from its plan to its outcome, in virtual time: what is bought, what is waited for, what is written."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, RequestChanged, Stopped, WaitTimeout
from airflow_provider_mediax.jobs.batch.engine import Deferred
from airflow_provider_mediax.protocol.exchange import JsonObject
from tests.unit.jobs.batch.world import World, epoch, songs
from tests.unit.jobs.virtual_time import in_virtual_time, now


def ended(outcome: JsonObject | Deferred) -> JsonObject:
    assert not isinstance(outcome, Deferred)
    return outcome


def check(world: World, outcome: JsonObject | Deferred) -> JsonObject:
    """Every item is bought once, and stands in the outcome and in the rows once."""
    said = ended(outcome)
    items = list(dict.fromkeys(str(song) for song in world.songs))
    assert {song: count for song, count in world.bought().items() if count != 1} == {}
    assert [item["id"] for item in world.items(said)] == items
    assert sorted(row["label"] for row in world.rows(said)) == sorted(set(items) - world.platform.fails)
    return said


@in_virtual_time
async def test_every_item_is_bought_once_and_stands_in_the_outcome_once() -> None:
    world = World(songs(120))
    said = check(world, await world.attempt())
    assert said["ends"] == {"done": 120}
    jobs = {str(job.raw["url"]): job.id for job in world.platform.jobs.values()}
    assert {item["id"]: item["job_id"] for item in world.items(said)} == jobs


@in_virtual_time
async def test_a_chunk_is_asked_for_by_one_list_and_not_job_by_job() -> None:
    world = World(songs(200))
    check(world, await world.attempt())
    assert world.platform.asked["Create"] == 200
    assert world.platform.asked["Get"] == 0
    assert world.platform.asked["List"] <= 40


@in_virtual_time
async def test_a_finished_batch_is_not_worked_on_again() -> None:
    world = World(songs(30))
    first = check(world, await world.attempt())
    asked = dict(world.platform.asked)
    assert check(world, await world.attempt())["token"] == first["token"]
    assert world.platform.asked == asked


@in_virtual_time
async def test_items_that_fail_are_named_and_do_not_stop_the_others() -> None:
    world = World(songs(60))
    world.platform.fails = {songs(60)[7]}
    said = check(world, await world.attempt())
    assert said["ends"] == {"done": 59, "failed": 1}
    failed = world.items(said)[7]
    assert (failed["state"], failed["error"]) == ("failed", "it is no music")
    assert said["errors"] == [{"error": "it is no music", "count": 1, "item": songs(60)[7], "job_id": failed["job_id"]}]
    assert any(songs(60)[7] in line and "it is no music" in line for line in world.said)


@in_virtual_time
async def test_equal_requests_are_bought_once_and_both_get_the_rows() -> None:
    world = World([{"id": "a", "url": songs(1)[0]}, {"id": "b", "url": songs(1)[0]}])
    said = ended(await world.attempt())
    assert len(world.platform.jobs) == 1
    assert [(item["id"], item["state"], item["duplicate_of"]) for item in world.items(said)] == [
        ("a", "done", None),
        ("b", "duplicate", "a"),
    ]
    assert [row["item_id"] for row in world.rows(said)] == ["a", "b"]


@pytest.mark.parametrize("fault", ["lost", "dropped", "late", "429", "refused"])
def test_an_answer_that_does_not_come_buys_no_second_job(fault: str) -> None:
    @in_virtual_time
    async def run() -> None:
        world = World(songs(60))
        world.platform.faults.extend([""] * 3 + [fault, "", fault])
        assert check(world, await world.attempt())["ends"] == {"done": 60}

    run()


@in_virtual_time
async def test_one_look_up_settles_all_lost_answers_of_a_wave() -> None:
    world = World(songs(50))
    world.platform.faults.extend(["lost"] * 20)
    check(world, await world.attempt())
    assert world.platform.asked["List"] < 20


@in_virtual_time
async def test_an_item_whose_answer_is_lost_twice_without_a_trace_is_unknown() -> None:
    world = World(songs(1))
    world.platform.faults.extend(["dropped"] * 2)
    said = ended(await world.attempt())
    assert said["ends"] == {"unknown": 1}
    assert world.platform.asked["Create"] == 2


@in_virtual_time
async def test_what_an_incomplete_list_cannot_decide_is_unknown_and_not_bought_again() -> None:
    world = World(songs(20))
    world.platform.page = 5
    world.platform.faults.extend(["lost"] * 20)
    said = ended(await world.attempt())
    assert said["ends"] == {"done": 5, "unknown": 15}
    assert set(world.bought().values()) == {1}


@in_virtual_time
async def test_later_chunks_are_cut_to_what_the_lists_have_room_for() -> None:
    world = World(songs(90))
    world.platform.page = 20
    check(world, await world.attempt())
    markers = [job.marker for job in world.platform.jobs.values()]
    assert [markers.count(marker) for marker in dict.fromkeys(markers)] == [50, 20, 20]


@in_virtual_time
async def test_lists_that_lag_delay_and_buy_nothing_twice() -> None:
    world = World(songs(60))
    world.platform.lag = 10.0
    world.platform.faults.extend(["lost"] * 7)
    check(world, await world.attempt())


@in_virtual_time
async def test_a_store_that_fails_for_a_minute_loses_nothing() -> None:
    world = World(songs(200))

    async def fail() -> None:
        await asyncio.sleep(7.0)
        world.folder.fails_until = now() + 60.0

    failing = asyncio.create_task(fail())
    check(world, await world.attempt())
    await failing


@in_virtual_time
async def test_it_defers_only_to_wait_and_resumes_no_more_than_once_a_minute() -> None:
    world = World(songs(300))
    world.platform.takes = 600.0
    result = await world.attempt(deferrable=True)
    assert isinstance(result, Deferred)
    assert len(result.jobs) == 300
    assert result.not_before == pytest.approx(epoch() + 60.0, abs=1.0)
    began = now()
    check(world, await world.to_the_end(deferrable=True))
    assert world.tries <= 3 + (now() - began) / 60.0
    assert world.platform.asked["Create"] == 300


@in_virtual_time
async def test_a_small_batch_of_short_jobs_ends_without_a_resume() -> None:
    world = World(songs(30))
    world.platform.takes = 3.0
    check(world, await world.attempt(deferrable=True))


@in_virtual_time
async def test_no_more_jobs_are_in_flight_than_allowed() -> None:
    world = World(songs(300))
    world.platform.takes = 100.0
    most = 0

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, world.platform.running)
            await asyncio.sleep(1.0)

    looking = asyncio.create_task(look())
    check(world, await world.attempt(max_in_flight=100))
    looking.cancel()
    assert 50 <= most <= 100


@in_virtual_time
async def test_a_budget_ends_the_batch_well_with_the_rest_not_submitted() -> None:
    world = World(songs(100))
    said = ended(await world.attempt(max_new_jobs=70))
    assert said["ends"] == {"done": 70, "not_submitted": 30}
    assert len(world.platform.jobs) == 70


@in_virtual_time
async def test_jobs_past_their_time_are_timeouts() -> None:
    world = World(songs(10))
    world.platform.takes = 1e6
    began = now()
    said = ended(await world.attempt(wait_timeout=600.0))
    assert said["ends"] == {"timeout": 10}
    assert now() - began < 700


@in_virtual_time
async def test_it_ends_by_itself_before_the_tasks_time_is_over() -> None:
    world = World(songs(1000))
    with pytest.raises(WaitTimeout):
        await world.attempt(ends_at=epoch() + 30.0)
    assert now() <= 28.5
    check(world, await world.attempt())


@in_virtual_time
async def test_stopped_it_sends_nothing_more_and_the_next_try_takes_over() -> None:
    world = World(songs(200))
    running = asyncio.create_task(world.attempt())
    await asyncio.sleep(9.0)
    world.engines[0].stop()
    began = now()
    with pytest.raises(Stopped):
        await running
    assert now() - began <= 4.0
    sent = len(world.platform.jobs)
    await asyncio.sleep(60.0)
    assert len(world.platform.jobs) == sent
    check(world, await world.attempt())


@in_virtual_time
async def test_refused_keys_end_the_batch_and_buy_nothing() -> None:
    world = World(songs(50))
    world.platform.faults.extend(["keys"] * 50)
    with pytest.raises(AuthenticationFailed):
        await world.attempt()
    assert world.platform.asked["Create"] <= 50
    world.platform.faults.clear()
    check(world, await world.attempt())


@in_virtual_time
async def test_a_service_that_refuses_every_item_is_believed_after_one_chunk() -> None:
    world = World(songs(500))
    world.platform.faults.extend(["error"] * 500)
    with pytest.raises(BadRequest):
        await world.attempt()
    assert world.platform.asked["Create"] <= 50


@in_virtual_time
async def test_a_plan_is_final_whatever_becomes_of_the_source() -> None:
    world = World(songs(60))
    with pytest.raises(WaitTimeout):
        await world.attempt(ends_at=epoch() + 8.0)
    planned = list(world.songs)
    world.songs = songs(500)
    said = ended(await world.attempt())
    assert [item["id"] for item in world.items(said)] == planned


@in_virtual_time
async def test_the_plan_of_other_arguments_is_refused_by_name() -> None:
    world = World(songs(3))
    await world.attempt()
    with pytest.raises(RequestChanged, match="parameters"):
        await world.attempt_with({"items": "x", "parameters": "y"})


@in_virtual_time
async def test_what_is_bought_adopted_and_ended_is_counted_once() -> None:
    world = World(songs(60))
    world.platform.fails = {songs(1)[0]}
    world.platform.faults.extend(["", "lost"])
    world.platform.takes = 200.0
    check(world, await world.to_the_end(deferrable=True))
    counts: Counter[str] = Counter()
    for engine in world.engines:
        counts.update({what: number for (what, _), number in engine.counts.items()})
    assert +counts == {"jobs.bought": 59, "jobs.adopted": 1, "jobs.succeeded": 59, "jobs.failed": 1}
