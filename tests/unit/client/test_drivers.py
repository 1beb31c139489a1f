"""One table of cases for both drivers, against real sockets: same outcome, same number of requests."""

from __future__ import annotations

import _thread
import asyncio
import gzip
import json
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.client import aio, sync
from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import ONE_TRY, Patience
from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.client.transport import IDLE_SECONDS, USER_AGENT, Transport
from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Stopped,
    Throttled,
    Unavailable,
    Unreachable,
)
from airflow_provider_mediax.protocol.exchange import Call, Flow, Pause, Reply
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, GatewayKeys, PlatformKeys

from .stub import Answer, Driver, StubServer, http, stopping_client

MakeDriver = Callable[..., Driver]
Serve = Callable[..., StubServer]

LONG = 200.0
"""Seconds that only what hangs takes, on a busy machine too."""

THREE = Patience(attempts=3, throttle_wait=1.0)
JOB = {"job": {"id": "job-1", "state": 1}}
FINE = http(json.dumps({"createJobResponse": JOB, "getJobResponse": JOB}).encode())
OK = Answer(FINE)
HTML = b"<html>It works</html>"


def gateway(url: str) -> Gateway:
    keys = GatewayKeys(source="uin_userName", secret_id="sigId77", secret_key="sigKey77")
    return Gateway(base_url=url, platform_keys=PlatformKeys("bodyId77", "bodyKey77"), gateway_keys=keys)


def flow(url: str, action: str = "GetJob") -> Callable[[], Flow[Job]]:
    made = gateway(url)
    return (lambda: made.create_job({}, "marker")) if action == "CreateJob" else (lambda: made.get_job("job-1"))


def outcome(run: Callable[[], Any]) -> object:
    """Return the class of the error, or "fine"."""
    try:
        run()
    except MediaxError as error:
        return type(error)
    return "fine"


def stop_on_arrival(server: StubServer, stop: StopSignal) -> None:
    """Stop a client as soon as its request has come."""
    if server.arrived.wait(LONG):
        stop.set()


def skewed() -> bytes:
    return http(b"{}", 401, Date=formatdate(time.time() + 7200, usegmt=True))


