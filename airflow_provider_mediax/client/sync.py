"""Drives protocol flows in a worker, with requests."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_mediax.client.answer import ACCEPT_ENCODING, Body
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience, Send, TransportFailure, attempts, too_late
from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.client.transport import Transport, names_host, reason_of
from airflow_provider_mediax.exceptions import MediaxError, Stopped, Unreachable
from airflow_provider_mediax.protocol.exchange import Flow, Pause, Repeat, Reply

if TYPE_CHECKING:
    import requests

    from airflow_provider_mediax.client.session import Line

T = TypeVar("T")

MAX_BODY = 64 * 1024 * 1024
"""Bytes; what one answer about jobs never has."""

_CHUNK = 64 * 1024
_TICK = 0.2  # seconds between two looks at the stop signal while an answer is awaited


def drive(
    steps: Generator[Send | Pause, Reply | None, T], send: Callable[[Send], Reply], pause: Callable[[float], object]
) -> T:
    """
    Carry the steps of :func:`attempts` out in this thread, and return the flow's result.

    :param send: sends once; raises TransportFailure if no complete answer arrives.
    :param pause: waits for so many seconds.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, Send):
                try:
                    reply = send(step)
                except TransportFailure as failure:
                    step = steps.throw(failure)
                else:
                    step = steps.send(reply)
            else:
                pause(step.seconds)
                step = steps.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


class SyncClient:
    """
    One pooled session, for the life of a hook and for one thread at a time. Also a context manager.

    :param stop: once set, nothing more is sent and every pause ends.
    """

    def __init__(self, transport: Transport, pacing: Pacing, stop: StopSignal | None = None) -> None:
        self._transport = transport
        self._pacing = pacing
        self._stop = stop
        self._session: requests.Session | None = None
        self._closed = False

    def run(self, flow: Flow[T], patience: Patience = PATIENT) -> T:
        """
        Carry a flow out and return its result.

        :raises Stopped: the stop signal was set before a request, during a pause, or while a call that buys nothing
            waited for its answer.
        :raises Unreachable: the client was closed before.
        :raises MediaxError: whatever the flow raises.
        """
        if self._closed:
            flow.close()
            raise Unreachable("The client is closed, so nothing was sent")
        return drive(attempts(flow, self._pacing, patience), self._attempt, self.pause)

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
        """Send nothing more, and close the session's connections; a call in another thread still gets its answer."""
        self._closed = True
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _attempt(self, step: Send) -> Reply:
        """
        Send once, unless the task was killed.

        :raises Stopped: the stop signal was set before.
        :raises TransportFailure: no complete answer arrived.
        """
        if self._stop is not None and self._stop.is_set():
            raise Stopped(f"The task was killed before {step.call.action} was sent")
        return self._send(step)

    def _send(self, step: Send) -> Reply:
        """
        Send once, on a thread of its own: no setting of requests bounds the whole of a request.

        :raises TransportFailure: whatever happens instead of an answer within the bound.
        :raises Stopped: the stop signal was set meanwhile, and what was sent buys nothing.
        """
        call = step.call
        if not names_host(call.url):
            raise TransportFailure("the host cannot be looked up by that name", sent=False)
        if self._closed:
            raise TransportFailure("the client is closed", sent=False)
        if self._session is None:
            from airflow_provider_mediax.client.session import new_session

            self._session = new_session(self._transport)
        from airflow_provider_mediax.client.session import Line

        followed = Line()
        answer: Future[Reply] = Future()
        ends_at = time.monotonic() + self._transport.bound(call.read_timeout)
        try:
            # Not threading.Thread: a signal handler sends too, and what it interrupted may hold the lock of its start.
            _thread.start_new_thread(_answer, (self._session, self._transport, step, followed, answer))
        except RuntimeError:
            raise TransportFailure("this process can start no thread", sent=False) from None
        try:
            while (left := ends_at - time.monotonic()) > 0:
                if wait((answer,), min(left, _TICK)).done:
                    return answer.result()
                # What buys something is left its time to say what it bought, once it is under way.
                under_way = call.repeat is Repeat.NEVER and followed.sent
                if self._stop is not None and self._stop.is_set() and not under_way:
                    if followed.cut() and call.repeat is Repeat.NEVER:
                        break  # it has got under way in this very moment
                    raise Stopped(f"The task was killed before {call.action} was answered")
            raise too_late(sent=followed.cut())
        finally:
            if not answer.done():  # nor is anything left behind when a signal's handler raises
                followed.cut()


def _answer(session: requests.Session, transport: Transport, step: Send, followed: Line, answer: Future[Reply]) -> None:
    """Send once and leave what comes of it in ``answer``."""
    from airflow_provider_mediax.client.session import line

    line.set(followed)
    try:
        answer.set_result(_exchange(session, transport, step))
    except (TransportFailure, MediaxError) as error:
        answer.set_exception(error)
    except Exception as error:  # noqa: BLE001 - a hostile answer may raise anything in a library
        answer.set_exception(TransportFailure(reason_of(error), sent=followed.sent))


def _exchange(session: requests.Session, transport: Transport, step: Send) -> Reply:
    call = step.call
    with session.request(
        call.method,
        call.url,
        data=call.body,
        headers={"Accept-Encoding": ACCEPT_ENCODING, **step.headers},
        timeout=(transport.connect_timeout, call.read_timeout or transport.read_timeout),
        allow_redirects=False,
        stream=True,
    ) as response:
        body = Body(MAX_BODY)
        for part in response.raw.stream(_CHUNK, decode_content=False):
            body.add(part)
        return body.reply(response.status_code, response.headers.items())
