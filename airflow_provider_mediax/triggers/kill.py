"""
Tell a kill from everything else that makes Airflow call ``on_kill`` of a trigger.

Airflow 3.3 also calls it when a trigger moves to another triggerer and when something other than the trigger resumes
the task; and it cancels the call itself after about a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

ENDED = frozenset({"failed", "success", "skipped", "removed", "upstream_failed"})
"""States of a task that waits for nothing any more."""

STATE_SECONDS = 5.0
"""How long the answer may take; without one nothing is canceled."""

_under_way: set[asyncio.Task[None]] = set()
"""What has outlived its trigger; the event loop itself holds tasks only weakly."""


class WaitingTask(Protocol):
    """The task instance that a trigger waits for, as far as it is needed."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None


async def see_through(work: Coroutine[Any, Any, None]) -> None:
    """Wait for something that goes on to its end even if the caller is canceled."""
    task = asyncio.get_running_loop().create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)


async def is_over(task: WaitingTask) -> bool:
    """
    Tell whether the task has ended or is gone; any other state, also none, leaves the job to the next attempt.

    :raises TimeoutError: Airflow does not answer in time.
    """
    async with asyncio.timeout(STATE_SECONDS):
        states = await asyncio.to_thread(_states, task)
    name = task.task_id if _unmapped(task) else f"{task.task_id}_{task.map_index}"
    return name not in states or states[name] in ENDED


def _states(task: WaitingTask) -> Mapping[str, str | None]:
    """Ask Airflow: in a thread, because its synchronous calls refuse to run on the event loop here."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    found = RuntimeTaskInstance.get_task_states(
        dag_id=task.dag_id,
        map_index=None if _unmapped(task) else task.map_index,
        task_ids=[task.task_id],
        run_ids=[task.run_id],
    )
    states: Mapping[str, str | None] = found.get(task.run_id) or {}
    return states


def _unmapped(task: WaitingTask) -> bool:
    return task.map_index is None or task.map_index < 0
