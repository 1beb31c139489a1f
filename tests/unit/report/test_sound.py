"""The waveform of a sound."""

from __future__ import annotations

import sys

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.report.sound import COLUMNS, media_type, waveform
from tests.unit.report.manifests import tone


def test_it_is_loud_where_the_sound_is() -> None:
    sound = waveform(tone(seconds=2.0))
    assert sound.seconds == pytest.approx(2.0)
    assert len(sound.peaks) == COLUMNS
    assert min(sound.peaks[:390]) > 0.6 > max(sound.peaks[410:])


@pytest.mark.parametrize("content", [b"", b"no sound", tone()[:30]])
def test_what_is_no_sound_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequest, match="cannot be decoded"):
        waveform(content)


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(BadRequest) as raised:
        waveform(tone())
    assert "airflow-provider-mediax[report]" in raised.value.advice


@pytest.mark.parametrize(
    ("name", "kind"), [("a.WAV", "audio/wav"), ("a.mp3", "audio/mpeg"), ("a.html", None), ("a", None)]
)
def test_only_sounds_are_played(name: str, kind: str | None) -> None:
    assert media_type(name) == kind
