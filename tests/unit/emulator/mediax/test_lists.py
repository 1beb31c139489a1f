"""Lists of MediaX that page, lie about their total, and leave finished jobs out; tracks that nobody looks at."""

from __future__ import annotations

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.unit.emulator.helpers import Platform, wait_for


def listed(platform: Platform) -> tuple[list[str], object]:
    answer = platform.list("m")
    return [job["id"] for job in answer["jobs"]], answer.get("total")


@pytest.fixture
def three(platform: Platform, mediax_emulator: MediaxEmulator) -> list[str]:
    """Return the ids of three jobs of one marker, oldest first."""
    mediax_emulator.durations("*", 3600)
    return [platform.create(customId="m")["id"] for _ in range(3)]


def test_a_list_holds_no_more_than_its_page(
    platform: Platform, mediax_emulator: MediaxEmulator, three: list[str]
) -> None:
    mediax_emulator.lists(page=2)
    assert listed(platform) == ([three[2], three[1]], 3)
    mediax_emulator.lists(page=2, total="page", order="oldest")
    assert listed(platform) == ([three[0], three[1]], 2)
    mediax_emulator.lists(total="none")
    assert listed(platform) == (three[::-1], None)


def test_a_list_can_leave_out_what_has_ended(
    platform: Platform, mediax_emulator: MediaxEmulator, three: list[str]
) -> None:
    mediax_emulator.lists(finished=False)
    assert listed(platform)[1] == 3
    mediax_emulator.finish_jobs()
    wait_for(lambda: listed(platform) == ([], 0) or None)


def test_canned_answers_look_at_no_track(platform: Platform, mediax_emulator: MediaxEmulator) -> None:
    mediax_emulator.durations("*", 0)
    mediax_emulator.canned()
    job = platform.create(path="/in/nowhere.mp3")
    assert platform.finish(job)["state"] == 3
