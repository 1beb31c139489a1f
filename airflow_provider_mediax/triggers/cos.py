"""Waits for objects in COS without holding a worker slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_mediax.client.clock import on_steady_clock, steady
from airflow_provider_mediax.exceptions import AuthenticationFailed, MediaxError, ProtocolError
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.cos_search import Search
from airflow_provider_mediax.jobs.lookup import Lookup
from airflow_provider_mediax.jobs.schedule import Evenly
from airflow_provider_mediax.jobs.stored import (
    SCHEMA,
    Unreadable,
    error_facts,
    error_from,
    read_flag,
    read_number,
    read_text,
    read_text_or_none,
    read_texts,
    read_whole,
    readable,
)
from airflow_provider_mediax.jobs.waiting import LONGEST_SLEEP, Pace
from airflow_provider_mediax.jobs.watcher import FRESH_SECONDS
from airflow_provider_mediax.protocol.urls import cos_address
from airflow_provider_mediax.triggers.base import OneEventTrigger

CONNECTION_SECONDS = 300.0
"""How long a triggerer uses a connection before it looks it up again: a temporary key changes."""

EVENT_ADDRESSES = 100
"""How many addresses an event holds at most; the task that resumes looks again."""


class CosKeyTrigger(OneEventTrigger):
    """
    Waits until objects exist and yields one event.

    :param conn_id: connection of type ``mediax``.
    :param addresses: ``cos://bucket/key``, or patterns.
    :param region: region of the buckets; None takes the connection's.
    :param wildcard: whether the keys are patterns.
    :param min_size: bytes; smaller objects do not count.
    :param deadline: epoch seconds; unmoved by restarts.
    :param poll_interval: seconds.
    :param other_versions: arguments that another version stored; they say nothing to this one.
    """

    arguments = MappingProxyType(
        {
            "schema": read_whole,
            "conn_id": read_text,
            "addresses": read_texts,
            "region": read_text_or_none,
            "wildcard": read_flag,
            "min_size": read_whole,
            "deadline": read_number,
            "poll_interval": read_number,
        }
    )

    def __init__(
        self,
        *,
        schema: int = SCHEMA,
        conn_id: str = "",
        addresses: Sequence[str] = (),
        region: str | None = None,
        wildcard: bool = False,
        min_size: int = 0,
        deadline: float = 0.0,
        poll_interval: float = 60.0,
        **other_versions: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow annotates nothing here
        self.schema = schema
        self.conn_id = conn_id
        self.addresses = addresses
        self.region = region
        self.wildcard = wildcard
        self.min_size = min_size
        self.deadline = deadline
        self.poll_interval = poll_interval

    async def wait(self) -> dict[str, Any]:
        """Ask until everything is there, the deadline has passed, or too many questions in a row failed."""
        addresses = tuple(address for text in self.addresses if (address := cos_address(text)))
        search = Search(addresses, self.wildcard, self.min_size)
        queue = _queue_of(self.conn_id)
        pace = Pace(
            deadline=on_steady_clock(self.deadline),
            poll_interval=max(1.0, self.poll_interval),
            started=steady(),
            schedule=Evenly(),
        )
        self.log.info("Waiting for %s", ", ".join(self.addresses))
        while (now := steady()) < pace.deadline:
            if pace.due > now:
                await asyncio.sleep(min(pace.next_turn - now, LONGEST_SLEEP))
                continue
            try:
                # The deadline is served while a look-up or the question hangs.
                async with asyncio.timeout(pace.deadline - now):
                    found = await queue.look(search, self.region)
            except Exception as fault:  # noqa: BLE001 - one fault, of whatever kind, ends no wait
                error = self._typed(fault)
                if not pace.bears(error, steady()):
                    return CosKeyEvent("error", error=error).payload()
                self.log.warning("Asking COS failed, trying again: %s", error.what)
            else:
                pace.answered(steady())
                if found is not None:
                    return CosKeyEvent("found", tuple(found)).payload()
        return CosKeyEvent("timeout").payload()

    def _typed(self, fault: Exception) -> MediaxError:
        """Return a fault as an error of ours; the text of a strange one may hold anything and stays in the log."""
        if isinstance(fault, MediaxError):
            return fault
        self.log.warning("Looking for the objects failed", exc_info=fault)
        return ProtocolError(f"Looking for the objects failed with {type(fault).__name__}")

    def silence(self) -> dict[str, Any]:
        """Return an event that ends nothing."""
        return CosKeyEvent("unreadable").payload()

    def failure(self, error: Exception) -> dict[str, Any]:
        """Return an event that names the class of the error and nothing of its text."""
        return CosKeyEvent("error", error=ProtocolError(f"The trigger failed with {type(error).__name__}")).payload()


@dataclass(frozen=True, slots=True)
class CosKeyEvent:
    """
    What a trigger's event says: a hint, since on resume the objects are looked for again.

    :param status: ``found``, ``timeout`` or ``error``.
    """

    status: str
    addresses: tuple[str, ...] = ()
    error: MediaxError | None = None

    def payload(self) -> dict[str, Any]:
        """Return what is stored, in plain text; an error is reduced to its class and codes."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "addresses": list(self.addresses[:EVENT_ADDRESSES]),
            "error": error_facts(self.error),
        }

    @classmethod
    def read(cls, payload: object) -> CosKeyEvent:
        """Read an event; one that makes no sense says nothing."""
        said = readable(payload)
        if isinstance(said, Unreadable):
            return cls("unreadable")
        return cls(str(said.get("status")), error=error_from(said.get("error")))


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """
    A connection for all triggers, until the next look-up.

    :param asked_at: when the look-up began, by the clock of ``client.clock``.
    """

    connection: MediaxConnection
    asked_at: float


