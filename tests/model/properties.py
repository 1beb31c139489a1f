"""
What must hold in every schedule: nothing is bought twice without being asked to, and nothing that is bought is lost.

What no client can close is excluded by name here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, JobCanceled, RequestChanged, Stopped
from airflow_provider_mediax.jobs.ownership import Owned
from airflow_provider_mediax.protocol.job import JobState

if TYPE_CHECKING:
    from tests.model.world import Bought, Process, World


PERMANENT = (BadRequest, AuthenticationFailed, RequestChanged, JobCanceled)
"""What Airflow does not retry."""


def in_the_way(world: World, new: Bought) -> list[Bought]:
    """Return the jobs beside which another one must not be bought for the same work."""
    return [old for old in world.bought if same_work(world, old.by, new.by) and not may_be_replaced(world, old, new)]


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
    # Without a record a retry looks like a clear, and only with "reuse" does that lead to a purchase.
    unknown = world.setting.reuse
    return world.setting.retry_failed or cleared or ours or unknown


def lost(world: World) -> list[Bought]:
    """
    Return the jobs that nobody has.

    The last attempt met no fault, so it must have the job. One that ended with an error which Airflow does not retry
    must have named it.
    """
    last = max(world.processes, key=lambda process: process.number)
    final = [process for process in world.processes if isinstance(process.result, PERMANENT)]
    return [bought for process in (last, *final) for bought in _missed(world, process)]


def _missed(world: World, process: Process) -> list[Bought]:
    result = process.result
    if process.unlisted and result.marker and isinstance(result, (BadRequest, AuthenticationFailed)):
        return []  # the service refuses to list as well: the marker is all that can be named
    job_id = result.job.id if isinstance(result, Owned) else getattr(result, "job_id", None)
    return [
        bought
        for bought in world.bought
        if same_work(world, bought.by, process)
        and (bought.by is process or bought.created <= process.ended_at)
        and bought.job.state not in (JobState.FAILED, JobState.CANCELED)
        and bought.job.id != job_id
    ]


def excluded(world: World, jobs: Iterable[Bought]) -> str | None:
    """Return why no client could have kept these jobs from being bought beside each other, None if one could."""
    return next((reason for job in jobs if (reason := _no_fault_of_ours(world, job))), None)


def _no_fault_of_ours(world: World, bought: Bought) -> str | None:
    sender = bought.by
    if sender.claims:
        return "stood still between the check of its claim and its send" if bought.stood_still else None
    gone_at = sender.ended_at if isinstance(sender.result, Stopped) else sender.died_at
    if gone_at is not None and bought.created > gone_at:
        # The send of a process that is gone is carried out when its successor has already looked.
        return "sent by a process that died or was stopped, carried out afterwards"
    if sender.given_up_at is None or bought.created < sender.given_up_at:
        return None
    if sender.attached:
        # Nothing tells a task of another one that has the same key and begins beside it.
        return "sent by a task beside another one with its key"
    if not world.setting.store:
        # On Airflow 3.1 nothing tells an attempt that it was replaced.
        return "sent by an attempt that was replaced, without a store"
    # It stood still between the check that it is the task's own and its send.
    return "sent by an attempt that was replaced after its last check" if bought.checked else None
