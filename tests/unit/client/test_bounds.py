"""A job call ends within its bound, whatever the other side does: against real sockets, with both drivers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from airflow_provider_mediax.client import aio, sync
from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import ONE_TRY, PATIENT
from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.exceptions import AnswerTooLarge, MediaxError, Stopped, Unavailable, Unreachable
from airflow_provider_mediax.protocol.exchange import Call, Flow, Repeat, Reply

from .stub import Answer, Driver, RawServer, http, read_request, stopping_client

MakeDriver = Callable[..., Driver]

CONNECT, READ = 0.4, 0.4
BOUND = CONNECT + READ
SLACK = 60.0
"""Seconds that a busy machine may take longer; what trickles, or says nothing, here goes on for longer than that."""
ENDLESS = 100.0
"""Seconds that it goes on for."""


def ask(url: str, repeat: Repeat = Repeat.SAFE, body: bytes = b"", read_timeout: float | None = None) -> Flow[Reply]:
    reply = yield Call(action="Ask", method="POST", url=url, repeat=repeat, body=body, read_timeout=read_timeout)
    assert reply is not None
    return reply


def trickle(connection: socket.socket, over: threading.Event, data: bytes) -> None:
    """Send byte after byte, well within every timeout of a single step."""
    for number in range(int(ENDLESS / 0.05)):
        if over.wait(0.05):
            return
        connection.sendall(data[number % len(data) :][:1])


def headers_that_trickle(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    trickle(connection, over, b"a")


def status_that_trickles(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    trickle(connection, over, b"HTTP/1.1 200 OK" + b" " * 200)


def body_that_trickles(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    trickle(connection, over, b"a")


def chunks_that_trickle(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    trickle(connection, over, b"1\r\na\r\n")


def interim_answers_without_end(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    while not over.wait(0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def silence(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.recv(1)


def upload_that_nobody_reads(connection: socket.socket, over: threading.Event) -> None:
    over.wait(ENDLESS)


def upload_that_is_read_slowly(connection: socket.socket, over: threading.Event) -> None:
    for _ in range(int(ENDLESS / 0.05)):
        if over.wait(0.05) or not connection.recv(1000):
            return


SENT = [
    headers_that_trickle,
    status_that_trickles,
    body_that_trickles,
    chunks_that_trickle,
    interim_answers_without_end,
    silence,
]


def timed(run: Callable[[], object]) -> tuple[MediaxError, float]:
    begun = time.monotonic()
    with pytest.raises(MediaxError) as raised:
        run()
    return raised.value, time.monotonic() - begun


@pytest.mark.parametrize("serve", SENT)
def test_a_call_ends_within_its_bound_whatever_trickles(serve: Callable[..., None], driver: MakeDriver) -> None:
    with RawServer(serve) as server:
        used = driver(connect_timeout=CONNECT, read_timeout=READ)
        error, took = timed(lambda: used.run(lambda: ask(server.url, Repeat.NEVER), patience=ONE_TRY))
        assert type(error) is Unavailable, "some of it may have been sent"
        assert serve is silence or error.what.endswith("did not answer Ask: no whole answer in time")
        assert took < BOUND + SLACK
        assert server.left.wait(SLACK), "the connection is not kept open behind the caller's back"


@pytest.mark.parametrize("driver", ["sync"], indirect=True)  # aiohttp takes a body whole and sends it beside the wait
@pytest.mark.parametrize("serve", [upload_that_nobody_reads, upload_that_is_read_slowly])
def test_a_call_ends_within_its_bound_if_nobody_reads_it(serve: Callable[..., None], driver: MakeDriver) -> None:
    with RawServer(serve) as server:
        used = driver(connect_timeout=5.0, read_timeout=READ)  # a busy machine connects late
        body = b"x" * 20_000_000
        error, took = timed(lambda: used.run(lambda: ask(server.url, Repeat.NEVER, body), patience=ONE_TRY))
        assert type(error) is Unavailable, "some of it may have been sent"
        assert took < 5.0 + READ + SLACK


def test_a_call_may_have_a_longer_time_of_its_own(driver: MakeDriver) -> None:
    def late(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        over.wait(1.2)
        connection.sendall(http(b"{}"))

    with RawServer(late) as server:
        used = driver(connect_timeout=CONNECT, read_timeout=READ)
        assert used.run(lambda: ask(server.url, read_timeout=120), patience=ONE_TRY)[0].status == 200


@pytest.fixture
def hanging_names(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Names are looked up for as long as the test lasts."""
    over = threading.Event()

    def look_up(*args: object, **kwargs: object) -> object:
        over.wait(ENDLESS)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return over


@pytest.mark.parametrize("proxy", [None, "http://proxy.invalid:3128"])
def test_a_name_that_is_looked_up_without_end_holds_nobody(
    proxy: str | None, driver: MakeDriver, hanging_names: threading.Event
) -> None:
    used = driver(connect_timeout=CONNECT, read_timeout=READ, proxy=proxy)

    ended_at: list[float] = []

    def careful() -> Flow[None]:
        try:
            yield from ask("http://service.invalid", Repeat.NEVER)
        finally:
            ended_at.append(time.monotonic())
            hanging_names.set()  # asyncio.run waits for the thread that looks the name up

    begun = time.monotonic()
    with pytest.raises(Unreachable, match=r"for Ask: no connection in time\."):
        used.run(careful, patience=ONE_TRY)
    assert ended_at[0] - begun < BOUND + SLACK


