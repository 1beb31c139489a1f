"""One wave: a claim entitles each line to one send that begins within ten seconds."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.jobs.batch.folder import Store
from airflow_provider_mediax.jobs.batch.items import Item
from airflow_provider_mediax.jobs.batch.ledger import BatchLedger, Chunk, Range
from airflow_provider_mediax.jobs.batch.plan import Counts, Index, Line, Lines
from airflow_provider_mediax.jobs.batch.sending import CLAIM_SECONDS, Sent, moments_after, send_wave
from tests.unit.jobs.batch.test_folder import direct
from tests.unit.jobs.batch.world import FakeClient, FakeFolder, Life, Platform, SongRequests, songs
from tests.unit.jobs.virtual_time import in_virtual_time, now


async def sent(platform: Platform, count: int, *, rate: float = 1000.0, asked: float = 0.0) -> Sent:
    """Send so many songs by a claim that was asked for some seconds ago."""
    prepared = {
        place: platform.prepare(SongRequests().build("tags", Item(id=url, arguments={"url": url}), None))
        for place, url in enumerate(songs(count))
    }
    return await send_wave(
        FakeClient(platform, Life(), Pacing(rate)),
        platform,
        prepared,
        "m",
        asked_at=now() - asked,
        at_once=asyncio.Semaphore(8),
        stopped=lambda: False,
        clock=now,
        answered=lambda place, job: None,
    )


@in_virtual_time
async def test_what_has_no_turn_within_the_claim_is_not_sent() -> None:
    platform = Platform()
    wave = await sent(platform, 60, rate=1.0)
    assert len(platform.jobs) == len(wave.jobs)
    assert CLAIM_SECONDS <= len(platform.jobs) <= CLAIM_SECONDS + 5
    assert len(wave.back) == 60 - len(wave.jobs)


@in_virtual_time
async def test_a_claim_that_came_too_late_sends_nothing() -> None:
    platform = Platform()
    wave = await sent(platform, 5, asked=CLAIM_SECONDS)
    assert (len(platform.jobs), len(wave.back)) == (0, 5)


@pytest.mark.parametrize("fault", ["429", "refused"])
def test_nothing_is_sent_again_by_the_same_claim(fault: str) -> None:
    @in_virtual_time
    async def run() -> None:
        platform = Platform()
        platform.faults.append(fault)
        wave = await sent(platform, 3)
        assert platform.asked["Create"] == 3
        assert (len(wave.jobs), len(wave.back)) == (2, 1)

    run()


@in_virtual_time
async def test_answers_that_leave_it_open_are_doubtful_and_not_sent_again() -> None:
    platform = Platform()
    platform.faults.extend(["lost", "error"])
    wave = await sent(platform, 3)
    assert (len(wave.doubtful), platform.asked["Create"]) == (2, 3)
    assert wave.about_all is None


def test_after_a_lost_answer_the_last_question_waits_for_the_longest_send() -> None:
    """``PROTOCOLS`` of the ledger: the request may arrive as late as that, and lists lag behind it."""
    assert moments_after(began=100.0, longest_send=65.0, now=105.0)[-1] == 65.0 + 16.0 - 5.0
    assert moments_after(began=0.0, longest_send=65.0, now=500.0) == [0.0, 2.0, 4.0, 8.0, 16.0]


@in_virtual_time
async def test_of_two_that_claim_a_wave_one_has_it() -> None:
    store = Store(FakeFolder(), direct)
    lines = Lines(store, Index({}, {}, [], Counts(), 0.0))
    line = Line(place=0, id="a", arguments={"path": "a"}, digest="d" * 64)
    claimed = []
    for _ in range(2):
        chunk = Chunk(number=0, range=Range("tags", 0, 1), lines={0: line})
        claimed.append(await BatchLedger(store, lines).claim(chunk, [0], 65.0))
    assert claimed == [True, False]


@in_virtual_time
async def test_after_a_write_of_unknown_outcome_the_next_copy_has_another_name() -> None:
    """The older one may still arrive, and must not win."""
    folder = FakeFolder()
    store = Store(folder, direct)
    ledger = BatchLedger(store, Lines(store, Index({}, {}, [], Counts(), 0.0)), "p")
    chunk = Chunk(number=0, range=Range("tags", 0, 1), lines={})
    await ledger.note(chunk)
    folder.fails_until = now() + 1.0
    with pytest.raises(OSError, match="away"):
        await ledger.note(chunk)
    await asyncio.sleep(2.0)
    await ledger.note(chunk)
    assert sorted(folder.files) == ["chunks/000000.p.0.jobs", "chunks/000000.p.1.jobs"]
