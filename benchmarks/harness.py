"""
An Airflow home for the benchmarks, and the cheapest server there is. Import this before Airflow.

``python benchmarks/harness.py`` is that server: it answers every POST with a running job of the id asked for, or with a
new job that carries the customId of the request; at once, or so many seconds later as the argument says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import cast

for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=os.path.join(tempfile.gettempdir(), "airflow-mediax-benchmarks"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
    AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="1",
    NO_PROXY="127.0.0.1",
    no_proxy="127.0.0.1",
)

_BODY = json.dumps(
    {
        "requestId": "00000000-0000-0000-0000-000000000000",
        "getJobResponse": {
            "job": {
                "id": "<id>",
                "state": 2,
                "customId": "mx1-0000000000000000000000000000000000000000",
                "timing": {"createdAt": "1790000000000", "startedAt": "1790000001000", "completedAt": "0"},
                "inputs": [{"source": {"contentId": "content", "path": "in/track.mp3"}}],
                "outputs": [{"inputSelectors": [0], "smartContentDescriptor": {"musicTagV2": {"tagType": ["all"]}}}],
            }
        },
    }
).encode()
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def _answer(request: bytes) -> bytes:
    """Return the running job with the id that was asked for, which is the last ``"id"`` of the request."""
    if b'"createJobRequest"' in request:
        marker = request.rpartition(b'"customId":"')[2].partition(b'"')[0]
        body = b'{"requestId":"0","createJobResponse":{"job":{"id":"%s","state":1,"customId":"%s"}}}' % (marker, marker)
    else:
        body = _BODY.replace(b"<id>", request.rpartition(b'"id":"')[2].partition(b'"')[0])
    return _HEAD % len(body) + body


class _AnswerAlike(asyncio.Protocol):
    """
    Answers whatever complete requests have arrived; reads of them only where they end.

    :param latency: seconds before each answer.
    """

    def __init__(self, latency: float) -> None:
        self._latency = latency

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(self._received) < end + 4 + length:
                return
            answer = _answer(self._received[end + 4 : end + 4 + length])
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)
            self._received = self._received[end + 4 + length :]


async def _serve(latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _AnswerAlike(latency), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the process that started it, however that came about.
    await asyncio.to_thread(sys.stdin.read)


@contextlib.contextmanager
def cheapest_server(latency: float = 0.0) -> Iterator[str]:
    """
    Run the server in a process of its own and yield its address.

    :param latency: seconds before each answer.
    """
    with subprocess.Popen(
        [sys.executable, __file__, str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
