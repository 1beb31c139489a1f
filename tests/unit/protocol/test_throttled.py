"""The retry decision: a service may refuse for its rate limit by more than status 429."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_mediax.client.retry import (
    ONE_TRY,
    PATIENT,
    Again,
    Decision,
    Fail,
    Patience,
    Progress,
    Use,
    decide,
)
from airflow_provider_mediax.exceptions import Throttled
from airflow_provider_mediax.protocol.ci.answers import slowed_down
from airflow_provider_mediax.protocol.exchange import Call, Repeat, Reply
from tests.unit.protocol.helpers import error, xml


def decided(
    reply: Reply,
    *,
    repeat: Repeat = Repeat.NEVER,
    patience: Patience = PATIENT,
    ci: bool = True,
    throttled: int = 0,
) -> Decision:
    call = Call(action="SubmitJob", method="POST", url="https://h/jobs", repeat=repeat)
    if ci:
        call = replace(call, throttled=slowed_down)
    return decide(call, reply, Progress(attempts=1, throttled=throttled), patience, now=1.8e9, jitter=0.0)


@pytest.mark.parametrize("reply", [error("SlowDown", 503), error("SlowDown", 400), error("x", 429), xml("", 429)])
def test_a_proven_refusal_lets_even_a_submit_be_repeated(reply: Reply) -> None:
    decision = decided(reply)
    assert isinstance(decision, Again)
    assert decision.throttled
    assert decision.delay == 1.0


def test_retry_after_is_honoured() -> None:
    reply = Reply(503, {"retry-after": "7"}, error("SlowDown").body)
    decision = decided(reply)
    assert isinstance(decision, Again)
    assert decision.delay == 7.0


def test_the_pauses_grow() -> None:
    decisions = [decided(error("SlowDown", 503), throttled=count) for count in range(8)]
    assert [decision.delay for decision in decisions if isinstance(decision, Again)] == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(
    "reply",
    [
        error("ServiceUnavailable", 503),
        xml("", 503),
        xml("<html>SlowDown</html>", 503),
        xml("<Error><Message>SlowDown</Message></Error>", 503),
        xml("<Error><Code>SlowDown</Code>", 503),
        xml("<!DOCTYPE a><Error><Code>SlowDown</Code></Error>", 503),
        error("SlowDown", 200),
        xml("<Response><Code>SlowDown</Code></Response>", 200),
    ],
)
def test_everything_else_is_no_proof(reply: Reply) -> None:
    assert decided(reply) == Use(reply)


def test_without_the_hook_only_the_status_counts() -> None:
    assert decided(error("SlowDown", 503), ci=False) == Use(error("SlowDown", 503))
    assert isinstance(decided(error("SlowDown", 429), ci=False), Again)


def test_out_of_patience_the_error_names_the_status() -> None:
    decision = decided(error("SlowDown", 503), patience=ONE_TRY)
    assert isinstance(decision, Fail)
    assert isinstance(decision.error, Throttled)
    assert decision.error.status == 503
