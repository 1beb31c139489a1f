"""
What attempts live in: time, a service that runs jobs, Airflow's store, and processes that can die at every step.

A process is a generator that yields the seconds until it goes on. Each step that can go wrong is a point: the schedule
says whether something happens there, and the world notes which points were reached.
"""

from __future__ import annotations

import copy
import heapq
import itertools
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.jobs.claims import Claims
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import Acquisition
from airflow_provider_mediax.jobs.stored import Owner
from airflow_provider_mediax.protocol.cos_objects import Stored
from airflow_provider_mediax.protocol.exchange import Call, Flow, Pause, Repeat
from airflow_provider_mediax.protocol.job import Job, JobList, JobState
from airflow_provider_mediax.protocol.rows import Result
from airflow_provider_mediax.protocol.service import Finding, JobService, Prepared
from airflow_provider_mediax.protocol.urls import CosAddress
from tests.model import faults
from tests.model.faults import Fault, Point

T = TypeVar("T")

NOON = 1_800_000_000.0
ANSWER = 0.2
"""Seconds that a good answer takes."""

STORE = 0.05
"""Seconds by which an access to the store moves the time."""


class Death(BaseException):
    """The process is gone; nothing of it runs any more."""


@dataclass(frozen=True)
class Setting:
    """
    What is the same for a whole schedule.

    :param store: whether Airflow has a task state store (3.3).
    :param lag: seconds until a new job is listed.
    :param cancellable: whether the service can cancel jobs.
    :param clocks: seconds by which the clock of each attempt's machine is wrong.
    :param gap: seconds from the end of an attempt to the begin of the next.
    :param claims: whether the connection has claims.
    :param unclaimed: how many attempts were made before it had them.
    :param longest: seconds after which a send has arrived or never will, by each attempt's timeouts.
    """

    claims: bool = False
    unclaimed: int = 0
    longest: tuple[float, ...] = (65.0,)
    store: bool = True
    lag: float = 0.0
    cancellable: bool = True
    key: bool = False
    reuse: bool = False
    retry_failed: bool = False
    clocks: tuple[float, ...] = ()
    gap: float = 1.0


@dataclass(frozen=True)
class Request:
    """The same work every time."""

    capability_name = "tags"
    summary = "a.mp3"

    def identity(self) -> dict[str, Any]:
        return {"path": "a.mp3"}


@dataclass
class Bought:
    """
    A job as the world knows it.

    :param listed_from: when lists begin to name it.
    :param by: the process whose send it came from.
    :param checked: that process had seen that it was still the task's own, after it had recorded its intent.
    :param stood_still: that process stood still between the check of its claim and its send.
    """

    job: Job
    created: float
    listed_from: float
    by: Process
    checked: bool
    stood_still: bool = False
    cancel_unstarted: bool = False


@dataclass(frozen=True)
class Ask:
    """A request of the service's flow to the world."""

    action: str
    subject: Any
    since: float | None = None


class Service(JobService[Request]):
    """Turns what the engine wants into questions to the world."""

    name = "model"
    title = "Model"
    describe_limit = 10
    lists_by_time = True

    def __init__(self, cancellable: bool) -> None:
        self.cancellable = cancellable  # type: ignore[misc]  # a setting here

    @property
    def account(self) -> tuple[str, str]:
        return "model.invalid", "key"

    def prepare(self, request: Request) -> Prepared[Request]:
        """Take everything."""
        return Prepared.of(request, {})

    def submit(self, prepared: Prepared[Request], marker: str) -> Flow[Job]:
        return (yield Call(action="submit", method="", url=marker, repeat=Repeat.NEVER))  # type: ignore[return-value]

    def jobs_of(
        self, marker: str, *, prepared: Prepared[Request] | None = None, since: float | None = None
    ) -> Flow[JobList]:
        return (yield Ask("find", marker, since))  # type: ignore[misc,return-value]

    def list_since(self, since: float | None, until: float | None, markers: Collection[str]) -> Flow[JobList]:
        raise AssertionError("an attempt does not list a time")

    def probe(self) -> Flow[Sequence[Finding]]:
        raise AssertionError("an attempt does not try the connection")

    def matches(self, job: Job, prepared: Prepared[Request]) -> bool:
        return True

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        return (yield Ask("describe", tuple(ids)))  # type: ignore[misc,return-value]

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        yield Ask("cancel", tuple(ids))  # type: ignore[misc]

    @classmethod
    def result_of(cls, capability: str) -> type[Result]:
        raise AssertionError("an attempt makes no rows")

    def view(self, job: Job) -> Any:
        raise AssertionError("who gets a job does not look at its result")


