"""Which attempts follow each other, and how a schedule is carried out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from tests.model.faults import Fault
from tests.model.properties import in_the_way
from tests.model.world import Process, Setting, World

AFTER_EVERYTHING = 600.0
"""Seconds after which nothing of the attempts before is on its way, and lists lag no more."""


BESIDE = 0.05
"""Seconds by which a task begins after another one with its key."""


@dataclass(frozen=True)
class History:
    """
    A first attempt, and what follows when an attempt has ended: letters, in order.

    ``t`` a retry, ``r`` a resume without its notes, ``c`` a clear, ``o`` another task with the same key; ``b`` another
    one with that key that begins in the same instant as the attempt before; ``d`` a second start of the attempt before.
    One more retry without any fault ends every history: it must bring the job.
    """

    follows: str

    def __str__(self) -> str:
        return self.follows or "alone"


def carried_out(history: History, setting: Setting, schedule: Mapping[tuple[int, int], Fault]) -> World:
    """Carry a schedule out and return the world as it is afterwards."""
    world = World(setting, schedule, in_the_way=in_the_way)
    numbers = itertools.count()

    def begin(task: str, try_number: int, generation: int, left: str, *, resumed: bool = False, at: float) -> None:
        process = Process(world, next(numbers), task, try_number, generation, resumed=resumed)
        beside = left[:1] if left[:1] in ("b", "d") else ""
        process.then = lambda: follow(process, left.removeprefix(beside))
        world.at(at, process.start)
        if beside == "b":
            other = Process(world, next(numbers), f"{task}''", 1, 2)
            world.at(at + BESIDE, other.start)
        if beside == "d":
            again = Process(world, next(numbers), task, try_number, generation, resumed=resumed)
            world.at(at + BESIDE, again.start)

    def follow(before: Process, left: str) -> None:
        task, retry, generation = before.task, before.try_number + 1, before.generation
        if not left:
            last = Process(world, next(numbers), task, retry, generation, clean=True)
            world.at(world.now + AFTER_EVERYTHING, last.start)
            return
        kind, rest = left[0], left[1:]
        at = world.now + setting.gap
        match kind:
            case "t":
                begin(task, retry, generation, rest, at=at)
            case "r":
                begin(task, before.try_number, generation, rest, resumed=True, at=at)
            case "c":  # it makes max_tries the number of tries so far plus retries
                begin(task, retry, before.try_number + 2 + generation, rest, at=at)
            case "o":
                begin(f"{task}'", 1, 2, rest, at=at)

    begin("a", 1, 2, history.follows, at=world.now)
    world.run()
    return world
