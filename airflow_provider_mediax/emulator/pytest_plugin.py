"""
Fixtures for tests against the emulator.

Enable them with ``pytest_plugins = ["airflow_provider_mediax.emulator.pytest_plugin"]``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator


@pytest.fixture(scope="session")
def mediax_emulator_process() -> Iterator[MediaxEmulator]:
    """Run one emulator for the whole session."""
    with MediaxEmulator.start() as emulator:
        yield emulator


@pytest.fixture
def mediax_emulator(mediax_emulator_process: MediaxEmulator) -> MediaxEmulator:
    """Return the emulator in the state of its start."""
    mediax_emulator_process.reset()
    return mediax_emulator_process
