"""
When jobs are found to have ended, and what that takes in requests: in virtual time, over the product's own code.

The watcher, the wait, the schedule and the limiter are the product's; the service, its clock and the event loop's are
simulated, so hours take seconds and nothing depends on the machine. What is counted begins with the operator's own
first question, and no question counts as late that was asked before the trigger may yield an event.

``python benchmarks/simulation.py`` prints the table; ``--quick`` fewer rows, ``--full`` all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.jobs.schedule import KEPT, Durations
from airflow_provider_mediax.jobs.waiting import Outcome, Wait
from airflow_provider_mediax.jobs.watcher import Opened, Watcher
from airflow_provider_mediax.protocol.job import Job, JobState
from tests.unit.jobs.virtual_time import VirtualLoop

if TYPE_CHECKING:
    from airflow_provider_mediax.client.aio import AsyncClient
    from airflow_provider_mediax.protocol.service import JobService

HOLD_BACK = 11.0
"""Seconds in which a trigger yields no event, with Airflow's default heartbeat."""

LATENCY = 0.05
EPOCH = 1_790_000_000.0
UNLIMITED = 1e6
DURATIONS = {"10 s": 10.0, "30 s": 30.0, "2 min": 120.0, "10 min": 600.0, "1 h": 3600.0}


def _two(rng: random.Random) -> float:
    return rng.choice((0.5, 1.5))


SHAPES: Mapping[str, Callable[[random.Random], float]] = {
    "uniform": lambda rng: rng.uniform(0.8, 1.2),
    "log-normal": lambda rng: math.exp(rng.gauss(0.0, 0.5)),
    "two narrow": lambda rng: _two(rng) * rng.uniform(0.95, 1.05),
    "two log-normal": lambda rng: _two(rng) * math.exp(rng.gauss(0.0, 0.15)),
}
"""How long a job takes, as a multiple of d: 0.8 to 1.2; sigma 0.5; 0.5 or 1.5, each within 5 %, or with sigma 0.15."""


@dataclass
class Simulated:
    """
    A service whose jobs were all created at 0, and its client.

    :param ends: when each job ends, by its id.
    :param limit: requests per second.
    :ivar asked: when each job was asked for, the operator's own question included.
    """

    ends: Mapping[str, float]
    limit: float
    describe_limit: int = 1
    asked: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pacing = Pacing(self.limit)
        self.asked = {job_id: [0.0] for job_id in self.ends}

    async def open(self) -> Opened:
        return Opened(cast("JobService[Any]", self), cast("AsyncClient", self))

    def describe(self, ids: Sequence[str]) -> Sequence[str]:
        return ids

    async def run(self, ids: Sequence[str], patience: object = None) -> Mapping[str, Job]:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(self.pacing.reserve(now()))
        for job_id in ids:
            self.asked[job_id].append(now())
        answer = {job_id: self._job(job_id, now()) for job_id in ids}
        await asyncio.sleep(LATENCY)
        return answer

    async def close(self) -> None:
        """Nothing is open."""

    def _job(self, job_id: str, now: float) -> Job:
        ended = self.ends[job_id] <= now
        return Job(
            id=job_id,
            state=JobState.SUCCEEDED if ended else JobState.OPEN,
            state_name="COMPLETED" if ended else "PROCESSING",
            created_at=datetime.fromtimestamp(EPOCH, UTC),
            completed_at=datetime.fromtimestamp(EPOCH + self.ends[job_id], UTC) if ended else None,
        )


class Found(NamedTuple):
    """
    How jobs were found.

    :param delays: seconds from each job's end, or from the moment at which an event may leave if that is later, to the
        question that found it.
    :param events: seconds from each job's end to its event.
    :param requests: questions per job.
    """

    delays: list[float]
    events: list[float]
    requests: float


def ours(
    durations: Sequence[float], limit: float, learned: Durations, *, seed: int = 1, poll_interval: float = 5.0
) -> Found:
    """Wait for one job in each of many triggers, all of them deferred at about the same time."""
    rng = random.Random(seed)
    service = Simulated({f"j{number}": seconds for number, seconds in enumerate(durations)}, limit)
    starts = {job_id: rng.uniform(0.5, 1.5) for job_id in service.ends}

    async def wait(watcher: Watcher, job_id: str) -> None:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(starts[job_id])
        terms = Wait(
            job_ids=[job_id],
            deadline=now() + 86400.0,
            poll_interval=poll_interval,
            started=now(),
            not_before=now() + HOLD_BACK,
            schedule=learned,
            rng=rng.random,
            moment=lambda epoch: epoch - EPOCH,
        )
        async for news in watcher.watch(terms):
            assert not isinstance(news, Outcome) or news.status == "final", news

    async def everything() -> None:
        watcher = Watcher(service.open, "simulation", clock=asyncio.get_running_loop().time)
        await asyncio.gather(*(wait(watcher, job_id) for job_id in service.ends))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(everything())
    return found(durations, [asked[-1] for asked in service.asked.values()], list(starts.values()), service.asked)


