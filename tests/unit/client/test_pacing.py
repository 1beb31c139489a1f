from __future__ import annotations

import threading

import pytest

from airflow_provider_mediax.client.pacing import BURST, Pacing, shared_pacing


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


def test_threads_share_the_places() -> None:
    pacing, delays = Pacing(100), []
    threads = [threading.Thread(target=lambda: delays.extend(pacing.reserve(7.0) for _ in range(50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(delays) == pytest.approx([max(0, place - BURST + 1) / 100 for place in range(400)])


def test_rate_may_change_while_in_use() -> None:
    pacing = Pacing(1)
    for _ in range(BURST + 1):
        pacing.reserve(0.0)
    pacing.change_rate(100)
    assert pacing.reserve(0.0) - pacing.reserve(0.0) == pytest.approx(-0.01)


def test_one_service_has_one_pacing_and_the_last_rate_counts() -> None:
    first = shared_pacing("mediax pacing-test.example", 1)
    again = shared_pacing("mediax pacing-test.example", 1000)
    other = shared_pacing("ci pacing-test.example", 1000)
    assert first is again
    assert first is not other
    for _ in range(BURST):
        first.reserve(100.0)
    assert first.reserve(100.0) == pytest.approx(0.001)
