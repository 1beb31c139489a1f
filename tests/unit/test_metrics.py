"""What is sent to Airflow's Stats: names and tags that a dashboard can rely on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from airflow_provider_mediax import metrics
from airflow_provider_mediax.metrics import METRICS, JobMeter
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.protocol.mediax.service import MediaxService


@dataclass
class Sent:
    """What arrives at Stats."""

    lines: list[tuple[str, object, dict[str, str]]] = field(default_factory=list)

    def incr(self, name: str, count: int, *, tags: dict[str, str]) -> None:
        self.lines.append((name, count, tags))

    def timing(self, name: str, seconds: timedelta, *, tags: dict[str, str]) -> None:
        self.lines.append((name, seconds, tags))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    stats = Sent()
    monkeypatch.setattr(metrics, "Stats", stats)
    return stats


def test_a_counter_and_a_time_carry_service_and_capability(sent: Sent) -> None:
    meter = JobMeter(MediaxService)
    meter.count("jobs.bought", "musicTagV2")
    meter.time("waited", "musicTagV2", 1.5)
    tags = {"service": "mediax", "capability": "musicTagV2"}
    assert sent.lines == [("mediax.jobs.bought", 1, tags), ("mediax.waited", timedelta(seconds=1.5), tags)]


@pytest.mark.parametrize("said", ["", "musicTagV2,musicASR", "somebody's text", "unknown"])
def test_a_capability_that_is_not_known_is_no_tag(sent: Sent, said: str) -> None:
    JobMeter(MediaxService).count("polls", said, 3)
    assert sent.lines == [("mediax.polls", 3, {"service": "mediax", "capability": "other"})]


def test_nothing_is_sent_for_nothing(sent: Sent) -> None:
    JobMeter(CloudInfiniteService).count("throttled", "VoiceSeparate", 0)
    assert sent.lines == []


def test_every_end_of_a_job_has_a_counter() -> None:
    assert {f"mediax.jobs.{state.value}" for state in JobState if state.final} <= set(METRICS)
