"""Plays a protocol flow against scripted replies, without a driver."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from airflow_provider_mediax.protocol.exchange import Call, Flow, Reply, Step

T = TypeVar("T")


@dataclass
class Played(Generic[T]):
    """What a flow asked for, and what it returned."""

    steps: list[Step]
    result: T


def play(flow: Flow[T], *replies: Reply | None) -> Played[T]:
    """Send the replies one after the other; the flow must end with the last one."""
    steps: list[Step] = []
    try:
        step = next(flow)
        for answer in replies:
            steps.append(step)
            step = flow.send(answer)
    except StopIteration as end:
        assert len(steps) == len(replies), "the flow ended before it had read every reply"
        return Played(steps, end.value)
    raise AssertionError(f"the flow goes on with {step}")


def first_call(flow: Flow[Any]) -> Call:
    """Return the first request that a flow makes."""
    step = next(flow)
    assert isinstance(step, Call)
    return step


def sent_body(flow: Flow[Any]) -> Any:
    """Return the decoded body of a flow's first request."""
    return json.loads(first_call(flow).body)
