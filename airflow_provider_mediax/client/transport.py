"""Transport settings of a connection, and the one TLS context of each kind that a process needs."""

from __future__ import annotations

import functools
import os
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from airflow_provider_mediax import __version__
from airflow_provider_mediax.exceptions import BadRequest

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
    :param verify: True, False, or the path of a file or a folder with trusted certificates.
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

    def proxy_for(self, url: str) -> Proxy | None:
        """
        Return the proxy that a request to ``url`` goes through: the connection's, or the one that requests would take.

        The environment is read here because the libraries' own way of trusting it also takes credentials from
        the user's netrc file, and they would replace the signature.

        :raises BadRequest: it is no HTTP proxy. The error says where it was set and nothing of it, since it may hold
            a password in a place where no parser would look for one.
        """
        if self.proxy:
            # Without a scheme, as it is often written.
            return _proxy(self.proxy if "://" in self.proxy else f"http://{self.proxy}", "the connection's field proxy")
        parts = urlsplit(url)
        values = tuple(os.environ.get(name) for name in _PROXY_NAMES)
        return _environment_proxy(f"{parts.scheme}://{parts.netloc}", values)


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    An HTTP proxy.

    :param full: its address, with user and password if it has them: for requests, which reads them out of it.
    :param address: its address without them.
    :param authorization: value of ``Proxy-Authorization``, as requests makes it; None without a password.
    """

    full: str = field(repr=False)
    address: str
    authorization: str | None = field(repr=False)


# What urllib reads, in lower and upper case; below CGI a variable HTTP_PROXY is a header of the visitor's.
_PROXY_NAMES = [f"{name}_proxy" for name in ("http", "https", "all", "no")]
_PROXY_NAMES += [*(name.upper() for name in _PROXY_NAMES), "REQUEST_METHOD"]


@functools.lru_cache(maxsize=64)
def _environment_proxy(base: str, values: tuple[str | None, ...]) -> Proxy | None:
    """
    Return the environment's proxy for scheme, host and port.

    It is remembered for the variables' ``values``: reading the environment anew costs a third of a millisecond.
    """
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(base, get_environ_proxies(base))
    if not proxy:
        return None
    named = (name for name in os.environ if name.lower().endswith("_proxy") and os.environ[name] == proxy)
    return _proxy(proxy, f"the environment's {next(named, 'proxy')}")


def _proxy(setting: str, source: str) -> Proxy:
    from requests.utils import get_auth_from_url, prepend_scheme_if_needed

    try:
        full = prepend_scheme_if_needed(setting, "http")  # type: ignore[no-untyped-call]
        parts = urlsplit(full)
        user, password = get_auth_from_url(full)
        login = f"{user}:{password}".encode("latin-1") if user else b""
    except Exception:  # noqa: BLE001 - the text of an error may be a password that was not quoted
        full, parts, login = "", urlsplit(""), b""
    if parts.scheme.lower() not in ("http", "https") or not names_host(full):
        rule = "it must be http://host:port or https://host:port, and what is special in a password must be %-encoded."
        raise BadRequest(f"The proxy that {source} names is refused: {rule}", advice="")
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Proxy(full, address, f"Basic {b64encode(login).decode()}" if login else None)


_NO_TLS = "there is an answer that is no TLS; if plain HTTP is meant, the address must begin with http://"


def names_host(url: str) -> bool:
    """Tell whether host and port can be looked up at all; the libraries fail at others in ways of their own."""
    try:
        parts = urlsplit(url)
        return parts.port != 0 and bool((parts.hostname or "").encode("idna"))
    except ValueError:
        return False


def reason_of(error: BaseException) -> str:
    """Name a failure by the classes of its causes; their texts may hold the address, and with it a secret."""
    cause: object = error.args[0] if error.args else None
    cause = getattr(cause, "reason", None) or cause
    names = " / ".join(type(each).__name__ for each in (error, cause) if isinstance(each, Exception))
    return f"{names}; {_NO_TLS}" if _answered_without_tls(error) else names


def _answered_without_tls(error: BaseException | None) -> bool:
    for _ in range(10):
        if isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in (
            "WRONG_VERSION_NUMBER",
            "RECORD_LAYER_FAILURE",
        ):
            return True
        error = error and (error.__cause__ or error.__context__)
    return False


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """
    Return the process's TLS context for ``verify``; loading the certificates takes tens of milliseconds.

    True trusts what requests trusts: the bundle that ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE`` names, a file or a
    folder, and without them the certificates of ``certifi``.

    :raises BadRequest: there are no certificates.
    """
    if verify is not True:
        return _tls_context(verify, "verify")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if bundle := os.environ.get(name):
            return _tls_context(bundle, name)
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return _tls_context(DEFAULT_CA_BUNDLE_PATH, "certifi")


@functools.cache
def _tls_context(bundle: str | Literal[False], source: str) -> ssl.SSLContext:
    """Return a context that trusts a bundle, or everybody."""
    if bundle is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        if os.path.isdir(bundle):
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:  # ssl.SSLError is one
        rule = f"it must be a file or a folder with trusted certificates ({type(error).__name__})."
        raise BadRequest.field(source, bundle, rule) from None
