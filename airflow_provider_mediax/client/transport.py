"""Transport settings of a connection, and the one TLS context of each kind that a process needs."""

from __future__ import annotations

import functools
import os
import ssl
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_provider_mediax import __version__

IDLE_SECONDS = 90.0
"""How long an idle connection is kept: longer than the longest poll interval."""

USER_AGENT = f"airflow-provider-mediax/{__version__}"
"""How this provider names itself to the services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """
    How requests leave this machine.

    :param connect_timeout: seconds to open a connection, TLS included.
    :param read_timeout: seconds to wait for the next part of an answer, at most 120.
    :param proxy: address of an HTTP proxy, which may hold a password; None uses the environment's.
    :param verify: True, False, or the path of a file with trusted certificates.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True

    def proxy_for(self, url: str) -> str | None:
        """
        Return the proxy that a request to ``url`` goes through.

        The environment is read here because the libraries' own way of trusting it also takes credentials from
        the user's netrc file, and they would replace the signature.
        """
        if self.proxy:
            return self.proxy
        parts = urlsplit(url)
        if urllib.request.proxy_bypass(parts.netloc):
            return None
        proxies = urllib.request.getproxies_environment()
        return proxies.get(parts.scheme) or proxies.get("all")


@functools.cache
def tls_context(verify: bool | str) -> ssl.SSLContext:
    """
    Return the process's TLS context for ``verify``; loading the certificates takes tens of milliseconds.

    True trusts what the system and requests trust, including the bundles named by ``SSL_CERT_FILE`` and
    ``REQUESTS_CA_BUNDLE``.
    """
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is True:
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        context.load_verify_locations(os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
