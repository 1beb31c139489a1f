"""Telling an address that a job ended: once, whatever comes of it, unless a test wants it otherwise."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from airflow_provider_mediax.emulator.shared.ledger import CallbackRecord
from airflow_provider_mediax.emulator.shared.world import World

log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10)


async def call_back(url: str, body: bytes, content_type: str, job_id: str, world: World) -> None:
    """
    Post a notification and record what came of it.

    :param url: where to, as the caller gave it; a host of the emulator's own buckets is the emulator.
    """
    fault = world.plan.next_callback()
    if fault.how == "lost":
        return
    if fault.how == "late":
        await asyncio.sleep(fault.seconds)
    if fault.how == "wrapped":
        body = b'{"getJobResponse": {"job": %s}}' % body
    method = fault.how.upper() if fault.how in ("put", "get") else "POST"
    for _ in range(2 if fault.how == "twice" else 1):
        await _send(_Letter(method, url, body, content_type), job_id, world)


@dataclass(frozen=True, slots=True)
class _Letter:
    method: str
    url: str
    body: bytes
    content_type: str


async def _send(letter: _Letter, job_id: str, world: World) -> None:
    record = CallbackRecord(world.clock.now(), letter.url, job_id)
    place = urlsplit(letter.url)
    url, host = letter.url, ""
    if world.store.is_host(place.hostname or ""):
        url, host = f"{world.url}{place.path}?{place.query}", place.hostname or ""
    try:
        sending = world.outgoing.request(letter.method, url, _TIMEOUT, letter.body, letter.content_type, host)
        async with sending as answer:
            record.status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        record.error = type(error).__name__
        log.info("The callback of job %s failed: %s", job_id, record.error)
    world.ledger.callback(record)
