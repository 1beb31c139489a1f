"""
What a batch has bought, by the names of files: one listing says which chunks there are and which of them are done.

* ``chunks/000123.00.intent`` is the claim of one wave of sends, created only once. The first of a chunk fixes which
  lines it holds, for ever; each names the lines that it may send.
* ``chunks/000123.<process>.<k>.jobs`` is what one process has learned of the chunk's sends; readers merge all of them.
* ``chunks/000123.done`` is how each of its items ended, created only once.

A line that an intent names and no ``.jobs`` decides is undecided: a job may exist for it.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from airflow_provider_mediax.jobs.batch.folder import Entry, Store
from airflow_provider_mediax.jobs.batch.plan import Line, Lines
from airflow_provider_mediax.protocol.exchange import JsonObject

CHUNKS = "chunks"

State: TypeAlias = Literal["done", "failed", "timeout", "canceled", "unknown", "not_submitted"]
"""How an item ended that this batch was to buy."""

_NAME = re.compile(r"chunks/(\d{6,})\.(?:(?P<wave>\d{2,})\.intent|\w+\.\d+\.jobs|(?P<done>done))")


@dataclass(frozen=True, slots=True)
class Range:
    """Lines ``first`` to ``first + count - 1`` of a capability: what one chunk holds."""

    capability: str
    first: int
    count: int

    @property
    def end(self) -> int:
        """The line after the last."""
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Bought:
    """
    A job for a line.

    :param at: epoch seconds of its submit.
    :param adopted: found by a look-up, and not answered to the submit.
    """

    job_id: str
    at: float
    adopted: bool = False


@dataclass(slots=True)
class Learned:
    """
    What the sends of a chunk have come to, by the place of each line.

    :param refused: the service's words, where nothing was bought.
    :param unknown: why it cannot be said whether there is a job.
    """

    jobs: dict[int, Bought] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    unknown: dict[int, str] = field(default_factory=dict)

    def merge(self, stored: JsonObject) -> None:
        """Take in what a process has written; a job outweighs what another process could not say."""
        for place, bought in stored.get("jobs", {}).items():
            self.jobs.setdefault(int(place), Bought(*bought))
        for member in ("refused", "unknown"):
            for place, words in stored.get(member, {}).items():
                getattr(self, member).setdefault(int(place), str(words))

    def written(self) -> JsonObject:
        """Return what is stored."""
        return {
            "jobs": {str(place): [job.job_id, job.at, job.adopted] for place, job in self.jobs.items()},
            "refused": {str(place): words for place, words in self.refused.items()},
            "unknown": {str(place): words for place, words in self.unknown.items()},
        }

    def decides(self, place: int) -> bool:
        """Tell whether it is known what became of a line that was to be sent."""
        return place in self.jobs or place in self.refused or place in self.unknown


@dataclass(frozen=True, slots=True)
class End:
    """
    How an item ended.

    :param error: why it is not done, in the service's words.
    """

    state: State
    job_id: str | None = None
    error: str | None = None
    adopted: bool = False


@dataclass(slots=True, kw_only=True)
class Chunk:
    """
    Some lines of one capability whose jobs carry one marker.

    :param lines: those that are bought, by their places.
    :param wave: number of the next intent.
    :param claimed: places that an intent names.
    :param age: seconds since the youngest intent was written, by the store's clock; None if it is not known.
    """

    number: int
    range: Range
    lines: dict[int, Line]
    wave: int = 0
    claimed: set[int] = field(default_factory=set)
    age: float | None = None
    learned: Learned = field(default_factory=Learned)
    ends: dict[int, End] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the names of its files begin with."""
        return f"{CHUNKS}/{self.number:06d}"

    @property
    def undecided(self) -> list[int]:
        """Places of which it is not known whether there is a job."""
        return sorted(place for place in self.claimed & self.lines.keys() if not self.learned.decides(place))

    @property
    def missing(self) -> list[int]:
        """Places that no attempt has tried to send."""
        return [place for place in self.lines if place not in self.claimed and not self.learned.decides(place)]

    @property
    def open(self) -> dict[int, Bought]:
        """Jobs that have not ended, as far as this process knows."""
        return {place: job for place, job in self.learned.jobs.items() if place not in self.ends}

    def take_back(self, places: Iterable[int]) -> None:
        """Note that nothing was created for these: they can be sent in another wave."""
        self.claimed.difference_update(places)


