"""Whatever a server answers, a call ends with a reply or a typed error that is true about what was sent."""

from __future__ import annotations

import gzip
import random
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from airflow_provider_mediax.client import aio, sync
from airflow_provider_mediax.client.answer import Body
from airflow_provider_mediax.client.retry import ONE_TRY, TransportFailure
from airflow_provider_mediax.exceptions import AnswerTooLarge, MediaxError, ProtocolError, Unavailable
from airflow_provider_mediax.protocol.exchange import Call, Flow, Repeat, Reply

from .stub import Driver, RawServer, http, read_request

MakeDriver = Callable[..., Driver]

LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"

ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "no status": b"\r\n\r\n",
    "status without a number": b"HTTP/1.1 OK\r\n\r\n",
    "status of 7": b"HTTP/1.1 7 Low\r\n\r\n",
    "status of 10000": b"HTTP/1.1 10000 High\r\n\r\n",
    "status below 0": b"HTTP/1.1 -200 OK\r\n\r\n",
    "status in Arabic digits": "HTTP/1.1 ٢٠٠ OK\r\n\r\n".encode(),
    "HTTP 0.9": b"hello",
    "HTTP 9": b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP 2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nzzz",
    "early hints alone": b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n",
    "long status": b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n\r\n",
    "long header": LINE + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "ten thousand headers": LINE + b"".join(b"X-%d: a\r\n" % number for number in range(10_000)) + b"\r\n",
    "header without a colon": LINE + b"hello\r\nContent-Length: 2\r\n\r\n{}",
    "header without a name": LINE + b": hello\r\nContent-Length: 2\r\n\r\n{}",
    "folded header": LINE + b"X: a\r\n b\r\n\tc\r\nContent-Length: 2\r\n\r\n{}",
    "header of zeros": LINE + b"X: \x00\x00\r\nContent-Length: 2\r\n\r\n{}",
    "header of no known text": LINE + b"X-\xff\xfe: \xc3\x28\xf0\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "bare carriage returns": b"HTTP/1.1 200 OK\rContent-Length: 2\r\r{}",
    "length below 0": LINE + b"Content-Length: -5\r\n\r\n{}",
    "length of text": LINE + b"Content-Length: two\r\n\r\n{}",
    "length in exponents": LINE + b"Content-Length: 2e0\r\n\r\n{}",
    "length with a plus": LINE + b"Content-Length: +2\r\n\r\n{}",
    "length beyond all": LINE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "length too great": LINE + b"Content-Length: 99\r\n\r\n{}",
    "two lengths": LINE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
    "length and chunks": LINE + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunk of garbage": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "chunk below 0": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "chunk beyond all": CHUNKED + b"f" * 100 + b"\r\n{}\r\n0\r\n\r\n",
    "chunk too short": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "chunk with a long extension": CHUNKED + b"2;" + b"x" * 100_000 + b"\r\n{}\r\n0\r\n\r\n",
    "chunks without end": CHUNKED + b"2\r\n{}\r\n",
    "trailers without end": CHUNKED + b"0\r\n" + b"X: y\r\n" * 50_000,
    "unknown transfer coding": LINE + b"Transfer-Encoding: zip\r\nContent-Length: 2\r\n\r\n{}",
    "garbage for gzip": http(b"hello", Content_Encoding="gzip"),
    "gzip of gzip": http(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"),
    "gzip in two parts": http(gzip.compress(b"{") + gzip.compress(b"}"), Content_Encoding="gzip"),
    "deflate": http(zlib.compress(b"{}"), Content_Encoding="deflate"),
    "zstd": http(b"\x28\xb5\x2f\xfd" + b"x" * 50, Content_Encoding="zstd"),
    "packing of no known text": http(b"{}", Content_Encoding="\x01"),
    "redirect without a place": http(b"", 302),
    "redirect to itself": http(b"", 301, Location="/"),
    "redirect to a file": http(b"", 303, Location="file:///etc/passwd"),
    "redirect to garbage": b"HTTP/1.1 308 X\r\nLocation: http://[\xff\xff\r\nContent-Length: 0\r\n\r\n",
    "cookie of garbage": http(b"{}", Set_Cookie="=;;=,\x7f; Expires=x; Domain=.; Max-Age=1e999"),
    "wish of garbage": http(b"", 503, Retry_After="9" * 400),
    "date of garbage": http(b"", 401, Date="Mon, 99 Foo 99999999999999999999 25:61:61 +99999999"),
    "demand for a login": http(b"", 401, WWW_Authenticate="Negotiate ====,Digest"),
    "demand for a proxy's login": http(b"", 407, Proxy_Authenticate="Basic"),
    "body without length": LINE + b"\r\n{}",
    "no content with content": b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n{}",
    "answer and garbage": http(b"{}") + b"\x00garbage" * 100,
    "two answers": http(b"{}") + http(b"[]"),
}

