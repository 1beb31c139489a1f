"""
The plan of a batch: what is to be done, read from the source once and validated whole before anything is bought.

``plan/<random>/<capability>-00000.jsonl`` hold the lines; ``plan.json``, created last and only once, names them. A plan
that exists is final, whatever becomes of the source: retries and resumes read nothing else.
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from airflow_provider_mediax.exceptions import BadRequest, RequestChanged
from airflow_provider_mediax.jobs.batch.folder import Store, as_line
from airflow_provider_mediax.jobs.batch.items import Item, Shard, at
from airflow_provider_mediax.jobs.batch.known import Memory
from airflow_provider_mediax.jobs.stored import digest
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.names import refused

PLAN = "plan.json"
PER_FILE = 2000
"""Lines of one file of a plan."""


class Checked(Protocol):
    """What the request of an item says about itself, before anything is bought."""

    def __call__(self, capability: str, item: Item) -> tuple[str, bool]:
        """
        Return the digest of the request, and whether another such job makes something new.

        :raises BadRequest: an argument breaks a rule.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    One item of the plan and one capability.

    :param place: its number among the lines of its capability.
    :param digest: of the request; not of where its files go.
    :param twin: place of the item that asks for the same and is bought, if this one is not.
    :param elsewhere: folder of an unfinished batch that has submitted it, so that this one does not.
    """

    place: int
    id: str
    arguments: JsonObject
    parameters: JsonObject = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)
    etag: str | None = None
    digest: str
    twin: int | None = None
    elsewhere: str | None = None

    @classmethod
    def of(cls, item: Item, place: int, digest: str, *, twin: int | None, elsewhere: str | None) -> Line:
        """Make the line of an item."""
        return cls(
            place=place,
            id=item.id,
            arguments=item.arguments,
            parameters=item.parameters,
            metadata=item.metadata,
            etag=item.etag,
            digest=digest,
            twin=twin,
            elsewhere=elsewhere,
        )

    @property
    def item(self) -> Item:
        """The item."""
        return Item(
            id=self.id,
            arguments=self.arguments,
            parameters=self.parameters,
            metadata=self.metadata,
            etag=self.etag,
        )

    @property
    def is_bought(self) -> bool:
        """Whether this batch submits a job for it."""
        return self.twin is None and self.elsewhere is None

    def written(self) -> bytes:
        """Return a line of the file."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, {})}
        return as_line(said)


@dataclass(frozen=True, slots=True)
class PlanFile:
    """Lines ``first`` to ``first + count - 1`` of a capability."""

    name: str
    capability: str
    first: int
    count: int


@dataclass(slots=True)
class Counts:
    """What the source held: ``known`` is left out, ``repeated`` was there before, letter by letter."""

    total: int = 0
    known: int = 0
    repeated: int = 0
    duplicates: int = 0
    elsewhere: int = 0
    changed: int = 0

    @property
    def new(self) -> int:
        """Jobs that the batch may have to buy."""
        return self.total - self.duplicates - self.elsewhere


@dataclass(frozen=True, slots=True)
class Index:
    """
    What ``plan.json`` says.

    :param asked: digest of each argument that the plan depends on.
    :param facts: what another process needs to go on with the batch: arguments, owner, markers; nothing secret.
    :param at: epoch seconds.
    """

    asked: Mapping[str, str]
    facts: JsonObject
    files: Sequence[PlanFile]
    counts: Counts
    at: float

    @classmethod
    def read(cls, stored: JsonObject) -> Index:
        """Read what was stored."""
        return cls(
            asked=stored["asked"],
            facts=stored["facts"],
            files=[PlanFile(**file) for file in stored["files"]],
            counts=Counts(**stored["counts"]),
            at=float(stored["at"]),
        )

    def written(self) -> JsonObject:
        """Return what is stored."""
        return {
            "asked": dict(self.asked),
            "facts": self.facts,
            "files": [asdict(file) for file in self.files],
            "counts": asdict(self.counts),
            "at": self.at,
        }

    @property
    def capabilities(self) -> list[str]:
        """The capabilities in the order in which they are worked off."""
        return list(dict.fromkeys(file.capability for file in self.files))

    def lines_of(self, capability: str) -> int:
        """Return how many lines a capability has."""
        return sum(file.count for file in self.files if file.capability == capability)

    def hold_against(self, asked: Mapping[str, str]) -> None:
        """
        Refuse arguments that are not the plan's.

        :raises RequestChanged: names them.
        """
        if changed := sorted(name for name in {*asked, *self.asked} if asked.get(name) != self.asked.get(name)):
            raise RequestChanged(
                f"The folder holds the plan of other arguments; what changed: {', '.join(changed)}",
                advice="Use the arguments of before, or another output.",
            )


