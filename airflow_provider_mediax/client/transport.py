"""Transport settings of a connection, and the one TLS context of each kind that a process needs."""

from __future__ import annotations

import functools
import os
import ssl
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_provider_mediax import __version__
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.urls import shown_url

IDLE_SECONDS = 90.0
"""How long an idle connection is kept: longer than the longest interval as long as nothing is learned."""

USER_AGENT = f"airflow-provider-mediax/{__version__}"
"""How this provider names itself to the services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """
    How requests leave this machine.

    :param connect_timeout: seconds to open a connection, TLS included.
    :param read_timeout: seconds to wait for an answer, at most 120; some calls have a longer one of their own.
    :param proxy: address of an HTTP proxy, which may hold a password; None uses the environment's.
    :param verify: True, False, or the path of a file with trusted certificates.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True

    def bound(self, read_timeout: float | None = None) -> float:
        """
        Return the seconds within which one request ends, from the look-up of the host to the answer's last byte.

        :param read_timeout: the call's own.
        """
        return self.connect_timeout + (read_timeout or self.read_timeout)

    @property
    def longest_send(self) -> float:
        """
        Seconds after which a request that was begun cannot be carried out any more.

        The bound of a job call and, for what is still under way when its sender has gone, the read timeout again.
        """
        return self.bound() + self.read_timeout

    def proxy_for(self, url: str) -> str | None:
        """
        Return the proxy that a request to ``url`` goes through.

        The environment is read here because the libraries' own way of trusting it also takes credentials from
        the user's netrc file, and they would replace the signature.

        :raises BadRequest: it is no HTTP proxy.
        """
        proxy = self._proxy_setting(url)
        if proxy is None:
            return None
        # Without a scheme, as it is often set, one library takes it and the other does not.
        address = proxy if "://" in proxy else f"http://{proxy}"
        if not names_host(address) or urlsplit(address).scheme not in ("http", "https"):
            rule = "the proxy of the connection or the environment must be http://host:port or https://host:port."
            raise BadRequest.field("proxy", shown_url(address), rule)
        return address

    def _proxy_setting(self, url: str) -> str | None:
        if self.proxy:
            return self.proxy
        parts = urlsplit(url)
        return _environment_proxy(parts.scheme, parts.netloc, tuple(os.environ.get(name) for name in _PROXY_NAMES))


_PROXY_NAMES = [f"{name}_proxy" for name in ("http", "https", "all", "no")]
_PROXY_NAMES += [name.upper() for name in _PROXY_NAMES]


@functools.lru_cache(maxsize=64)
def _environment_proxy(scheme: str, netloc: str, values: tuple[str | None, ...]) -> str | None:
    """Return the environment's proxy; remembered for its ``values``, since reading all of them costs 0.1 ms a call."""
    if urllib.request.proxy_bypass(netloc):
        return None
    proxies = urllib.request.getproxies_environment()
    return proxies.get(scheme) or proxies.get("all") or None


def names_host(url: str) -> bool:
    """Tell whether host and port can be looked up at all; the libraries fail at others in ways of their own."""
    try:
        parts = urlsplit(url)
        return parts.port != 0 and bool((parts.hostname or "").encode("idna"))
    except ValueError:
        return False


@functools.cache
def tls_context(verify: bool | str) -> ssl.SSLContext:
    """
    Return the process's TLS context for ``verify``; loading the certificates takes tens of milliseconds.

    True trusts what the system and requests trust, including the bundles named by ``SSL_CERT_FILE`` and
    ``REQUESTS_CA_BUNDLE``.

    :raises BadRequest: the file holds no certificates.
    """
    trusted = verify if isinstance(verify, str) else ""
    if verify is True:
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        trusted = os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    try:
        context = ssl.create_default_context(cafile=None if isinstance(verify, bool) else verify)
        if verify is True:
            context.load_verify_locations(trusted)
    except OSError as error:  # ssl.SSLError is one
        rule = f"it must be a file with trusted certificates ({type(error).__name__})."
        raise BadRequest.field("verify", trusted, rule) from None
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
