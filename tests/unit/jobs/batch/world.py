"""A folder, a platform and attempts in one event loop of virtual time; kills, lost answers and outages on demand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, Any, ClassVar, TypeVar

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    Throttled,
    Unavailable,
    Unreachable,
)
from airflow_provider_mediax.jobs.batch.chunk import Lane
from airflow_provider_mediax.jobs.batch.engine import Deferred, Engine, Terms, Worked
from airflow_provider_mediax.jobs.batch.folder import Entry, Store
from airflow_provider_mediax.jobs.batch.items import Item, read_items
from airflow_provider_mediax.jobs.batch.known import Memory
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger
from airflow_provider_mediax.jobs.batch.listed import for_batches
from airflow_provider_mediax.jobs.batch.outcome import Merge, read_outcome
from airflow_provider_mediax.jobs.batch.plan import Index, Lines, Planner, make_plan, read_plan
from airflow_provider_mediax.jobs.batch.sources import listed_items
from airflow_provider_mediax.jobs.stored import Owner, digest
from airflow_provider_mediax.jobs.watcher import Opened, Watcher
from airflow_provider_mediax.protocol.exchange import Call, Flow, JsonObject, Pause, Repeat, Reply
from airflow_provider_mediax.protocol.job import Job, JobList, JobState
from airflow_provider_mediax.protocol.rows import Place, Result, ResultView
from airflow_provider_mediax.protocol.service import Finding, JobService, Prepared
from tests.unit.jobs.virtual_time import now

T = TypeVar("T")

NOON = 1_800_000_000.0
LONGEST_SEND = 65.0
LATE = 60.0
"""Seconds until what a dead process has sent arrives."""
OWNER = Owner(dag_id="nightly", run_id="r1", task_id="tags", map_index=-1)


class Killed(BaseException):
    """The worker is gone."""


def epoch() -> float:
    return NOON + now()


@dataclass
class Life:
    """
    One process.

    :param steps: of its calls to folder and platform that it lives to begin; None lives for ever.
    """

    steps: int | None = None
    taken: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self) -> None:
        self.taken += 1
        if self.steps is not None and self.taken > self.steps:
            self.over.set()
            raise Killed


@dataclass
class FakeFolder:
    """
    Files in memory.

    :param fails_until: moment of the loop's clock up to which every call fails.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    written_at: dict[str, float] = field(default_factory=dict)
    fails_until: float = -1.0
    writes: Counter[str] = field(default_factory=Counter)
    address: str = "cos://bucket/batches/one"
    exclusive: bool = True

    def entries(self, below: str) -> list[Entry]:
        self._check()
        prefix = f"{below}/" if below else ""
        return [Entry(name, self.written_at[name]) for name in sorted(self.files) if name.startswith(prefix)]

    def read(self, name: str) -> bytes:
        self._check()
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]

    def write(self, name: str, data: bytes) -> None:
        self._check()
        self.writes[name.partition("/")[0]] += 1
        self.files[name], self.written_at[name] = data, float(int(epoch()))

    def create(self, name: str, data: bytes) -> bool:
        self._check()
        if name in self.files:
            return False
        self.write(name, data)
        return True

    def upload(self, name: str, file: IO[bytes]) -> None:
        self.write(name, file.read())

    def lines(self, name: str) -> Iterator[bytes]:
        return iter(self.read(name).splitlines())

    def delete(self, names: Iterable[str]) -> None:
        self._check()
        for name in names:
            self.files.pop(name, None)

    def objects(self, name: str) -> list[Any]:
        return [json.loads(line) for line in self.files[name].splitlines()]

    def _check(self) -> None:
        if now() < self.fails_until:
            raise OSError("the store is away")


@dataclass(frozen=True)
class Song:
    """What a job is asked for."""

    url: str
    folder: str | None = None

    capability_name: ClassVar[str] = "tags"

    @property
    def summary(self) -> str:
        return f"tags of {self.url}"

    def identity(self) -> JsonObject:
        return {"url": self.url}


class SongRequests:
    """Makes requests of items."""

    def build(self, capability: str, item: Item, folder: str | None) -> Song:
        if "url" not in item.arguments and "path" not in item.arguments:
            raise BadRequest("url=None is refused: give exactly one of url and path")
        return Song(item.arguments.get("url") or item.arguments["path"], folder and f"{folder}/{item.key}")


