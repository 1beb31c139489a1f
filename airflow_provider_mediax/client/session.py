"""The requests session of this package: shared TLS context, proxies of the connection, private endpoints."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

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


class _UnledSession(requests.Session):
    """
    Looks at no redirect. requests does, even when it is told not to follow one, and fails at an address that it
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

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=tls_context(self._transport.verify))

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
        kwargs["proxies"] = {parts.scheme: proxy} if proxy else {}
        return super().send(request, *args, **kwargs)
