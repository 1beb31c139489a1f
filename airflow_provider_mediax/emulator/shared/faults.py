"""Failures that tests ask for: which request they hit, and what they do to its answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from airflow_provider_mediax.emulator.shared.ledger import RequestRecord

JOB_ACTIONS = ("CreateJob", "GetJob", "ListJobs", "SubmitCiJob", "DescribeCiJobs")
"""Actions whose answers are about jobs that the request names or makes."""

MEDIAX_ACTIONS = ("CreateJob", "GetJob", "ListJobs", "ListModels", "Register")
"""Actions of MediaX."""

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

COS_ACTIONS = (
    "PutObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "ListObjects",
    "HeadBucket",
    "GetBucketLifecycle",
    "AppendObject",
    "CopyObject",
    "DeleteObjects",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "ListParts",
    "ListMultipartUploads",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
)
"""Actions of the object store."""

ACTIONS = (*MEDIAX_ACTIONS, *CI_ACTIONS, *COS_ACTIONS, "*")
"""What a fault can be aimed at."""

STORMY = ("CreateJob", "GetJob", "ListJobs", *CI_ACTIONS)
"""What a storm hits."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    An error of the service itself, in its own form.

    :param status: HTTP status; 200 asks for an error in the body, where the service has such a thing.
    :param code: of the XML errors; the gateway has none.
    """

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Interference:
    """
    An answer of something between client and service, in a form of which the service knows nothing.

    :param location: where a redirect points to.
    """

    status: int
    content_type: str
    text: str
    location: str | None = None

    def answer(self) -> web.Response:
        """Return the answer, made anew."""
        headers = {"Location": self.location} if self.location else None
        return web.Response(status=self.status, text=self.text, content_type=self.content_type, headers=headers)


PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"
_LOGIN = "http://login.example/"

INSTEAD: Mapping[str, Refusal | Interference] = {
    "408": Refusal(408, "RequestTimeout", "Request Timeout."),
    "409": Refusal(409, "Conflict", "Conflict."),
    "425": Refusal(425, "TooEarly", "Too Early."),
    "429": Refusal(429, "SlowDown", "API rate limit exceeded."),
    "499": Refusal(499, "ClientClosedRequest", "Client Closed Request."),
    "500": Refusal(500, "InternalError", "Internal Server Error."),
    "502": Refusal(502, "InternalError", "Bad Gateway."),
    "503": Refusal(503, "ServiceUnavailable", "Service Unavailable."),
    "504": Refusal(504, "InternalError", "Gateway Time-out."),
    "slow_down": Refusal(503, "SlowDown", "Please reduce your request rate."),
    "unauthorized": Refusal(401, "InvalidAuthorization", "HMAC signature does not match."),
    "error_response": Refusal(200, "InvalidArgument", "A test decided that this request is refused."),
    "html": Interference(200, "text/html", PAGE),
    "html_403": Interference(403, "text/html", PAGE),
    "json_error": Interference(503, "application/json", json.dumps({"error": {"message": "upstream is away"}})),
    "302": Interference(302, "text/html", PAGE, _LOGIN),
    "307": Interference(307, "text/html", PAGE, _LOGIN),
}
"""Kinds that answer in the place of the service; ``<kind>_after`` does so when the action has been done."""

KINDS = (
    *INSTEAD,
    *(f"{kind}_after" for kind in INSTEAD),
    "drop_before",
    "drop_after",
    "slow",
    "slow_after",
    "truncated",
    "short",
    "other_job",
)
"""Every kind of fault; ``docs/emulator.md`` says what each does."""

_DONE_ANYWAY = ("truncated", "short", "other_job")

Refuse = Callable[[Refusal], web.Response]
"""Makes a service's own error answer."""


@dataclass(slots=True)
class Fault:
    """
    One failure to come.

    :param action: one of :data:`ACTIONS`.
    :param kind: one of :data:`KINDS`.
    :param times: how many requests it hits.
    :param retry_after: seconds in the ``Retry-After`` header of a refusal; None leaves the header out.
    :param seconds: how long the slow kinds take.
    """

    action: str
    kind: str
    times: int = 1
    retry_after: float | None = None
    seconds: float = 1.0

    @property
    def happens(self) -> bool:
        """Tell whether the action is done before its answer goes wrong."""
        return self.kind.endswith("_after") or self.kind in _DONE_ANYWAY


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
                retry_after = self._retry_after if kind == "429" else None
                return Fault(action, kind, retry_after=retry_after, seconds=self._seconds)
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

    async def answer(
        self,
        request: web.Request,
        record: RequestRecord,
        act: Callable[[], Awaitable[web.Response]],
        refuse: Refuse,
    ) -> web.StreamResponse:
        """
        Answer a request, or let it go wrong if a fault is aimed at its action.

        :param record: names the action; the fault is written into it.
        :param act: does what was asked and returns the true answer.
        :param refuse: makes the service's error answers.
        """
        fault = self.take(record.action)
        if fault is None:
            return await act()
        record.fault = fault.kind
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return await act()
        done = await act() if fault.happens else None
        if done is None or fault.kind == "drop_after":
            return _drop(request) if fault.kind.startswith("drop") else _instead(fault, refuse)
        match fault.kind:
            case "slow_after":
                await asyncio.sleep(fault.seconds)
                return done
            case "truncated":
                return await _truncated(request, done)
            case "short":
                return _with_body(done, _body_of(done)[: len(_body_of(done)) // 2])
            case "other_job":
                return _with_body(done, _about_another(_body_of(done), record))
        return _instead(fault, refuse)


def _instead(fault: Fault, refuse: Refuse) -> web.Response:
    what = INSTEAD[fault.kind.removesuffix("_after")]
    answer = refuse(what) if isinstance(what, Refusal) else what.answer()
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = f"{fault.retry_after:g}"
    return answer


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # never sent: the connection is gone


async def _truncated(request: web.Request, full: web.Response) -> web.StreamResponse:
    body = _body_of(full)
    cut = web.StreamResponse(status=full.status, headers={"Content-Type": full.content_type})
    cut.content_length = len(body) + 1
    cut.force_close()
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut


def _body_of(answer: web.Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b""


def _with_body(answer: web.Response, body: bytes) -> web.Response:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Length"}
    return web.Response(status=answer.status, headers=headers, body=body)


def _about_another(body: bytes, record: RequestRecord) -> bytes:
    """Replace the ids and the marker of the request's jobs by those of jobs that do not exist."""
    for name in filter(None, [*(record.job_id or "").split(","), record.marker]):
        body = body.replace(name.encode(), _other(name).encode())
    return body


def _other(name: str) -> str:
    """Return a name of the same form."""
    last = "1" if name[-1] == "0" else "0"
    return name[:-1] + last
