"""Which attempts follow each other, and how a schedule is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.model.faults import Fault
from tests.model.properties import in_the_way
from tests.model.world import Process, Setting, World

AFTER_EVERYTHING = 600.0
"""Seconds after which nothing of the attempts before is on its way, and lists lag no more."""


@dataclass(frozen=True)
class History:
    """
    A first attempt, and what follows when an attempt has ended: letters, in order.

    ``t`` a retry, ``r`` a resume without its notes, ``c`` a clear, ``o`` another task with the same key. One more
    retry without any fault ends every history: it must bring the job.
    """

    follows: str

    def __str__(self) -> str:
        return self.follows or "alone"


def carried_out(history: History, setting: Setting, schedule: Mapping[tuple[int, int], Fault]) -> World:
    """Carry a schedule out and return the world as it is afterwards."""
    world = World(setting, schedule, in_the_way=in_the_way)
    # A clear makes max_tries the number of tries so far plus retries.
    first = Process(world, 0, "a", try_number=1, generation=2)

    def follow(before: Process, left: str) -> None:
        number = before.number + 1
        if not left:
            last = Process(world, number, before.task, before.try_number + 1, before.generation, clean=True)
            world.at(world.now + AFTER_EVERYTHING, last.start)
            return
        kind, rest = left[0], left[1:]
        retry = before.try_number + 1
        following = {
            "t": Process(world, number, before.task, retry, before.generation),
            "r": Process(world, number, before.task, before.try_number, before.generation, resumed=True),
            "c": Process(world, number, before.task, retry, before.try_number + 2 + before.generation),
            "o": Process(world, number, f"{before.task}'", 1, 2),
        }[kind]
        following.then = lambda: follow(following, rest)
        world.at(world.now + setting.gap, following.start)

    first.then = lambda: follow(first, history.follows)
    world.at(world.now, first.start)
    world.run()
    return world