@dataclass
class Platform(JobService[Song]):
    """
    A service that lists by marker and describes one job at a time.

    :param takes: seconds of a job.
    :param lag: seconds until lists show a job.
    :param page: jobs that a list has room for.
    :param faults: of the next submits: ``lost`` (created, no answer), ``dropped`` (never arrives), ``late`` (arrives
        after the longest send), ``429``, ``refused`` (no connection), ``error`` (an error that proves nothing).
    """

    takes: float = 30.0
    lag: float = 0.0
    page: int | None = None
    faults: deque[str] = field(default_factory=deque)
    fails: set[str] = field(default_factory=set)
    jobs: dict[str, Job] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    lists_fail_until: float = -1.0

    name = "fake"
    title = "Fake"
    describe_limit = 1
    cancellable = False
    lists_by_time = False

    @property
    def account(self) -> tuple[str, str]:
        return "fake.invalid", "key"

    def prepare(self, request: Song) -> Prepared[Song]:
        return Prepared.of(request, {"url": request.url})

    def submit(self, prepared: Prepared[Song], marker: str) -> Flow[Job]:
        body = json.dumps([prepared.request.url, marker]).encode()
        reply = yield Call(action="Create", method="POST", url="fake:", body=body, repeat=Repeat.NEVER)
        assert reply is not None
        return self._seen(reply.body.decode())

    def jobs_of(
        self, marker: str, *, prepared: Prepared[Song] | None = None, since: float | None = None
    ) -> Flow[JobList]:
        yield Call(action="List", method="POST", url="fake:")
        mine = [
            self._seen(job.id)
            for job in reversed(self.jobs.values())
            if job.marker == marker and _at(job.created_at) <= epoch() - self.lag
        ]
        read = mine[: self.page]
        return JobList(read, complete=len(read) == len(mine))

    def list_since(self, since: float | None, until: float | None, markers: Collection[str]) -> Flow[JobList]:
        yield Call(action="List", method="POST", url="fake:")
        return JobList([], complete=False)

    def matches(self, job: Job, prepared: Prepared[Song]) -> bool:
        return bool(job.raw["url"] == prepared.request.url)

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        found = {}
        for job_id in ids:
            yield Call(action="Get", method="POST", url="fake:")
            found[job_id] = self._seen(job_id)
        return found

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        raise AssertionError("it has no such call")
        yield

    def probe(self) -> Flow[Sequence[Finding]]:
        return []
        yield

    def view(self, job: Job) -> ResultView:
        return ResultView("tags", {"label": job.raw["url"]}, [], [], job.raw["url"], Place())

    @classmethod
    def result_of(cls, capability: str) -> type[Result]:
        return Result

    @property
    def running(self) -> int:
        """How many jobs are running."""
        return sum(epoch() - _at(job.created_at) < self.takes for job in self.jobs.values())

    def create(self, url: str, marker: str) -> str:
        job_id = f"job-{len(self.jobs) + 1}"
        created = datetime.fromtimestamp(epoch(), UTC)
        self.jobs[job_id] = Job(
            id=job_id, state=JobState.OPEN, state_name="open", marker=marker, created_at=created, raw={"url": url}
        )
        return job_id

    def arrive(self, call: Call) -> None:
        """Carry out a call that nobody waits for any more."""
        url, marker = json.loads(call.body)
        self.create(url, marker)

    def answer(self, call: Call) -> Reply:
        """Carry a call out."""
        self.asked[call.action] += 1
        if call.action == "List" and now() < self.lists_fail_until:
            raise Unavailable("the list is away")
        if call.action != "Create":
            return Reply(200, {}, b"")
        url, marker = json.loads(call.body)
        match self.faults.popleft() if self.faults else "":
            case "lost":
                self.create(url, marker)
                raise Unavailable("no answer")
            case "dropped":
                raise Unavailable("no answer")
            case "late":
                asyncio.get_running_loop().call_later(LONGEST_SEND, self.create, url, marker)
                raise Unavailable("no answer")
            case "429":
                raise Throttled("too many")
            case "keys":
                raise AuthenticationFailed("wrong keys")
            case "refused":
                raise Unreachable("no connection")
            case "error":
                error = BadRequest("an error")
                error.nothing_done = False
                raise error
        return Reply(200, {}, self.create(url, marker).encode())

    def _seen(self, job_id: str) -> Job:
        job = self.jobs[job_id]
        if epoch() - _at(job.created_at) < self.takes:
            return job
        failed = job.raw["url"] in self.fails
        state, name = (JobState.FAILED, "ERROR") if failed else (JobState.SUCCEEDED, "COMPLETED")
        return replace(job, state=state, state_name=name, message="it is no music" if failed else None)


