"""A thousand triggers that wait in one event loop: what they do to the loop, to the platform and to memory."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import time

from harness import cheapest_server, connection

TRIGGERS = 1000
SECONDS = 6.0
TICK = 0.010


async def lags(into: list[float]) -> None:
    """Note by how many seconds each tick comes late."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(TICK)
        into.append(time.perf_counter() - started - TICK)


async def measure() -> dict[str, float]:
    import psutil
    from airflow.providers.common.compat.connection import get_async_connection

    from airflow_provider_mediax.client import aio
    from airflow_provider_mediax.triggers.job import JobTrigger

    await get_async_connection("mediax_default")  # what Airflow itself loads for its first look-up is not ours
    sent = 0
    send = aio.AsyncClient._send

    async def counted(self: aio.AsyncClient, step: object) -> object:
        nonlocal sent
        sent += 1
        return await send(self, step)

    aio.AsyncClient._send = counted
    starting: list[float] = []
    steady: list[float] = []
    process = psutil.Process()
    before = process.memory_info().rss
    ticker = asyncio.create_task(lags(starting))
    triggers = [
        JobTrigger(
            service="mediax",
            conn_id="mediax_default",
            job_ids=[f"job-{number}"],
            custom_ids=[f"mx1-{number:040}"],
            deadline=time.time() + 3600,
        )
        for number in range(TRIGGERS)
    ]
    waits = [asyncio.create_task(anext(aiter(trigger.run()))) for trigger in triggers]
    await asyncio.sleep(6.0)  # the first round of polls
    ticker.cancel()
    ticker = asyncio.create_task(lags(steady))
    sent_before, cpu, started = sent, time.process_time(), time.perf_counter()
    await asyncio.sleep(SECONDS)
    elapsed = time.perf_counter() - started
    spent = time.process_time() - cpu
    memory = process.memory_info().rss - before
    rate = (sent - sent_before) / elapsed
    for task in (ticker, *waits):
        task.cancel()
    await asyncio.gather(ticker, *waits, return_exceptions=True)
    steady.sort()
    return {
        "rate": rate,
        "start": 1000 * max(starting),
        "worst": 1000 * steady[-1],
        "p99": 1000 * steady[int(0.99 * len(steady))],
        "cpu": 100 * spent / elapsed,
        "memory": memory / TRIGGERS / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--once", metavar="CONNECTION", help="measure in this process and print JSON")
    if given := parser.parse_args().once:
        os.environ["AIRFLOW_CONN_MEDIAX_DEFAULT"] = given
        logging.disable(logging.CRITICAL)
        print(json.dumps(asyncio.run(measure())))
        return
    print(f"{TRIGGERS} triggers with poll_interval=5, a fresh process per line, a ticker of {1000 * TICK:g} ms\n")
    print(f"{'':<31}{'lag of the ticker':^29}")
    print(f"{'requests_per_second':<20}{'requests/s':>11}{'start':>12}{'worst':>9}{'p99':>8}{'CPU':>7}{'KiB each':>10}")
    with cheapest_server() as url:
        for limit in (10, 1000):
            found = _in_a_process(connection(url, requests_per_second=limit))
            print(
                f"{limit:<20}{found['rate']:>11.1f}{found['start']:>9.0f} ms{found['worst']:>6.1f} ms"
                f"{found['p99']:>5.1f} ms{found['cpu']:>6.1f}%{found['memory']:>10.1f}"
            )


def _in_a_process(given: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--once", given]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
