"""
Requests about objects in COS.

The official SDK words a request and reads the XML of its answer. Everything between is the engine's own: one signature
that holds as long as those of jobs, the service's clock, Retry-After, repeats, answers that break off, typed errors.
The SDK never holds a key, and its own repeats are switched off.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_mediax.client.pacing import Pacing, shared_pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience, Send, TransportFailure, attempts
from airflow_provider_mediax.client.sync import drive
from airflow_provider_mediax.client.transport import Transport, reason_of
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError, ProtocolError
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.protocol.cos_answers import Target, refusal, slowed_down
from airflow_provider_mediax.protocol.cos_signature import SIGNATURE_SECONDS, CosKeys, authorization
from airflow_provider_mediax.protocol.exchange import Call, Flow, Reply

if TYPE_CHECKING:
    import requests

CHUNK = 1024 * 1024
"""Bytes that are taken from an answer at a time."""

LEAST_PROGRESS = 64 * 1024
"""Bytes that must arrive within each read timeout, so that no answer trickles for ever."""

_NO_KEYS = "none"  # what the SDK is given to sign with: its signature is replaced
_TOKEN = "x-cos-security-token"  # noqa: S105 - the name of a header

Fault: TypeAlias = Callable[[Reply], str | None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CosAnswer:
    """
    What COS answered.

    :param body: the whole of it, as it came.
    :param said: what the SDK read in it; headers, where it reads nothing.
    """

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    said: Mapping[str, Any] = field(repr=False)


class CosClient:
    """
    COS behind one connection: all its buckets and regions. May be used by several threads at once.

    :param conn_id: connection of type ``mediax``. It is looked up on first use, and again when COS refuses its keys.
    :param connection: one that was looked up already; it is not looked up again.
    :param patience: how long one request may take its time.
    """

    def __init__(self, conn_id: str, connection: MediaxConnection | None = None, patience: Patience = PATIENT) -> None:
        self.conn_id = conn_id
        self.patience = patience
        self._settings = connection
        self._may_look_up = connection is None
        self._session: requests.Session | None = None
        self._lock = threading.RLock()

    @property
    def connection(self) -> MediaxConnection:
        """The connection's fields, looked up once."""
        with self._lock:
            if self._settings is None:
                self._settings = MediaxConnection.look_up(self.conn_id)
            return self._settings

    def now(self) -> float:
        """Return COS's time in epoch seconds, as far as it is known."""
        return time.time() + _pacing_of(self.connection).clock_offset

    def ask(self, verb: str, target: Target, method: str, fault: Fault | None = None, **arguments: Any) -> CosAnswer:
        """
        Ask COS for something, if need be again.

        :param verb: what is wanted of the target, for errors.
        :param method: of the SDK's client.
        :param fault: says what is wrong with a good answer's content, so that it is asked for again; None if nothing.
        :raises MediaxError: the answer refuses it, is not of COS or cannot be read, or there is none.
        """
        connection = self.connection
        try:
            return self._ask(connection, verb, target, method, fault, arguments)
        except AuthenticationFailed:
            renewed = self._renewed(connection)
            if renewed is None:
                raise
        return self._ask(renewed, verb, target, method, fault, arguments)

    def close(self) -> None:
        """Close the session's connections."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = None

    def _ask(
        self,
        connection: MediaxConnection,
        verb: str,
        target: Target,
        method: str,
        fault: Fault | None,
        arguments: Mapping[str, Any],
    ) -> CosAnswer:
        keys = connection.cos_keys()
        exchange = _Exchange(self._opened(connection), connection.transport, keys, target, method, fault, arguments)
        steps = attempts(exchange.flow(), _pacing_of(connection), self.patience)
        reply = drive(steps, exchange.send, threading.Event().wait)
        # What is read of an object is the user's, whatever it looks like.
        judged = Reply(reply.status, reply.headers, b"") if method == "get_object" and reply.status < 300 else reply
        if (error := refusal(judged, verb, target, keys.hide)) is not None:
            raise error
        if exchange.unread is not None:
            what = f"COS was asked to {verb} {target}, and the answer cannot be read: {exchange.unread}"
            raise ProtocolError(what, status=reply.status)
        return CosAnswer(reply.headers, reply.body, exchange.said)

    def _opened(self, connection: MediaxConnection) -> requests.Session:
        """Return the session, made on first use: its connections serve every bucket."""
        with self._lock:
            if self._session is None:
                from airflow_provider_mediax.client.session import new_session

                self._session = new_session(connection.transport, connection.cos.endpoint)
                self._session.headers["Accept-Encoding"] = "identity"  # sizes and checksums are of what is stored
            return self._session

    def _renewed(self, refused: MediaxConnection) -> MediaxConnection | None:
        """Return the connection as it is now, None if it is still the one whose keys were refused."""
        with self._lock:
            if self._settings is not None and self._settings != refused:
                return self._settings
            if not self._may_look_up:
                return None
            connection = MediaxConnection.look_up(self.conn_id)
            if connection == refused:
                return None
            log.info("Connection %s has changed; asking COS again with its new fields", self.conn_id)
            self.close()
            self._settings = connection
            return connection


def _pacing_of(connection: MediaxConnection) -> Pacing:
    """Return what is known of the account in COS; requests about objects have no limit of their own."""
    cos = connection.cos
    return shared_pacing("cos", cos.endpoint or "myqcloud.com", cos.secret_id or "", math.inf)


class _Exchange:
    """
    One request, sent once or several times. The SDK takes it for the session of ``requests`` that it sends with.

    :ivar said: what the SDK read in the last answer.
    :ivar unread: why it could not, None if it could.
    """

    def __init__(
        self,
        session: requests.Session,
        transport: Transport,
        keys: CosKeys,
        target: Target,
        method: str,
        fault: Fault | None,
        arguments: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._transport = transport
        self._keys = keys
        self._target = target
        self._method = method
        self._fault = fault
        self._arguments = arguments
        self._now = 0.0
        self._reply: Reply | None = None
        self._failure: Exception | None = None
        self.said: Mapping[str, Any] = {}
        self.unread: str | None = None

    def flow(self) -> Flow[Reply]:
        """Ask for the one answer."""
        action = "".join(word.title() for word in self._method.split("_"))
        url = f"https://{self._target.host}"
        reply = yield Call(action=action, method="", url=url, sign=self._sign, throttled=slowed_down)
        if reply is None:
            raise TypeError("a driver must answer a call with a reply")
        return reply

    def send(self, _: Send) -> Reply:
        """
        Let the SDK send once.

        :raises TransportFailure: no complete answer arrived.
        :raises BadRequest: the SDK refuses an argument, or the transport a setting.
        """
        from airflow_provider_mediax.client.session import Line, line

        self._reply, self._failure, self.said, self.unread = None, None, {}, None
        followed = Line()
        before = line.set(followed)
        try:
            client = _sdk(self._target.region, self)
            self.said = getattr(client, self._method)(Bucket=self._target.bucket, **self._arguments) or {}
        except Exception as error:  # noqa: BLE001 - the SDK lets errors of many kinds out, and typed ones as text
            self.unread = type(error).__name__
        finally:
            line.reset(before)
        if (reply := self._reply) is not None:
            if self._fault is not None and reply.status < 300 and (fault := self._fault(reply)) is not None:
                raise TransportFailure(fault, sent=True)
            return reply
        if isinstance(self._failure, (MediaxError, TransportFailure)):
            raise self._failure
        if self._failure is None:
            raise BadRequest(f"The SDK of COS refuses the request about {self._target} ({self.unread})", advice="")
        raise TransportFailure(reason_of(self._failure), sent=followed.sent)

    def get(self, url: str, **sent: Any) -> requests.Response:
        """Send a request of the SDK; so do the methods below."""
        return self._carry("GET", url, **sent)

    def head(self, url: str, **sent: Any) -> requests.Response:
        return self._carry("HEAD", url, **sent)

    def put(self, url: str, **sent: Any) -> requests.Response:
        return self._carry("PUT", url, **sent)

    def post(self, url: str, **sent: Any) -> requests.Response:
        return self._carry("POST", url, **sent)

    def delete(self, url: str, **sent: Any) -> requests.Response:
        return self._carry("DELETE", url, **sent)

    def _sign(self, now: float) -> Mapping[str, str]:
        """Note the time of the next attempt: what is signed is known when the SDK has worded it."""
        self._now = now
        return {}

    def _carry(
        self, verb: str, url: str, *, headers: Mapping[str, str], params: Any = None, data: Any = None, **_: Any
    ) -> requests.Response:
        """Send what the SDK has worded, and give it the whole answer."""
        import requests

        worded = {name: value for name, value in headers.items() if name.lower() != "user-agent"}
        if self._keys.token:
            worded[_TOKEN] = self._keys.token
        transport = self._transport
        try:
            request = self._session.prepare_request(
                requests.Request(verb, url, headers=worded, params=params, data=data)
            )
            request.headers["Authorization"] = self._signature(request)
            timeout = (transport.connect_timeout, transport.read_timeout)
            with self._session.send(request, stream=True, allow_redirects=False, timeout=timeout) as response:
                body = b"" if verb == "HEAD" else _body(response, transport.read_timeout)
        except Exception as error:
            self._failure = error
            raise
        named = {name.lower(): value for name, value in response.headers.items()}
        self._reply = Reply(response.status_code, named, body)
        response._content = body
        return response

    def _signature(self, request: requests.PreparedRequest) -> str:
        parts = urlsplit(request.url or "")
        signed = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
            if name.lower().startswith("x-cos-") or name.lower() in ("content-md5", "content-type", "range")
        }
        return authorization(
            self._keys,
            request.method or "",
            unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={**signed, "Host": parts.netloc},
            now=self._now,
            ahead=SIGNATURE_SECONDS,
        )


def _sdk(region: str, session: _Exchange) -> Any:
    """Return the SDK's client, which costs 20 microseconds; importing it, a third of a second."""
    from qcloud_cos import CosConfig, CosS3Client

    # At INFO it logs customers' keys and callback addresses, at ERROR every handled 404.
    logging.getLogger("qcloud_cos").setLevel(logging.CRITICAL)
    config = CosConfig(Region=region, SecretId=_NO_KEYS, SecretKey=_NO_KEYS, Scheme="https")
    return CosS3Client(config, retry=0, session=session)


def _body(response: requests.Response, seconds: float) -> bytes:
    """
    Read an answer to its end.

    :param seconds: within which each 64 KiB must arrive.
    :raises TransportFailure: they do not.
    """
    body = bytearray()
    due, wanted = time.monotonic() + seconds, LEAST_PROGRESS
    while part := response.raw.read1(CHUNK, decode_content=False):
        body += part
        if len(body) >= wanted:
            due, wanted = time.monotonic() + seconds, len(body) + LEAST_PROGRESS
        elif time.monotonic() > due:
            raise TransportFailure(f"less than 64 KiB of it came within {seconds:g} s", sent=True)
    return bytes(body)