class Planner:
    """
    Makes the plan of items that come one after the other.

    :param check: makes each item's request.
    :param shard: only its items are taken.
    :param memory: knows what was seen and what is known.
    :param only_wanted: leave out what the memory does not want.
    :param keep: is given the lines of each full file, with its name.
    """

    def __init__(
        self,
        capabilities: Sequence[str],
        check: Checked,
        memory: Memory,
        *,
        shard: Shard | None = None,
        only_wanted: bool = False,
    ) -> None:
        self.counts = Counts()
        self.files: list[PlanFile] = []
        self._capabilities = capabilities
        self._check = check
        self._memory = memory
        self._shard = shard
        self._only_wanted = only_wanted
        self._places = dict.fromkeys(capabilities, 0)
        self._open: dict[str, list[bytes]] = {capability: [] for capability in capabilities}
        self._read = 0

    def take(self, place: str, item: Item) -> list[tuple[PlanFile, bytes]]:
        """
        Take an item in, and return the files that are full.

        :param place: of the item in its source, for the user.
        :raises BadRequest: no request can be made of it, or another item has its id.
        """
        self._read += 1
        if self._shard is not None and not self._shard.holds(item):
            return []
        full = []
        for capability in self._capabilities:
            if self._only_wanted and not self._memory.wants(capability, item.id):
                continue
            try:
                line = self._line(capability, item)
            except BadRequest as error:
                raise at(place, error) from None
            if line is not None:
                self._open[capability].append(line.written())
                if len(self._open[capability]) == PER_FILE:
                    full.append(self._close(capability))
        return full

    def end(self) -> list[tuple[PlanFile, bytes]]:
        """
        Return the files that are not full.

        :raises BadRequest: the source was empty.
        """
        if not self._read:
            raise refused("items", "", "the source holds no items.")
        left = [self._close(capability) for capability in self._capabilities if self._open[capability]]
        order = {capability: number for number, capability in enumerate(self._capabilities)}
        self.files.sort(key=lambda file: (order[file.capability], file.first))
        return left

    def _line(self, capability: str, item: Item) -> Line | None:
        found, makes_new = self._check(capability, item)
        memory = self._memory
        if (before := memory.digest_of(capability, item.id)) is not None:
            if before != found:
                raise refused("id", item.id, "two items have this id and ask for different things.")
            self.counts.repeated += 1
            return None
        known = memory.known(capability, item.id, found, item.etag)
        if known is not None and not known.folder:
            self.counts.known += 1
            memory.see(capability, item.id, found, bought_at=None)
            return None
        if known is None and memory.knows_id(capability, item.id):
            self.counts.changed += 1
        twin = None if makes_new or known is not None else memory.first(capability, found)
        place = self._places[capability]
        self._places[capability] += 1
        self.counts.total += 1
        self.counts.duplicates += twin is not None
        self.counts.elsewhere += known is not None
        memory.see(capability, item.id, found, bought_at=place if twin is None and known is None else None)
        return Line.of(item, place, found, twin=twin, elsewhere=known.folder if known else None)

    def _close(self, capability: str) -> tuple[PlanFile, bytes]:
        lines, self._open[capability] = self._open[capability], []
        first = self._places[capability] - len(lines)
        file = PlanFile(f"{capability}-{first // PER_FILE:05d}.jsonl", capability, first, len(lines))
        self.files.append(file)
        return file, b"".join(lines)


async def make_plan(
    store: Store,
    planner: Planner,
    items: Iterable[tuple[str, Item]],
    asked: Mapping[str, str],
    facts: JsonObject,
    *,
    stopped: Callable[[], None],
    clock: Callable[[], float] = time.time,
) -> Index:
    """
    Read the source, write the plan and return the one that is there then: who was faster wins.

    :param stopped: raises if the task has to end.
    :raises BadRequest: an item breaks a rule; nothing is bought and no plan stands.
    """
    folder = f"plan/{uuid.uuid4().hex[:16]}"
    for place, item in items:
        stopped()
        for file, data in planner.take(place, item):
            await store.write_bytes(f"{folder}/{file.name}", data)
    for file, data in planner.end():
        await store.write_bytes(f"{folder}/{file.name}", data)
    files = [PlanFile(f"{folder}/{file.name}", file.capability, file.first, file.count) for file in planner.files]
    index = Index(asked, facts, files, planner.counts, clock())
    if await store.create(PLAN, index.written()):
        return index
    found = await read_plan(store, asked)
    if found is None:
        raise BadRequest(f"{store.folder.address}/{PLAN} was removed while the plan was made")
    return found


async def read_plan(store: Store, asked: Mapping[str, str] | None = None) -> Index | None:
    """
    Return the folder's plan, None if it has none yet.

    :param asked: digests of the arguments, if they are to be held against the plan's.
    :raises RequestChanged: it is the plan of other arguments.
    """
    stored = await store.read(PLAN)
    if stored is None:
        return None
    index = Index.read(stored)
    if asked is not None:
        index.hold_against(asked)
    return index


def asked_of(arguments: Mapping[str, object]) -> dict[str, str]:
    """Return the digest of each argument that a plan depends on; what is not given is left out."""
    return {name: digest(value)[:16] for name, value in arguments.items() if value is not None}


class Lines:
    """
    Reads lines of a plan; keeps two files in memory.

    :param index: the plan.
    """

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index
        self._kept: OrderedDict[str, list[Line]] = OrderedDict()

    async def of(self, capability: str, first: int, count: int) -> list[Line]:
        """Return some lines of a capability, in their order."""
        found: list[Line] = []
        for file in self._index.files:
            if file.capability == capability and file.first < first + count and first < file.first + file.count:
                lines = await self._file(file)
                found += lines[max(0, first - file.first) : first + count - file.first]
        return found

    async def _file(self, file: PlanFile) -> list[Line]:
        if file.name in self._kept:
            self._kept.move_to_end(file.name)
            return self._kept[file.name]
        lines = [Line(**stored) for stored in await self._store.lines(file.name)]
        if len(lines) != file.count:
            address = f"{self._store.folder.address}/{file.name}"
            raise BadRequest(f"{address} holds {len(lines)} lines in place of {file.count}", advice="Restore it.")
        self._kept[file.name] = lines
        while len(self._kept) > 2:
            self._kept.popitem(last=False)
        return lines
