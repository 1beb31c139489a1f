"""A batch reads its jobs by lists of their markers, and one by one only what a list leaves out."""

from __future__ import annotations

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.jobs.batch.listed import for_batches
from tests.unit.jobs.batch.world import FakeClient, Life, Platform, songs
from tests.unit.jobs.virtual_time import in_virtual_time


def a_platform(jobs: int) -> tuple[Platform, dict[str, str]]:
    platform = Platform()
    return platform, {
        platform.create(url, f"m{number % 2}"): f"m{number % 2}" for number, url in enumerate(songs(jobs))
    }


@in_virtual_time
async def test_one_list_for_each_marker_reads_all_jobs() -> None:
    platform, markers = a_platform(10)
    client = FakeClient(platform, Life(), Pacing(1000.0))
    found = await client.run(for_batches(platform, markers).describe(list(markers)))
    assert set(found) == set(markers)
    assert platform.asked == {"List": 2}


@in_virtual_time
async def test_what_a_list_leaves_out_is_read_by_its_id() -> None:
    platform, markers = a_platform(10)
    platform.page = 3
    client = FakeClient(platform, Life(), Pacing(1000.0))
    found = await client.run(for_batches(platform, markers).describe(list(markers)))
    assert set(found) == set(markers)
    assert platform.asked == {"List": 2, "Get": 4}


@in_virtual_time
async def test_a_single_job_is_read_by_its_id() -> None:
    platform, markers = a_platform(4)
    client = FakeClient(platform, Life(), Pacing(1000.0))
    assert set(await client.run(for_batches(platform, markers).describe(["job-1"]))) == {"job-1"}
    assert platform.asked == {"Get": 1}
