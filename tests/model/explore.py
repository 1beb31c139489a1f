"""The search: every schedule to a depth, and random ones beyond it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model import faults
from tests.model.faults import Fault
from tests.model.histories import History, carried_out
from tests.model.properties import excluded, lost
from tests.model.world import Setting, World

Schedule = dict[tuple[int, int], Fault]


@dataclass
class Findings:
    """
    What a search has seen.

    :param broken: stories of the schedules that break a promise.
    :param excluded: how many schedules broke one that no client can keep, by name.
    """

    schedules: int = 0
    broken: list[str] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)

    def judge(self, history: History, setting: Setting, schedule: Schedule, world: World) -> None:
        """Hold a world against the promises."""
        self.schedules += 1
        reasons = [excluded(world, jobs) for jobs in world.doubles]
        if None in reasons:
            beside = ", ".join(job.job.id for job in world.doubles[reasons.index(None)])
            trouble = f"bought beside each other: {beside}"
        elif reasons:
            self.excluded[str(reasons[0])] += 1
            return
        elif left := lost(world):
            if reason := excluded(world, left):
                self.excluded[reason] += 1
                return
            trouble = f"{left[0].job.id} is lost"
        else:
            return
        told = "\n".join(world.story)
        self.broken.append(f"{trouble} ({history}; {setting}; {len(schedule)} faults)\n{told}")


def exhaustive(history: History, setting: Setting, depth: int, *, stop_at: int = 3) -> Findings:
    """Carry out every schedule of up to ``depth`` faults; stop after a few that break a promise."""
    findings = Findings()
    for schedule, world in _schedules(history, setting, {}, (-1, -1), depth):
        findings.judge(history, setting, schedule, world)
        if len(findings.broken) >= stop_at:
            break
    return findings


def _schedules(
    history: History, setting: Setting, schedule: Schedule, after: tuple[int, int], depth: int
) -> Iterator[tuple[Schedule, World]]:
    world = carried_out(history, setting, schedule)
    yield schedule, world
    if not depth:
        return
    places = [point.place for point in world.points]
    begin = places.index(after) + 1 if after in places else 0
    for point in world.points[begin:]:
        for fault in faults.possible(point):
            yield from _schedules(history, setting, {**schedule, point.place: fault}, point.place, depth - 1)


def at_random(
    history: History, setting: Setting, count: int, seed: int, *, most: int = 6, stop_at: int = 3
) -> Findings:
    """Carry out random schedules of up to ``most`` faults, each put where the ones before it have led."""
    findings, rng = Findings(), random.Random(seed)
    for _ in range(count):
        schedule: Schedule = {}
        begin = 0
        world = carried_out(history, setting, schedule)
        for _ in range(rng.randint(2, most)):
            if begin >= len(world.points):
                break
            index = rng.randrange(begin, len(world.points))
            point = world.points[index]
            if menu := faults.possible(point):
                schedule[point.place] = rng.choice(menu)
                world = carried_out(history, setting, schedule)
            begin = index + 1
        findings.judge(history, setting, schedule, world)
        if len(findings.broken) >= stop_at:
            break
    return findings
