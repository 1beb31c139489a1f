"""One attempt of a batch: find its folder and its round, plan, work, merge."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import IO, Any, Literal, TypeAlias

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.exceptions import MediaxError, NotFound, Stopped
from airflow_provider_mediax.hooks.base import JobHook, pacing_of
from airflow_provider_mediax.hooks.batch_folder import StorageFolder, matching_objects, open_source
from airflow_provider_mediax.jobs.attempt import CANCEL_SECONDS
from airflow_provider_mediax.jobs.batch.chunk import Lane
from airflow_provider_mediax.jobs.batch.engine import Deferred, Engine, Terms
from airflow_provider_mediax.jobs.batch.folder import Store
from airflow_provider_mediax.jobs.batch.history import anew, learn, outcome_lines
from airflow_provider_mediax.jobs.batch.items import Item, Shard, read_items
from airflow_provider_mediax.jobs.batch.known import Memory
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger
from airflow_provider_mediax.jobs.batch.listed import for_batches
from airflow_provider_mediax.jobs.batch.outcome import Before, Merge, read_outcome
from airflow_provider_mediax.jobs.batch.parquet import encode
from airflow_provider_mediax.jobs.batch.plan import Counts, Index, Lines, Planner, asked_of, make_plan, read_plan
from airflow_provider_mediax.jobs.batch.sources import kind_of, listed_items, raw_items
from airflow_provider_mediax.jobs.batch.thread import Stopping
from airflow_provider_mediax.jobs.cancellation import cancel_flow
from airflow_provider_mediax.jobs.ownership import Log
from airflow_provider_mediax.jobs.stored import Owner, digest
from airflow_provider_mediax.jobs.watcher import Opened, Watcher
from airflow_provider_mediax.operators.batch_requests import TypedRequests
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.protocol.names import refused
from airflow_provider_mediax.protocol.service import MARKER_PREFIX
from airflow_provider_mediax.results import rows as rows_of
from airflow_provider_mediax.results import schema

Result: TypeAlias = "JsonObject | Deferred | Counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The operator's arguments, rendered and coerced; see :class:`operators.batch.MusicBatchOperator`."""

    capabilities: Sequence[str]
    items: Sequence[object] | str
    output: str
    parameters: Mapping[str, Any]
    mediax_conn_id: str
    items_conn_id: str | None = None
    output_conn_id: str | None = None
    output_format: Literal["jsonl", "parquet"] = "jsonl"
    dry_run: bool = False
    skip_known_in: str | None = None
    only_failed_of: str | None = None
    retry_unknown: bool = False
    retry_failed_jobs: bool = False
    reuse: bool = True
    shard: str | None = None
    requests_per_second: float | None = None
    idempotency_key: str | None = None

    def asked(self) -> dict[str, str]:
        """Return the digests of what the plan depends on: of an address the text, never what lies there."""
        return asked_of(
            {
                "capability": list(self.capabilities),
                "items": self.items if isinstance(self.items, str) else list(self.items),
                "parameters": dict(self.parameters) or None,
                "only_failed_of": self.only_failed_of,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    Which batch it is: what its folder and its markers are named after.

    :param generation: ``max_tries``, which moves with every clear.
    """

    namespace: str | None
    owner: Owner
    generation: int
    order: Order

    def digest(self, *more: object) -> str:
        """Return the digest of it."""
        order, owner = self.order, self.owner
        parts: list[object] = [self.namespace, owner.dag_id, owner.run_id, owner.task_id, owner.map_index, order.shard]
        if order.idempotency_key is not None:
            parts = [self.namespace, "key", order.idempotency_key, order.shard]
        if not order.reuse:
            parts.append(self.generation)
        return digest(["batch", *parts, *more])

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.digest()[:16]

    def facts(self, number: int) -> JsonObject:
        """
        Return what the plan of a round says for other processes.

        :param number: 0 for the batch itself.
        """
        return {
            "marker": MARKER_PREFIX + self.digest("round", number)[:40],
            "files": f"/mediax/{self.name}",
            "owner": asdict(self.owner),
            "generation": self.generation,
            "capabilities": list(self.order.capabilities),
            "parameters": dict(self.order.parameters),
            "mediax_conn_id": self.order.mediax_conn_id,
            "output_format": self.order.output_format,
        }


@dataclass(frozen=True, slots=True)
class Round:
    """
    The batch itself, or what is done anew of it: each has a plan, a ledger and an outcome of its own.

    :param number: 0 for the batch itself.
    """

    number: int
    store: Store

    @property
    def prefix(self) -> str:
        """What its names begin with in the batch's folder."""
        return round_prefix(self.number)


def round_prefix(number: int) -> str:
    """Return the folder of a round in the batch's, with a slash at its end."""
    return f"again-{number:03d}/" if number else ""


async def last_round(folder: StorageFolder) -> Round:
    """Return the last round of a batch that has a plan, or the batch itself."""
    number = 0
    while await Store(folder).read(f"{round_prefix(number + 1)}plan.json") is not None:
        number += 1
    return round_of(folder, number)


def round_of(folder: StorageFolder, number: int) -> Round:
    """Return a round of a batch."""
    return Round(number, Store(folder.below(round_prefix(number).rstrip("/")) if number else folder))


class BatchRun:
    """
    Carries an attempt out.

    :param folder: of the batch.
    """

    def __init__(
        self,
        order: Order,
        identity: Identity,
        requests: TypedRequests,
        folder: StorageFolder,
        terms: Terms,
    ) -> None:
        self._order = order
        self._identity = identity
        self._requests = requests
        self._folder = folder
        self._terms = terms
        self._engine: Engine | None = None

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """What this process has done, by metric and capability."""
        return self._engine.counts if self._engine is not None else {}

    def kill(self, log: Log, *, may_cancel: bool) -> None:
        """
        Cancel what has not started, the newest first, as much as fits into three seconds; for a signal handler.

        :param may_cancel: whether the end of this task may end its jobs.
        """
        if self._engine is None:
            return
        for hook in {hook.service.name: hook for hook in self._requests.hooks.values()}.values():
            ids = self._engine.open_jobs(hook.service.name)
            if not ids:
                continue
            if not (may_cancel and hook.service.cancellable):
                why = "cancel_on_kill is off" if hook.service.cancellable else "the service has no call to cancel them"
                log.warning("%d jobs go on and cost money, because %s; the next try takes them over", len(ids), why)
                continue
            troubles: list[MediaxError] = []
            try:
                jobs = hook.run_apart(cancel_flow(hook.service, ids, troubles.append), CANCEL_SECONDS)
            except TimeoutError:
                log.warning(
                    "Not all of %d jobs could be canceled in time; `airflow-mediax batch cancel %s` does the rest",
                    *(len(ids), self._folder.address),
                )
                continue
            canceled = sum(job.state is JobState.CANCELED for job in jobs)
            log.info("%d of %d jobs are canceled; the others have started, or could not be asked", canceled, len(ids))

    async def work(self, log: Log, stopping: Stopping) -> Result:
        """
        Bring the batch as far as it goes.

        :return: what ``outcome.json`` says; or that there is only waiting to do; or, with ``dry_run``, the counts.
        :raises BadRequest: an item or an argument breaks a rule; nothing is bought.
        """
        if not self._folder.exclusive:
            log.warning(
                "%s does not create names exclusively: two attempts that overlap could buy twice", self._folder.address
            )
        now = await last_round(self._folder)
        outcome = await read_outcome(now.store)
        before: JsonObject | None = None
        if outcome is not None:
            if (index := await read_plan(now.store)) is not None and not now.number:
                index.hold_against(self._order.asked())
            if self._order.dry_run or not self._is_done_anew(outcome):
                return outcome
            before, now = outcome, round_of(self._folder, now.number + 1)
        elif now.number:
            before = await read_outcome(round_of(self._folder, now.number - 1).store)
        with Memory() as memory:
            planned = await self._plan(now, before, memory, log, stopping)
        if isinstance(planned, Counts):
            return planned
        return await self._go_on(now, planned, before, log, stopping)

    async def settle(self, log: Log, stopping: Stopping) -> JsonObject:
        """
        End a batch without buying anything: wait for what is bought, and write the outcome.

        :raises NotFound: the folder holds no plan.
        """
        now = await last_round(self._folder)
        outcome = await read_outcome(now.store)
        if outcome is not None:
            return outcome
        index = await read_plan(now.store)
        if index is None:
            raise NotFound(f"There is no plan in {self._folder.address}", filename=self._folder.address)
        before = await read_outcome(round_of(self._folder, now.number - 1).store) if now.number else None
        result = await self._go_on(now, index, before, log, stopping)
        assert not isinstance(result, Deferred)  # noqa: S101 - nothing here may defer
        return result

    def _is_done_anew(self, outcome: JsonObject) -> bool:
        """Tell whether some items of a finished batch are to be done anew: after a clear, or if retries may pay."""
        cleared = outcome["generation"] != self._identity.generation
        retried = self._order.retry_failed_jobs and outcome["attempt"] != self._terms.attempt[0]
        return (cleared or retried) and any(outcome["ends"].get(state) for state in anew(self._order.retry_unknown))

    async def _plan(
        self, now: Round, before: JsonObject | None, memory: Memory, log: Log, stopping: Stopping
    ) -> Index | Counts:
        asked = self._order.asked()
        index = await read_plan(now.store, asked if before is None else None)
        if index is not None:
            return index.counts if self._order.dry_run else index
        order = self._order
        check_stopped = _stopper(stopping)
        only_wanted = order.only_failed_of is not None or before is not None
        items: Iterable[tuple[str, Item]] = self._items()
        if before is not None:
            want_again(memory, outcome_lines(self._folder, before), anew(order.retry_unknown))
            items = [found async for found in self._planned_before(now.number - 1, memory)]
        elif order.only_failed_of is not None:
            await self._want_failed(memory, order.only_failed_of)
        if order.skip_known_in is not None and before is None:
            await self._learn(memory, order.skip_known_in, log)
        shard = Shard.read(order.shard) if before is None else None
        planner = Planner(order.capabilities, self._requests.check, memory, shard=shard, only_wanted=only_wanted)
        if order.dry_run:
            for place, item in items:
                check_stopped()
                planner.take(place, item)
            planner.end()
            return planner.counts
        began = time.monotonic()
        facts = self._identity.facts(now.number)
        index = await make_plan(now.store, planner, items, asked, facts, stopped=check_stopped)
        counts = index.counts
        log.info(
            "Planned %d items in %.1f s: %d new, %d known, %d duplicates, %d elsewhere, %d changed",
            *(counts.total + counts.known, time.monotonic() - began),
            *(counts.new, counts.known, counts.duplicates, counts.elsewhere, counts.changed),
        )
        return index

    def _items(self) -> Iterator[tuple[str, Item]]:
        order = self._order
        if not isinstance(order.items, str):
            yield from read_items(listed_items(order.items))
            return
        if order.items.startswith("cos://") and any(mark in order.items for mark in "*?["):
            conn_id = order.items_conn_id or order.mediax_conn_id
            for place, raw, etag in matching_objects(order.items, conn_id):
                for where, item in read_items([(place, raw)]):
                    yield where, replace(item, etag=etag)
            return
        kind = kind_of(order.items)
        with open_source(order.items, order.items_conn_id) as file:
            yield from read_items(raw_items(kind, file, order.items.rpartition("/")[2]))

    async def _planned_before(self, number: int, memory: Memory) -> AsyncIterator[tuple[str, Item]]:
        """Yield the items of a round that are wanted again."""
        earlier = round_of(self._folder, number)
        index = await read_plan(earlier.store)
        if index is None:
            raise NotFound(f"{earlier.store.folder.address} has an outcome and no plan", filename="plan.json")
        lines = Lines(earlier.store, index)
        for file in index.files:
            for line in await lines.of(file.capability, file.first, file.count):
                if memory.wants(file.capability, line.id):
                    yield f"{file.name}, line {line.place - file.first + 1}", line.item

    async def _want_failed(self, memory: Memory, address: str) -> None:
        folder = StorageFolder(address.removesuffix("/outcome.json"), self._order.output_conn_id)
        outcome = await read_outcome((await last_round(folder)).store)
        if outcome is None:
            raise refused("only_failed_of", address, "it must be the folder or the outcome of a batch that has ended.")
        want_again(memory, outcome_lines(folder, outcome), anew(self._order.retry_unknown))

    async def _learn(self, memory: Memory, address: str, log: Log) -> None:
        root = StorageFolder(address, self._order.output_conn_id)
        count = 0
        for name in root.names():
            folder = root.below(name)
            if folder.address == self._folder.address:
                continue
            latest = await last_round(folder)
            if latest.number and await read_outcome(latest.store) is None:
                count += await learn(memory, round_of(folder, latest.number - 1).store, folder)
            count += await learn(memory, latest.store, folder)
        log.info("%d items are known from the batches in %s", count, address)

    async def _go_on(
        self, now: Round, index: Index, before: JsonObject | None, log: Log, stopping: Stopping
    ) -> JsonObject | Deferred:
        terms = replace(self._terms, folder=index.facts["files"], marker=index.facts["marker"])
        async with AsyncExitStack() as stack:
            lanes = {}
            for capability in self._order.capabilities:
                lanes[capability] = await stack.enter_async_context(self._lane(self._requests.hooks[capability]))
            engine = self._engine = Engine(now.store, index, lanes, self._requests, terms, log=log)
            stopping.calls(engine.stop)
            result = await engine.run()
            log.info("%s", engine.progress())
        if isinstance(result, Deferred):
            return result
        return await self._merge(now, index, before)

    async def _merge(self, now: Round, index: Index, before: JsonObject | None) -> JsonObject:
        marker = index.facts["marker"]
        taken_over = None
        if before is not None:
            taken_over = await self._not_anew(before, index, now.store)
        merge = Merge(
            now.store,
            index,
            BatchLedger(now.store, Lines(now.store, index)),
            lambda manifest: rows_of(manifest, self._order.mediax_conn_id),
            marker=marker,
            encode=_as_parquet if self._order.output_format == "parquet" else None,
            prefix=now.prefix,
            before=taken_over,
            facts={
                "generation": index.facts["generation"] if not self._terms.sends else self._identity.generation,
                "attempt": self._terms.attempt[0],
                "marker": marker,
                "started_at": index.at,
                "known": (before or {}).get("known", index.counts.known),
                "changed": (before or {}).get("changed", index.counts.changed),
            },
        )
        return await merge.run()

    async def _not_anew(self, before: JsonObject, index: Index, store: Store) -> Before:
        """Return what a round takes over from the outcome before: the items that are not in its plan."""
        lines = Lines(store, index)
        planned = {
            (file.capability, line.id)
            for file in index.files
            for line in await lines.of(file.capability, file.first, file.count)
        }

        def kept() -> Iterable[JsonObject]:
            return (
                line for line in outcome_lines(self._folder, before) if (line["capability"], line["id"]) not in planned
            )

        return Before(lines=kept, files=before["files"], rows=before["rows"])

    @asynccontextmanager
    async def _lane(self, hook: JobHook[Any]) -> AsyncIterator[Lane]:
        """Open a service for an event loop: its connection was looked up before, in the main thread."""
        rate = self._order.requests_per_second
        connection = hook.connection if rate is None else replace(hook.connection, requests_per_second=rate)
        pacing = pacing_of(hook.service, connection)
        markers: dict[str, str] = {}

        async def opened() -> Opened:
            return Opened(for_batches(hook.service, markers), AsyncClient(connection.transport, pacing))

        async with AsyncClient(connection.transport, pacing) as client:
            yield Lane(
                service=hook.service,
                client=client,
                watcher=Watcher(opened, f"{hook.service.name} at {hook.mediax_conn_id}"),
                markers=markers,
                longest_send=hook.longest_send,
            )


def want_again(memory: Memory, lines: Iterable[JsonObject], states: Sequence[str]) -> int:
    """Let a memory want the items of an outcome that are to be done anew, and those that share their results."""
    found = 0
    again: set[tuple[str, str]] = set()
    for line in lines:
        first = (line["capability"], line["duplicate_of"])
        if line["state"] in states or (line["state"] == "duplicate" and first in again):
            again.add((line["capability"], line["id"]))
            found = memory.want([(line["capability"], line["id"])])
    return found


def _stopper(stopping: Stopping) -> Any:
    def check() -> None:
        if stopping.is_asked:
            raise Stopped("The task has to end, so its plan is not finished; nothing was bought")

    return check


def _as_parquet(capability: str, rows: Iterable[JsonObject], metadata: Sequence[str], file: IO[bytes]) -> None:
    encode(schema(capability).columns, rows, metadata, file)
