"""Drives protocol flows in a worker, with requests."""

from __future__ import annotations

import ssl
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import MAX_BODY, PATIENT, Patience, Send, TransportFailure, attempts
from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.client.transport import Transport, names_host
from airflow_provider_mediax.exceptions import Stopped
from airflow_provider_mediax.protocol.exchange import Flow, Reply

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

_CHUNK = 64 * 1024


class SyncClient:
    """
    One pooled session, for the life of a hook. Also a context manager.

    :param stop: once set, nothing more is sent and every pause ends.
    """

    def __init__(self, transport: Transport, pacing: Pacing, stop: StopSignal | None = None) -> None:
        self._transport = transport
        self._pacing = pacing
        self._stop = stop
        self._session: requests.Session | None = None

    def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        """
        Carry a flow out and return its result.

        :raises Stopped: the stop signal was set before a request or during a pause.
        :raises MediaxError: whatever the flow raises.
        """
        steps = attempts(flow, self._pacing, patience)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Send):
                    if self._stop is not None and self._stop.is_set():
                        raise Stopped(f"The task was killed before {step.call.action} was sent")
                    try:
                        reply = self._send(step)
                    except TransportFailure as failure:
                        step = steps.throw(failure)
                    else:
                        step = steps.send(reply)
                else:
                    self.pause(step.seconds)
                    step = steps.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    def pause(self, seconds: float) -> None:
        """
        Wait.

        :raises Stopped: the stop signal was set before or meanwhile.
        """
        if self._stop is None:
            threading.Event().wait(seconds)
        elif self._stop.wait(seconds):
            raise Stopped("The task was killed while it waited")

    def close(self) -> None:
        """Close the session's connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _send(self, step: Send) -> Reply:
        import requests

        call = step.call
        if not names_host(call.url):
            raise TransportFailure("the host cannot be looked up by that name", sent=False)
        read_timeout = call.read_timeout or self._transport.read_timeout
        if self._session is None:
            from airflow_provider_mediax.client.session import new_session

            self._session = new_session(self._transport)
        try:
            with self._session.request(
                call.method,
                call.url,
                data=call.body,
                headers=dict(step.headers),
                timeout=(self._transport.connect_timeout, read_timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                return Reply(
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    _read(response, patience=2 * read_timeout),
                )
        except requests.RequestException as error:
            raise TransportFailure(_reason(error), sent=_was_sent(error)) from None


def _read(response: requests.Response, patience: float) -> bytes:
    """
    Read the body, bounded in size and time.

    :param patience: seconds in all; each part has the read timeout of its own, which a trickle never exceeds.
    """
    body = bytearray()
    ends_at = time.monotonic() + patience
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            raise TransportFailure(f"an answer above {MAX_BODY} bytes", sent=True, readable=False)
        if time.monotonic() > ends_at:
            raise TransportFailure("the answer trickled in too slowly", sent=True)
    return bytes(body)


def _was_sent(error: Exception) -> bool:
    """Tell whether any of the request can have reached the service; in doubt it can."""
    import requests
    from urllib3 import exceptions as urllib3_errors

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return False
    cause = _cause(error)
    if isinstance(cause, urllib3_errors.ProxyError):
        cause = cause.original_error
        # The proxy refused the tunnel, through which the request was to go. The text is Python's own, in http.client.
        if type(cause) is OSError and str(cause).startswith("Tunnel connection failed"):
            return False
    if isinstance(cause, urllib3_errors.SSLError):
        # A broken session looks like a failed handshake; only these two cannot happen later than that.
        failed = cause.args[0] if cause.args else None
        handshake = getattr(failed, "reason", None) == "WRONG_VERSION_NUMBER"
        return not (handshake or isinstance(failed, ssl.SSLCertVerificationError))
    return not isinstance(cause, (urllib3_errors.NewConnectionError, urllib3_errors.NameResolutionError))


def _cause(error: Exception) -> object:
    cause: object = error.args[0] if error.args else None
    return getattr(cause, "reason", None) or cause


def _reason(error: Exception) -> str:
    """Name a failure by the classes of its causes; their texts may hold the address, and with it a secret."""
    names = [type(error).__name__]
    cause = _cause(error)
    if isinstance(cause, Exception):
        names.append(type(cause).__name__)
    return " / ".join(names)