class Bucket:
    """Turns what claims want into questions to the world."""

    def create(self, key: str, body: bytes, *, repeat: Repeat = Repeat.NEVER) -> Flow[bool]:
        return (yield Ask("put", (key, body)))  # type: ignore[misc,return-value]

    def read(self, key: str) -> Flow[Stored | None]:
        return (yield Ask("read", key))  # type: ignore[misc,return-value]


class Silence:
    """A log that costs no time."""

    def info(self, msg: str, /, *args: Any) -> None: ...
    def warning(self, msg: str, /, *args: Any) -> None: ...
    def error(self, msg: str, /, *args: Any) -> None: ...


@dataclass
class World:
    """One schedule's world."""

    setting: Setting
    schedule: Mapping[tuple[int, int], Fault]
    now: float = NOON
    bought: list[Bought] = field(default_factory=list)
    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    newest: dict[str, Process] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    doubles: list[list[Bought]] = field(default_factory=list)
    in_the_way: Callable[[World, Bought], list[Bought]] = lambda world, job: []
    _queue: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, moment: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._queue, (moment, next(self._order), action))

    def run(self) -> None:
        """Let everything happen, to the end."""
        while self._queue:
            moment, _, action = heapq.heappop(self._queue)
            self.now = max(self.now, moment)
            action()

    def say(self, who: object, what: str) -> None:
        self.story.append(f"{self.now - NOON:8.2f}  {who}: {what}")

    def put(self, key: str, body: bytes, by: Process) -> bool:
        """Write an object if there is none."""
        if key in self.objects:
            return False
        self.objects[key] = body, float(int(self.now))
        self.say("bucket", f"keeps {key.rpartition('.')[2]} for {by}")
        return True

    def create(self, marker: str, by: Process, checked: bool, stood_still: bool) -> Job:
        """Carry a submit out."""
        number = len(self.bought) + 1
        created = datetime.fromtimestamp(self.now, UTC)
        job = Job(id=f"job-{number}", state=JobState.OPEN, state_name="Submitted", marker=marker, created_at=created)
        bought = Bought(job, self.now, self.now + self.setting.lag, by, checked, stood_still)
        self.say("service", f"creates {job.id} for {by} (listed from {bought.listed_from - NOON:.2f})")
        if others := self.in_the_way(self, bought):
            self.doubles.append([bought, *others])
        self.bought.append(bought)
        return job

    def listed(self, marker: str, since: float | None) -> list[Job]:
        """List as Cloud Infinite does: of the time that was asked for."""
        return [
            bought.job
            for bought in reversed(self.bought)
            if bought.job.marker == marker
            and bought.listed_from <= self.now
            and (since is None or bought.created >= since)
        ]

    def described(self, ids: Sequence[str]) -> dict[str, Job]:
        return {bought.job.id: bought.job for bought in self.bought if bought.job.id in ids}

    def cancel(self, ids: Sequence[str]) -> None:
        for bought in self.bought:
            if bought.job.id in ids:
                bought.job = replace(bought.job, state=JobState.CANCELED, state_name="Cancel")
                bought.cancel_unstarted = True

    def end(self, state: JobState, *, started: bool = True) -> None:
        """Let the newest job end."""
        for bought in self.bought[-1:]:
            if not bought.job.state.final:
                at = datetime.fromtimestamp(self.now, UTC) if started else None
                bought.job = replace(bought.job, state=state, state_name=state.name, started_at=at)
                bought.cancel_unstarted = state is JobState.CANCELED and not started
                self.say("service", f"{bought.job.id} is {state.name}{'' if started else ', never started'}")


