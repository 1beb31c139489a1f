from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.unit.emulator.ci_helpers import Ci
from tests.unit.emulator.helpers import Platform, Receiver, clicks


@pytest.fixture
def platform(mediax_emulator: MediaxEmulator) -> Platform:
    """A caller of an emulator whose jobs are over at once and that has one track."""
    mediax_emulator.durations("*", 0)
    mediax_emulator.put_object("in/track.wav", clicks(120, 4))
    return Platform(mediax_emulator.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ci(mediax_emulator: MediaxEmulator) -> Ci:
    """A caller of Cloud Infinite whose jobs are over at once and whose bucket has one stereo track."""
    mediax_emulator.durations("*", 0)
    mediax_emulator.put_object("in/track.wav", clicks(120, 1, channels=2))
    return Ci(mediax_emulator.url)
