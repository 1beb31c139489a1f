"""What one question about a job costs the triggerer's CPU: ours, the same POST by httpx, and by aiohttp alone."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from harness import cheapest_server

IN_FLIGHT = 32
ROUNDS = 7
CALLS = 320  # of each client in each round

Poll = Callable[[], Awaitable[object]]


async def cpu_per_call(poll: Poll) -> float:
    """Return the CPU milliseconds of this process per call, with so many in flight."""
    left = iter(range(CALLS))

    async def caller() -> None:
        for _ in left:
            await poll()

    started = time.process_time()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return 1000 * (time.process_time() - started) / CALLS


async def measure(url: str) -> dict[str, list[float]]:
    import aiohttp
    import httpx

    from airflow_provider_mediax.client.aio import AsyncClient
    from airflow_provider_mediax.client.pacing import Pacing
    from airflow_provider_mediax.client.retry import ONE_TRY
    from airflow_provider_mediax.client.transport import Transport
    from airflow_provider_mediax.protocol.exchange import Call
    from airflow_provider_mediax.protocol.mediax.gateway import Gateway, GatewayKeys, PlatformKeys
    from airflow_provider_mediax.protocol.mediax.request import Repository
    from airflow_provider_mediax.protocol.mediax.service import MediaxService

    gateway = Gateway(
        base_url=url,
        platform_keys=PlatformKeys("a-platform-id", "a-platform-key"),
        gateway_keys=GatewayKeys(source="s", secret_id="id", secret_key="a-gateway-key"),
    )
    service = MediaxService(gateway, Repository())
    call = next(gateway.get_job("00000000-0000-0000-0000-000000000000"))
    assert isinstance(call, Call)
    headers = {**call.headers, **call.sign(time.time())}
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with (
        AsyncClient(Transport(), Pacing(1e9)) as ours,
        httpx.AsyncClient(limits=limits, trust_env=False) as by_httpx,
        aiohttp.ClientSession() as by_aiohttp,
    ):

        async def aiohttp_alone() -> None:
            async with by_aiohttp.post(call.url, data=call.body, headers=headers) as answer:
                await answer.read()

        polls: dict[str, Poll] = {
            "ours: sign, send, read the job": lambda: ours.run(service.describe(["id"]), ONE_TRY),
            "httpx.AsyncClient: send, read bytes": lambda: by_httpx.post(call.url, content=call.body, headers=headers),
            "aiohttp: send, read bytes (the floor)": aiohttp_alone,
        }
        for poll in polls.values():  # imports, connections, caches
            await cpu_per_call(poll)
        spent: dict[str, list[float]] = {name: [] for name in polls}
        for _ in range(ROUNDS):
            for name, poll in polls.items():
                spent[name].append(await cpu_per_call(poll))
        return spent


def main() -> None:
    with cheapest_server() as url:
        spent = asyncio.run(measure(url))
    ours = statistics.median(next(iter(spent.values())))
    print(f"{ROUNDS} rounds in turns of {CALLS} calls each, {IN_FLIGHT} in flight, server in another process\n")
    print(f"{'client':<42}{'CPU ms/call':>12}{'min':>8}{'max':>8}{'to ours':>9}")
    for name, found in spent.items():
        middle = statistics.median(found)
        print(f"{name:<42}{middle:>12.3f}{min(found):>8.3f}{max(found):>8.3f}{middle / ours:>8.2f}x")


if __name__ == "__main__":
    main()
