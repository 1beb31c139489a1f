"""Jobs of the emulator that end in success and whose first file is missing, empty or late."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_mediax.emulator.process import EmulatorError, MediaxEmulator
from tests.unit.emulator.ci_helpers import Ci
from tests.unit.emulator.helpers import Platform, wait_for


@pytest.fixture(params=["VoiceSeparate", "musicBeat"])
def finish_job(request: pytest.FixtureRequest, ci: Ci, platform: Platform) -> tuple[Any, ...]:
    """Return a function that has a job of either service done, and the names of its first and second file."""

    def separated() -> tuple[str, str]:
        job = ci.finish(ci.submit())
        assert job["State"] == "Success"
        first, second = job["Operation"]["MediaResult"]["OutputFile"]["ObjectName"]
        return first, second

    def marked() -> tuple[str, str]:
        job = platform.finish(platform.create("musicBeat"))
        assert job["state"] == 3
        (output,) = job["outputs"]
        result = output["smartContentResult"]["musicBeat"]
        folder = output["destination"].strip("/")
        return f"{folder}/{result['mergeFileName']}".lstrip("/"), f"{folder}/{result['beatFileName']}".lstrip("/")

    return request.param, separated if request.param == "VoiceSeparate" else marked


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_the_first_file_of_the_next_job_is_spoiled_and_named(
    mediax_emulator: MediaxEmulator, finish_job: tuple[Any, ...], how: str
) -> None:
    capability, finish = finish_job
    mediax_emulator.spoil_file(capability, how)
    files = finish()
    written = [file for file in files if file in mediax_emulator.object_keys()]
    sound = [file for file in written if mediax_emulator.get_object(file)]
    assert (len(written), len(sound)) == ((1, 1) if how == "missing" else (2, 1))
    again = finish()
    assert all(mediax_emulator.get_object(file) for file in again)


def test_a_late_file_comes_after_the_end_of_its_job(
    mediax_emulator: MediaxEmulator, finish_job: tuple[Any, ...]
) -> None:
    capability, finish = finish_job
    mediax_emulator.spoil_file("*", "late", seconds=3600)
    late = [file for file in finish() if file not in mediax_emulator.object_keys()]
    assert len(late) == 1
    mediax_emulator.delete_object(late[0])
    mediax_emulator.spoil_file(capability, "late", seconds=0.1)
    files = finish()
    wait_for(lambda: all(file in mediax_emulator.object_keys() for file in files))


def test_a_reset_forgets_what_was_to_be_spoiled(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.spoil_file("musicBeat", "missing")
    track = mediax_emulator.get_object("in/track.wav")
    mediax_emulator.reset()
    mediax_emulator.put_object("in/track.wav", track)
    platform.finish(platform.create("musicBeat"))
    assert len(mediax_emulator.object_keys()) == 3


@pytest.mark.parametrize(
    ("how", "details"), [("torn", {}), ("late", {"seconds": -1}), ("missing", {"times": 0})], ids=str
)
def test_what_cannot_be_spoiled_is_refused(mediax_emulator: MediaxEmulator, how: str, details: dict[str, int]) -> None:
    with pytest.raises(EmulatorError):
        mediax_emulator.spoil_file("VoiceSeparate", how, **details)