# name: script, then (outcome, requests) of GetJob, which may be repeated, and of CreateJob, which may not.
CASES: dict[str, tuple[list[Answer], tuple[object, int], tuple[object, int]]] = {
    "fine": ([OK], ("fine", 1), ("fine", 1)),
    "500 once": ([Answer(http(b"", 500)), OK], ("fine", 2), (Unavailable, 1)),
    "500 for ever": ([Answer(http(b"", 500))], (Unavailable, 3), (Unavailable, 1)),
    "503 asking for a long pause": ([Answer(http(b"", 503, Retry_After="3600"))], (Unavailable, 1), (Unavailable, 1)),
    "closed before the answer": ([Answer(then="close")], (Unavailable, 3), (Unavailable, 1)),
    "closed in the body": ([Answer(FINE[:-9], "close")], (Unavailable, 3), (Unavailable, 1)),
    "closed in a chunk": (
        [Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}", "close")],
        (Unavailable, 3),
        (Unavailable, 1),
    ),
    "garbage for a chunk": (
        [Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", "close")],
        (Unavailable, 3),
        (Unavailable, 1),
    ),
    "garbage for a status": ([Answer(b"SSH-2.0-OpenSSH\r\n\r\n", "close")], (Unavailable, 3), (Unavailable, 1)),
    "garbage for gzip": ([Answer(http(b"hello", Content_Encoding="gzip"))], (Unavailable, 3), (Unavailable, 1)),
    "two lengths": ([Answer(http(b"{}", Content_length="3"))], (Unavailable, 3), (Unavailable, 1)),
    "headers without end": (
        [Answer(http(b"{}", X="a" * 200_000), "close")],
        (Unavailable, 3),
        (Unavailable, 1),
    ),
    "silence": ([Answer(then="hang")], (Unavailable, 3), (Unavailable, 1)),
    "silence in the body": ([Answer(FINE[:-9], "hang")], (Unavailable, 3), (Unavailable, 1)),
    "body above the limit": ([Answer(http(b"x" * 300_000))], (AnswerTooLarge, 1), (AnswerTooLarge, 1)),
    "body that unpacks above the limit": (
        [Answer(http(gzip.compress(b"x" * 3_000_000), Content_Encoding="gzip"))],
        (AnswerTooLarge, 1),
        (AnswerTooLarge, 1),
    ),
    "packed in a way that was not asked for": (
        [Answer(http(b"{}", Content_Encoding="br"))],
        (ProtocolError, 3),
        (ProtocolError, 1),
    ),
    "gzip without its end": (
        [Answer(http(gzip.compress(FINE)[:-3], Content_Encoding="gzip"))],
        (Unavailable, 3),
        (Unavailable, 1),
    ),
    "408": ([Answer(http(b"", 408))], (None, 1), (None, 1)),
    "409": ([Answer(http(b"", 409))], (None, 1), (None, 1)),
    "425": ([Answer(http(b"", 425))], (None, 1), (None, 1)),
    "499": ([Answer(http(b"", 499))], (None, 1), (None, 1)),
    "html": ([Answer(http(HTML))], (ProtocolError, 1), (ProtocolError, 1)),
    "html for 502": ([Answer(http(HTML, 502))], (Unavailable, 3), (Unavailable, 1)),
    "html for 404": ([Answer(http(HTML, 404))], (BadRequest, 1), (BadRequest, 1)),
    "empty": ([Answer(http(b""))], (ProtocolError, 1), (ProtocolError, 1)),
    "no content": ([Answer(http(b"", 204))], (ProtocolError, 1), (ProtocolError, 1)),
    "redirect": ([Answer(http(b"", 307, Location="/elsewhere")), OK], (BadRequest, 1), (BadRequest, 1)),
    "redirect to nowhere": (
        [Answer(http(b"", 302, Location="http://[bad")), OK],
        (BadRequest, 1),
        (BadRequest, 1),
    ),
    "redirect to garbage": (
        [Answer(http(b"", 302, Location="foo").replace(b"foo", b"foo://\xff")), OK],
        (BadRequest, 1),
        (BadRequest, 1),
    ),
    "error response": ([Answer(http(b'{"errorResponse": {}}'))], (BadRequest, 1), (BadRequest, 1)),
    "403": ([Answer(http(b"{}", 403))], (AuthenticationFailed, 1), (AuthenticationFailed, 1)),
    "401 for the clock": ([Answer(skewed()), OK], ("fine", 2), ("fine", 2)),
    "401 for more than the clock": ([Answer(skewed())], (AuthenticationFailed, 2), (AuthenticationFailed, 2)),
    "429 for a moment": ([Answer(http(b"", 429, Retry_After="0")), OK], ("fine", 2), ("fine", 2)),
    "429 for an hour": ([Answer(http(b"", 429, Retry_After="3600")), OK], (Throttled, 1), (Throttled, 1)),
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("action", ["GetJob", "CreateJob"])
@pytest.mark.parametrize("name", CASES)
def test_both_drivers_end_alike_and_send_equally_often(
    name: str, action: str, driver: MakeDriver, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "MAX_BODY", 100_000)
    monkeypatch.setattr(aio, "MAX_BODY", 100_000)
    script, safe, never = CASES[name]
    server = serve(*script)
    used = driver(read_timeout=0.15 if "silence" in name else 2.0)
    ended = outcome(lambda: used.run(flow(server.url, action), patience=THREE))
    expected, sent = never if action == "CreateJob" else safe
    assert expected in (ended, None)  # None: what it means is for the protocol to say
    assert len(server.requests) == sent
    assert {seen.target for seen in server.requests} == {"/job"}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("length", [5, 20, 30, len(FINE) - len(FINE.partition(b"{")[2]) - 2])
def test_answer_cut_off_in_its_headers_never_counts(length: int, driver: MakeDriver, serve: Serve) -> None:
    server = serve(Answer(FINE[:length], "close"))
    # Python's own HTTP parser takes the end of the stream for the end of the headers.
    assert outcome(lambda: driver().run(flow(server.url, "CreateJob"), patience=THREE)) in (Unavailable, ProtocolError)
    assert len(server.requests) == 1


def test_the_answer_reaches_the_flow_whole(driver: MakeDriver, serve: Serve) -> None:
    def echo() -> Flow[Reply | None]:
        return (yield Call(action="Echo", method="POST", url=server.url, body=b"\x00\xffbody", headers={"X-A": "1"}))

    server = serve(Answer(http(b"\x00\xff", 299, X_Mixed_Case="Value")))
    (answer,) = driver().run(echo, patience=ONE_TRY)
    assert answer is not None
    assert (answer.status, answer.body) == (299, b"\x00\xff")
    assert answer.headers["x-mixed-case"] == "Value"
    assert (server.requests[0].body, server.requests[0].headers["x-a"]) == (b"\x00\xffbody", "1")
    assert server.requests[0].headers["user-agent"] == USER_AGENT


def test_a_packed_answer_is_unpacked(driver: MakeDriver, serve: Serve) -> None:
    packed = gzip.compress(json.dumps({"getJobResponse": JOB}).encode())
    server = serve(Answer(http(packed, Content_Encoding="gzip")))
    assert driver().run(flow(server.url), patience=ONE_TRY)[0].id == "job-1"


def test_every_attempt_carries_a_signature(driver: MakeDriver, serve: Serve) -> None:
    server = serve(Answer(skewed()), OK)
    used = driver()
    used.run(flow(server.url), patience=ONE_TRY)
    first, second = (seen.headers for seen in server.requests)
    assert first["authorization"].startswith('hmac id="sigId77"')
    assert first["authorization"] != second["authorization"]
    assert used.pacing.clock_offset == pytest.approx(7200, abs=30)


def test_twenty_calls_use_one_connection(driver: MakeDriver, serve: Serve) -> None:
    server = serve(OK)
    driver().run(*[flow(server.url)] * 20, patience=ONE_TRY)
    assert (len(server.requests), server.connections) == (20, 1)
    assert IDLE_SECONDS > 60, "an idle connection must outlast the longest poll interval"


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(driver: MakeDriver, serve: Serve) -> None:
    server = serve(Answer(FINE, "close"), OK)

    def wait_for_the_end() -> Flow[None]:
        assert server.left.wait(LONG)
        yield Pause(0.01)

    driver().run(flow(server.url), wait_for_the_end, flow(server.url, "CreateJob"), patience=ONE_TRY)
    assert (len(server.requests), server.connections) == (2, 2)


def test_cookies_are_not_sent_back(driver: MakeDriver, serve: Serve) -> None:
    server = serve(Answer(FINE.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=1; Path=/\r\n\r\n", 1)))
    driver().run(flow(server.url), flow(server.url), patience=ONE_TRY)
    assert ["cookie" in seen.headers for seen in server.requests] == [False, False]


def refused_port() -> str:
    with StubServer([OK]) as gone:
        return gone.url


NOT_SENT: dict[str, Callable[[], str]] = {
    "refused port": refused_port,
    "unknown name": lambda: "http://nosuchhost.invalid",
    "label too long": lambda: f"http://{'a' * 70}.invalid",
    "empty label": lambda: "http://a..b.invalid",
    "port too high": lambda: "http://127.0.0.1:99999",
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("action", ["GetJob", "CreateJob"])
@pytest.mark.parametrize("name", NOT_SENT)
def test_without_a_connection_nothing_was_sent(name: str, action: str, driver: MakeDriver) -> None:
    url = NOT_SENT[name]()
    assert outcome(lambda: driver().run(flow(url, action), patience=THREE)) is Unreachable


@pytest.mark.usefixtures("hasty")
def test_tls_to_a_plain_port_was_not_sent(driver: MakeDriver) -> None:
    greetings, started = 0, threading.Event()
    state: dict[str, Any] = {}

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greetings
        greetings += 1
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    def serve(started: threading.Event) -> None:
        async def main() -> None:
            server = await asyncio.start_server(plain, "127.0.0.1", 0)
            state.update(port=server.sockets[0].getsockname()[1], loop=asyncio.get_running_loop(), over=asyncio.Event())
            started.set()
            await state["over"].wait()
            server.close()

        asyncio.run(main())

    thread = threading.Thread(target=serve, args=(started,))
    thread.start()
    started.wait()
    try:
        url = f"https://127.0.0.1:{state['port']}"
        assert outcome(lambda: driver().run(flow(url, "CreateJob"), patience=THREE)) is Unreachable
        assert greetings == 3
    finally:
        state["loop"].call_soon_threadsafe(state["over"].set)
        thread.join()


@pytest.fixture
def tls_server(certificate: Path, serve: Serve) -> StubServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return serve(OK, tls=context)


@pytest.mark.usefixtures("hasty")
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(("verify", "ended"), [(True, Unreachable), (False, "fine"), ("path", "fine")])
def test_self_signed_certificate_is_accepted_only_on_request(
    verify: bool | str, ended: object, driver: MakeDriver, tls_server: StubServer, certificate: Path
) -> None:
    used = driver(verify=str(certificate) if verify == "path" else verify)
    assert outcome(lambda: used.run(flow(tls_server.url, "CreateJob"), patience=THREE)) == ended
    assert len(tls_server.requests) == (1 if ended == "fine" else 0)


def test_a_call_that_is_cut_short_leaves_no_tls_connection_behind(certificate: Path, serve: Serve) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server, stop = serve(Answer(FINE[:-9], "hang"), tls=context), StopSignal()
    stopper = threading.Thread(target=stop_on_arrival, args=(server, stop))
    stopper.start()
    with stopping_client(stop, verify=str(certificate), read_timeout=60) as client, pytest.raises(Stopped):
        client.run(flow(server.url)())
    assert server.left.wait(LONG)
    stopper.join()
    stop.close()


@pytest.mark.parametrize("content", [None, "no certificate", ""])
def test_verify_that_names_no_certificates_is_refused(
    content: str | None, driver: MakeDriver, tls_server: StubServer, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadRequest, match=r"verify=.*bundle\.pem"):
        driver(verify=str(path)).run(flow(tls_server.url), patience=ONE_TRY)
    assert tls_server.requests == []


def proxied(server: StubServer, userinfo: str = "", scheme: str = "http://") -> str:
    return f"{scheme}{userinfo}127.0.0.1:{server.port}"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_proxy_of_the_environment_is_used(
    name: str, scheme: str, driver: MakeDriver, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(OK)
    monkeypatch.setenv(name, proxied(proxy, scheme=scheme))
    assert driver().run(flow("http://service.invalid"), patience=ONE_TRY)[0].id == "job-1"
    assert [seen.target for seen in proxy.requests] == ["http://service.invalid/job"]


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_proxy_of_the_connection_wins_over_the_environment(
    scheme: str, driver: MakeDriver, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = serve(OK), serve(OK)
    monkeypatch.setenv("HTTP_PROXY", proxied(other))
    monkeypatch.setenv("NO_PROXY", "service.invalid")
    driver(proxy=proxied(own, "user:pass77@", scheme)).run(flow("http://service.invalid"), patience=ONE_TRY)
    assert (len(own.requests), len(other.requests)) == (1, 0)
    assert own.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNzNzc="
    assert own.requests[0].headers["authorization"].startswith("hmac ")


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*", "example.com, 127.0.0.1"])
def test_no_proxy_is_honoured(no_proxy: str, driver: MakeDriver, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service, proxy = serve(OK), serve(OK)
    monkeypatch.setenv("HTTP_PROXY", proxied(proxy))
    monkeypatch.setenv("NO_PROXY", no_proxy)
    driver().run(flow(service.url), patience=ONE_TRY)
    assert (len(service.requests), len(proxy.requests)) == (1, 0)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("status", "service", "ended", "sent"),
    [
        (407, "https://service.invalid", Unreachable, 3),  # no tunnel, so nothing went through it
        (503, "https://service.invalid", Unreachable, 3),
        (503, "http://service.invalid", Unavailable, 1),  # a forwarded request may have arrived
    ],
)
def test_proxy_that_refuses(
    status: int, service: str, ended: object, sent: int, driver: MakeDriver, serve: Serve
) -> None:
    proxy = serve(Answer(http(b"", status), "close"))
    used = driver(proxy=proxied(proxy, "user:pass77@"))
    assert outcome(lambda: used.run(flow(service, "CreateJob"), patience=THREE)) is ended
    assert len(proxy.requests) == sent


@pytest.mark.usefixtures("hasty")
def test_forwarding_proxy_that_breaks_off_may_have_passed_the_request_on(driver: MakeDriver, serve: Serve) -> None:
    proxy = serve(Answer(then="close"))
    used = driver(proxy=proxied(proxy))
    assert outcome(lambda: used.run(flow("http://service.invalid", "CreateJob"), patience=THREE)) is Unavailable
    assert len(proxy.requests) == 1


@pytest.mark.usefixtures("hasty")
def test_a_missing_proxy_was_sent_nothing_and_its_password_is_not_shown(driver: MakeDriver) -> None:
    proxy = refused_port().replace("http://", "http://user:pass77@")
    with pytest.raises(Unreachable) as raised:
        driver(proxy=proxy).run(flow("http://service.invalid", "CreateJob"), patience=THREE)
    assert "pass77" not in str(raised.value) + repr(raised.value)
    assert "pass77" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("proxy", ["socks5://user:pass77@127.0.0.1:1080", "http://[bad:pass77@", "http://"])
def test_proxy_that_neither_driver_can_use_is_refused(proxy: str, driver: MakeDriver, serve: Serve) -> None:
    server = serve(OK)
    with pytest.raises(BadRequest, match="proxy") as refused:
        driver(proxy=proxy).run(flow(server.url), patience=ONE_TRY)
    assert "pass77" not in str(refused.value)
    assert server.requests == []


def test_netrc_never_replaces_the_signature(
    driver: MakeDriver, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (".netrc", "_netrc"):
        (tmp_path / name).write_text("machine 127.0.0.1 login someone password else\n")
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server = serve(OK)
    driver().run(flow(server.url), patience=ONE_TRY)
    assert server.requests[0].headers["authorization"].startswith("hmac ")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ["closed before the answer", "silence", "403", "html", "error response"])
def test_errors_name_no_key_and_no_address_beyond_the_host(name: str, driver: MakeDriver, serve: Serve) -> None:
    server = serve(*CASES[name][0])
    with pytest.raises(MediaxError) as raised:
        driver(read_timeout=0.15).run(flow(server.url), patience=ONE_TRY)
    shown = str(raised.value) + repr(raised.value)
    assert [key for key in ("sigId77", "sigKey77", "bodyId77", "bodyKey77", "hmac id") if key in shown] == []


def test_pause_of_a_flow_is_waited_out(driver: MakeDriver) -> None:
    def pausing() -> Flow[float]:
        before = time.monotonic()
        assert (yield Pause(0.05)) is None
        return time.monotonic() - before

    assert driver().run(pausing, patience=ONE_TRY)[0] >= 0.045


def test_flow_may_catch_an_error_and_go_on(driver: MakeDriver, serve: Serve) -> None:
    server = serve(Answer(then="close"), OK)

    def careful() -> Flow[str]:
        try:
            yield from flow(server.url, "CreateJob")()
        except Unavailable:
            return (yield from flow(server.url)()).id
        return "created"

    assert driver().run(careful, patience=ONE_TRY) == ["job-1"]


def test_a_process_that_can_start_no_thread_sends_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    server = serve(OK)
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    with SyncClient(Transport(), Pacing(1e6)) as client, pytest.raises(Unreachable, match="no thread"):
        client.run(flow(server.url, "CreateJob")(), ONE_TRY)
    assert server.connections == 0


def test_stop_before_sending_sends_nothing(serve: Serve) -> None:
    server, stop = serve(OK), StopSignal()
    stop.set()
    with stopping_client(stop) as client, pytest.raises(Stopped, match="before CreateJob was sent"):
        client.run(flow(server.url, "CreateJob")())
    assert server.connections == 0
    stop.close()


def test_stop_during_a_pause_ends_it_at_once(serve: Serve) -> None:
    server, stop = serve(Answer(http(b"", 500, Retry_After="300"))), StopSignal()
    stopper = threading.Thread(target=stop_on_arrival, args=(server, stop))
    stopper.start()
    started = time.monotonic()
    with stopping_client(stop) as client, pytest.raises(Stopped):
        client.run(flow(server.url)())
    stopper.join()
    assert time.monotonic() - started < LONG
    assert len(server.requests) == 1
    stop.close()


def test_stop_that_comes_once_the_call_is_signed_still_keeps_it_back(serve: Serve) -> None:
    server, stop = serve(OK), StopSignal()

    def sign(now: float) -> dict[str, str]:
        stop.set()
        return {}

    def submit() -> Flow[Reply | None]:
        return (yield Call(action="CreateJob", method="POST", url=server.url, sign=sign))

    with stopping_client(stop) as client, pytest.raises(Stopped):
        client.run(submit())
    assert server.connections == 0
    stop.close()


def test_stop_after_sending_does_not_lose_the_answer(serve: Serve) -> None:
    server, stop = serve(OK), StopSignal()
    stopper = threading.Thread(target=stop_on_arrival, args=(server, stop))
    stopper.start()
    with stopping_client(stop) as client:
        assert client.run(flow(server.url, "CreateJob")()).id == "job-1"
    stopper.join()
    stop.close()


async def test_cancelled_call_closes_its_flow(serve: Serve) -> None:
    server, closed = serve(Answer(then="hang")), asyncio.Event()

    def watched() -> Flow[Job]:
        try:
            return (yield from flow(server.url)())
        finally:
            closed.set()

    async with AsyncClient(Transport(), Pacing(1e6)) as client:
        running = asyncio.create_task(client.run(watched(), ONE_TRY))
        assert await asyncio.to_thread(server.arrived.wait, LONG)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert closed.is_set()


async def test_many_calls_at_once_share_one_client(serve: Serve) -> None:
    server = serve(OK)
    async with AsyncClient(Transport(), Pacing(1e6)) as client:
        jobs = await asyncio.gather(*(client.run(flow(server.url)(), ONE_TRY) for _ in range(150)))
    assert {job.id for job in jobs} == {"job-1"}
    assert len(server.requests) == 150


async def test_one_refusal_keeps_two_hundred_polls_from_being_sent(serve: Serve) -> None:
    server = serve(Answer(http(b"", 429, Retry_After="300")))
    sent: list[float] = []
    under_way: list[int] = []

    def sign(now: float) -> Mapping[str, str]:
        sent.append(now)
        return {}

    def poll() -> Flow[Reply | None]:
        return (yield Call(action="Poll", method="GET", url=server.url, sign=sign))

    async def refused(client: AsyncClient) -> None:
        with pytest.raises(Throttled):
            await client.run(poll(), ONE_TRY)
        under_way.append(len(sent))

    async with AsyncClient(Transport(), Pacing(50)) as client:  # four seconds for all
        await asyncio.gather(*(refused(client) for _ in range(200)))
    assert len(sent) == under_way[0], "only what was under way when the first answer came"
