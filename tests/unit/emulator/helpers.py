"""What several tests of the emulator use; shares no code with the package's client."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, TypeVar

import numpy as np
import requests
import soundfile

from airflow_provider_mediax.emulator.shared.accounts import PRESET, Customer

T = TypeVar("T")

FINAL = (3, 4, 5, 9)


PATIENCE = 600.0
"""Seconds, far more than anything here takes on a machine that is busy with other things."""


def wait_for(probe: Callable[[], T | None]) -> T:
    """Return the first true answer of the probe."""
    give_up = time.monotonic() + PATIENCE
    while not (found := probe()):
        assert time.monotonic() < give_up, "nothing happened in time"
        threading.Event().wait(0.01)
    return found


class Platform:
    """A caller of the gateway that shares no code with the package."""

    def __init__(self, url: str, account: Customer = PRESET) -> None:
        self.url = url
        self.account = account
        self.session = requests.Session()
        self.session.trust_env = False

    def sign(self, **other: str) -> dict[str, str]:
        date = other.get("date", formatdate(usegmt=True))
        source = other.get("source", self.account.gateway_source)
        key = other.get("key", self.account.gateway_secret_key)
        text = f"date: {date}\nsource: {source}"
        signature = base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()
        members = f'id="{self.account.gateway_secret_id}", algorithm="hmac-sha1", headers="date source"'
        return {"Date": date, "Source": source, "Authorization": f'hmac {members}, signature="{signature}"'}

    def body(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        member = action[0].lower() + action[1:] + "Request"
        keys = {"secretId": self.account.platform_id, "secretKey": self.account.platform_key}
        return {"action": action, **keys, member: request}

    def post(self, body: Any, path: str = "/job", timeout: float = PATIENCE, **headers: str) -> requests.Response:
        signed = {**self.sign(), "Content-Type": "application/json", **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.session.post(self.url + path, data=data, headers=signed, timeout=timeout)

    def call(self, action: str, request: dict[str, Any], **options: Any) -> requests.Response:
        return self.post(self.body(action, request), **options)

    def create(self, capability: str = "musicTagV2", parameters: Any = None, **other: Any) -> dict[str, Any]:
        answer = self.call("CreateJob", self.request(capability, parameters, **other)).json()
        assert "createJobResponse" in answer, answer
        job: dict[str, Any] = answer["createJobResponse"]["job"]
        return job

    def request(self, capability: str = "musicTagV2", parameters: Any = None, **other: Any) -> dict[str, Any]:
        defaults = {"musicTagV2": {"tagType": ["all"]}, "musicASR": {"confidence": 0.2}, "musicBeat": {}}
        output: dict[str, Any] = {
            "inputSelectors": [0],
            "smartContentDescriptor": {
                capability: defaults.get(capability, {}) if parameters is None else parameters,
                **other.pop("descriptor", {}),
            },
        }
        if capability == "musicBeat":
            output |= {"contentId": self.account.content_id, "destination": "/out"}
        source = {"source": {"contentId": self.account.content_id, "path": other.pop("path", "/in/track.wav")}}
        wanted = {"url": other.pop("url")} if "url" in other else source
        return {"customId": "marker", "inputs": [wanted], "outputs": [output | other.pop("output", {})], **other}

    def get(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.call("GetJob", {"id": job_id}).json()["getJobResponse"]["job"]
        return job

    def list(self, custom_id: str = "marker") -> dict[str, Any]:
        jobs: dict[str, Any] = self.call("ListJobs", {"customId": custom_id}).json()["listJobsResponse"]
        return jobs

    def finish(self, job: dict[str, Any]) -> dict[str, Any]:
        return wait_for(lambda: found if (found := self.get(job["id"]))["state"] in FINAL else None)


def clicks(bpm: float, seconds: float, rate: int = 22050, channels: int = 1) -> bytes:
    """Return a WAV file with a short tone on every beat and exact silence between."""
    samples = np.zeros(int(seconds * rate), dtype=np.float32)
    time_in_tone = np.arange(int(0.02 * rate)) / rate
    tone = 0.8 * np.sin(2 * np.pi * 1000 * time_in_tone) * np.exp(-time_in_tone / 0.005)
    for beat in range(int(seconds * bpm / 60)):
        start = int(beat * 60 / bpm * rate)
        part = samples[start : start + len(tone)]
        part[:] = tone[: len(part)]
    file = io.BytesIO()
    soundfile.write(file, np.tile(samples[:, np.newaxis], (1, channels)), rate, format="WAV")
    return file.getvalue()


class Receiver(HTTPServer):
    """
    An address on loopback that keeps what is posted to it, and the paths that are asked for.

    JSON is decoded in ``posted``; ``files`` are served by their paths, and ``moved`` ones are redirected.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[dict[str, Any]] = []
        self.bodies: list[tuple[str, bytes]] = []
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.headers["Content-Type"], body))
        if body.startswith(b"{"):
            self.server.posted.append(json.loads(body))
        self._answer(200, b"")

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        self._answer(404 if content is None else 200, content or b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.server.asked.append(self.path)
        target = self.server.moved.get(self.path)
        self.send_response(302 if target else status)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
