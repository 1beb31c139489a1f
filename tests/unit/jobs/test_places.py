"""How many polls are under way at once: few, unless they hold up what the rate limit would let go."""

from __future__ import annotations

from airflow_provider_mediax.jobs.places import FEWEST, MOST, Places


def note_for(places: Places, seconds: float, *, too_few: bool, start: float = 0.0) -> float:
    """Let turns of 10 ms say the same for a while; return the moment after."""
    turns = round(seconds / 0.01)
    for turn in range(turns):
        places.note(start + 0.01 * turn, too_few=too_few)
    return start + seconds


def test_there_are_few_places_while_none_stands_in_line() -> None:
    places = Places()
    note_for(places, 60.0, too_few=False)
    assert places.number == FEWEST


def test_a_line_that_lasts_gets_more_places_within_seconds() -> None:
    places = Places()
    note_for(places, 1.0, too_few=True)
    assert FEWEST + 5 <= places.number <= FEWEST + 10
    note_for(places, 10.0, too_few=True, start=1.0)
    assert places.number == MOST


def test_a_line_of_a_moment_gets_no_more_places() -> None:
    places = Places()
    for second in range(60):
        places.note(second, too_few=True)
        places.note(second + 0.05, too_few=True)
        places.note(second + 0.09, too_few=False)
    assert places.number == FEWEST


def test_places_that_nobody_needs_any_more_go_one_by_one() -> None:
    places = Places()
    end = note_for(places, 10.0, too_few=True)
    end = note_for(places, 11.0, too_few=False, start=end)
    assert places.number == MOST - 2
    note_for(places, 300.0, too_few=False, start=end)
    assert places.number == FEWEST
