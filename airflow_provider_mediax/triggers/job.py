"""Waits for jobs of any service without holding a worker slot."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from airflow_provider_mediax.client.clock import on_steady_clock, steady
from airflow_provider_mediax.exceptions import MediaxError, ProtocolError
from airflow_provider_mediax.hooks.registry import SERVICES
from airflow_provider_mediax.jobs.batch.listed import for_batches
from airflow_provider_mediax.jobs.cancellation import cancel_flow, describe_outcome
from airflow_provider_mediax.jobs.schedule import durations_of
from airflow_provider_mediax.jobs.stored import (
    SCHEMA,
    UNREADABLE_EVENT,
    JobEvent,
    read_flag,
    read_number,
    read_text,
    read_text_or_none,
    read_texts,
    read_whole,
)
from airflow_provider_mediax.jobs.waiting import Outcome, Wait, announced
from airflow_provider_mediax.jobs.watcher import Opened, Watcher, watcher_for
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.triggers.base import OneEventTrigger, hold_back
from airflow_provider_mediax.triggers.kill import is_over, see_through

MOST_NAMED = 10
"""Jobs that are named in a log line; of more their number."""


def _service(value: object) -> object:
    return SERVICES[read_text(value)]


def _some_ids(value: object) -> list[str]:
    ids = read_texts(value)
    if not ids:
        raise ValueError("no ids")
    return ids


def _interval(value: object) -> float:
    seconds = read_number(value)
    if seconds <= 0:
        raise ValueError("no interval")
    return seconds


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids) if len(ids) <= MOST_NAMED else f"{len(ids)} jobs"


def _moment_or_none(value: object) -> float | None:
    return None if value is None else read_number(value)


class JobTrigger(OneEventTrigger):
    """
    Waits until jobs are final and yields one event; it changes nothing at the service, unless its task is killed.

    The arguments lie in the database as plain JSON: ids, addresses and times only. Any of them can be missing or
    damaged there; then the trigger says nothing, and its task waits on.

    :param service: name of the service, a key of ``hooks.registry.SERVICES``.
    :param conn_id: connection of type ``mediax``.
    :param capability: kind of the jobs, by which is learned when to ask; None if it is not known.
    :param job_ids: what to wait for.
    :param custom_ids: marker of each job, for a person who finds the trigger in the database.
    :param bucket: the bucket that the jobs belong to, where the service has jobs by bucket.
    :param region: the region of that bucket.
    :param deadline: epoch seconds; unmoved by restarts.
    :param not_before: for the jobs of a batch: epoch seconds before which nothing is asked, since an earlier event
        would be of no use. Their event carries no states: the worker reads them again.
    :param poll_interval: seconds between two questions at least.
    :param finish_at: number of final jobs that ends the wait.
    :param cancel_on_kill: whether a user's kill of the waiting task cancels the jobs, where the service can.
    :param other_versions: arguments that another version stored; they say nothing to this one.
    """

    arguments = MappingProxyType(
        {
            "schema": read_whole,
            "service": _service,
            "conn_id": read_text,
            "capability": read_text_or_none,
            "job_ids": _some_ids,
            "custom_ids": read_texts,
            "bucket": read_text_or_none,
            "region": read_text_or_none,
            "deadline": read_number,
            "not_before": _moment_or_none,
            "poll_interval": _interval,
            "finish_at": read_whole,
            "cancel_on_kill": read_flag,
        }
    )

    def __init__(
        self,
        *,
        schema: int = SCHEMA,
        service: str = "",
        conn_id: str = "",
        capability: str | None = None,
        job_ids: Sequence[str] = (),
        custom_ids: Sequence[str] = (),
        bucket: str | None = None,
        region: str | None = None,
        deadline: float = 0.0,
        not_before: float | None = None,
        poll_interval: float = 5.0,
        finish_at: int = 1,
        cancel_on_kill: bool = True,
        **other_versions: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow annotates nothing here
        self.schema = schema
        self.service = service
        self.conn_id = conn_id
        self.capability = capability
        self.job_ids = job_ids
        self.custom_ids = custom_ids
        self.bucket = bucket
        self.region = region
        self.deadline = deadline
        self.not_before = not_before
        self.poll_interval = poll_interval
        self.finish_at = finish_at
        self.cancel_on_kill = cancel_on_kill
        self._own_watcher: Watcher | None = None

    async def wait(self) -> dict[str, Any]:
        """Wait for the outcome and put it into words."""
        outcome = await self._outcome()
        states = outcome.states if self.not_before is None else {}
        return JobEvent(outcome.status, states, outcome.error, outcome.polls).payload()

    def silence(self) -> dict[str, Any]:
        """Return an event that ends nothing."""
        return UNREADABLE_EVENT.payload()

    def failure(self, error: Exception) -> dict[str, Any]:
        """Return an event that names the class of the error and nothing of its text."""
        failure = ProtocolError(f"The trigger failed with {type(error).__name__}", job_id=self.job_ids[0])
        return JobEvent("error", {}, failure).payload()

    async def on_kill(self) -> None:
        """Cancel the jobs if the task is over, since then nobody waits for them any more."""
        if damage := self.damage():
            self.log.warning("This wait ends, and cancels nothing: its arguments cannot be read: %s", damage.reason)
            return
        named = _named(self.job_ids)
        if not SERVICES[self.service].service_type.cancellable:
            self.log.warning("This wait ends; %s goes on, because the service has no call to cancel it", named)
        elif not self.cancel_on_kill:
            self.log.warning(
                "This wait ends; %s goes on, because cancel_on_kill is off or other tasks may share it", named
            )
        else:
            await see_through(self._cancel_if_over(named))

    async def _cancel_if_over(self, named: str) -> None:
        try:
            task = self.task_instance
            if task is None or not await is_over(task):
                self.log.info("This wait ends and its task does not; %s is left to what follows", named)
                return
            self.log.info("The task is over; canceling %s", named)
            jobs = await self._watcher.run(lambda service: cancel_flow(service, self.job_ids, self._note_uncanceled))
            for job in jobs:
                self.log.info(describe_outcome(job))
        except TimeoutError:
            self.log.warning("Airflow did not say what became of the task; %s is left as it is", named)
        except Exception:
            self.log.exception("%s is left as it is", named)

    def _note_uncanceled(self, error: MediaxError) -> None:
        self.log.warning("Canceling the job failed: %s", error.what)

    @property
    def _watcher(self) -> Watcher:
        hook, name = SERVICES[self.service], f"{self.service} at {self.conn_id}"
        key = (self.service, self.conn_id, self.bucket, self.region)
        if self.not_before is None:
            return watcher_for(key, lambda: hook.open(self.conn_id, self.bucket, self.region), name)
        if self._own_watcher is None:  # the jobs of a batch are read by the lists of their markers
            self._own_watcher = Watcher(self._open_for_batch, name)
        return self._own_watcher

    async def _open_for_batch(self) -> Opened:
        opened = await SERVICES[self.service].open(self.conn_id, self.bucket, self.region)
        markers = dict(zip(self.job_ids, self.custom_ids, strict=False))
        return Opened(for_batches(opened.service, markers), opened.client)

    async def _outcome(self) -> Outcome:
        started = steady()
        wait = Wait(
            job_ids=self.job_ids,
            marker=self.custom_ids[0] if len(self.job_ids) == len(self.custom_ids) == 1 else None,
            deadline=on_steady_clock(self.deadline),
            poll_interval=self.poll_interval,
            started=started,
            not_before=max(started + hold_back(), on_steady_clock(self.not_before or 0.0)),
            finish_at=self.finish_at,
            schedule=durations_of(self.service, self.capability),
        )
        first = time.time() + max(0.0, wait.due - steady())
        self.log.info(announced(_named(self.job_ids), self.deadline, first))
        async with contextlib.aclosing(self._watcher.watch(wait)) as updates:
            async for update in updates:
                if isinstance(update, Outcome):
                    return update
                if isinstance(update, Job):
                    self.log.info(update.summary)
                else:
                    self.log.warning("Asking for the job failed, trying again: %s", update.what)
        raise RuntimeError("the watcher ended without an outcome")