@dataclass
class FakeClient:
    """Carries flows out in virtual time, for one process."""

    platform: Platform
    life: Life
    pacing: Pacing
    latency: float = 0.1

    async def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = flow.send(None)
                    continue
                try:
                    if (wait := self.pacing.reserve(now())) > 0:
                        await asyncio.sleep(wait)
                    if step.entitle is not None:
                        for _ in step.entitle():
                            raise AssertionError("nothing is to be asked before a batch sends")
                    self.life.step()
                    reply = await self._exchange(step)
                    self.life.step()
                except MediaxError as error:
                    error.sent_at = now()
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _exchange(self, call: Call) -> Reply:
        try:
            await asyncio.sleep(self.latency)
        except asyncio.CancelledError:
            if call.repeat is Repeat.NEVER:  # it is on its way, whatever becomes of its sender
                asyncio.get_running_loop().call_later(LATE, self.platform.arrive, call)
            raise
        return self.platform.answer(call)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class World:
    """
    What outlives the processes.

    :param songs: the items of the catalogue.
    """

    songs: Sequence[object]
    folder: FakeFolder = field(default_factory=FakeFolder)
    platform: Platform = field(default_factory=Platform)
    rate: float = 10.0
    said: list[str] = field(default_factory=list)
    tries: int = 0
    engines: list[Engine] = field(default_factory=list)

    async def attempt(self, life: Life | None = None, **terms: Any) -> JsonObject | Deferred:
        """Run one process: plan, work and merge."""
        return await self.attempt_with({"items": "x"}, life, **terms)

    async def attempt_with(
        self, asked: Mapping[str, str], life: Life | None = None, **terms: Any
    ) -> JsonObject | Deferred:
        """Run one process with these digests of its arguments."""
        life = life or Life()
        running = asyncio.create_task(self._attempt(asked, life, terms))
        dying = asyncio.create_task(life.over.wait())
        await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
        if dying.done():  # what it does from here on, it does not live to do
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise Killed
        dying.cancel()
        return await running

    async def _attempt(self, asked: Mapping[str, str], life: Life, terms: dict[str, Any]) -> JsonObject | Deferred:
        store = Store(self.folder, _elsewhere(life))
        outcome = await read_outcome(store)
        if outcome is not None:
            await read_plan(store, asked)
            return outcome
        index = await read_plan(store, asked)
        if index is None:
            with Memory() as memory:
                planner = Planner(["tags"], _check, memory)
                index = await make_plan(
                    store, planner, read_items(listed_items(self.songs)), asked, {}, stopped=lambda: None, clock=epoch
                )
        self.tries += 1
        engine = self.engine(store, index, life, **{"attempt": (self.tries, 0), **terms})
        result = await engine.run()
        if isinstance(result, Deferred):
            return result
        assert isinstance(result, Worked)
        merge = Merge(
            store,
            index,
            BatchLedger(store, Lines(store, index)),
            lambda manifest: [{"label": manifest["result"]["label"]}],
            marker="mx1-m",
            facts={},
            clock=epoch,
        )
        return await merge.run()

    def engine(self, store: Store, index: Index, life: Life, **terms: Any) -> Engine:
        client = FakeClient(self.platform, life, Pacing(self.rate))
        markers: dict[str, str] = {}

        async def opened() -> Opened:
            return Opened(for_batches(self.platform, markers), client)  # type: ignore[arg-type]

        lane = Lane(
            service=self.platform,
            client=client,
            watcher=Watcher(opened, "fake", now),
            markers=markers,
            longest_send=LONGEST_SEND,
        )
        engine = Engine(
            store,
            index,
            {"tags": lane},
            SongRequests(),
            Terms(folder="/mediax/b", marker="mx1-m", owner=OWNER, **terms),
            log=Said(self.said),
            clock=now,
            epoch=epoch,
        )
        self.engines.append(engine)
        return engine

    async def to_the_end(self, **terms: Any) -> JsonObject:
        """Go on, deferral after deferral, until there is an outcome."""
        for resume in range(100):
            result = await self.attempt(attempt=(self.tries + 1, resume), **terms)
            if not isinstance(result, Deferred):
                return result
            await asyncio.sleep(max(0.0, result.not_before - epoch()))
        raise AssertionError("it has no end")

    def bought(self) -> Counter[str]:
        """How many jobs each song has."""
        return Counter(str(job.raw["url"]) for job in self.platform.jobs.values())

    def items(self, outcome: JsonObject) -> list[JsonObject]:
        """The lines of the outcome."""
        return self.folder.objects(outcome["items"])

    def rows(self, outcome: JsonObject) -> list[JsonObject]:
        """The rows of the outcome."""
        return [row for files in outcome["files"].values() for name in files for row in self.folder.objects(name)]


class Said:
    """A log that is kept."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def info(self, msg: str, /, *args: Any) -> None:
        self._lines.append(msg % args)

    warning = error = info


def songs(count: int) -> list[str]:
    return [f"https://songs.invalid/{number}.mp3" for number in range(count)]


def _check(capability: str, item: Item) -> tuple[str, bool]:
    return digest(SongRequests().build(capability, item, None).identity()), False


def _elsewhere(life: Life) -> Callable[..., Any]:
    async def elsewhere(work: Callable[..., T], *arguments: Any) -> T:
        life.step()
        await asyncio.sleep(0.01)
        result = work(*arguments)
        life.step()
        return result

    return elsewhere


def _at(moment: datetime | None) -> float:
    assert moment is not None
    return moment.timestamp()
