"""
One server that answers as all the services here do whose triggers are compared, with TLS, in a process of its own.

Every job is running for ever. ``GET /stats`` tells how many connections there were, how many requests, and about how
many jobs; it counts itself as nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

_LISTED = 50
_TAGS = [{"name": f"tag {number}", "confidence": 0.5, "type": "genre"} for number in range(35)]


def _mediax_job(job_id: str, *, finished: bool = False) -> dict[str, object]:
    output = {"inputSelectors": [0], "smartContentDescriptor": {"musicTagV2": {"tagType": ["all"]}}}
    if finished:
        output["smartContentResult"] = {"musicTagV2": {"tags": _TAGS}}
    return {
        "id": job_id,
        "state": 3 if finished else 2,
        "customId": "mx1-0000000000000000000000000000000000000000",
        "timing": {},
        "inputs": [{"source": {"contentId": "content", "path": "in/track.mp3"}}],
        "outputs": [output],
    }


def _ci_job(job_id: str) -> str:
    return (
        f"<JobsDetail><Code>Success</Code><Message/><JobId>{job_id}</JobId><Tag>VoiceSeparate</Tag>"
        "<State>Running</State><CreationTime>-</CreationTime><StartTime>-</StartTime><EndTime>-</EndTime>"
        "<QueueId>p0</QueueId><Input><BucketId>b-1250000000</BucketId><Object>in/x.mp3</Object>"
        "<Region>ap-guangzhou</Region></Input><Operation><TemplateId/><UserData>mx1-0</UserData><JobLevel>0</JobLevel>"
        "<VoiceSeparate><AudioMode>IsAudio</AudioMode><AudioConfig><Codec>mp3</Codec><Samplerate>44100</Samplerate>"
        "</AudioConfig></VoiceSeparate><Output><Region>ap-guangzhou</Region><Bucket>b-1250000000</Bucket>"
        "<AuObject>out/x.mp3</AuObject></Output></Operation></JobsDetail>"
    )


class _Answers(asyncio.Protocol):
    """Answers whatever complete requests have arrived."""

    counts: ClassVar[dict[str, int]] = {"connections": 0, "requests": 0, "jobs": 0}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""
        self._counted = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._transport.write(self._answer(head.split(b" ", 2)[1].decode(), body))

    def _answer(self, path: str, body: bytes) -> bytes:
        if path == "/stats":
            return _http(json.dumps(self.counts).encode())
        jobs, kind, answer = _route(path, body)
        self.counts["connections"] += not self._counted
        self._counted = True
        self.counts["requests"] += 1
        self.counts["jobs"] += jobs
        return _http(answer, kind, status="404 Not Found" if path.startswith("/missing") else "200 OK")


def _route(path: str, body: bytes) -> tuple[int, str, bytes]:
    """Return how many jobs a request is about, and the type and body of its answer."""
    if path.startswith("/jobs/"):
        ids = path.removeprefix("/jobs/").partition("?")[0].split(",")
        return len(ids), "application/xml", f"<Response>{''.join(map(_ci_job, ids))}</Response>".encode()
    found: object
    jobs = 1
    if path == "/job" and b"listJobsRequest" in body:
        listed = [_mediax_job(f"job-{number}", finished=True) for number in range(_LISTED)]
        jobs, found = _LISTED, {"requestId": "0", "listJobsResponse": {"jobs": listed, "total": _LISTED}}
    elif path == "/job":
        job_id = body.rpartition(b'"id":"')[2].partition(b'"')[0].decode()
        found = {"requestId": "0", "getJobResponse": {"job": _mediax_job(job_id)}}
    elif "/jobs/runs/get" in path:
        found = {"run_id": 1, "run_page_url": "", "state": {"life_cycle_state": "RUNNING", "state_message": ""}}
    elif path.startswith("/api/v2/accounts"):
        found = {"status": {"code": 200}, "data": {"id": 1, "status": 3, "job_id": 1}}
    elif "token" in path:
        found = {"access_token": "token", "token_type": "Bearer", "expires_in": 3600}
    elif "/jobs/" in path:
        found = {
            "jobId": 1,
            "connectionId": "c",
            "status": "running",
            "jobType": "sync",
            "startTime": "2026-01-01T00:00:00Z",
        }
    else:
        found = {}
    return jobs, "application/json", json.dumps(found).encode()


def _http(body: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for the loopback address, and a bundle of usual size that trusts it."""
    import certifi
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmarks")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    (folder / "bundle.pem").write_bytes(Path(certifi.where()).read_bytes() + pem)
    return folder / "server.pem", folder / "bundle.pem"


@dataclass(frozen=True)
class Server:
    """
    The server, as its clients need it.

    :param bundle: file with trusted certificates.
    """

    port: int
    bundle: str

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def stats(self) -> dict[str, int]:
        context = ssl.create_default_context(cafile=self.bundle)
        with urllib.request.urlopen(f"{self.url}/stats", context=context) as answer:
            counts: dict[str, int] = json.load(answer)
            return counts


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """Run the server in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="mediax-bench-") as folder:
        certificate, bundle = _make_certificate(Path(folder))
        command = [sys.executable, __file__, str(certificate)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            yield Server(int(process.stdout.readline()), str(bundle))
            process.stdin.close()


async def _serve(certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answers, "127.0.0.1", 0, backlog=4096, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the process that started it, however that came about.
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
