"""The commands ``batch show``, ``batch settle`` and ``batch cancel``: the folder of a batch, without its task."""

from __future__ import annotations

import asyncio
import time
from argparse import Namespace
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

from airflow_provider_mediax.arguments import as_seconds
from airflow_provider_mediax.cli.command import Exit, command, say
from airflow_provider_mediax.cli.printing import print_object, print_rows
from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.exceptions import NotFound
from airflow_provider_mediax.hooks.batch_folder import StorageFolder
from airflow_provider_mediax.hooks.connection import DEFAULT_CONN_ID
from airflow_provider_mediax.jobs.batch.engine import Terms
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger, Chunk
from airflow_provider_mediax.jobs.batch.outcome import read_outcome
from airflow_provider_mediax.jobs.batch.plan import Index, Lines, read_plan
from airflow_provider_mediax.jobs.batch.thread import run_in_thread
from airflow_provider_mediax.jobs.cancellation import cancel_flow, describe_outcome
from airflow_provider_mediax.jobs.stored import Owner
from airflow_provider_mediax.operators.batch_requests import TypedRequests
from airflow_provider_mediax.operators.batch_run import BatchRun, Identity, Order, Round, last_round
from airflow_provider_mediax.protocol.exchange import JsonObject

SETTLES = (1_000_000, 0)
"""The attempt that a person makes: later than any of the task's."""


@command
def show(args: Namespace) -> Exit:
    """Print what a folder holds."""
    print_object(asyncio.run(_shown(_folder(args))), "yaml" if args.output in ("table", "plain") else args.output)
    return Exit.FINE


@command
def settle(args: Namespace) -> Exit:
    """Wait for what an unfinished batch has bought, and write its outcome; buy nothing."""
    timeout = as_seconds("timeout", args.timeout)
    folder = _folder(args)
    index = asyncio.run(_plan(folder))[1]
    facts = index.facts
    conn_id = args.conn_id or facts["mediax_conn_id"]
    requests = TypedRequests(facts["capabilities"], facts["parameters"], mediax_conn_id=conn_id, wait_timeout=timeout)
    order = Order(
        capabilities=facts["capabilities"],
        items="",
        output=folder.address,
        parameters=facts["parameters"],
        mediax_conn_id=conn_id,
        output_format=facts["output_format"],
    )
    owner = Owner(**facts["owner"])
    identity = Identity(namespace=None, owner=owner, generation=facts["generation"], order=order)
    terms = Terms(folder="", marker="", owner=owner, attempt=SETTLES, wait_timeout=timeout, sends=False)
    with closing(requests), closing(StopSignal()) as stop:
        run = BatchRun(order, identity, requests, folder, terms)
        outcome = run_in_thread(run.settle, stop, _Sentences())
    print_object(_summary(outcome), "json" if args.output == "json" else "yaml")
    return Exit.FINE if not _open_ends(outcome) else Exit.FOUND


@command
def cancel(args: Namespace) -> Exit:
    """Cancel the jobs of an unfinished batch that have not started, where the service can."""
    folder = _folder(args)
    now, index = asyncio.run(_plan(folder))
    facts = index.facts
    conn_id = args.conn_id or facts["mediax_conn_id"]
    requests = TypedRequests(facts["capabilities"], facts["parameters"], mediax_conn_id=conn_id, wait_timeout=86400.0)
    chunks = asyncio.run(_open_chunks(now, index))
    going_on = 0
    rows: list[dict[str, Any]] = []
    with closing(requests):
        for chunk in chunks:
            ids = [job.job_id for job in chunk.open.values()]
            hook = requests.hooks[chunk.range.capability]
            if not hook.service.cancellable:
                going_on += len(ids)
                continue
            for job in hook.run(cancel_flow(hook.service, ids, lambda error: say(f"Canceling failed: {error.what}"))):
                rows.append({"job_id": job.id, "state": job.state_name, "what": describe_outcome(job)})
    print_rows(rows, args.output)
    if going_on:
        say(f"{going_on} jobs go on and cost money, because their service has no call to cancel them.")
    return Exit.FINE if not going_on else Exit.FOUND


class _Sentences:
    """A log whose lines are for the user."""

    def info(self, msg: str, /, *args: Any) -> None:
        say(msg % args)

    warning = error = info


def _folder(args: Namespace) -> StorageFolder:
    address = args.folder.removesuffix("/outcome.json").rstrip("/")
    in_cos = address.startswith("cos://") and "@" not in address.split("/")[2]
    own = (args.conn_id or DEFAULT_CONN_ID) if in_cos else None
    return StorageFolder(address, args.output_conn_id or own)


async def _plan(folder: StorageFolder) -> tuple[Round, Index]:
    now = await last_round(folder)
    index = await read_plan(now.store)
    if index is None:
        raise NotFound(f"There is no batch in {folder.address}: it holds no plan.json", filename=folder.address)
    return now, index


async def _open_chunks(now: Round, index: Index) -> list[Chunk]:
    return [chunk async for chunk in _chunks(now, index)]


async def _chunks(now: Round, index: Index) -> AsyncIterator[Chunk]:
    ledger = BatchLedger(now.store, Lines(now.store, index))
    names = await ledger.names()
    for number in sorted(set(names.waves) - names.done):
        yield await ledger.open(number, names, None)


async def _shown(folder: StorageFolder) -> JsonObject:
    now, index = await _plan(folder)
    outcome = await read_outcome(now.store)
    facts = index.facts
    said: JsonObject = {
        "folder": folder.address,
        "round": now.number,
        "task": facts["owner"],
        "capability": ",".join(facts["capabilities"]),
        "marker": facts["marker"],
        "planned": _moment(index.at),
        "items": {"to be bought": index.counts.new, "known": index.counts.known, "changed": index.counts.changed},
    }
    if outcome is not None:
        return {**said, **_summary(outcome)}
    ends: Counter[str] = Counter()
    ledger = BatchLedger(now.store, Lines(now.store, index))
    names = await ledger.names()
    for number in names.done:
        finished = await ledger.finished(number)
        ends.update(end.state for end in (finished.ends.values() if finished else ()))
    async for chunk in _chunks(now, index):
        ends["submitted"] += len(chunk.open)
        ends["being sent"] += len(chunk.undecided)
    return {**said, "ended": False, "states": dict(ends)}


def _summary(outcome: JsonObject) -> JsonObject:
    return {
        "ended": _moment(outcome["ended_at"]),
        "states": dict(outcome["ends"]),
        "adopted": outcome["adopted"],
        "rows": outcome["rows"],
        "errors": outcome["errors"],
    }


def _open_ends(outcome: JsonObject) -> int:
    return sum(outcome["ends"].get(state, 0) for state in ("unknown", "timeout"))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