@dataclass(frozen=True, slots=True)
class Names:
    """
    What one listing of the ledger says.

    :param waves: numbers of each chunk's intents.
    :param jobs: names of each chunk's ``.jobs``.
    :param done: the chunks that are done.
    :param written: when each chunk's youngest intent was written, by the store's clock.
    """

    waves: Mapping[int, Sequence[int]]
    jobs: Mapping[int, Sequence[str]]
    done: frozenset[int]
    written: Mapping[int, float]

    @classmethod
    def read(cls, entries: Iterable[Entry]) -> Names:
        """Sort the names of a listing."""
        waves: defaultdict[int, list[int]] = defaultdict(list)
        jobs: defaultdict[int, list[str]] = defaultdict(list)
        written: dict[int, float] = {}
        done = set()
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found is None:
                continue
            number = int(found[1])
            if found["wave"] is not None:
                waves[number].append(int(found["wave"]))
                if entry.modified is not None:
                    written[number] = max(entry.modified, written.get(number, entry.modified))
            elif found["done"]:
                done.add(number)
            else:
                jobs[number].append(entry.name)
        return cls(waves, jobs, frozenset(done), written)

    @property
    def next_number(self) -> int:
        """Number of the next chunk."""
        return max(self.waves, default=-1) + 1


class BatchLedger:
    """
    Writes and reads the ledger.

    :param process: a random name of this process: an execute and its resume are two.
    """

    def __init__(self, store: Store, lines: Lines, process: str | None = None) -> None:
        self._store = store
        self._lines = lines
        self.process = process or uuid.uuid4().hex[:12]
        self._copies: defaultdict[int, int] = defaultdict(int)

    async def names(self) -> Names:
        """List the ledger."""
        return Names.read(await self._store.entries(CHUNKS))

    async def range_of(self, number: int) -> Range:
        """Return which lines a chunk holds."""
        stored = await self._store.read(f"{CHUNKS}/{number:06d}.00.intent")
        if stored is None:
            raise FileNotFoundError(f"{CHUNKS}/{number:06d}.00.intent")
        return Range(**stored["range"])

    async def open(self, number: int, names: Names, now: float | None) -> Chunk:
        """
        Read a chunk that is not done.

        :param now: the store's clock.
        """
        chunk = await self.begin(number, await self.range_of(number))
        chunk.wave = max(names.waves[number]) + 1
        for wave in names.waves[number]:
            stored = await self._store.read(f"{chunk.name}.{wave:02d}.intent")
            chunk.claimed.update((stored or {}).get("places", ()))
        await self.learn(chunk, names)
        if now is not None and number in names.written:
            chunk.age = now - names.written[number]
        return chunk

    async def begin(self, number: int, lines: Range) -> Chunk:
        """Return a chunk of which nothing is stored yet."""
        found = await self._lines.of(lines.capability, lines.first, lines.count)
        return Chunk(number=number, range=lines, lines={line.place: line for line in found if line.is_bought})

    async def learn(self, chunk: Chunk, names: Names | None = None) -> None:
        """Read again what all processes have learned of a chunk."""
        if names is None:
            names = Names.read(await self._store.entries(CHUNKS))
        for name in names.jobs.get(chunk.number, ()):
            stored = await self._store.read(name)
            if stored is not None:
                chunk.learned.merge(stored)

    async def claim(self, chunk: Chunk, places: Sequence[int], longest_send: float) -> bool:
        """
        Ask for the right to send some lines, and tell whether this process has it.

        :param longest_send: seconds from the begin of a send after which the service has received it or never will.
        """
        content = {
            "token": uuid.uuid4().hex,
            "process": self.process,
            "range": asdict(chunk.range),
            "places": list(places),
            "items": [[chunk.lines[place].id, chunk.lines[place].digest[:16]] for place in places],
            "longest_send": longest_send,
        }
        ours = await self._store.create(f"{chunk.name}.{chunk.wave:02d}.intent", content)
        chunk.wave += 1
        if ours:
            chunk.claimed.update(places)
        return ours

    async def note(self, chunk: Chunk) -> None:
        """
        Write what this process knows of a chunk's sends.

        After a failure the next copy has another name: the older one may still arrive.
        """
        name = f"{chunk.name}.{self.process}.{self._copies[chunk.number]}.jobs"
        try:
            await self._store.write_once(name, chunk.learned.written())
        except Exception:
            self._copies[chunk.number] += 1
            raise

    async def finish(self, chunk: Chunk, part: str | None) -> None:
        """
        Write how each item ended; what another process has written first stands.

        :param part: name of the file with the results.
        """
        ends = {str(place): [end.state, end.job_id, end.error, end.adopted] for place, end in chunk.ends.items()}
        content = {"token": uuid.uuid4().hex, "range": asdict(chunk.range), "part": part, "ends": ends}
        await self._store.create(f"{chunk.name}.done", content)

    async def finished(self, number: int) -> Finished | None:
        """Return how the items of a chunk ended, None if it is not done."""
        stored = await self._store.read(f"{CHUNKS}/{number:06d}.done")
        if stored is None:
            return None
        ends = {int(place): End(*end) for place, end in stored["ends"].items()}
        return Finished(Range(**stored["range"]), stored["part"], ends)


@dataclass(frozen=True, slots=True)
class Finished:
    """
    A chunk that is done.

    :param part: name of the file with its results, None if there are none.
    """

    range: Range
    part: str | None
    ends: Mapping[int, End]
