"""A thousand waiting voice separations: how many requests one poll interval costs where ten jobs go into a call."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time

import harness  # noqa: F401 - before Airflow

from airflow_provider_mediax.emulator.process import MediaxEmulator

JOBS = 1000
INTERVAL = 5.0
INTERVALS = 2


async def measure(emulator: MediaxEmulator) -> int:
    """Return the describe calls of some intervals."""
    from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
    from airflow_provider_mediax.protocol.ci.requests import VoiceSeparationRequest
    from airflow_provider_mediax.triggers.job import JobTrigger

    opened = await CloudInfiniteHook.open("mediax_default", None, None)
    request = VoiceSeparationRequest(source="a.wav", mode="IsAudio", outputs={"voice": "v.mp3"})
    submits = [opened.client.run(opened.service.submit(request, f"mx1-{number}")) for number in range(JOBS)]
    jobs = [job for start in range(0, JOBS, 50) for job in await asyncio.gather(*submits[start : start + 50])]
    await opened.client.close()
    triggers = [
        JobTrigger(
            service="cloud_infinite",
            conn_id="mediax_default",
            job_ids=[job.id],
            custom_ids=[],
            deadline=time.time() + 3600,
            poll_interval=INTERVAL,
        )
        for job in jobs
    ]
    waits = [asyncio.create_task(anext(aiter(trigger.run()))) for trigger in triggers]
    await asyncio.sleep(2 * INTERVAL)  # the first round, and what starting takes
    before = await asyncio.to_thread(_describes, emulator)
    await asyncio.sleep(INTERVALS * INTERVAL)
    after = await asyncio.to_thread(_describes, emulator)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    return after - before


def _describes(emulator: MediaxEmulator) -> int:
    return sum(request["action"] == "DescribeCiJobs" for request in emulator.ledger()["requests"])


def main() -> None:
    logging.disable(logging.CRITICAL)
    with MediaxEmulator.start() as emulator:
        emulator.put_object("a.wav", b"never listened to")
        emulator.outcome("VoiceSeparate", "NEVER", times=JOBS)
        connection = json.loads(emulator.connection_json())
        connection["extra"]["requests_per_second"] = 1000
        os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"] = json.dumps(connection)
        calls = asyncio.run(measure(emulator))
    print(f"{JOBS} voice separations with poll_interval={INTERVAL:g} in one event loop, for {INTERVALS} intervals\n")
    print(f"describe calls in {INTERVAL:g} s          {calls / INTERVALS:6.0f}   (one for each job would be {JOBS})")


if __name__ == "__main__":
    main()