class Store:
    """Airflow's store as one attempt sees it: once it is replaced, it reads nothing and writes into the void."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def get(self, key: str) -> Any:
        process, world = self._process, self._process.world
        fault = process.point("get")
        if not process.attached:
            return None
        match fault:
            case faults.DIES:
                raise Death
            case faults.BROKEN:
                raise ConnectionError("Airflow does not answer")
            case faults.EDITED if process.task in world.records:
                world.records[process.task] = {**world.records[process.task], "schema": 99}
            case faults.EXPIRED:
                world.records.pop(process.task, None)
        world.now += STORE
        process.checked = True
        return copy.deepcopy(world.records.get(process.task))

    def set(self, key: str, value: Any) -> None:
        process, world = self._process, self._process.world
        fault = process.point("set")
        if fault is faults.DIES:
            raise Death
        if fault is faults.BROKEN:
            raise ConnectionError("Airflow does not answer")
        world.now += STORE
        if process.attached:
            world.records[process.task] = copy.deepcopy(value)
        if fault is faults.DIES_AFTER:
            raise Death
        if fault is faults.BROKEN_AFTER:
            raise ConnectionError("Airflow does not answer")


@dataclass(eq=False)
class Process:
    """
    One attempt of a task.

    :param then: called when it has ended, has died, or was given up by Airflow.
    """

    world: World
    number: int
    task: str
    try_number: int
    generation: int
    resumed: bool = False
    clean: bool = False
    then: Callable[[], None] = lambda: None
    result: Any = None
    began_at: float = float("inf")
    died_at: float | None = None
    ended_at: float = float("inf")
    given_up_at: float | None = None
    checked: bool = False
    unlisted: bool = False
    _points: int = 0
    _down: set[str] = field(default_factory=set)
    _hidden: set[str] = field(default_factory=set)
    _successor: bool = False

    _tokens: itertools.count[int] = field(default_factory=itertools.count)

    def __str__(self) -> str:
        return f"{self.task}.{self.try_number}{' resumed' if self.resumed else ''} (generation {self.generation})"

    @property
    def attached(self) -> bool:
        """Whether Airflow still takes this attempt for the task's own."""
        return self.world.newest.get(self.task) is self

    @property
    def skew(self) -> float:
        clocks = self.world.setting.clocks
        return clocks[self.number % len(clocks)] if clocks else 0.0

    @property
    def claims(self) -> bool:
        """Whether this attempt's connection has claims."""
        return self.world.setting.claims and self.number >= self.world.setting.unclaimed

    @property
    def longest(self) -> float:
        """Seconds after which a send of this attempt has arrived or never will."""
        longest = self.world.setting.longest
        return longest[self.number % len(longest)]

    @property
    def timeout(self) -> float:
        """Seconds after which it gives a call up: 5 to connect, and half of the rest to read."""
        return (self.longest + 5.0) / 2

    def monotonic(self) -> float:
        """Read a clock that began when this machine did."""
        return self.world.now - NOON + 7000.0 * (self.number + 1)

    def start(self) -> None:
        """Begin now."""
        self.began_at = self.world.now
        self.world.newest[self.task] = self
        self.world.processes.append(self)
        self.world.say(self, "begins")
        main = self._main()

        def go_on() -> None:
            try:
                seconds = next(main)
            except StopIteration:
                self._over()
            except Death:
                self.died_at = self.world.now
                self.world.say(self, "dies")
                self._over()
            else:
                self.world.at(self.world.now + seconds, go_on)

        go_on()

    def point(self, kind: str) -> Fault | None:
        """Pass a step at which something may happen."""
        if self.clean:
            return None
        place = (self.number, self._points)
        self._points += 1
        self.world.points.append(Point(place, kind, zombie=not self.attached))
        fault = self.world.schedule.get(place)
        if fault is not None:
            self.world.say(self, f"{kind}: {fault}")
        return fault

    def _over(self) -> None:
        if not self._successor:
            self._successor = True
            self.then()

    def _main(self) -> Generator[float, None, None]:
        if self.world.bought:
            self._fate(self.point("begin"))
        setting = self.world.setting
        acquisition = Acquisition(
            Service(setting.cancellable),
            Request(),
            Identity(
                namespace=None,
                owner=Owner(dag_id="d", run_id="r", task_id=self.task, map_index=-1),
                generation=self.generation,
                reuse=setting.reuse,
                key="shared" if setting.key else None,
            ),
            store=Store(self) if setting.store else None,
            claims=self._bucket() if self.claims else None,
            try_number=self.try_number,
            resumed=self.resumed,
            longest_send=self.longest,
            earliest=NOON,
            retry_failed=setting.retry_failed,
            may_cancel=not setting.key,
            clock=lambda: self.world.now + self.skew,
            monotonic=self.monotonic,
            log=Silence(),
        )
        try:
            owned = yield from self._driven(acquisition.run())
            self.result, self.ended_at = owned, self.world.now
            self.world.say(self, f"has {owned.job.id}")
        except (MediaxError, ConnectionError) as error:
            self.result, self.ended_at = error, self.world.now
            self.world.say(self, f"ends: {type(error).__name__}: {error}")

    def _bucket(self) -> Claims:
        return Claims(
            store=Bucket(),
            folder=CosAddress("claims-1250000000", "claims/"),
            longest_send=self.longest,
            proved=set(),
            monotonic=self.monotonic,
            clock=lambda: self.world.now + self.skew,
            token=lambda: f"{self.number}-{next(self._tokens)}",
        )

    def _driven(self, flow: Flow[T]) -> Generator[float, None, T]:
        try:
            step: Any = next(flow)
            while True:
                try:
                    answer = yield from self._carried_out(step)
                except MediaxError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _carried_out(self, step: Any) -> Generator[float, None, Any]:
        if isinstance(step, Pause):
            return self._paused(step)
        return self._submitted(step) if isinstance(step, Call) else self._asked(step)

    def _fate(self, fault: Fault | None) -> None:
        """Let something happen to the job before this attempt begins."""
        match fault:
            case faults.FAILED:
                self.world.end(JobState.FAILED)
            case faults.CANCELED:
                self.world.end(JobState.CANCELED)
            case faults.GIVEN_UP:
                self.world.end(JobState.CANCELED, started=False)
            case faults.SUCCEEDED:
                self.world.end(JobState.SUCCEEDED)
            case faults.DIES:
                raise Death

    def _paused(self, pause: Pause) -> Generator[float, None, None]:
        yield from self._sleep(self.point("pause"))
        yield pause.seconds

    def _sleep(self, fault: Fault | None) -> Generator[float, None, None]:
        """Die, stop, or stand still for so long that Airflow begins the next attempt beside this one."""
        if fault is faults.DIES:
            raise Death
        if fault is faults.STOPPED:
            raise fault.failure()
        if fault is faults.STANDS_STILL:
            self.given_up_at = self.world.now
            self._over()
            yield faults.STANDSTILL

    def _asked(self, ask: Ask) -> Generator[float, None, Any]:
        fault = self.point(ask.action)
        yield from self._sleep(fault)
        if fault is faults.DOWN:
            self._down = {"find", "describe", "cancel"}
        if fault is faults.ELSEWHERE:
            self._hidden = {bought.job.id for bought in self.world.bought}
        if ask.action == "put":
            key, body = ask.subject
            return (yield from self._put(key, body, fault))
        yield ANSWER
        if ask.action in self._down:
            raise faults.DOWN.failure()
        if fault is not None and fault.error is not None:
            self.unlisted = self.unlisted or ask.action == "find"
            raise fault.failure()
        if ask.action == "read":
            return self._read(ask.subject)
        if ask.action == "find":
            if fault is faults.SHORT:
                return JobList([], complete=False)
            listed = self.world.listed(ask.subject, ask.since)
            return JobList([job for job in listed if job.id not in self._hidden], complete=True)
        if ask.action == "describe":
            if self._hidden.intersection(ask.subject):
                raise faults.REFUSED.failure()
            return {} if fault is faults.NOT_KNOWN else self.world.described(ask.subject)
        return self.world.cancel(ask.subject)

    def _read(self, key: str) -> Stored | None:
        if key not in self.world.objects:
            return None
        body, written_at = self.world.objects[key]
        return Stored(size=len(body), written_at=written_at, read_at=float(int(self.world.now)), body=body)

    def _put(self, key: str, body: bytes, fault: Fault | None) -> Generator[float, None, bool]:
        world = self.world
        if fault in (None, faults.STANDS_STILL, faults.SLOW):
            yield ANSWER / 2
            kept = world.put(key, body, self)
            yield ANSWER / 2 if fault is not faults.SLOW else self.timeout - 1.0
            return kept
        yield from self._gone_wrong(fault, lambda: world.put(key, body, self))
        raise AssertionError("that raises")

    def _submitted(self, call: Call) -> Generator[float, None, Job]:
        world, kind = self.world, "submit" if call.entitle is None else "claimed submit"
        fault: Fault | None = faults.THROTTLED_FOR_LONG
        first = True
        while fault is faults.THROTTLED_FOR_LONG:
            if not first:
                yield faults.THROTTLE
            first = False
            if call.entitle is not None:
                yield from self._driven(call.entitle())
            began = self.monotonic()
            fault = self.point(kind)
            yield from self._sleep(fault)
        checked, self.checked = self.checked, False
        stood_still = fault is faults.STANDS_STILL
        if fault in (None, faults.STANDS_STILL):
            yield ANSWER / 2
            job = world.create(call.url, self, checked, stood_still)
            yield ANSWER / 2
            return job
        yield from self._gone_wrong(fault, lambda: world.create(call.url, self, checked, stood_still), began)
        raise AssertionError("that raises")

    def _gone_wrong(
        self, fault: Fault, act: Callable[[], object], began: float | None = None
    ) -> Generator[float, None, None]:
        """Lose a request or its answer."""
        world = self.world
        if fault.carried_out is not None:
            world.at(world.now + min(fault.carried_out, self.longest - 0.1), act)
        if fault in (faults.DIES_SENDING, faults.DIES_SENDING_LATE):
            yield ANSWER
            raise Death
        yield self.timeout if fault.silent else 2 * ANSWER
        assert fault.error is not None
        error = fault.failure()
        error.sent_at = began if fault.silent else None
        raise error
