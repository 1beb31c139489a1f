"""The stems are real audio, made out of the input."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.sound.analysis import NotAudio
from airflow_provider_mediax.emulator.sound.separation import separate
from tests.unit.emulator.ci_helpers import Ci
from tests.unit.emulator.helpers import clicks

RATE = 44100
SECONDS = 2.5
TIMES = np.arange(int(SECONDS * RATE)) / RATE
BASS = 0.2 * np.sin(2 * np.pi * 60 * TIMES)
VOICE = 0.2 * np.sin(2 * np.pi * 700 * TIMES)
WIDE = 0.2 * np.sin(2 * np.pi * 1500 * TIMES)
HITS = np.where((TIMES % 0.5) < 0.01, 0.3 * np.sin(2 * np.pi * 4000 * TIMES), 0.0)
MUSIC_MODE = ("voice", "background", "bass", "drum")


def wav(left: np.ndarray, right: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.stack([left, right], axis=1), rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def heard(data: bytes) -> np.ndarray:
    samples: np.ndarray = soundfile.read(io.BytesIO(data), always_2d=True)[0]
    return samples


def likeness(stem: np.ndarray, part: np.ndarray) -> float:
    return float(np.corrcoef(stem.mean(axis=1), part)[0, 1])


def loudness(samples: np.ndarray) -> float:
    return float(np.sqrt((samples**2).mean()))


def test_what_is_in_the_middle_is_the_voice_and_the_rest_is_the_background() -> None:
    voice, background = separate(
        wav(BASS + VOICE + WIDE, BASS + VOICE - WIDE), ("voice", "background"), "wav", None, None
    )
    assert likeness(heard(voice.data), VOICE) > 0.99
    assert loudness(heard(voice.data)) == pytest.approx(loudness(VOICE), rel=0.05)
    left, right = heard(background.data).T
    assert float(np.corrcoef(left - right, WIDE)[0, 1]) > 0.99
    assert likeness(heard(background.data), BASS) > 0.99


def test_music_mode_tells_bass_and_hits_from_the_voice() -> None:
    stems = separate(wav(BASS + VOICE + HITS, BASS + VOICE + HITS), MUSIC_MODE, "wav", None, None)
    assert [stem.name for stem in stems] == list(MUSIC_MODE)
    voice, _, bass, drum = (heard(stem.data) for stem in stems)
    assert likeness(bass, BASS) > 0.99
    assert likeness(voice, VOICE) > 0.9
    inside, outside = drum[(TIMES % 0.5) < 0.01], drum[(TIMES % 0.5) > 0.1]
    assert loudness(inside) > 10 * loudness(outside)


@pytest.mark.parametrize("names", [("voice", "background"), MUSIC_MODE])
def test_the_stems_add_up_to_the_input(names: tuple[str, ...]) -> None:
    left, right = BASS + VOICE + HITS, BASS + VOICE - WIDE
    stems = separate(wav(left, right), names, "wav", None, None)
    assert np.abs(sum(heard(stem.data) for stem in stems) - np.stack([left, right], axis=1)).max() < 3e-4


@pytest.mark.parametrize(
    ("codec", "rate", "channels", "form", "expected"),
    [
        ("mp3", 44100, None, "MP3", (44100, 2)),
        ("mp3", 22050, 1, "MP3", (22050, 1)),
        ("flac", 48000, 2, "FLAC", (48000, 2)),
        ("wav", 8000, 4, "WAV", (8000, 4)),
        ("aac", 44100, None, "WAV", (44100, 2)),
        ("amr", 8000, 1, "WAV", (8000, 1)),
        ("mp3", None, None, "MP3", (44100, 2)),
    ],
)
def test_files_have_the_asked_form_and_the_length_of_the_input(
    codec: str, rate: int | None, channels: int | None, form: str, expected: tuple[int, int]
) -> None:
    stems = separate(wav(VOICE + WIDE, VOICE), ("voice", "background"), codec, rate, channels)
    assert [stem.name for stem in stems] == ["voice", "background"]
    for stem in stems:
        info = soundfile.info(io.BytesIO(stem.data))
        assert (info.format, (info.samplerate, info.channels)) == (form, expected)
        assert info.duration == pytest.approx(SECONDS, abs=0.01)
        assert (stem.facts.rate, stem.facts.channels) == expected
        assert stem.facts.duration == pytest.approx(SECONDS, abs=0.001)


def test_a_changed_rate_keeps_the_pitch() -> None:
    (voice,) = separate(wav(VOICE, VOICE), ("voice",), "wav", 32000, 1)
    expected = 0.2 * np.sin(2 * np.pi * 700 * np.arange(int(SECONDS * 32000)) / 32000)
    assert likeness(heard(voice.data), expected) > 0.99


@pytest.mark.parametrize("data", [b"", b"no audio" * 99, wav(VOICE[:0], VOICE[:0])], ids=["empty", "text", "no frame"])
def test_what_is_not_audio_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NotAudio):
        separate(data, ("voice",), "wav", None, None)


def test_samples_that_are_no_numbers_do_no_harm() -> None:
    broken = np.array([np.nan, np.inf, -np.inf, 2.0] * 500)
    for codec in ("mp3", "wav"):
        assert [stem.name for stem in separate(wav(broken, broken), MUSIC_MODE, codec, None, None)] == list(MUSIC_MODE)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_track_of_a_few_frames_is_separated_too(frames: int) -> None:
    stems = separate(wav(VOICE[:frames], VOICE[:frames]), MUSIC_MODE, "wav", None, None)
    assert {len(heard(stem.data)) for stem in stems} == {frames}


def test_a_job_writes_every_stem_under_its_key(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    mediax_emulator.put_object("in/mono.mp3", mp3())
    keys = {"AuObject": "s/目 1.${ext}", "Object": "s/b", "BassObject": "s/${ext}/c.mp3", "DrumObject": "d.${jobid}"}
    job = ci.submit(mode="MusicMode", source="in/mono.mp3", config={"Codec": "mp3"}, output=keys)
    done = ci.finish(job)
    written = ["s/目 1.mp3", "s/b", "s/mp3/c.mp3", "d.${jobid}"]
    assert done["Operation"]["MediaResult"]["OutputFile"]["ObjectName"] == written
    for key in written:
        info = soundfile.info(io.BytesIO(mediax_emulator.get_object(key)))
        assert (info.format, info.samplerate, info.channels) == ("MP3", 22050, 1)
        assert info.duration == pytest.approx(2, abs=0.05)


def mp3() -> bytes:
    samples, rate = soundfile.read(io.BytesIO(clicks(120, 2)))
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="MP3")
    return file.getvalue()
