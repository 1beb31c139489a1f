"""Whom the emulator answers: its own host's programs, and never a page of another site that a browser shows there."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, REGION
from tests.unit.emulator.ci_helpers import Ci
from tests.unit.emulator.helpers import PATIENCE

JSON = {"Content-Type": "application/json"}

#: What a browser adds to requests that a page of another site makes, and what a rebound host name looks like.
FOREIGN = {
    "a page of another site": {"Origin": "http://evil.example"},
    "a page of another port": {"Origin": "http://127.0.0.1:1"},
    "a page from a file or a sandbox": {"Origin": "null"},
    "a secure page of the same name": {"Origin": "https://{host}"},
    "a page of another site, without Origin": {"Sec-Fetch-Site": "cross-site"},
    "a page of another port, without Origin": {"Sec-Fetch-Site": "same-site"},
    "a page under a name that points here": {"Host": "evil.example:{port}"},
    "a page under such a name, with its Origin": {
        "Host": "evil.example:{port}",
        "Origin": "http://evil.example:{port}",
    },
    "a name that begins like loopback": {"Host": "127.0.0.1.evil.example:{port}"},
    "a name that ends like loopback": {"Host": "evil.localhost.example"},
    "no host": {"Host": ""},
}

REQUESTS = {
    "the connection": ("GET", "connection", {}, b""),
    "the ledger": ("GET", "ledger", {}, b""),
    "an object": ("GET", "objects/a", {}, b""),
    "a reset": ("POST", "reset", JSON, b""),
    "a fault": ("POST", "faults", JSON, b'{"action": "*", "kind": "500"}'),
    "an upload": ("PUT", "objects/b", {"Content-Type": "text/html"}, b"<script>alert(1)</script>"),
    "a deletion": ("DELETE", "objects/a", {}, b""),
    "a preflight": ("OPTIONS", "reset", {"Access-Control-Request-Method": "POST"}, b""),
}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def send(url: str, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Reply:
    """Send exactly these headers, which no HTTP library would let a test send."""
    place = urlsplit(url)
    full = {"Host": str(place.netloc), "Content-Length": str(len(body)), **headers}
    full = {name: value.format(host=place.netloc, port=place.port) for name, value in full.items()}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in full.items())
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=PATIENCE) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        return Reply(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())


def control(emulator: MediaxEmulator, request: str, headers: dict[str, str]) -> Reply:
    method, path, own, body = REQUESTS[request]
    return send(emulator.url, method, f"/_emulator/{path}", {**own, **headers}, body)


@pytest.fixture
def emulator(mediax_emulator: MediaxEmulator) -> MediaxEmulator:
    mediax_emulator.put_object("a", b"content")
    return mediax_emulator


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("page", FOREIGN)
def test_a_foreign_page_controls_nothing_and_reads_nothing(
    emulator: MediaxEmulator, page: str, request_name: str
) -> None:
    answer = control(emulator, request_name, FOREIGN[page])
    assert answer.status == 403
    assert b"emu-" not in answer.body
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert emulator.object_keys() == ["a"]
    assert emulator.ledger()["requests"] == []


@pytest.mark.parametrize("request_name", [name for name in REQUESTS if name != "a preflight"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:{port}"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:{port}"},
        {"Host": "127.8.9.1"},
        {"Origin": "http://{host}"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
def test_its_own_host_controls_it(emulator: MediaxEmulator, headers: dict[str, str], request_name: str) -> None:
    assert control(emulator, request_name, headers).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "text/plain; application/json",
        "application/jsonp",
        "",
        None,
    ],
)
@pytest.mark.parametrize("body", [b"", b'{"action": "*", "kind": "500"}'], ids=["empty", "json"])
def test_what_a_form_can_post_is_refused(emulator: MediaxEmulator, content_type: str | None, body: bytes) -> None:
    """A form needs no leave of the emulator, as a request with JSON does; older browsers send no Origin with it."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    for path in ("reset", "faults", "rotate_keys"):
        assert send(emulator.url, "POST", f"/_emulator/{path}", headers, body).status == 415
    assert emulator.object_keys() == ["a"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_is_json_however_it_is_written(emulator: MediaxEmulator, content_type: str) -> None:
    assert send(emulator.url, "POST", "/_emulator/reset", {"Content-Type": content_type}).status == 200


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"])
def test_an_upload_is_never_shown_as_a_page(emulator: MediaxEmulator, content_type: str) -> None:
    page = b"<script>fetch('/_emulator/connection')</script>"
    path = "/_emulator/objects/page.html"
    assert send(emulator.url, "PUT", path, {"Content-Type": content_type}, page).status == 200
    answer = send(emulator.url, "GET", path, {})
    assert answer.body == page
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_object_behind_a_signature_is_saved_and_not_shown(emulator: MediaxEmulator) -> None:
    """COS keeps the content type, and asks the browser to save the object, as it does under its own names."""
    caller = Ci(emulator.url)
    caller.host = f"{BUCKET}.cos.{REGION}.myqcloud.com"
    path = "/_emulator/objects/page.html"
    send(emulator.url, "PUT", path, {"Content-Type": "text/html"}, b"<script>")
    answer = caller.call("GET", "/page.html")
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/_emulator/health", "/_emulator/nothing", "/job", "/"])
def test_no_answer_is_guessed_to_be_something_else(emulator: MediaxEmulator, path: str) -> None:
    assert send(emulator.url, "GET", path, {}).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("page", [page for page in FOREIGN if {"Origin", "Sec-Fetch-Site"} & set(FOREIGN[page])])
def test_a_foreign_page_registers_no_account(emulator: MediaxEmulator, page: str) -> None:
    """Register needs no signature, and the gateway does not look at the type of a body."""
    cos = {"secretId": "i", "secretKey": "k", "bucket": "b-1", "region": "r"}
    request = {"operateUin": "1", "userName": "evil", "cosConfig": cos}
    body = json.dumps({"action": "Register", "registerRequest": request}).encode()
    answer = send(emulator.url, "POST", "/register", {"Content-Type": "text/plain", **FOREIGN[page]}, body)
    assert answer.status == 403
    assert emulator.ledger()["requests"] == []
    assert send(emulator.url, "POST", "/register", {}, body).status == 200