def found(
    durations: Sequence[float],
    questions: Sequence[float],
    starts: Sequence[float],
    asked: Mapping[str, Sequence[float]] | None = None,
    requests: float = 0.0,
) -> Found:
    delays, events = [], []
    for end, question, start in zip(durations, questions, starts, strict=True):
        delays.append(question - max(end, min(start + HOLD_BACK, question)))
        events.append(max(question, start + HOLD_BACK) - end)
    if asked is not None:
        requests = sum(map(len, asked.values())) / len(asked)
    return Found(sorted(delays), sorted(events), requests)


def evenly(durations: Sequence[float], interval: float, *, seed: int = 1) -> Found:
    """Ask at a fixed interval from the trigger's start on, at a phase of its own, and without a limit."""
    rng = random.Random(seed)
    questions, asked = [], 0
    for end in durations:
        phase = rng.uniform(0.0, interval)
        rounds = max(0, math.ceil((end - phase) / interval))
        questions.append(phase + rounds * interval)
        asked += rounds + 2
    return found(durations, questions, [0.0] * len(questions), requests=asked / len(questions))


def oracle(durations: Sequence[float], limit: float) -> Found:
    """Ask for each job once, in the order in which they end, and never too early."""
    free, questions = 0.0, []
    for end in sorted(durations):
        free = max(end, free + 1 / limit, 1.0 + HOLD_BACK)
        questions.append(free)
    return found(sorted(durations), questions, [1.0] * len(questions), requests=2.0)


def blind(durations: Sequence[float], limit: float) -> Found:
    """
    Ask without a moment lost, from the first end on, always for the job that was asked for longest ago.

    No schedule can find more under the limit, unless something says which job has ended: the jobs were created
    together, so the one that was not asked for for the longest time has most likely ended.
    """
    now, open_jobs, questions, asked = max(min(durations), 1.0 + HOLD_BACK), deque(durations), [], 0
    ends = []
    while open_jobs:
        end = open_jobs.popleft()
        asked += 1
        if end <= now:
            ends.append(end)
            questions.append(now)
        else:
            open_jobs.append(end)
        now += 1 / limit
    return found(ends, questions, [1.0] * len(ends), requests=1 + asked / len(ends))


def drawn(shape: str, d: float, count: int, seed: int) -> list[float]:
    rng = random.Random(f"{shape} {d} {seed}")
    return [d * SHAPES[shape](rng) for _ in range(count)]


def warm(shape: str, d: float) -> Durations:
    """Return what a process has learned that has seen many such jobs."""
    learned = Durations()
    for seconds in drawn(shape, d, KEPT, seed=99):
        wait = Wait(job_ids=["x"], deadline=math.inf, poll_interval=5.0, started=0.0, schedule=learned)
        learned.learn(wait, seconds, 0.0)
    return learned


def percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def rows(waits: Sequence[int], limits: Sequence[float], shapes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for limit in limits:
        for shape in shapes:
            for name, d in DURATIONS.items():
                for count in waits:
                    durations = drawn(shape, d, count, seed=count)
                    cases = {
                        "ours, cold": ours(durations, limit, Durations()),
                        "ours, warm": ours(durations, limit, warm(shape, d)),
                        "every 30 s": evenly(durations, 30.0),
                        "every 60 s": evenly(durations, 60.0),
                        "oracle": oracle(durations, limit),
                    }
                    if limit != UNLIMITED:
                        cases["blind"] = blind(durations, limit)
                    for case, result in cases.items():
                        yield (
                            "none" if limit == UNLIMITED else f"{limit:g}/s",
                            shape,
                            name,
                            str(count),
                            case,
                            f"{percentile(result.delays, 0.5):.1f}",
                            f"{percentile(result.delays, 0.99):.1f}",
                            f"{percentile(result.events, 0.5):.1f}",
                            f"{result.requests:.1f}",
                        )


HEAD = ("limit", "shape", "d", "waits", "schedule", "delay p50", "p99", "event p50", "requests/job")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    plan: list[tuple[tuple[int, ...], tuple[float, ...], tuple[str, ...]]]
    if given.quick:
        plan = [((100,), (UNLIMITED,), ("uniform",)), ((1000,), (10.0,), ("uniform",))]
    elif given.full:
        plan = [((20, 100, 1000), (UNLIMITED, 10.0), tuple(SHAPES)), ((5000,), (10.0,), ("uniform",))]
    else:
        plan = [((100, 1000), (UNLIMITED,), tuple(SHAPES)), ((1000,), (10.0,), tuple(SHAPES))]
    print("seconds; the limit holds for our schedules and the oracle\n")
    widths = (6, 15, 7, 6, 11, 10, 8, 10, 13)
    print("".join(name.rjust(width) for name, width in zip(HEAD, widths, strict=True)))
    for part in plan:
        for row in rows(*part):
            print("".join(value.rjust(width) for value, width in zip(row, widths, strict=True)), flush=True)


if __name__ == "__main__":
    main()
