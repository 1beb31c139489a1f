"""The requests session of this package: shared TLS context, proxies of the connection, private endpoints."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from airflow_provider_mediax.client.transport import USER_AGENT, Transport, tls_context


def new_session(transport: Transport, endpoint: str | None = None) -> requests.Session:
    """
    Return a session of its own: with its own connections, no cookies, and no way to follow a redirect.

    :param endpoint: ``scheme://host:port`` that everything is sent to, while the Host header and whatever was
        signed keep the name of the service (private endpoint, emulator).
    """
    session = _UnledSession()
    session.trust_env = False  # see Transport.proxy_for
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers["User-Agent"] = USER_AGENT
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(transport, endpoint))
    return session


class Line:
    """
    The connection of one request: it says whether anything of the request can have left, and can be cut.

    The thread that sends sets :data:`line` to its own; requests and urllib3 tell neither of the two.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cut = False
        self._socket: socket.socket | None = None

    @property
    def sent(self) -> bool:
        """Whether anything of the request can have left."""
        return self._socket is not None

    def begin(self, over: socket.socket) -> None:
        """
        Let the request go out over a connected socket.

        :raises ConnectionAbortedError: the line was cut before, so nothing is sent.
        """
        with self._lock:
            if self._cut:
                raise ConnectionAbortedError("cut before anything was sent")
            self._socket = getattr(over, "socket", over)  # TLS within TLS is no socket, but has one

    def cut(self) -> bool:
        """End the request, whatever it waits for, and tell whether any of it can have left; none will from now on."""
        with self._lock:
            self._cut = True
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it is closed already
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # TLS would say goodbye and wait
            return self.sent


line: ContextVar[Line | None] = ContextVar("line", default=None)
"""What follows the request that the current thread sends, if anybody does."""


class _Followed(http.client.HTTPConnection):
    """Tells the line when the connection is there, the proxy's tunnel and TLS included, and a request goes out."""

    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        if not self._connecting and (followed := line.get()) is not None:
            if self.sock is None:
                self.connect()
            followed.begin(self.sock)
        super().send(data)


class _FollowedHTTP(_Followed, HTTPConnection):
    pass


class _FollowedHTTPS(_Followed, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _FollowedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _FollowedHTTPS


def _follow(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


class _UnledSession(requests.Session):
    """
    Looks at no redirect. requests does, even when it is asked not to follow one, and fails at an address that it
    cannot read.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Adapter(HTTPAdapter):
    """Uses the process's TLS context instead of loading the certificates for each connection."""

    def __init__(self, transport: Transport, endpoint: str | None) -> None:
        self._transport = transport
        self._endpoint = urlsplit(endpoint) if endpoint else None
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=tls_context(self._transport.verify))
        _follow(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs, ssl_context=tls_context(self._transport.verify))
        _follow(manager)
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}  # the context decides about certificates

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Load nothing for the single connection."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        if self._endpoint is not None:
            request.headers.setdefault("Host", parts.netloc)
            parts = parts._replace(scheme=self._endpoint.scheme, netloc=self._endpoint.netloc)
            request.url = parts.geturl()
        proxy = self._transport.proxy_for(parts.geturl())
        kwargs["proxies"] = {parts.scheme: proxy.full} if proxy else {}
        response = super().send(request, *args, **kwargs)
        if request.method == "HEAD":
            response.content  # noqa: B018 - nobody reads an answer without a body, and its connection would stay taken
        return response
