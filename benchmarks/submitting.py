"""What submitting 2,000 jobs costs: ours, from arguments to the job that the answer names, and the bare POST."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from harness import cheapest_server

JOBS = 2000
IN_FLIGHT = 8
ROUNDS = 3

Submit = Callable[[int], Awaitable[object]]


async def submit_all(submit: Submit) -> tuple[float, float]:
    """Return seconds of CPU and of the clock for all jobs."""
    numbers = iter(range(JOBS))

    async def caller() -> None:
        for number in numbers:
            await submit(number)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return time.process_time() - cpu, time.perf_counter() - wall


async def measure(url: str) -> dict[str, list[tuple[float, float]]]:
    import aiohttp

    from airflow_provider_mediax.client.aio import AsyncClient
    from airflow_provider_mediax.client.pacing import Pacing
    from airflow_provider_mediax.client.retry import ONE_TRY
    from airflow_provider_mediax.client.transport import Transport
    from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
    from airflow_provider_mediax.protocol.mediax.gateway import Gateway, GatewayKeys, PlatformKeys
    from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput, Repository
    from airflow_provider_mediax.protocol.mediax.service import MediaxService

    gateway_keys = GatewayKeys(source="s", secret_id="id", secret_key="a-gateway-key")
    keys = PlatformKeys("a-platform-id", "a-platform-key")
    service = MediaxService(
        Gateway(base_url=url, platform_keys=keys, gateway_keys=gateway_keys), Repository(content_id="content")
    )
    async with AsyncClient(Transport(), Pacing(1e9)) as client, aiohttp.ClientSession() as session:

        async def ours(number: int) -> None:
            request = CapabilityRequest(capability=MusicTag(), input=MediaxInput(path=f"in/track-{number}.mp3"))
            await client.run(service.submit(service.prepare(request), f"mx1-{number:040d}"), ONE_TRY)

        async def floor(number: int) -> None:
            job = {
                "customId": f"mx1-{number:040d}",
                "inputs": [{"source": {"contentId": "content", "path": f"in/track-{number}.mp3"}}],
                "outputs": [{"inputSelectors": [0], "smartContentDescriptor": {"musicTagV2": {"tagType": ["all"]}}}],
            }
            body = json.dumps({"secretId": "id", "secretKey": "key", "createJobRequest": job}, separators=(",", ":"))
            headers = dict(gateway_keys.sign(time.time()))
            async with session.post(f"{url}/job", data=body.encode(), headers=headers) as answer:
                json.loads(await answer.read())

        submits: dict[str, Submit] = {
            "ours: check, sign, send, read the job": ours,
            "a signed POST and its JSON": floor,
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in submits}
        for _, (name, submit) in itertools.product(range(ROUNDS + 1), submits.items()):
            found[name].append(await submit_all(submit))
        return {name: rounds[1:] for name, rounds in found.items()}  # the first one imports and connects


def main() -> None:
    print(f"{JOBS} jobs, {IN_FLIGHT} in flight, server in another process; median of {ROUNDS} rounds in turns\n")
    print(f"{'':<40}{'answer after':>14}{'CPU ms/job':>12}{'to floor':>10}{'jobs/s':>9}")
    for latency in (0.0, 0.03):
        with cheapest_server(latency) as url:
            found = asyncio.run(measure(url))
        middle = {
            name: [statistics.median(column) for column in zip(*rounds, strict=True)] for name, rounds in found.items()
        }
        floor = middle["a signed POST and its JSON"][0]
        for name, (cpu, wall) in middle.items():
            print(
                f"{name:<40}{1000 * latency:>11.0f} ms{1000 * cpu / JOBS:>12.3f}{cpu / floor:>9.2f}x{JOBS / wall:>9.0f}"
            )


if __name__ == "__main__":
    main()
