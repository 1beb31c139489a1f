"""Promise 7: when to ask is learned from what jobs have lately taken, and kept within the user's own interval."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mediax.jobs.schedule import ENOUGH, JITTER, KEPT, KEPT_SECONDS, Durations, durations_of

INTERVAL = 5.0


class AWait:
    """A wait, as far as it is learned from."""

    def __init__(self, seen_open: float = 0.0) -> None:
        self.seen_open = seen_open


def taught(durations: list[float], *, now: float = 0.0, learned: Durations | None = None) -> Durations:
    learned = Durations() if learned is None else learned
    for seconds in durations:
        wait = AWait()
        learned.follow(wait)
        learned.learn(wait, seconds, now)
    return learned


def questions(learned: Durations, end: float, jitter: float = 0.0) -> list[float]:
    """Return the ages at which a job is asked for that was first seen at 12 s, up to the one that finds its end."""
    asked = [12.0]
    while asked[-1] < end:
        asked.append(asked[-1] + learned.gap(asked[-1], INTERVAL, jitter))
    return asked


def evenly(low: float, high: float, count: int = KEPT) -> list[float]:
    return [low + (high - low) * place / (count - 1) for place in range(count)]


def test_nothing_is_asked_before_the_earliest_have_ended() -> None:
    asked = questions(taught(evenly(480, 720)), 600)
    assert asked[1] >= 480


def test_questions_stand_where_jobs_end_and_find_them_soon() -> None:
    learned = taught(evenly(480, 720))
    delays = [questions(learned, end)[-1] - end for end in evenly(481, 719, 200)]
    assert max(delays) <= 30
    assert sum(delays) / len(delays) <= 14
    assert len(questions(learned, 719)) <= 13


def test_a_gap_between_two_humps_is_skipped() -> None:
    asked = questions(taught(evenly(290, 310, KEPT // 2) + evenly(890, 910, KEPT // 2)), 905)
    assert [age for age in asked if 330 < age < 890] == []
    assert sum(280 < age < 330 for age in asked) >= 3


def test_past_the_longest_no_gap_is_above_a_tenth_of_the_usual_duration() -> None:
    asked = questions(taught(evenly(480, 720)), 1400)
    late = [later - earlier for earlier, later in itertools.pairwise(asked) if earlier > 720]
    assert max(late) <= 60.5


def test_a_job_that_outlives_all_others_twice_is_asked_for_by_the_rule() -> None:
    learned = taught(evenly(20, 24))
    assert learned.gap(30.0, INTERVAL, 0.0) == INTERVAL
    assert learned.gap(3000.0, INTERVAL, 0.0) == 34


def test_few_durations_teach_nothing() -> None:
    assert taught(evenly(480, 720, ENOUGH - 1)).gap(100.0, INTERVAL, 0.0) == 25
    assert taught(evenly(480, 720, ENOUGH)).gap(100.0, INTERVAL, 0.0) >= 380


def test_the_shortest_of_a_thousand_do_not_stand_for_all() -> None:
    """Of jobs that were created together the shortest end first; what is still open is not overdue."""
    learned = Durations()
    waits = [AWait(seen_open=490.0) for _ in range(KEPT)]
    for wait in waits:
        learned.follow(wait)
    for place, wait in enumerate(waits[: 2 * ENOUGH]):
        learned.learn(wait, 480.0 + place / 5, 490.0)
    assert learned.gap(490.0, INTERVAL, 0.0) == 34


def test_of_many_that_began_those_that_are_not_followed_teach_nothing() -> None:
    learned = Durations()
    waits = [AWait() for _ in range(KEPT + ENOUGH)]
    for wait in waits:
        learned.follow(wait)
    for wait in waits[KEPT:]:
        learned.learn(wait, 1000.0, 0.0)
    assert learned.gap(100.0, INTERVAL, 0.0) == 25


def test_waits_that_were_given_up_count_no_more() -> None:
    learned = taught(evenly(480, 720))
    for _ in range(KEPT):
        learned.follow(AWait(seen_open=10_000.0))
    assert learned.gap(800.0, INTERVAL, 0.0) <= 61


def test_what_jobs_took_long_ago_is_forgotten() -> None:
    learned = taught(evenly(480, 720))
    taught(evenly(40, 60, ENOUGH), now=KEPT_SECONDS + 1, learned=learned)
    assert learned.gap(12.0, INTERVAL, 0.0) <= 40


def test_the_latest_durations_replace_the_oldest() -> None:
    learned = taught(evenly(480, 720))
    taught(evenly(40, 60), learned=learned)
    assert learned.gap(12.0, INTERVAL, 0.0) <= 40
    assert learned.gap(100.0, INTERVAL, 0.0) <= 25


@pytest.mark.parametrize("nonsense", [-1.0, math.inf, math.nan])
def test_what_is_no_duration_teaches_nothing(nonsense: float) -> None:
    assert taught([nonsense] * ENOUGH).gap(100.0, INTERVAL, 0.0) == 25


def test_a_long_interval_stays_the_users() -> None:
    assert taught(evenly(480, 720)).gap(500.0, 300.0, 0.0) == 300
    assert Durations().gap(500.0, 300.0, 0.0) == 300


def test_no_more_than_nine_requests_find_a_job_whose_kind_is_known() -> None:
    rng = random.Random(4)
    shapes: dict[str, Callable[[], float]] = {
        "uniform": lambda: rng.uniform(480, 720),
        "log-normal": lambda: 600 * math.exp(rng.gauss(0, 0.5)),
        "two narrow": lambda: rng.choice((300, 900)) * rng.uniform(0.95, 1.05),
        "two log-normal": lambda: rng.choice((300, 900)) * math.exp(rng.gauss(0, 0.15)),
    }
    for name, draw in shapes.items():
        learned = taught([draw() for _ in range(KEPT)])
        counts = [len(questions(learned, draw(), rng.random())) + 1 for _ in range(1000)]  # and the operator's own
        assert sum(counts) / len(counts) <= 9.2, name


@given(
    durations=st.lists(st.floats(0, 1e6), min_size=0, max_size=60),
    seen_open=st.lists(st.floats(0, 1e6), max_size=30),
    age=st.floats(0, 2e6),
    interval=st.floats(0.01, 1000),
    jitter=st.floats(0, 1),
)
def test_whatever_was_learned_the_next_question_is_at_least_an_interval_away(
    durations: list[float], seen_open: list[float], age: float, interval: float, jitter: float
) -> None:
    learned = Durations()
    waits = [AWait(age) for age in seen_open]
    for wait in waits:
        learned.follow(wait)
    taught(durations, learned=learned)
    gap = learned.gap(age, interval, jitter)
    assert interval <= gap < math.inf
    assert gap <= max(34, interval, *durations, 0.0) * (1 + JITTER) * 1.2
    assert age <= learned.likely(age) < math.inf


def test_what_is_learned_belongs_to_one_service_and_capability() -> None:
    assert durations_of("mediax", "musicBeat") is durations_of("mediax", "musicBeat")
    assert durations_of("mediax", "musicBeat") is not durations_of("mediax", "musicTagV2")
    assert durations_of("mediax", None) is not durations_of("cloud_infinite", None)
