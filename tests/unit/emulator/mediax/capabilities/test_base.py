"""A capability of the emulator is one class, registered by its own decorator."""

from __future__ import annotations

import pytest

from airflow_provider_mediax.emulator.mediax.capabilities import ANSWERS
from airflow_provider_mediax.emulator.mediax.capabilities.base import Answer, emulated
from airflow_provider_mediax.emulator.mediax.inputs import Input
from airflow_provider_mediax.emulator.shared.wire import JsonObject
from airflow_provider_mediax.emulator.sound.pool import Analysis


class Example(Answer):
    name = "example"

    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: object) -> JsonObject:
        return {self.name: {}}


def test_one_class_is_all_that_a_capability_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ANSWERS, "example", raising=False)
    assert emulated(Example) is Example
    assert isinstance(ANSWERS["example"], Example)
    del ANSWERS["example"]


def test_two_classes_for_one_capability_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Example, "name", "musicTagV2")
    with pytest.raises(TypeError, match="Example and MusicTagAnswer both answer musicTagV2"):
        emulated(Example)
