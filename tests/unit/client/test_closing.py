"""A client that is closed under running calls lets them end, and takes no more."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable

import pytest

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import ONE_TRY, PATIENT, Patience
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.exceptions import Unreachable
from airflow_provider_mediax.protocol.exchange import Call, Flow, Pause, Reply

from .stub import Answer, Driver, StubServer, http

Serve = Callable[..., StubServer]


def ask(url: str) -> Flow[Reply]:
    reply = yield Call(action="Ask", method="POST", url=url)
    assert reply is not None
    return reply


@pytest.fixture
def held(serve: Serve) -> StubServer:
    """A server that answers when it is told to."""
    server = serve(Answer(http(b"{}")))
    server.hold()
    return server


async def test_closing_waits_until_the_last_call_has_its_answer(held: StubServer) -> None:
    client = AsyncClient(Transport(), Pacing(1e6))
    calls = [asyncio.create_task(client.run(ask(held.url), ONE_TRY)) for _ in range(20)]
    assert await asyncio.to_thread(held.arrived.wait, 10)
    closings = [asyncio.create_task(client.close()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="closed"):
        await client.run(ask(held.url), PATIENT)
    assert not any(closing.done() for closing in closings)
    held.release()
    assert {reply.status for reply in await asyncio.gather(*calls)} == {200}
    await asyncio.gather(*closings)
    assert client._session is None
    assert len(held.requests) == 20


async def test_a_flow_that_has_begun_is_carried_to_its_end(serve: Serve) -> None:
    server, begun, go_on = serve(Answer(http(b"{}"))), asyncio.Event(), asyncio.Event()

    def two_calls() -> Flow[int]:
        yield from ask(server.url)
        begun.set()
        while not go_on.is_set():
            yield Pause(0.001)
        return (yield from ask(server.url)).status

    client = AsyncClient(Transport(), Pacing(1e6))
    running = asyncio.create_task(client.run(two_calls(), ONE_TRY))
    await begun.wait()
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    go_on.set()
    assert await running == 200
    await closing


async def test_a_cancelled_call_lets_the_client_close(held: StubServer) -> None:
    client = AsyncClient(Transport(), Pacing(1e6))
    call = asyncio.create_task(client.run(ask(held.url), ONE_TRY))
    assert await asyncio.to_thread(held.arrived.wait, 10)
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    call.cancel()
    await closing
    assert call.cancelled()


async def test_a_session_is_closed_though_who_closes_it_does_not_wait(held: StubServer) -> None:
    client = AsyncClient(Transport(), Pacing(1e6))
    call = asyncio.create_task(client.run(ask(held.url), ONE_TRY))
    assert await asyncio.to_thread(held.arrived.wait, 10)
    session = client._session
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    closing.cancel()
    held.release()
    assert (await call).status == 200
    assert session is not None
    assert session.closed


async def test_a_session_that_somebody_else_closed_was_sent_nothing(serve: Serve) -> None:
    server = serve(Answer(http(b"{}")))
    async with AsyncClient(Transport(), Pacing(1e6)) as client:
        await (await client._ready()).close()
        with pytest.raises(Unreachable):
            await client.run(ask(server.url), ONE_TRY)
    assert server.requests == []


def test_a_closed_worker_client_is_sent_nothing(serve: Serve) -> None:
    server = serve(Answer(http(b"{}")))
    client = SyncClient(Transport(), Pacing(1e6))
    client.run(ask(server.url), ONE_TRY)
    client.close()
    client.close()
    with pytest.raises(Unreachable, match="closed"):
        client.run(ask(server.url), PATIENT)
    assert len(server.requests) == 1


@pytest.mark.parametrize("patience", [ONE_TRY, Patience(attempts=3, throttle_wait=0)])
def test_nothing_is_left_open(patience: Patience, driver: Callable[..., Driver], serve: Serve) -> None:
    server = serve(Answer(http(b"{}")))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        driver().run(lambda: ask(server.url), patience=patience)
        gc.collect()
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []
