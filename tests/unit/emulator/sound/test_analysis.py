from __future__ import annotations

import io
import json
import multiprocessing
import multiprocessing.synchronize
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.sound.analysis import NotAudio, alone_in_this_installation, duration_of, fit_tempo
from tests.unit.emulator.helpers import Platform, clicks, wait_for


def hold(held: multiprocessing.synchronize.Event) -> None:
    with alone_in_this_installation():
        held.set()
        threading.Event().wait()


def test_only_one_emulator_at_a_time_compiles_and_one_that_dies_gives_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two that compile into one installation at once can leave code there that crashes every process that loads it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the lock lies there: emulators of other tests hold theirs meanwhile
    context = multiprocessing.get_context("spawn")
    first, second = context.Event(), context.Event()
    processes = [context.Process(target=hold, args=(held,), daemon=True) for held in (first, second)]
    processes[0].start()
    first.wait()
    assert (lock := list(tmp_path.glob("*.lock")))
    processes[1].start()
    assert not second.wait(2)
    processes[0].kill()
    second.wait()
    processes[1].kill()
    for process in processes:
        process.join()
        process.close()
    assert list(tmp_path.glob("*.lock")) == lock


@pytest.mark.parametrize("bpm", [90, 120, 150])
def test_beats_are_found_and_marked(mediax_emulator: MediaxEmulator, platform: Platform, bpm: int) -> None:
    track = clicks(bpm, 12, rate=44100, channels=2)
    mediax_emulator.put_object("in/track.wav", track)
    done = platform.finish(platform.create("musicBeat", descriptor={"outputPrefix": "p-"}))
    assert done["outputs"][0]["smartContentResult"] == {
        "musicBeat": {"mergeFileName": "p-track_beat.wav", "beatFileName": "p-track_beat.json"}
    }
    found = json.loads(mediax_emulator.get_object("out/p-track_beat.json"))
    assert found["tempo"] == pytest.approx(bpm, rel=0.02)
    assert found["duration"] == pytest.approx(12)
    true_beats = np.arange(int(12 * bpm / 60)) * 60 / bpm
    misses = [np.min(np.abs(true_beats - beat)) for beat in found["beats"] if beat <= true_beats[-1]]
    assert max(misses) < 0.05
    assert len(misses) >= 0.9 * len(true_beats)

    before, rate = soundfile.read(io.BytesIO(track), always_2d=True)
    after, rate_after = soundfile.read(io.BytesIO(mediax_emulator.get_object("out/p-track_beat.wav")), always_2d=True)
    assert (after.shape, rate_after) == (before.shape, rate)
    assert not np.allclose(after, before, atol=0.05)


def test_silence_has_no_beats_and_is_no_error(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(22050), 22050, format="WAV")
    mediax_emulator.put_object("in/silence.wav", file.getvalue())
    job = platform.create("musicBeat", path="in/silence.wav", output={"destination": "/"})
    assert platform.finish(job)["state"] == 3
    assert json.loads(mediax_emulator.get_object("silence_beat.json")) == {"tempo": 0.0, "beats": [], "duration": 1.0}


def test_a_track_without_music_ends_in_error_for_beats_too(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.put_object("in/text.wav", b"no music")
    assert platform.finish(platform.create("musicBeat", path="in/text.wav"))["state"] == 4


def test_the_emulator_answers_while_it_listens_to_a_long_track(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    mediax_emulator.put_object("in/long.wav", clicks(120, 600))
    long = platform.create("musicBeat", path="in/long.wav")
    wait_for(lambda: platform.get(long["id"])["state"] == 2)
    short = platform.finish(platform.create())
    assert short["state"] == 3
    assert platform.get(long["id"])["state"] == 2
    assert platform.finish(long)["state"] == 3


def test_samples_that_are_no_numbers_end_in_error(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.full(22050, np.nan, dtype=np.float32), 22050, format="WAV", subtype="FLOAT")
    mediax_emulator.put_object("in/nan.wav", file.getvalue())
    assert platform.finish(platform.create("musicBeat", path="in/nan.wav"))["state"] == 4


@pytest.mark.parametrize("frames", [1, 100, 3000])
def test_a_very_short_track_comes_to_an_end(mediax_emulator: MediaxEmulator, platform: Platform, frames: int) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.ones(frames) / 2, 44100, format="WAV")
    mediax_emulator.put_object("in/short.wav", file.getvalue())
    done = platform.finish(platform.create("musicBeat", path="in/short.wav"))
    assert "fault of the emulator" not in done.get("message", "")


@pytest.mark.parametrize("bpm", [61.7, 120, 173.2])
def test_the_tempo_is_right_in_spite_of_coarse_skipped_and_wild_beats(bpm: float) -> None:
    frame = 512 / 22050
    exact = np.arange(60) * 60 / bpm
    coarse = np.round(exact / frame) * frame
    assert fit_tempo(coarse) == pytest.approx(bpm, rel=0.002)
    assert fit_tempo(np.delete(coarse, [7, 8, 30])) == pytest.approx(bpm, rel=0.002)
    wild = coarse.copy()
    wild[20] += 0.35 * 60 / bpm
    assert fit_tempo(wild) == pytest.approx(bpm, rel=0.002)


@pytest.mark.parametrize("times", [[], [1.0]])
def test_too_few_beats_have_no_tempo(times: list[float]) -> None:
    assert fit_tempo(np.array(times)) == 0.0


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_common_formats_are_decoded(form: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(44100) / 20), 22050, format=form)
    assert duration_of(file.getvalue()) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\0" * 1000, b"ID3 not really"])
def test_what_is_not_audio_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NotAudio):
        duration_of(data)
