"""
What waiting triggers cost: ours, the official ones of other services, and the floors below which nobody can be.

Every row is a fresh process in which so many triggers wait for jobs that run for ever, each asked for every 5 s,
against one server with TLS in another process. ``python benchmarks/waiting.py`` runs all rows; ``--row NAME`` one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import harness  # noqa: F401 - before Airflow
from fake_service import Server, served

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

INTERVAL = 5.0
KEYS = {"login": "an-id", "password": "a-key"}


def ours(server: Server, **place: Any) -> Callable[[int], Any]:
    """Return what makes our trigger; it asks at the interval alone, as the others do."""
    from airflow_provider_mediax.jobs import schedule
    from airflow_provider_mediax.triggers.job import JobTrigger

    schedule.LONGEST = INTERVAL
    gateway = {"gateway_source": "s", "gateway_secret_id": "id", "gateway_secret_key": "a-gateway-key"}
    cos = {
        "cos_secret_id": "id",
        "cos_secret_key": "key",
        "cos_bucket": "b-1250000000",
        "cos_region": "ap-guangzhou",
        "cos_endpoint": server.url,
    }
    extra = {**gateway, **cos, "requests_per_second": 1000, "verify": server.bundle}
    connect("mediax_default", "mediax", host=server.url, **KEYS, extra=extra)
    return lambda number: JobTrigger(
        conn_id="mediax_default",
        job_ids=[f"a{number:031d}"],
        custom_ids=[f"mx1-{number:040d}"],
        deadline=time.time() + 3600,
        poll_interval=INTERVAL,
        **place,
    )


def databricks(server: Server) -> Callable[[int], Any]:
    from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

    connect("databricks_default", "databricks", host="127.0.0.1", port=server.port, password="token")
    return lambda number: DatabricksExecutionTrigger(number, "databricks_default", polling_period_seconds=int(INTERVAL))


def dbt_cloud(server: Server) -> Callable[[int], Any]:
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    connect("dbt_default", "dbt_cloud", host=f"127.0.0.1:{server.port}", login="1", password="token")
    return lambda number: DbtCloudRunJobTrigger("dbt_default", number, time.time() + 3600, INTERVAL, 1)


def http_sensor(server: Server) -> Callable[[int], Any]:
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    connect("http_default", "http", host=server.url)
    return lambda number: HttpSensorTrigger(f"missing/{number}", "http_default", poke_interval=INTERVAL)


def airbyte(server: Server) -> Callable[[int], Any]:
    from airflow.providers.airbyte.triggers.airbyte import AirbyteSyncTrigger

    connect("airbyte_default", "airbyte", host=f"{server.url}/api/v1", **KEYS)
    return lambda number: AirbyteSyncTrigger(number, "airbyte_default", time.time() + 3600, INTERVAL)


class _Floor:
    """What waits like a trigger and is none of Airflow's."""

    def __init__(self, wait: Callable[[int], Awaitable[None]], number: int) -> None:
        self._wait, self._number = wait, number

    async def run(self) -> Any:
        await self._wait(self._number)
        yield None


def idle(server: Server) -> Callable[[int], Any]:
    """Triggers that sleep, and wake when the others ask."""

    async def wait(number: int) -> None:
        while True:  # noqa: ASYNC110 - to wake up is what is measured
            await asyncio.sleep(INTERVAL)

    return lambda number: _Floor(wait, number)


def lean(server: Server, *, listed: bool = False) -> Callable[[int], Any]:
    """One session for all; a signed POST for each job, or one list call for fifty, and its JSON."""
    import ssl

    import aiohttp

    from airflow_provider_mediax.protocol.mediax.gateway import GatewayKeys

    session: list[aiohttp.ClientSession] = []
    context = ssl.create_default_context(cafile=server.bundle)
    keys = GatewayKeys(source="s", secret_id="id", secret_key="a-gateway-key")

    async def wait(number: int) -> None:
        if listed and number % 50:
            await asyncio.sleep(3600)
        if not session:
            session.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32, ssl=context)))
        await asyncio.sleep(INTERVAL * (number % 100) / 100)
        request = {"listJobsRequest": {"customId": "x"}} if listed else {"getJobRequest": {"id": f"job-{number}"}}
        body = json.dumps({"secretId": "i", "secretKey": "k", **request}, separators=(",", ":")).encode()
        while True:
            async with session[0].post(f"{server.url}/job", data=body, headers=dict(keys.sign(time.time()))) as answer:
                json.loads(await answer.read())
            await asyncio.sleep(INTERVAL)

    return lambda number: _Floor(wait, number)


ROWS: dict[str, Callable[[Server], Callable[[int], Any]]] = {
    "idle": idle,
    "floor: single": lean,
    "floor: list of 50": lambda server: lean(server, listed=True),
    "MediaX": lambda server: ours(server, service="mediax"),
    "Cloud Infinite": lambda server: ours(server, service="cloud_infinite"),
    "Databricks": databricks,
    "dbt Cloud": dbt_cloud,
    "HTTP sensor": http_sensor,
    "Airbyte": airbyte,
}
DISTRIBUTIONS = {
    "MediaX": "apache-airflow",
    "Databricks": "apache-airflow-providers-databricks",
    "dbt Cloud": "apache-airflow-providers-dbt-cloud",
    "HTTP sensor": "apache-airflow-providers-http",
    "Airbyte": "apache-airflow-providers-airbyte",
}


