"""What the emulator was asked and what it did, for tests to count."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field

from airflow_provider_mediax.emulator.shared.wire import JsonObject, RequestTarget


@dataclass(slots=True)
class RequestRecord:
    """
    One request to one of the services.

    :param at: epoch seconds at which it was received.
    :param service: ``mediax``, ``ci`` or ``cos``.
    :param status: HTTP status of the answer; None while there is none, and when the connection was dropped.
    :param fault: kind of the fault that hit it.
    :param headers: header names in lower case; the values of those that open something are replaced by ``...``.
    :param job_id: the job that it is about, or several, joined by commas.
    :param marker: how the caller's own bookkeeping knows the job: ``customId``, or the first word of ``UserData``.
    """

    at: float
    service: str
    method: str
    host: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)
    action: str = ""
    status: int | None = None
    job_id: str | None = None
    custom_id: str | None = None
    marker: str | None = None
    fault: str | None = None


@dataclass(slots=True)
class CallbackRecord:
    """
    One notification that the emulator sent.

    :param status: HTTP status of the receiver, None if there was none.
    :param error: why there was none.
    """

    at: float
    url: str
    job_id: str
    status: int | None = None
    error: str | None = None


@dataclass(slots=True)
class CancelRecord:
    """
    One job that a cancel named.

    :param state: of the job before the cancel; None for a job that does not exist.
    :param accepted: whether the job was canceled.
    """

    at: float
    job_id: str
    state: str | None
    accepted: bool


_SECRET_HEADERS = ("authorization", "x-cos-security-token", "x-ci-security-token")


class Ledger:
    """
    Records of requests, callbacks and cancels. Bodies are never kept.

    :param limit: how many of each are kept; older ones are forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._requests: deque[RequestRecord] = deque(maxlen=limit)
        self._callbacks: deque[CallbackRecord] = deque(maxlen=limit)
        self._cancels: deque[CancelRecord] = deque(maxlen=limit)

    def reset(self) -> None:
        """Forget everything."""
        self._requests.clear()
        self._callbacks.clear()
        self._cancels.clear()

    def open(self, target: RequestTarget, service: str, at: float) -> RequestRecord:
        """Record a request on its arrival; the caller completes the record."""
        headers = {name: "..." if name in _SECRET_HEADERS else value for name, value in target.headers.items()}
        record = RequestRecord(at, service, target.method, target.host, target.path, target.raw_query, headers)
        self._requests.append(record)
        return record

    def callback(self, record: CallbackRecord) -> None:
        """Record a notification."""
        self._callbacks.append(record)

    def cancel(self, record: CancelRecord) -> None:
        """Record what became of one job of a cancel."""
        self._cancels.append(record)

    def as_json(self) -> JsonObject:
        """Return the lists, oldest first."""
        return {
            "requests": [asdict(record) for record in self._requests],
            "callbacks": [asdict(record) for record in self._callbacks],
            "cancels": [asdict(record) for record in self._cancels],
        }
