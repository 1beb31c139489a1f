"""The emulator's connection with changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.audio import click_track

CONNECTION = "AIRFLOW_CONN_MEDIAX_DEFAULT"

Edited: TypeAlias = Callable[..., MediaxEmulator]


@pytest.fixture
def edited(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> Edited:
    """Return a function that sets the emulator's connection with some fields changed."""

    def edit(**changes: str) -> MediaxEmulator:
        connection = json.loads(mediax_emulator.connection_json())
        connection["extra"].update(changes)
        monkeypatch.setenv(CONNECTION, json.dumps(connection))
        return mediax_emulator

    edit()
    mediax_emulator.put_object("a.wav", click_track(seconds=1))
    return edit
