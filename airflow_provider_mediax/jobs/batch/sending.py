"""
The sends of one wave: each line is sent at most once, within the seconds that the wave's claim entitles to.

What the answers leave open is settled by one look-up of the chunk's marker for all lines of the wave.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import ONE_TRY, PATIENT, Patience
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError, Stopped
from airflow_provider_mediax.jobs import ownership, patience
from airflow_provider_mediax.jobs.claims import entitled
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.service import JobService, Prepared

T = TypeVar("T")

CLAIM_SECONDS = 10.0
"""Seconds from the request for a claim within which its sends must begin."""

MANY = 5
"""Lines that are refused together, and none accepted, from which on it is taken for a refusal of all."""


class Client(Protocol):
    """Carries flows out on an event loop."""

    @property
    def pacing(self) -> Pacing:
        """The limit that calls wait for."""

    async def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        """Carry a flow out."""


class NotSent(MediaxError):
    """The claim was over before the request had its turn; nothing was sent."""

    nothing_done = True


@dataclass(slots=True)
class Sent:
    """
    What the sends of a wave have come to, by the place of each line.

    :param back: what was certainly not created, and may be sent in another wave.
    :param refused: what the service refused, in words that prove it.
    :param doubtful: errors that leave open whether there is a job.
    :param began: when the last of the sends began, in seconds of the steady clock.
    """

    jobs: dict[int, Job] = field(default_factory=dict)
    back: dict[int, MediaxError] = field(default_factory=dict)
    refused: dict[int, MediaxError] = field(default_factory=dict)
    doubtful: dict[int, MediaxError] = field(default_factory=dict)
    began: float = -math.inf

    @property
    def about_all(self) -> MediaxError | None:
        """The refusal that is about the connection, or meets all of several lines: the next ones would fare alike."""
        errors = [*self.back.values(), *self.refused.values(), *self.doubtful.values()]
        if self.jobs or not errors:
            return None
        alike = [error for error in errors if isinstance(error, (AuthenticationFailed, BadRequest))]
        for error in alike:
            if isinstance(error, AuthenticationFailed) or error.layer == "gateway":
                return error
        return alike[0] if len(alike) == len(errors) >= MANY else None


async def send_wave(
    client: Client,
    service: JobService[Any],
    prepared: Mapping[int, Prepared[Any]],
    marker: str,
    *,
    asked_at: float,
    at_once: asyncio.Semaphore,
    stopped: Callable[[], bool],
    clock: Callable[[], float],
    answered: Callable[[int, Job], None],
) -> Sent:
    """
    Send each line of a wave at most once.

    :param asked_at: when the claim was asked for, in seconds of ``clock``.
    :param at_once: places for sends that are under way together.
    :param stopped: whether the task has to end.
    :param answered: is given each job as soon as there is an answer.
    """
    wave = Sent()

    async def send(place: int, request: Prepared[Any]) -> None:
        sent: list[float] = []

        def may_begin() -> Flow[None]:
            yield from ()
            now = clock()
            if stopped():
                raise Stopped("The task has to end, so nothing more is sent")
            if sent or now - asked_at >= CLAIM_SECONDS:
                raise NotSent("The claim of this wave was over before the request was sent")
            sent.append(now)

        async with at_once:
            if stopped() or clock() - asked_at >= CLAIM_SECONDS:
                wave.back[place] = NotSent("The claim of this wave was over before the request was sent")
                return
            try:
                job = await client.run(entitled(service.submit(request, marker), may_begin), ONE_TRY)
                wave.jobs[place] = job
                answered(place, job)
            except Stopped as error:
                wave.back[place] = error
            except MediaxError as error:
                _sort(wave, place, error, sent=bool(sent))
            finally:
                wave.began = max([wave.began, *sent])

    tasks = [asyncio.ensure_future(send(place, request)) for place, request in prepared.items()]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    return wave


def _sort(wave: Sent, place: int, error: MediaxError, *, sent: bool) -> None:
    if not sent or (error.nothing_done and not isinstance(error, BadRequest)):
        wave.back[place] = error
    elif error.nothing_done:
        wave.refused[place] = error
    else:
        wave.doubtful[place] = error


def moments_after(began: float, longest_send: float, now: float) -> list[float]:
    """
    Return when to ask for the jobs of sends without an answer, in seconds from now; the last answer decides.

    :param began: when the last of them began; ``now`` likewise, in seconds of one clock.
    :param longest_send: seconds from the begin of a send after which the service has received it or never will.
    """
    return patience.patience_to(began + longest_send + patience.LIST_LAG - now)


def look_up(
    service: JobService[Any],
    marker: str,
    *,
    moments: Sequence[float],
    since: float | None,
    enough: Callable[[Iterable[Job]], bool],
    clock: Callable[[], float],
    log: ownership.Log,
) -> Flow[tuple[list[Job], bool]]:
    """
    List the jobs of a marker again and again; return them, and whether the last list was complete.

    :param moments: when to ask, in seconds from now.
    :param since: epoch seconds before which the jobs cannot have been created.
    :param enough: tells whether no job is missing any more.
    """
    began = clock()
    complete = False
    jobs: dict[str, Job] = {}
    for seconds in moments:
        if (pause := began + seconds - clock()) > 0:
            yield Pause(pause)
        complete = yield from _ask(service, marker, since, jobs, log)
        if enough(jobs.values()):
            return list(jobs.values()), True
    for pause in patience.PERSISTENCE:
        if complete:
            break
        yield Pause(pause)
        complete = yield from _ask(service, marker, since, jobs, log)
    return list(jobs.values()), complete


def _ask(
    service: JobService[Any], marker: str, since: float | None, jobs: dict[str, Job], log: ownership.Log
) -> Flow[bool]:
    try:
        listed = yield from service.jobs_of(marker, since=since)
    except Stopped:
        raise
    except MediaxError as failure:
        log.warning("The service cannot say which jobs exist for %s: %s", marker, failure.what)
        return False
    jobs.update((job.id, job) for job in listed.jobs)
    return listed.complete


def assigned(
    service: JobService[Any], jobs: Iterable[Job], prepared: Mapping[int, Prepared[Any]], taken: Iterable[str]
) -> dict[int, Job]:
    """
    Find out which listed job belongs to which line: the one whose request it echoes; of several the best.

    :param taken: ids of jobs that belong to lines already.
    """
    found: dict[int, Job] = {}
    used = set(taken)
    for job in sorted(jobs, key=_worth, reverse=True):
        if job.id in used:
            continue
        for place, request in prepared.items():
            if place not in found and service.matches(job, request):
                found[place] = job
                used.add(job.id)
                break
    return found


def _worth(job: Job) -> tuple[bool, float]:
    """Put what has not failed before what has, the newest first."""
    alive = job.state not in (JobState.FAILED, JobState.CANCELED)
    return alive, job.created_at.timestamp() if job.created_at else 0.0
