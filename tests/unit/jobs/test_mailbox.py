"""Hints: they make a wait ask at once, decide how far intervals are stretched, and end no wait by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mediax.exceptions import Unavailable
from airflow_provider_mediax.jobs.mailbox import (
    DOUBT_SECONDS,
    LEAST_STRETCHED,
    LONGEST_BETWEEN_LOOKS,
    LONGEST_STRETCHED,
    LOOK_SECONDS,
    ON_ITS_WAY,
    STRETCH,
    VALID_AFTER,
    Mailbox,
    Reader,
    Trust,
)
from airflow_provider_mediax.jobs.waiting import AFTER_A_HINT, Wait
from airflow_provider_mediax.protocol.cos_objects import CosObjects
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.urls import CosAddress

KEYS = CosKeys(secret_id="id-of-a-user", secret_key="key-of-a-user")


def mailbox(keys: CosKeys = KEYS) -> Mailbox:
    objects = CosObjects(bucket="mail-1250000000", region="ap-guangzhou", keys=keys, endpoint="http://127.0.0.1:1")
    return Mailbox(objects=objects, folder=CosAddress("mail-1250000000", "mailbox/"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestTrust:
    def test_stretches_nothing_before_a_hint_has_come_before_its_jobs_end_was_seen(self) -> None:
        trust = Trust(Clock())
        assert trust.stretched(5.0) == 5.0
        trust.note_end(hinted=False, ended_ago=60.0)
        assert trust.stretched(5.0) == 5.0
        trust.note_end(hinted=True, ended_ago=1.0)
        assert trust.stretched(5.0) == LEAST_STRETCHED
        assert trust.stretched(30.0) == STRETCH * 30.0

    @given(st.floats(0.1, 1e5))
    def test_never_makes_anybody_ask_more_often_or_later_than_ten_minutes_by_itself(self, gap: float) -> None:
        trust = Trust(Clock())
        trust.note_end(hinted=True, ended_ago=1.0)
        assert gap <= trust.stretched(gap) <= max(gap, LONGEST_STRETCHED)

    def test_is_taken_back_by_one_missed_hint_for_ten_minutes(self) -> None:
        clock = Clock()
        trust = Trust(clock)
        trust.note_end(hinted=True, ended_ago=1.0)
        assert trust.note_end(hinted=False, ended_ago=ON_ITS_WAY)
        assert trust.stretched(5.0) == 5.0
        clock.now += DOUBT_SECONDS - 1.0
        assert trust.stretched(5.0) == 5.0
        clock.now += 1.0
        assert trust.stretched(5.0) > 5.0

    def test_is_not_shaken_by_a_hint_that_may_be_on_its_way(self) -> None:
        trust = Trust(Clock())
        trust.note_end(hinted=True, ended_ago=1.0)
        assert not trust.note_end(hinted=False, ended_ago=ON_ITS_WAY - 1.0)
        assert trust.relied_on


def wait(**changes: Any) -> Wait:
    fields = {"job_ids": ["job-1"], "deadline": 10_000.0, "poll_interval": 20.0, "started": 0.0, "marker": "m"}
    return Wait(**{**fields, "rng": lambda: 0.0, "moment": lambda epoch: epoch, **changes})


def job(state: JobState = JobState.OPEN, ended: float | None = None) -> Job:
    at = None if ended is None else datetime.fromtimestamp(ended, UTC)
    return Job(id="job-1", state=state, state_name=state.name, completed_at=at)


class TestAWait:
    def test_that_is_told_asks_now_and_soon_again_while_the_state_lags(self) -> None:
        told = wait()
        told.on_jobs([job()], 100.0)
        assert told.due > 100.0
        assert told.on_hint(105.0)
        assert told.due == 105.0
        for seconds in AFTER_A_HINT:
            told.on_jobs([job()], 106.0)
            assert told.due == 106.0 + seconds
        told.on_jobs([job()], 106.0)
        assert told.due >= 126.0

    def test_is_told_once(self) -> None:
        told = wait()
        assert told.on_hint(5.0)
        assert not told.on_hint(7.0)

    def test_that_must_not_end_yet_is_not_asked_for_before(self) -> None:
        told = wait(not_before=50.0)
        told.on_hint(5.0)
        assert told.due == 50.0

    def test_that_relies_on_hints_leaves_its_job_alone_and_knows_when_it_would_have_asked(self) -> None:
        relying = wait()
        relying.rely_on_hints(lambda gap: 10 * gap)
        assert relying.due >= 180.0
        relying.on_jobs([job()], 200.0)
        assert relying.due == pytest.approx(200.0 + 10 * (relying.unstretched - 200.0))

    def test_says_how_long_ago_its_job_has_ended(self) -> None:
        over = wait()
        over.on_jobs([job(JobState.SUCCEEDED, ended=70.0)], 100.0)
        assert over.ended_ago(100.0) == 30.0


class TestAReader:
    def test_looks_less_often_while_the_folder_cannot_be_read_and_says_so_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        reader = Reader("mediax at c", Clock())

        async def failing(flow: Flow[Any]) -> Any:
            flow.close()
            raise Unavailable("the bucket is down")

        for _ in range(10):
            assert asyncio.run(reader.look(mailbox(), failing)) == []
        assert reader.pause == LONGEST_BETWEEN_LOOKS
        assert len([line for line in caplog.messages if "the bucket is down" in line]) == 1

        async def working(flow: Flow[Any]) -> Any:
            flow.close()
            return ["m"], None

        assert asyncio.run(reader.look(mailbox(), working)) == ["m"]
        assert reader.pause == LOOK_SECONDS

    def test_goes_on_where_the_page_before_has_ended(self) -> None:
        reader, asked = Reader("c", Clock()), []

        class Watched:
            def look(self, after: str | None) -> object:
                asked.append(after)
                return after

        async def paged(after: Any) -> Any:
            return ["m"], None if after else "m-999"

        carry_out: Callable[[Any], Awaitable[Any]] = paged
        for _ in range(3):
            asyncio.run(reader.look(Watched(), carry_out))  # type: ignore[arg-type]
        assert asked == [None, "m-999", None]


class TestAnAddress:
    def test_names_the_buckets_own_host_and_one_object(self) -> None:
        address = mailbox().address("mx1-0", now=1_800_000_000.0, until=1_800_000_060.0)
        assert address is not None
        host, _, query = address.partition("?")
        assert host == "https://mail-1250000000.cos.ap-guangzhou.myqcloud.com/mailbox/mx1-0"
        assert f"q-sign-time=1799999940%3B{1_800_000_060 + VALID_AFTER}" in query
        assert "append=&position=0" in query
        assert "q-url-param-list=append%3Bposition" in query
        assert "q-header-list=host" in query

    def test_is_not_made_with_temporary_keys(self) -> None:
        temporary = CosKeys(secret_id="id-of-a-user", secret_key="key-of-a-user", token="token")
        assert mailbox(temporary).address("mx1-0", now=0.0, until=60.0) is None
