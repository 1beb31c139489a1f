"""
Telling a program of this machine from a page of another site that a browser shows on this machine.

Everybody knows the keys of the emulator, so they keep no page out; what a browser says about a request does. Programs
send neither ``Origin`` nor ``Sec-Fetch-Site``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def is_foreign(headers: Mapping[str, str]) -> bool:
    """
    Tell whether a browser says that a request comes from a page of another origin. Another port is another origin.

    :param headers: names in lower case.
    """
    if headers.get("sec-fetch-site", "none").lower() not in ("none", "same-origin"):
        return True
    origin, host = headers.get("origin"), headers.get("host", "").lower()
    return origin is not None and (origin.lower() != f"http://{host}" or not is_loopback(host_name(host)))


def is_loopback(name: str) -> bool:
    """
    Tell whether a host name is one of this machine alone; any other may be a foreign name that points here.

    :param name: without port, an IPv6 address in brackets.
    """
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """Return the name of a ``Host`` header in lower case, without port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
