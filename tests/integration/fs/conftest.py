"""A filesystem on the emulator's bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.fs.cos import CosFileSystem

Act: TypeAlias = Callable[[CosFileSystem, str], object]
Objects: TypeAlias = Callable[[], dict[str, str]]


@pytest.fixture
def fs(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> CosFileSystem:
    for name in ("MEDIAX_DEFAULT", "MUSIC"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", mediax_emulator.connection_json())
    return CosFileSystem(skip_instance_cache=True)


@pytest.fixture
def objects(mediax_emulator: MediaxEmulator) -> Objects:
    """Return a function that returns all objects with their contents."""
    return lambda: {key: mediax_emulator.get_object(key).decode() for key in mediax_emulator.object_keys()}