def connect(name: str, conn_type: str, **fields: Any) -> None:
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps({"conn_type": conn_type, **fields})


class TimedLoop(asyncio.SelectorEventLoop):
    """Notes the CPU seconds of its dearest turn, with and without Python's garbage collection."""

    def __init__(self) -> None:
        self.dearest = self.without_gc = self._collecting = self._collected = 0.0
        gc.callbacks.append(self._note_collection)
        super().__init__()

    def _run_once(self) -> None:
        self._collected, began = 0.0, time.thread_time()
        super()._run_once()  # type: ignore[misc]
        spent = time.thread_time() - began
        self.dearest = max(self.dearest, spent)
        self.without_gc = max(self.without_gc, spent - self._collected)

    def _note_collection(self, phase: str, info: object) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self._collected += time.thread_time() - self._collecting


async def measure(row: str, count: int, seconds: float, server: Server) -> dict[str, float]:
    import psutil

    with_portal = importlib.util.find_spec("greenback") is not None

    make = ROWS[row](server)
    process = psutil.Process()

    async def drive(trigger: Any) -> None:
        if with_portal:
            import greenback

            await greenback.ensure_portal()
        async for _ in trigger.run():
            raise RuntimeError(f"a trigger of {row} has ended")

    first = asyncio.create_task(drive(make(0)))  # imports, connections, caches
    await asyncio.sleep(INTERVAL)
    before = process.memory_full_info().uss
    tasks = [first, *(asyncio.create_task(drive(make(number))) for number in range(1, count))]
    await asyncio.sleep(3 * INTERVAL)
    if failed := [task for task in tasks if task.done()]:
        await failed[0]
    memory = process.memory_full_info().uss - before
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TimedLoop)
    loop.dearest = loop.without_gc = 0.0
    stats, spent = await asyncio.to_thread(server.stats), time.process_time()
    await asyncio.sleep(seconds)
    spent = time.process_time() - spent
    later = await asyncio.to_thread(server.stats)
    jobs = later["jobs"] - stats["jobs"]
    dearest, without_gc = loop.dearest, loop.without_gc
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # Triggers that ask nothing are compared by what they would have asked.
    return {
        "cpu": 1000 * spent / (jobs or count * seconds / INTERVAL),
        "requests": (later["requests"] - stats["requests"]) / seconds,
        "jobs": jobs / seconds,
        "connections": later["connections"],
        "kb": memory / count / 1024,
        "turn": 1000 * dearest,
        "without_gc": 1000 * without_gc,
    }


def alone(row: str, count: int, seconds: float) -> dict[str, float] | str:
    """Measure a row in a process of its own; return why it could not be."""
    distribution = DISTRIBUTIONS.get(row, "apache-airflow")
    try:
        version(distribution)
    except PackageNotFoundError:
        return f"not installed: {distribution}"
    with served() as server:
        command = [sys.executable, __file__, "--row", row, "--count", str(count), "--seconds", str(seconds)]
        command += ["--port", str(server.port), "--bundle", server.bundle]
        bundles = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), server.bundle)
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **bundles})
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:100]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(rows: Sequence[str], count: int, *, rounds: int, seconds: float) -> None:
    print(f"\n{count} waits, each asked for every {INTERVAL:g} s; median of {rounds}\n")
    print(
        f"{'':<19}{'CPU ms per job asked':>21}{'to floor':>10}{'jobs/s':>8}"
        f"{'req/s':>8}{'conns':>7}{'KB':>7}{'turn ms':>9}{'without gc':>12}"
    )
    found: dict[str, list[dict[str, float]]] = {row: [] for row in rows}
    reasons: dict[str, str] = {}
    for _ in range(rounds):  # in turns, so that a slow moment of the machine hits all alike
        for row in rows:
            if isinstance(result := alone(row, count, seconds), str):
                reasons[row] = result
            else:
                found[row].append(result)
    floor = statistics.median([each["cpu"] for each in found.get("floor: single", [])] or [float("nan")])
    for row, results in found.items():
        if not results:
            print(f"{row:<19}  {reasons.get(row)}")
            continue
        middle = {name: statistics.median(each[name] for each in results) for name in results[0]}
        print(
            f"{row:<19}{middle['cpu']:>21.3f}{middle['cpu'] / floor:>9.2f}x{middle['jobs']:>8.0f}"
            f"{middle['requests']:>8.0f}{middle['connections']:>7.0f}{middle['kb']:>7.1f}{middle['turn']:>9.0f}"
            f"{middle['without_gc']:>12.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--row", choices=ROWS)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--port", type=int)
    parser.add_argument("--bundle", default="")
    given = parser.parse_args()
    if given.port:
        logging.disable(logging.CRITICAL)
        server = Server(given.port, given.bundle)
        with asyncio.Runner(loop_factory=TimedLoop) as runner:
            print(json.dumps(runner.run(measure(given.row, given.count, given.seconds, server))))
        return
    rows = [given.row] if given.row else list(ROWS)
    for name in DISTRIBUTIONS.values():
        try:
            print(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} is not installed; `make bench` makes an environment that has it")
    if given.row or given.quick:
        table(rows if given.row else rows[:6], given.count, rounds=1, seconds=given.seconds)
        return
    table(rows, 1000, rounds=3, seconds=given.seconds)
    table(rows, 100, rounds=3 if given.full else 1, seconds=given.seconds)
    table(rows if given.full else rows[:6], 5000, rounds=1, seconds=given.seconds)


if __name__ == "__main__":
    main()