def test_a_handshake_without_end_was_not_sent(driver: MakeDriver) -> None:
    def greet(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x40\x00")  # 16 KB of handshake are to follow
        trickle(connection, over, b"\x02")

    with RawServer(greet) as server:
        url = server.url.replace("http:", "https:")
        used = driver(connect_timeout=CONNECT, read_timeout=READ)
        error, took = timed(lambda: used.run(lambda: ask(url, Repeat.NEVER), patience=ONE_TRY))
        assert type(error) is Unreachable
        assert took < BOUND + SLACK


@pytest.mark.parametrize("serve", [silence, headers_that_trickle])
def test_a_tunnel_that_does_not_come_about_was_not_sent(serve: Callable[..., None], driver: MakeDriver) -> None:
    with RawServer(serve) as proxy:
        used = driver(connect_timeout=CONNECT, read_timeout=READ, proxy=proxy.url)
        error, took = timed(lambda: used.run(lambda: ask("https://service.invalid", Repeat.NEVER), patience=ONE_TRY))
        assert type(error) is Unreachable
        assert took < BOUND + SLACK


async def test_waiting_for_a_place_in_the_pool_counts_and_was_not_sent() -> None:
    with RawServer(silence) as server:
        async with AsyncClient(Transport(connect_timeout=CONNECT, read_timeout=120), Pacing(1e6)) as client:
            session = await client._ready()
            assert session.connector is not None
            session.connector._limit = 1
            first = asyncio.create_task(client.run(ask(server.url), ONE_TRY))
            assert await asyncio.to_thread(server.came.wait, SLACK)
            begun = time.monotonic()
            with pytest.raises(Unreachable):
                await client.run(ask(server.url, Repeat.NEVER, read_timeout=READ), ONE_TRY)
            assert time.monotonic() - begun < BOUND + SLACK
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)


def test_a_kill_ends_a_poll_in_flight_at_once() -> None:
    stop = StopSignal()
    with closing(stop), RawServer(silence) as server, stopping_client(stop, read_timeout=120) as client:
        threading.Timer(0.2, stop.set).start()
        error, took = timed(lambda: client.run(ask(server.url), PATIENT))
        assert isinstance(error, Stopped)
        assert took < SLACK


def test_a_kill_ends_a_submit_that_has_no_connection_at_once(hanging_names: threading.Event) -> None:
    stop = StopSignal()
    with closing(stop), stopping_client(stop, read_timeout=120) as client:
        threading.Timer(0.2, stop.set).start()
        error, took = timed(lambda: client.run(ask("http://service.invalid", Repeat.NEVER), PATIENT))
        assert isinstance(error, Stopped)
        assert took < SLACK
    hanging_names.set()


def test_a_submit_in_flight_keeps_to_its_bound_though_it_is_killed() -> None:
    stop = StopSignal()
    transport = Transport(connect_timeout=CONNECT, read_timeout=READ)
    with closing(stop), RawServer(headers_that_trickle) as server, SyncClient(transport, Pacing(1e6), stop) as client:
        threading.Timer(0.2, stop.set).start()
        error, took = timed(lambda: client.run(ask(server.url, Repeat.NEVER), PATIENT))
        assert type(error) is Unavailable
        assert took < BOUND + SLACK


def test_an_exception_out_of_a_signal_leaves_no_request_behind() -> None:
    """Airflow's own timeout interrupts a task like this."""
    import signal

    class Interrupted(BaseException):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    handler = signal.signal(signal.SIGALRM, interrupt)
    try:
        with RawServer(silence) as server, SyncClient(Transport(read_timeout=120), Pacing(1e6)) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            begun = time.monotonic()
            with pytest.raises(Interrupted):
                client.run(ask(server.url), PATIENT)
            assert time.monotonic() - begun < SLACK
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def test_the_longest_send_counts_the_read_timeout_twice() -> None:
    transport = Transport(connect_timeout=5, read_timeout=30)
    assert (transport.bound(), transport.bound(180), transport.longest_send) == (35, 185, 65)


def test_a_worker_reads_more_than_a_triggerer() -> None:
    assert (sync.MAX_BODY, aio.MAX_BODY) == (64 * 1024 * 1024, 4 * 1024 * 1024)


def test_an_answer_for_a_worker_is_not_read_by_a_triggerer(driver: MakeDriver, serve: Callable[..., object]) -> None:
    server = serve(Answer(http(b"x" * (aio.MAX_BODY + 1))))
    used = driver(read_timeout=120)

    def run() -> int:
        return len(used.run(lambda: ask(server.url), patience=PATIENT)[0].body)  # type: ignore[attr-defined]

    if used.kind == "sync":
        assert run() == aio.MAX_BODY + 1
    else:
        with pytest.raises(AnswerTooLarge, match="more than 4194304 bytes"):
            run()
    assert len(server.requests) == 1  # type: ignore[attr-defined]
