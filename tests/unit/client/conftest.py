from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from airflow_provider_mediax.client.transport import Transport

from .stub import Driver, StubServer


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's proxies and certificates must not reach a test."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in (
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
            "NETRC",
        ):
            monkeypatch.delenv(name)


@pytest.fixture
def serve() -> Iterator[Callable[..., StubServer]]:
    """Start servers with a script; all are stopped at the end."""
    with ExitStack() as running:
        yield lambda *script, tls=None: running.enter_context(StubServer(script, tls))


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Callable[..., Driver]:
    """Make one driver or the other, with short timeouts."""
    return lambda **settings: Driver(
        request.param, Transport(**{"connect_timeout": 2.0, "read_timeout": 2.0, **settings})
    )


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back off for milliseconds, where a test counts requests and not seconds."""
    monkeypatch.setattr("airflow_provider_mediax.client.retry._FIRST_DELAY", 0.002)
