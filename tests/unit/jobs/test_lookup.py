"""Promise 4: a look-up belongs to nobody, is made once for all who ask, and outlives them."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import AuthenticationFailed, Unavailable
from airflow_provider_mediax.jobs.lookup import ANSWER_SECONDS, LONGEST_SECONDS, REPEAT_SECONDS, Lookup
from tests.unit.jobs.virtual_time import in_virtual_time, now

WHO = contextvars.ContextVar("WHO", default="nobody")


class Connection:
    """What is looked up: hangs, fails and answers on demand."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked_at: list[float] = []
        self.asked_by: set[str] = set()
        self.free = asyncio.Event()
        self.free.set()
        self.lookup = Lookup(self.look_up, "connection c")

    async def look_up(self) -> object:
        self.asked_at.append(now())
        self.asked_by.add(WHO.get())
        await self.free.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@in_virtual_time
async def test_all_who_ask_meanwhile_get_one_answer_and_the_next_a_new_one() -> None:
    connection = Connection("one", "two")
    assert await asyncio.gather(*(connection.lookup.answer() for _ in range(20))) == ["one"] * 20
    assert await connection.lookup.answer() == "two"
    assert len(connection.asked_at) == 2


@in_virtual_time
async def test_it_runs_in_a_context_of_nobody() -> None:
    connection = Connection("one")
    WHO.set("the first task")
    await connection.lookup.answer()
    assert connection.asked_by == {"nobody"}


@in_virtual_time
async def test_whoever_waits_too_long_is_told_and_it_goes_on() -> None:
    connection = Connection("one")
    connection.free.clear()
    with pytest.raises(Unavailable, match=r"^The look-up of connection c has not answered for 30 s\."):
        await connection.lookup.answer()
    assert now() == ANSWER_SECONDS
    connection.free.set()
    assert await connection.lookup.answer() == "one"
    assert connection.asked_at == [0.0]


@in_virtual_time
async def test_a_cancel_of_one_who_waits_reaches_neither_it_nor_the_others() -> None:
    connection = Connection("one")
    connection.free.clear()
    leaves, stays = (asyncio.create_task(connection.lookup.answer()) for _ in range(2))
    await asyncio.sleep(1)
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    connection.free.set()
    assert await stays == "one"
    assert len(connection.asked_at) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (AuthenticationFailed("refused"), AuthenticationFailed, "refused"),
        (RuntimeError("s3cret"), Unavailable, "The look-up of connection c failed with RuntimeError"),
    ],
)
def test_a_failure_is_typed_and_stands_for_all_who_ask_for_five_seconds(
    fault: RuntimeError | AuthenticationFailed, kind: type[Any], said: str
) -> None:
    @in_virtual_time
    async def scenario() -> None:
        connection = Connection(fault, "two")
        for _ in range(2):
            with pytest.raises(kind) as raised:
                await connection.lookup.answer()
            assert raised.value.what == said
            await asyncio.sleep(REPEAT_SECONDS - 0.5)
        assert len(connection.asked_at) == 1
        assert await connection.lookup.answer() == "two"

    scenario()


@in_virtual_time
async def test_one_that_never_answers_is_given_up_after_three_minutes() -> None:
    connection = Connection("one")
    connection.free.clear()
    with pytest.raises(Unavailable):
        await connection.lookup.answer()
    await asyncio.sleep(LONGEST_SECONDS - ANSWER_SECONDS - 1)
    waiting = asyncio.create_task(connection.lookup.answer())
    with pytest.raises(Unavailable, match="failed with TimeoutError"):
        await waiting
    assert now() == LONGEST_SECONDS
