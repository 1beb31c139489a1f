"""A running emulator, as a handle for tests and programs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

_CONTROL_TIMEOUT = 30.0  # seconds


class EmulatorError(Exception):
    """The emulator did not start, or refused a control request."""


class MediaxEmulator:
    """
    An emulator in a process of its own. Make one with :meth:`start`; as a context manager it stops at the end.

    :ivar url: base address; also the ``host`` of the connection.
    :ivar cos_endpoint: where COS requests go, with the bucket's own name in their ``Host`` header.
    """

    def __init__(self, process: subprocess.Popen[bytes], ready: dict[str, Any], output: IO[bytes]) -> None:
        self._process = process
        self._output = output
        self._connection = ready["connection"]
        self.url: str = ready["url"]
        self.cos_endpoint: str = ready["cos_endpoint"]
        # Proxies of the environment are not for loopback.
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))

    @classmethod
    def start(cls, *options: str, port: int = 0, log_level: str = "warning", timeout: float = 60.0) -> Self:
        """
        Start an emulator and wait until it listens.

        It ends with :meth:`stop`, and by itself when this process is gone.

        :param options: further ones of the command line, such as ``"--local-network"``.
        :param port: 0 takes a free one.
        :param timeout: seconds to wait.
        :raises EmulatorError: it ended or did not listen in time; with what it printed.
        """
        output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        with tempfile.TemporaryDirectory(prefix="mediax-emulator-") as folder:
            ready_file = Path(folder) / "ready.json"
            own = ("--port", str(port), "--ready-file", str(ready_file), "--log-level", log_level, "--follow-stdin")
            process = subprocess.Popen(  # noqa: S603 - this interpreter and fixed options
                [sys.executable, "-m", "airflow_provider_mediax.emulator", *own, *options],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            give_up = time.monotonic() + timeout
            while not ready_file.exists():
                if _ended_within(process, 0.02) or time.monotonic() > give_up:
                    _end(process)
                    with output:
                        raise EmulatorError(f"The emulator did not start:\n{_tail(output)}")
            ready = json.loads(ready_file.read_text(encoding="utf-8"))
        return cls(process, ready, output)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def stop(self) -> None:
        """End the process; without effect when it has ended."""
        _end(self._process)
        self._output.close()

    def printed(self) -> str:
        """Return the end of what the process printed."""
        return _tail(self._output)

    def connection_json(self) -> str:
        """Return the connection as Airflow's ``AIRFLOW_CONN_...`` variables take it. Its keys are fake."""
        return json.dumps(self._connection)

    def ledger(self) -> dict[str, Any]:
        """Return all jobs, requests and callbacks since the last reset."""
        return self._json("GET", "ledger")

    def reset(self) -> None:
        """Bring the emulator back to the state of its start; running jobs are stopped."""
        self._json("POST", "reset")

    def fail_next(self, action: str, kind: str, times: int = 1, **details: float | None) -> None:
        """
        Let the next requests go wrong.

        :param action: of any service, as listed in ``docs/emulator.md``, or ``*`` for any.
        :param kind: one of the kinds in ``docs/emulator.md``.
        :param times: how many requests.
        :param details: ``retry_after`` (seconds; a 429 has 1, other answers none, None is none), ``seconds`` (of the
            slow kinds).
        :raises EmulatorError: there is no such action or kind.
        """
        self._json("POST", "faults", {"action": action, "kind": kind, "times": times, **details})

    def durations(self, capability: str, seconds: float, waiting: float | None = None) -> None:
        """
        Set how long jobs take from now on.

        :param capability: descriptor name, ``VoiceSeparate``, or ``*`` for every one that has no duration of its own.
        :param seconds: from submission to the end, 0 allowed.
        :param waiting: seconds of it until they start, 0 allowed; None is a fifth.
        """
        self._json("POST", "durations", {"capability": capability, "seconds": seconds, "waiting": waiting})

    def finish_jobs(self) -> None:
        """Let the time of all jobs that were submitted until now be over; a paused queue still holds those in it."""
        self._json("POST", "finish")

    def outcome(self, capability: str, state: str, times: int = 1) -> None:
        """
        Decide how the next jobs end.

        :param capability: descriptor name, ``VoiceSeparate``, or ``*`` for any.
        :param state: ``COMPLETED``, ``ERROR``, ``CANCELED`` (or ``Success``, ``Failed``, ``Cancel``), ``NEVER`` or
            ``UNKNOWN``.
        """
        self._json("POST", "outcomes", {"capability": capability, "state": state, "times": times})

    def spoil_file(self, capability: str, how: str, times: int = 1, seconds: float = 2.0) -> None:
        """
        Spoil the first file of the next jobs, which end in success all the same.

        :param capability: descriptor name, ``VoiceSeparate``, or ``*`` for any.
        :param how: ``missing``, ``empty``, or ``late``.
        :param times: how many jobs.
        :param seconds: from the end of a job until its late file is there.
        """
        body = {"capability": capability, "how": how, "times": times, "seconds": seconds}
        self._json("POST", "spoil", body)

    def callbacks(self, how: str, times: int = 1, seconds: float = 2.0) -> None:
        """
        Decide what becomes of the next callbacks.

        :param how: ``sent``, ``lost``, ``twice``, ``late``, ``put`` or ``get`` (by that method), ``wrapped`` (inside an
            answer to GetJob).
        :param times: how many.
        :param seconds: how late a late one is.
        """
        self._json("POST", "callbacks", {"how": how, "times": times, "seconds": seconds})

    def storm(self, seed: int, shares: Mapping[str, float], *, retry_after: float = 1.0, seconds: float = 1.0) -> None:
        """
        Let requests to MediaX and Cloud Infinite go wrong at random, until the next storm.

        :param seed: of the random numbers.
        :param shares: of the requests that each kind of fault hits, together at most 1; an empty one ends the storm.
        :param retry_after: seconds, of a 429.
        :param seconds: how long the slow kinds take.
        """
        details = {"retry_after": retry_after, "seconds": seconds}
        self._json("POST", "storm", {"seed": seed, "shares": dict(shares), **details})

    def rotate_keys(self) -> str:
        """Give the preset account new secret keys, and return the connection that holds them."""
        return json.dumps(self._json("POST", "rotate_keys"))

    def list_lag(self, seconds: float) -> None:
        """Hide jobs younger than that many seconds from the lists of both services."""
        self._json("POST", "list_lag", {"seconds": seconds})

    def lists(
        self, page: int | None = None, *, total: str = "all", order: str = "newest", finished: bool = True
    ) -> None:
        """
        Decide how MediaX lists the jobs of a ``customId``, which is documented nowhere.

        :param page: jobs that a list holds at most; None for all.
        :param total: what ``total`` says: ``all`` jobs, those of the ``page``, or ``none``: it is missing.
        :param order: which jobs come first: ``newest`` or ``oldest``.
        :param finished: whether jobs that have ended are listed.
        """
        self._json("POST", "lists", {"page": page, "total": total, "order": order, "finished": finished})

    def canned(self, seconds: float | None = 180.0) -> None:
        """
        Let MediaX take every track to have that length, and look at none: for thousands of jobs.

        :param seconds: None lets it look at its inputs again.
        """
        self._json("POST", "canned", {"seconds": seconds})

    def clock(self, offset: float, gateway_tolerance: float | None = None) -> None:
        """
        Shift the emulator's clock against the machine's.

        :param offset: seconds, may be negative.
        :param gateway_tolerance: seconds by which a signed ``Date`` may differ at the gateway; None checks nothing.
        """
        self._json("POST", "clock", {"offset_seconds": offset, "gateway_tolerance": gateway_tolerance})

    def register_delay(self, seconds: float) -> None:
        """Set how long Register takes."""
        self._json("POST", "register_delay", {"seconds": seconds})

    def versioning(self, state: str) -> None:
        """
        Say whether the preset bucket has versioning: ``Never``, ``Enabled`` or ``Suspended``.

        One that ever had it ignores that a request forbids to replace an object.
        """
        self._json("POST", "bucket", {"versioning": state})

    def expire(self, prefix: str, days: int) -> None:
        """Give the preset bucket one lifecycle rule, which says that objects below ``prefix`` end after some days."""
        self._json("POST", "bucket", {"lifecycle": [{"name": "expire", "prefix": prefix, "days": days}]})

    def many_zones(self, many: bool) -> None:
        """Say whether the preset bucket lies in several availability zones, where nothing can be appended."""
        self._json("POST", "bucket", {"many_zones": many})

    def pause_queue(self) -> None:
        """Pause the preset bucket's queue: its waiting jobs are in state Pause, running ones go on."""
        self._json("POST", "queue", {"state": "Paused"})

    def resume_queue(self) -> None:
        """Let the preset bucket's queue go on."""
        self._json("POST", "queue", {"state": "Active"})

    def precondition(self, name: str, holds: bool) -> None:
        """
        Let something that Cloud Infinite needs at the account be missing, or be there again.

        :param name: ``bucket_bound``, ``smart_audio``, ``role`` or ``queue_id_optional``.
        """
        self._json("POST", "preconditions", {"name": name, "holds": holds})

    def temporary_key_expires(self, seconds: float) -> None:
        """Let the preset account's temporary key expire that long from now; negative: that long ago."""
        self._json("POST", "temporary_key", {"expires_in": seconds})

    def put_object(self, key: str, data: bytes) -> None:
        """Write an object into the preset bucket, without a signature."""
        self._call("PUT", f"objects/{quote(key)}", data, "application/octet-stream")

    def get_object(self, key: str) -> bytes:
        """
        Read an object of the preset bucket.

        :raises KeyError: there is none.
        """
        try:
            return self._call("GET", f"objects/{quote(key)}")
        except EmulatorError as error:
            if isinstance(error.__cause__, HTTPError) and error.__cause__.code == 404:
                raise KeyError(key) from None
            raise

    def delete_object(self, key: str) -> None:
        """Remove an object of the preset bucket, if there is one."""
        self._call("DELETE", f"objects/{quote(key)}")

    def object_keys(self) -> list[str]:
        """Return the keys of the preset bucket in their order."""
        return [str(key) for key in self._json("GET", "objects")["keys"]]

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads(self._call(method, path, data))
        return answer

    def _call(self, method: str, path: str, data: bytes | None = None, kind: str = "application/json") -> bytes:
        headers = {"Content-Type": kind}
        request = Request(f"{self.url}/_emulator/{path}", data, headers, method=method)  # noqa: S310 - our own address
        try:
            with self._opener.open(request, timeout=_CONTROL_TIMEOUT) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            raise EmulatorError(f"{method} {path}: {error.read().decode(errors='replace')}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    if not _ended_within(process, 10.0):
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")[-4000:]
