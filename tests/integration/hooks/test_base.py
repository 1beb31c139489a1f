"""What both services' hooks share: calls beside everything else, for the moment of a kill."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from airflow_provider_mediax.client.stop import StopSignal
from airflow_provider_mediax.exceptions import Stopped, Unavailable
from airflow_provider_mediax.hooks.base import pacing_of
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from tests.integration.hooks.conftest import Edited
from tests.integration.hooks.separations import separation


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    signal = StopSignal()
    yield signal
    signal.close()


@pytest.fixture
def hook(edited: Edited, stop: StopSignal) -> Iterator[CloudInfiniteHook]:
    edited().pause_queue()
    made = CloudInfiniteHook(stop=stop)
    yield made
    made.close()


def test_a_killed_hook_sends_nothing_but_what_is_carried_out_apart(hook: CloudInfiniteHook, stop: StopSignal) -> None:
    job = hook.submit(separation(), "mx1-a")
    stop.set()
    with pytest.raises(Stopped):
        hook.cancel([job.id])
    hook.run_apart(hook.service.cancel([job.id]), 3.0)
    assert hook.run_apart(hook.service.describe([job.id]), 3.0)[job.id].state_name == "Cancel"


def test_what_a_kill_interrupts_holds_nothing_that_the_cancel_needs(hook: CloudInfiniteHook) -> None:
    """A signal can come while the limiter's lock is held, or with its places given away for minutes."""
    job = hook.submit(separation(), "mx1-a")
    pacing = pacing_of(hook.service, hook.connection)
    for _ in range(1000):
        pacing.reserve(time.monotonic())
    with pacing._lock:
        hook.run_apart(hook.service.cancel([job.id]), 3.0)
        assert hook.run_apart(hook.service.describe([job.id]), 3.0)[job.id].state_name == "Cancel"


def test_a_service_that_does_not_answer_holds_a_kill_up_no_longer_than_told(edited: Edited) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        edited(cos_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        hook = CloudInfiniteHook()
        assert hook.service.cancellable  # looks the connection up
        begun = time.monotonic()
        with pytest.raises((TimeoutError, Unavailable)):
            hook.run_apart(hook.service.cancel(["j1"]), 0.5)
        assert time.monotonic() - begun < hook.connection.transport.read_timeout