OUTCOMES = (Reply, Unavailable, ProtocolError)


def ask(url: str) -> Flow[Reply]:
    reply = yield Call(action="Ask", method="POST", url=url, body=b"{}", repeat=Repeat.NEVER)
    assert reply is not None
    return reply


def outcome(driver: Driver, url: str) -> object:
    """Return what comes of a call; anything but a typed error flies on."""
    try:
        return driver.run(lambda: ask(url), patience=ONE_TRY)[0]
    except MediaxError as error:
        return error


class Scripted:
    """Answers each connection with the data that is set at the moment, and closes it."""

    def __init__(self) -> None:
        self.data = b""
        self.requests = 0

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        if read_request(connection):
            self.requests += 1
            connection.sendall(self.data)


@pytest.mark.parametrize("name", ANSWERS)
def test_hostile_answer_ends_typed_and_sending_it_is_not_denied(name: str, driver: MakeDriver) -> None:
    server = Scripted()
    server.data = ANSWERS[name]
    with RawServer(server) as running:
        made = outcome(driver(read_timeout=1.0), running.url)
    assert type(made) in (*OUTCOMES, AnswerTooLarge)
    assert server.requests == 1


@pytest.mark.parametrize("seed", range(4))
def test_damaged_answers_end_typed_and_are_asked_for_once(seed: int, driver: MakeDriver) -> None:
    rng, server = random.Random(seed), Scripted()
    wholes = [*ANSWERS.values(), http(b'{"job": {}}'), CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"]
    wholes += [http(gzip.compress(b"{}" * 50), Content_Encoding="gzip")] * 3
    with RawServer(server) as running:
        for number in range(60):
            data = bytearray(rng.choice(wholes)[:5000])
            for _ in range(rng.choice((0, 1, 1, 3, 10))):
                if data:
                    place = rng.randrange(min(len(data), 200))
                    data[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
            server.data = bytes(data[: rng.choice((len(data), rng.randrange(len(data) + 1)))])
            made = outcome(driver(read_timeout=0.3), running.url)
            assert type(made) in OUTCOMES, (made, server.data)
            assert server.requests == number + 1, server.data


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_is_unpacked_no_further_than_the_limit(
    layers: int, driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "MAX_BODY", 1_000_000)
    monkeypatch.setattr(aio, "MAX_BODY", 1_000_000)
    bomb = b"\0" * 100_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb, 9)
    server = Scripted()
    server.data = http(bomb, Content_Encoding="gzip")
    with RawServer(server) as running:
        used = driver(read_timeout=60)
        tracemalloc.start()
        try:
            made = outcome(used, running.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert isinstance(made, AnswerTooLarge if layers == 1 else Reply)
    assert peak < 30_000_000


def test_a_body_without_end_is_read_no_further_than_the_limit(
    driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "MAX_BODY", 1_000_000)
    monkeypatch.setattr(aio, "MAX_BODY", 1_000_000)

    def flood(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(LINE + b"\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 65536)

    with RawServer(flood) as running:
        assert isinstance(outcome(driver(read_timeout=60), running.url), AnswerTooLarge)


@pytest.mark.parametrize("length", [0, 1, 99, 100])
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_up_to_the_limit_passes(length: int, packed: bool) -> None:
    assert len(read(length, packed)) == length


@pytest.mark.parametrize("length", [101, 10_000])
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_above_the_limit_is_too_large(length: int, packed: bool) -> None:
    with pytest.raises(TransportFailure) as raised:
        read(length, packed)
    assert raised.value.too_large


def read(length: int, packed: bool) -> bytes:
    body = Body(limit=100)
    body.add(gzip.compress(bytes(length)) if packed else bytes(length))
    return body.reply(200, [("Content-Encoding", "gzip")] if packed else []).body
