"""
What a protocol flow exchanges with the driver that carries it out.

A flow is a generator. It yields a :class:`Call` and is sent the :class:`Reply`, or yields a :class:`Pause`
and is sent nothing once the time has passed. The same flow therefore serves a worker, which drives it with
``client.sync``, and a triggerer, which drives it with ``client.aio``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from airflow_provider_mediax.protocol.urls import shown_line

T = TypeVar("T")

_WORDS_READ = 2000
"""Bytes of an error page that are looked at."""

JsonObject: TypeAlias = dict[str, Any]
"""A decoded JSON object; its members are whatever the service sent."""

Sign: TypeAlias = Callable[[float], Mapping[str, str]]
"""Makes the signature headers of one attempt from the service's time in epoch seconds."""


Throttling: TypeAlias = Callable[["Reply"], bool]
"""Tells whether an answer proves that the request was refused for a rate limit, so that nothing was done."""


class Repeat(Enum):
    """What may be done with a call whose outcome is not known."""

    SAFE = "safe"
    """It reads, or doing it twice is the same as once: send it again."""
    NEVER = "never"
    """It buys something: send it again only if it was certainly not carried out."""


def unsigned(now: float) -> Mapping[str, str]:
    """Sign nothing: for calls that carry no signature headers."""
    return {}


def too_many_requests(reply: Reply) -> bool:
    """Recognize a rate limit by its own status."""
    return reply.status == 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One HTTP request, complete but for its signature, which every attempt makes anew.

    :param action: name of the operation, for logs, limits and errors.
    :param url: where it goes; holds no secret.
    :param headers: what is sent besides the signature.
    :param body: bytes of the request body; may hold platform keys and is never shown.
    :param sign: makes the signature headers.
    :param repeat: whether the call may be sent again after an unknown outcome.
    :param read_timeout: seconds to wait for the answer, where it needs more than the connection allows.
    :param throttled: recognizes the answer that refuses for a rate limit: even a call that buys something is then
        sent again. Must not raise.
    :param entitle: makes a flow that is carried out before each attempt, when every wait for a hold or the rate limit
        is over; what it raises keeps the request back.
    :param paced: whether it counts as a job call: it waits for its place within the connection's rate and for what
        the service holds, and a limit that it meets holds others.
    """

    action: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    sign: Sign = field(default=unsigned, repr=False)
    repeat: Repeat = Repeat.SAFE
    read_timeout: float | None = None
    throttled: Throttling = field(default=too_many_requests, repr=False)
    entitle: Callable[[], Flow[object]] | None = field(default=None, repr=False)
    paced: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One HTTP answer, whatever its status.

    :param status: HTTP status.
    :param headers: names in lower case.
    :param body: the whole body; drivers refuse one above the limit of their own.
    :param retry_after: seconds that a service with a passing fault wants to be left alone for, None if it did not say.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_after: float | None = None

    def __post_init__(self) -> None:
        """Replace what cannot be stored: one driver reads bytes of a header that are no text as half characters."""
        if not all(value.isascii() for value in self.headers.values()):
            readable = {name: value.encode("utf-8", "replace").decode() for name, value in self.headers.items()}
            object.__setattr__(self, "headers", readable)


def outcome_unknown(status: int) -> bool:
    """Tell whether an error answer leaves open what became of the request, so that it may have been carried out."""
    return status >= 500 or status in (408, 409, 425, 499)


def redirect_target(reply: Reply) -> str:
    """Return the host that a redirect leads to, which says who answered in the service's place."""
    try:
        return urlsplit(reply.headers.get("location", "")).hostname or "another path of the same host"
    except ValueError:
        return "an unreadable address"


def plain_words(reply: Reply) -> str | None:
    """Return what an answer in plain text or HTML says, in one line; None if it says nothing."""
    said = reply.body[:_WORDS_READ].decode("utf-8", "replace")
    if title := re.search(r"(?is)<title[^>]*>(.*?)</title>", said):
        said = title[1]
    return shown_line(re.sub(r"<[^>]*>", " ", said)) or None


@dataclass(frozen=True, slots=True)
class Pause:
    """A request of the flow to wait, in seconds."""

    seconds: float


Step: TypeAlias = Call | Pause
Flow: TypeAlias = Generator[Step, Reply | None, T]
