"""What earlier batches have made of their items: read from their outcomes and, where a batch has none, its ledger."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from airflow_provider_mediax.jobs.batch.folder import BatchFolder, Store
from airflow_provider_mediax.jobs.batch.known import Known, Memory
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger
from airflow_provider_mediax.jobs.batch.outcome import read_outcome
from airflow_provider_mediax.jobs.batch.plan import Lines, read_plan
from airflow_provider_mediax.protocol.exchange import JsonObject

DONE_ANEW = ("failed", "timeout", "canceled", "not_submitted")
"""States of items that are done anew when that is asked for."""


def anew(retry_unknown: bool) -> tuple[str, ...]:
    """Return the states of items that are done anew; ``unknown`` may buy twice, so only if the user says so."""
    return (*DONE_ANEW, "unknown") if retry_unknown else DONE_ANEW


def outcome_lines(folder: BatchFolder, outcome: JsonObject) -> Iterator[JsonObject]:
    """
    Yield a line for each item of an outcome.

    :param folder: of the batch.
    """
    return (json.loads(line) for line in folder.lines(outcome["items"]) if line.strip())


async def learn(memory: Memory, store: Store, folder: BatchFolder) -> int:
    """
    Let a memory know what one batch has made of its items, and return how many that are.

    :param store: the batch's folder, or the one of a round of it.
    :param folder: of the batch, which the names in an outcome are relative to.
    """
    count = 0
    outcome = await read_outcome(store)
    if outcome is not None:
        for line in outcome_lines(folder, outcome):
            done = line["state"] == "done" or (line["state"] == "duplicate" and not line["error"])
            if done:
                memory.learn([Known(line["capability"], line["id"], line["digest"], line["etag"] or "", "")])
                count += 1
        return count
    async for known in _in_ledger(store):
        memory.learn([known])
        count += 1
    return count


async def _in_ledger(store: Store) -> AsyncIterator[Known]:
    """Yield what an unfinished batch has done, or has submitted."""
    index = await read_plan(store)
    if index is None:
        return
    lines = Lines(store, index)
    ledger = BatchLedger(store, lines)
    names = await ledger.names()
    for number in sorted(names.waves):
        finished = await ledger.finished(number) if number in names.done else None
        if finished is None:
            chunk = await ledger.open(number, names, None)
            for place in chunk.claimed & chunk.lines.keys():
                if place not in chunk.learned.refused:
                    yield _known(chunk.range.capability, chunk.lines[place], store.folder.address)
            continue
        for line in await lines.of(finished.range.capability, finished.range.first, finished.range.count):
            end = finished.ends.get(line.place)
            if end is not None and end.state == "done":
                yield _known(finished.range.capability, line, "")
            elif end is not None and end.state == "unknown":
                yield _known(finished.range.capability, line, store.folder.address)


def _known(capability: str, line: Any, folder: str) -> Known:
    return Known(capability, line.id, line.digest, line.etag or "", folder)
