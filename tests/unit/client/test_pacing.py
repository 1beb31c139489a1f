from __future__ import annotations

import threading

import pytest

from airflow_provider_mediax.client.pacing import BURST, LARGEST_OFFSET, LONGEST_HOLD, Pacing, shared_pacing


def test_burst_goes_at_once_then_the_rate_counts() -> None:
    pacing = Pacing(10)
    delays = [pacing.reserve(100.0) for _ in range(BURST + 3)]
    assert delays == pytest.approx([0.0] * BURST + [0.1, 0.2, 0.3])


def test_a_machine_that_has_just_booted_has_its_burst() -> None:
    pacing = Pacing(0.001)  # the whole burst is worth 4,000 s, and the clock has counted 3 since the start
    assert [pacing.reserve(3.0) for _ in range(BURST + 1)] == [0.0] * BURST + [pytest.approx(1000.0)]


def test_quiet_time_earns_one_burst_and_no_more() -> None:
    pacing = Pacing(10)
    for _ in range(BURST):
        pacing.reserve(0.0)
    delays = [pacing.reserve(10_000.0) for _ in range(BURST + 1)]
    assert delays == pytest.approx([0.0] * BURST + [0.1], abs=1e-6)


def test_used_up_places_come_back_with_time() -> None:
    pacing = Pacing(10)
    for _ in range(BURST + 1):
        pacing.reserve(50.0)
    assert pacing.reserve(50.1) == pytest.approx(0.1)
    assert pacing.reserve(50.31) == 0.0


def test_no_more_than_the_rate_goes_in_any_stretch_of_time() -> None:
    pacing, now, sent = Pacing(20), 0.0, []
    for _ in range(200):
        sent.append(now + pacing.reserve(now))
        now += 0.001
    for first, later in zip(sent, sent[20 + BURST :], strict=False):
        assert later - first >= 1.0 - 1e-6


@pytest.mark.parametrize("now", [-5.0, 0.0, 1e12])
def test_delay_is_never_negative(now: float) -> None:
    pacing = Pacing(3)
    assert all(pacing.reserve(now) >= 0 for _ in range(20))


class Interrupted(float):
    """A time in whose arithmetic another thread gets its turn."""

    def __sub__(self, other: float) -> float:
        threading.Event().wait(1e-5)
        return float(self) - other


def test_threads_share_the_places() -> None:
    pacing, now = Pacing(100), Interrupted(7.0)
    delays: list[float] = []
    threads = [threading.Thread(target=lambda: delays.extend(pacing.reserve(now) for _ in range(50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(delays) == pytest.approx([max(0, place - BURST + 1) / 100 for place in range(400)])


ACCOUNT = ("mediax", "pacing-test.example", "key")


def test_one_account_has_one_limit_for_each_rate() -> None:
    quick, slow = shared_pacing(*ACCOUNT, 10), shared_pacing(*ACCOUNT, 1)
    assert quick is shared_pacing(*ACCOUNT, 10)
    assert quick is not slow
    delays = [[pacing.reserve(100.0) for _ in range(BURST + 1)][-1] for pacing in (quick, slow)]
    assert delays == [pytest.approx(0.1), pytest.approx(1.0)]


def test_a_clock_is_right_until_a_service_says_otherwise() -> None:
    assert Pacing(10).clock_offset == 0.0


def test_what_the_service_says_counts_for_every_connection_to_the_account() -> None:
    shared_pacing(*ACCOUNT, 10).hold(20, 100.0, submits_only=False)
    shared_pacing(*ACCOUNT, 10).clock_offset = 60.0
    other = shared_pacing(*ACCOUNT, 1)
    assert (other.held(105.0, submit=False), other.clock_offset) == (15.0, 60.0)


@pytest.mark.parametrize(
    "account", [("other", *ACCOUNT[1:]), (ACCOUNT[0], "other", ACCOUNT[2]), (*ACCOUNT[:2], "other")]
)
def test_another_service_host_or_account_is_held_by_nothing(account: tuple[str, str, str]) -> None:
    shared_pacing(*ACCOUNT, 10).hold(20, 100.0, submits_only=False)
    other = shared_pacing(*account, 10)
    assert other.held(105.0, submit=True) == 0


def test_a_hold_lasts_as_long_as_asked_up_to_five_minutes() -> None:
    pacing = Pacing(10)
    pacing.hold(20, 100.0, submits_only=False)
    assert [pacing.held(now, submit=True) for now in (100.0, 119.0, 120.0, 500.0)] == [20, 1, 0, 0]
    pacing.hold(86400, 1000.0, submits_only=False)
    assert pacing.held(1000.0, submit=False) == LONGEST_HOLD == 300


@pytest.mark.parametrize("submits_only", [True, False])
def test_a_hold_is_renewed_and_never_shortened(submits_only: bool) -> None:
    pacing = Pacing(10)
    pacing.hold(20, 100.0, submits_only=submits_only)
    pacing.hold(5, 101.0, submits_only=submits_only)
    held = [pacing.held(101.0, submit=submit) for submit in (True, False)]
    assert held == [19, 0 if submits_only else 19]
    pacing.hold(20, 110.0, submits_only=submits_only)
    assert pacing.held(110.0, submit=submits_only) == 20


def test_a_refused_submit_holds_submits_only() -> None:
    pacing = Pacing(10)
    pacing.hold(20, 100.0, submits_only=True)
    assert (pacing.held(100.0, submit=True), pacing.held(100.0, submit=False)) == (20, 0)
    assert pacing.reserve(100.0) == 0


def test_the_time_of_a_hold_earns_no_burst() -> None:
    pacing = Pacing(10)
    pacing.hold(20, 100.0, submits_only=False)
    assert [pacing.reserve(120.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("seconds", [1e18, -1e18, 2 * LARGEST_OFFSET])
def test_the_clock_is_corrected_by_a_day_at_most(seconds: float) -> None:
    pacing = Pacing(10)
    pacing.clock_offset = seconds
    assert abs(pacing.clock_offset) == LARGEST_OFFSET == 86400


def test_a_key_is_never_shown() -> None:
    pacing = shared_pacing("mediax", "pacing-test.example", "AKIDexample77", 10)
    assert "AKIDexample77" not in repr(pacing) + repr(vars(pacing))


def test_places_are_counted_without_being_taken() -> None:
    pacing = Pacing(10.0)
    assert pacing.room(100.0, 0.0) == BURST
    assert pacing.room(100.0, 0.5) == BURST + 5
    for _ in range(BURST):
        assert pacing.reserve(100.0) == 0
    assert pacing.room(100.0, 0.05) == 0
    assert pacing.free_in(100.0) == pytest.approx(0.1)
    assert pacing.room(100.0, 0.25) == 2
    assert pacing.rate == pytest.approx(10)


def test_while_the_service_holds_calls_one_may_find_out_for_how_long() -> None:
    pacing = Pacing(10.0)
    pacing.hold(60.0, 100.0, submits_only=False)
    assert pacing.room(100.0, 0.05) == 1
    assert pacing.free_in(100.0) == 0
