"""A worker that is killed at any step, or lives on beside its successor, buys no job twice and loses none."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_mediax.exceptions import Stopped
from airflow_provider_mediax.jobs.batch.engine import Deferred
from tests.unit.jobs.batch.test_engine import check
from tests.unit.jobs.batch.world import Killed, Life, World, songs
from tests.unit.jobs.virtual_time import in_virtual_time

ITEMS = 12
CLEAN = 200
"""Steps of an undisturbed life, at least."""


def a_world() -> World:
    world = World(songs(ITEMS))
    world.platform.lag = 2.0
    return world


@in_virtual_time
async def test_an_undisturbed_life_has_no_more_steps_than_are_tried() -> None:
    life = Life()
    check_world = a_world()
    check(check_world, await check_world.attempt(life))
    assert ITEMS < life.taken <= CLEAN


@pytest.mark.parametrize("steps", range(CLEAN))
def test_killed_at_any_step_the_next_try_buys_nothing_twice(steps: int) -> None:
    @in_virtual_time
    async def run() -> None:
        world = a_world()
        try:
            await world.attempt(Life(steps))
        except Killed:
            await asyncio.sleep(5.0)
            check(world, await world.attempt())
        else:
            check(world, await world.attempt())

    run()


@pytest.mark.parametrize("steps", range(3, CLEAN, 9))
def test_killed_again_and_again_it_comes_to_its_end(steps: int) -> None:
    @in_virtual_time
    async def run() -> None:
        world = a_world()
        world.platform.faults.extend(["", "lost", "", "dropped"])
        for more in range(4):
            try:
                await world.attempt(Life(steps + 7 * more), deferrable=bool(more % 2))
            except Killed:
                await asyncio.sleep(20.0 * more)
        check(world, await world.to_the_end(deferrable=True))

    run()


@pytest.mark.parametrize("successor", [(2, 0), (1, 0)], ids=["later", "as late"])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.5, 1.0, 3.0, 6.0, 12.0, 30.0])
def test_a_zombie_beside_its_successor_buys_nothing_twice(delay: float, successor: tuple[int, int]) -> None:
    @in_virtual_time
    async def run() -> None:
        world = World(songs(150))
        first = asyncio.create_task(world.attempt(attempt=(1, 0)))
        await asyncio.sleep(delay)
        outcome = await world.attempt(attempt=successor)
        with_first = (await asyncio.gather(first, return_exceptions=True))[0]
        assert isinstance(with_first, (dict, Stopped, Deferred)), with_first
        check(world, outcome)
        if successor > (1, 0) and 0 < delay < 10:
            assert isinstance(with_first, Stopped)  # it has read the later attempt's lease

    run()
