"""Asks COS for the files that a finished job promises. What the answers mean is decided in ``jobs.outputs``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from airflow_provider_mediax.exceptions import MediaxError, NotFound, ProtocolError, ResultMissing, Stopped, Unavailable
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.jobs.outputs import (
    LOOKED_AT,
    Finding,
    Findings,
    Seen,
    judge,
    look_flow,
)
from airflow_provider_mediax.jobs.ownership import Log
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.service import Promise
from airflow_provider_mediax.protocol.urls import CosAddress

THREADS = 8
"""Files that are looked at side by side."""

CALL_SECONDS = 2.0
"""How long one question may wait for its connection, and again for its answer: the job is paid for, its task is not."""

LAST_QUESTION = 6.0
"""Seconds after which no further question is begun, so that all of it ends after ten."""


class Runs(Protocol):
    """Carries flows out, with pauses that a kill ends: ``JobHook.run``."""

    def __call__(self, flow: Flow[Findings]) -> Findings:
        """Return the flow's result."""


def check_outputs(
    job: Job,
    promise: Promise,
    connection: MediaxConnection,
    *,
    run: Runs,
    killed: Callable[[], bool],
    log: Log,
) -> None:
    """
    Look for the files that a finished job promises.

    Whatever keeps COS from answering is one warning and never an error.

    :param run: carries the look out.
    :param killed: whether the task was killed.
    :raises ResultMissing: a file is missing or empty, where the promise calls that a failure.
    :raises Stopped: the task was killed meanwhile.
    """
    promised = len(set(promise.addresses))
    if not promised:
        return
    if unset := _unset(connection, promise):
        log.info(
            "The %d files of job %s are not looked for: set %s in connection %s to have that done",
            promised,
            job.id,
            " and ".join(unset),
            connection.conn_id,
        )
        return
    if promised > LOOKED_AT:
        log.info("Job %s promises %d files; the first %d of them are looked for", job.id, promised, LOOKED_AT)
    store = CosStore(connection, promise.region, killed)
    try:
        found = run(look_flow(promise, store))
    finally:
        store.close()
    verdict = judge(promise, found)
    if verdict.doubts:
        log.warning(
            "Not all files of job %s are known to be there; the task goes on. %s", job.id, "; ".join(verdict.doubts)
        )
    if verdict.failures:
        lacking = f"lacks {len(verdict.failures)} of its {promised} files: {'; '.join(verdict.failures)}"
        raise ResultMissing(f"The job succeeded, but {lacking}", job_id=job.id, marker=job.marker)
    if not verdict.doubts:
        log.info("All files of job %s are there: %d looked at", job.id, len(found))


class CosStore:
    """
    COS with a connection's keys, asked quickly and never in vain: every question has an answer or a reason.

    :param region: of the buckets; None means what the connection says of each.
    :param killed: once it is true, nothing more is asked.
    :param clock: seconds.
    """

    def __init__(
        self,
        connection: MediaxConnection,
        region: str | None,
        killed: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        own = connection.transport
        quick = replace(
            own,
            connect_timeout=min(own.connect_timeout, CALL_SECONDS),
            read_timeout=min(own.read_timeout, CALL_SECONDS),
        )
        self._hook = CosHook.opened(replace(connection, transport=quick), region=region)
        self._killed = killed
        self._clock = clock
        self._last_question = clock() + LAST_QUESTION

    def look(self, addresses: Sequence[CosAddress]) -> Findings:
        """
        Look at each of the files once, some side by side.

        :raises Stopped: the task was killed.
        """
        with ThreadPoolExecutor(THREADS, thread_name_prefix="outputs") as pool:
            try:
                return dict(zip(addresses, pool.map(self._look, addresses), strict=True))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def ask(self, bucket: str) -> MediaxError | None:
        """
        Ask the bucket itself; return why it did not answer.

        :raises Stopped: the task was killed.
        """
        answer = self._answer(lambda: self._hook.head_bucket(bucket))
        return answer if isinstance(answer, MediaxError) else None

    def close(self) -> None:
        """Close all connections."""
        self._hook.close()

    def _look(self, address: CosAddress) -> Finding:
        def size() -> int:
            return self._hook.head(str(address)).size

        answer = self._answer(size)
        if isinstance(answer, NotFound):
            return Seen.MISSING
        if isinstance(answer, MediaxError):
            return answer
        return Seen.THERE if answer else Seen.EMPTY

    def _answer(self, question: Callable[[], int | None]) -> int | MediaxError | None:
        if self._killed():
            raise Stopped("The task was killed while it looked for the files of its job")
        if self._clock() > self._last_question:
            return Unavailable(f"COS took longer than {LAST_QUESTION:g} s for the files before")
        try:
            return question()
        except MediaxError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the job has succeeded, and no fault of this check may undo that
            return ProtocolError(f"COS could not be asked: {type(error).__name__}", advice="")


def _unset(connection: MediaxConnection, promise: Promise) -> list[str]:
    """Return the connection's fields without which COS cannot be asked."""
    cos = connection.cos
    needed = {
        "cos_secret_id": cos.secret_id,
        "cos_secret_key": cos.secret_key,
        "cos_region": promise.region or all(cos.region_of(address.bucket) for address in promise.addresses),
    }
    return [name for name, value in needed.items() if not value]
