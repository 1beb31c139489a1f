"""Failures that tests ask for: which request they hit, and what they do to its answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

CI_ACTIONS = (
    "SubmitCiJob",
    "DescribeCiJobs",
    "ListCiJobs",
    "CancelCiJobs",
    "CreateCiTemplate",
    "ListCiTemplates",
    "UpdateCiTemplate",
    "DeleteCiTemplate",
    "ListCiQueues",
    "UpdateCiQueue",
    "ListCiBuckets",
    "OpenCiBucket",
)
"""Actions of Cloud Infinite."""

ACTIONS = (
    "CreateJob",
    "GetJob",
    "ListJobs",
    "ListModels",
    "Register",
    "PutObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "ListObjects",
    "HeadBucket",
    "CopyObject",
    "DeleteObjects",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "ListParts",
    "ListMultipartUploads",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    *CI_ACTIONS,
    "*",
)
"""What a fault can be aimed at."""

STORMY = ("CreateJob", "GetJob", "ListJobs", *CI_ACTIONS)
"""What a storm hits."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    An answer that a fault wants instead of the true one.

    :param status: HTTP status; 200 asks for an error in the body, where the service has such a thing.
    :param code: of the XML errors; the gateway has none.
    """

    status: int
    code: str
    message: str


STATUSES = {
    "429": Refusal(429, "SlowDown", "API rate limit exceeded."),
    "500": Refusal(500, "InternalError", "Internal Server Error."),
    "502": Refusal(502, "InternalError", "Bad Gateway."),
    "503": Refusal(503, "ServiceUnavailable", "Service Unavailable."),
    "504": Refusal(504, "InternalError", "Gateway Time-out."),
    "slow_down": Refusal(503, "SlowDown", "Please reduce your request rate."),
    "unauthorized": Refusal(401, "InvalidAuthorization", "HMAC signature does not match."),
}
"""Kinds that refuse a request before anything happens."""

KINDS = (
    *STATUSES,
    "error_response",
    "html",
    "drop_before",
    "slow",
    "500_after",
    "html_after",
    "drop_after",
    "slow_after",
    "truncated",
)
"""Every kind of fault. With the last five the action happened before the answer went wrong."""

HTML = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>Please come back later</h1></body></html>"

_HAPPENS = ("500_after", "html_after", "drop_after", "slow_after", "truncated")

Refuse = Callable[[Refusal], web.Response]
"""Makes a service's own error answer."""


@dataclass(slots=True)
class Fault:
    """
    One failure to come.

    :param action: one of :data:`ACTIONS`.
    :param kind: one of :data:`KINDS`.
    :param times: how many requests it hits.
    :param retry_after: seconds in the ``Retry-After`` header of a 429; None leaves the header out.
    :param seconds: how long the slow kinds take.
    """

    action: str
    kind: str
    times: int = 1
    retry_after: float | None = 1
    seconds: float = 1.0


class Storm:
    """
    Requests to MediaX and Cloud Infinite go wrong at random.

    :param seed: the same one gives the same faults to the same sequence of requests.
    :param shares: of the requests that each kind hits, together at most 1.
    :param retry_after: seconds, of a 429.
    :param seconds: how long the slow kinds take.
    """

    def __init__(self, seed: int, shares: Mapping[str, float], retry_after: float, seconds: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing is kept secret by it
        self._shares = dict(shares)
        self._retry_after = retry_after
        self._seconds = seconds

    def take(self, action: str) -> Fault | None:
        """Draw what happens to the next request."""
        drawn = self._random.random()
        for kind, share in self._shares.items():
            if drawn < share:
                return Fault(action, kind, retry_after=self._retry_after, seconds=self._seconds)
            drawn -= share
        return None


class Faults:
    """
    Faults in the order in which they will hit.

    :ivar storm: hits what no fault is aimed at.
    """

    def __init__(self) -> None:
        self._coming: list[Fault] = []
        self.storm: Storm | None = None

    def reset(self) -> None:
        """Forget every fault."""
        self._coming.clear()
        self.storm = None

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        self._coming.append(fault)

    def take(self, action: str) -> Fault | None:
        """Use up one hit of the first fault that is aimed at the action."""
        for fault in self._coming:
            if fault.action in (action, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self._coming.remove(fault)
                return fault
        weather = self.storm if action in STORMY else None
        return weather.take(action) if weather is not None else None

    @property
    def coming(self) -> list[Fault]:
        """Return the faults that have hits left."""
        return list(self._coming)


async def answer(
    request: web.Request, fault: Fault | None, act: Callable[[], Awaitable[web.Response]], refuse: Refuse
) -> web.StreamResponse:
    """
    Answer a request the way its fault wants it.

    :param act: does what was asked and returns the true answer.
    :param refuse: makes the service's error answers.
    """
    if fault is None:
        return await act()
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return await act()
    happened = await act() if fault.kind in _HAPPENS else None
    if happened is not None and fault.kind == "slow_after":
        await asyncio.sleep(fault.seconds)
        return happened
    if happened is not None and fault.kind == "truncated":
        return await _truncated(request, happened)
    match fault.kind:
        case "drop_before" | "drop_after":
            return _drop(request)
        case "html" | "html_after":
            return web.Response(text=HTML, content_type="text/html")
        case "error_response":
            return refuse(Refusal(200, "InvalidArgument", "The emulator was told to refuse this request."))
    refused = refuse(STATUSES[fault.kind.removesuffix("_after")])
    if fault.kind == "429" and fault.retry_after is not None:
        refused.headers["Retry-After"] = f"{fault.retry_after:g}"
    return refused


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # never sent: the connection is gone


async def _truncated(request: web.Request, full: web.Response) -> web.StreamResponse:
    body = full.body if isinstance(full.body, bytes) else b""
    cut = web.StreamResponse(status=full.status, headers={"Content-Type": full.content_type})
    cut.content_length = len(body) + 1
    cut.force_close()
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut
