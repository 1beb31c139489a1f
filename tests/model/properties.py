"""
What must hold in every schedule: nothing is bought twice without being asked to, and nothing that is bought is lost.

What no client can close is excluded by name here, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.jobs.ownership import Owned
from airflow_provider_mediax.protocol.job import JobState

if TYPE_CHECKING:
    from tests.model.world import Bought, Process, World


def was_asked_for(world: World, new: Bought) -> bool:
    """Tell whether a purchase is the first for its work, or replaces what may be replaced."""
    return all(
        may_be_replaced(world, old, new) for old in world.bought if same_work(world, old.by, new.by)
    )


def same_work(world: World, one: Process, other: Process) -> bool:
    """Tell whether two attempts are to share a job."""
    if world.setting.key:
        return True
    return one.task == other.task and (world.setting.reuse or one.generation == other.generation)


def may_be_replaced(world: World, old: Bought, new: Bought) -> bool:
    """Tell whether a job has ended so that another one may be bought in its place."""
    if old.job.state not in (JobState.FAILED, JobState.CANCELED):
        return False
    cleared = old.by.generation != new.by.generation or old.by.task != new.by.task
    ours = old.cancel_unstarted and world.setting.cancellable and not world.setting.key
    # Without a record a retry cannot be told from a clear, and only with "reuse" does that lead to a purchase.
    unknown = world.setting.reuse
    return world.setting.retry_failed or cleared or ours or unknown


def lost(world: World) -> list[Bought]:
    """Return the jobs that were bought for the last attempt's work and that it neither has nor names."""
    last = max(world.newest.values(), key=lambda process: process.number)
    mine = [bought for bought in world.bought if same_work(world, bought.by, last)]
    alive = [bought for bought in mine if bought.job.state not in (JobState.FAILED, JobState.CANCELED)]
    named = set()
    if isinstance(last.result, Owned):
        named = {last.result.job.id}
    elif isinstance(last.result, MediaxError):
        named = {last.result.job_id}
    return [bought for bought in alive if bought.job.id not in named]


def excluded(world: World) -> str | None:
    """Return why no client could have kept a schedule from buying twice, None if one could."""
    for bought in world.bought:
        sender = bought.by
        if sender.died_at is not None and bought.created > sender.died_at:
            # The send of a dead process is carried out when its successor has already looked.
            return "sent by a process that died, carried out after its death"
        if sender.replaced_at is not None and bought.created > sender.replaced_at:
            if not world.setting.store:
                # On Airflow 3.1 nothing tells an attempt that it was replaced.
                return "sent by an attempt that was replaced, without a store"
            if sender.intended:
                # It stood still between the check that it is the task's own and its send.
                return "sent by an attempt that was replaced after its last check"
    return None
