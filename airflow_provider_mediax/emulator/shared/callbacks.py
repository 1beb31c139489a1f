"""Telling an address that a job ended: once, whatever comes of it."""

from __future__ import annotations

import logging

import aiohttp

from airflow_provider_mediax.emulator.shared.ledger import CallbackRecord
from airflow_provider_mediax.emulator.shared.world import World

log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10)


async def call_back(url: str, body: bytes, content_type: str, job_id: str, world: World) -> None:
    """
    Post a notification and record what came of it.

    :param url: where to, as the caller gave it.
    """
    record = CallbackRecord(world.clock.now(), url, job_id)
    try:
        async with world.outgoing.request("POST", url, _TIMEOUT, body, content_type) as answer:
            record.status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        record.error = type(error).__name__
        log.info("The callback of job %s failed: %s", job_id, record.error)
    world.ledger.callback(record)