class _Queue:
    """
    Where all triggers of one connection ask, one after the other: the SDK blocks, so it runs in a thread, and a
    connection that does not answer must not use up the threads that Airflow needs as well.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id
        self._lookup = Lookup(self._renew, f"connection {conn_id}")
        # Questions of triggers that have left while they waited for their turn are not asked.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"cos at {conn_id}")
        self._shared: _Shared | None = None

    async def look(self, search: Search, region: str | None) -> list[str] | None:
        """
        Ask, and ask again with a new connection if COS refuses the keys of one that is not fresh.

        :raises AuthenticationFailed: it refuses those of a fresh one.
        """
        shared = await self._current()
        fresh = steady() - shared.asked_at <= FRESH_SECONDS
        try:
            return await self._ask(shared, search, region)
        except AuthenticationFailed:
            if fresh:
                raise
        return await self._ask(await self._current(), search, region)

    async def _ask(self, shared: _Shared, search: Search, region: str | None) -> list[str] | None:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, _look, search, shared.connection, region)
        except AuthenticationFailed:
            if shared is self._shared:
                self._shared = None
            raise

    async def _current(self) -> _Shared:
        # One look-up for all triggers: each is a question to the supervisor, which answers them one by one.
        if self._shared is None or steady() - self._shared.asked_at > CONNECTION_SECONDS:
            try:
                return await self._lookup.answer()
            except MediaxError:
                if self._shared is None:
                    raise
        return self._shared

    async def _renew(self) -> _Shared:
        asked_at = steady()
        self._shared = _Shared(await MediaxConnection.alook_up(self._conn_id), asked_at)
        return self._shared


def _look(search: Search, connection: MediaxConnection, region: str | None) -> list[str] | None:
    with contextlib.closing(CosHook.opened(connection, region=region)) as hook:
        return search.look(hook)


_QUEUES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Queue]] = WeakKeyDictionary()


def _queue_of(conn_id: str) -> _Queue:
    queues = _QUEUES.setdefault(asyncio.get_running_loop(), {})
    return queues.setdefault(conn_id, _Queue(conn_id))
