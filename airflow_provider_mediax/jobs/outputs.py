"""
A success has its files: which ones a finished job promises, when a missing one is believed, and what that means.

Nothing here knows how COS is asked; ``hooks.outputs`` does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from airflow_provider_mediax.exceptions import MediaxError, Throttled, Unavailable
from airflow_provider_mediax.protocol.exchange import Flow, Pause
from airflow_provider_mediax.protocol.service import Promise
from airflow_provider_mediax.protocol.urls import CosAddress

LOOKS = (0.0, 1.5, 5.0)
"""Seconds from the first look to each: COS may show a file a moment after the service has ended its job."""

LOOKED_AT = 100
"""Files of one job that are looked at; of more, the first."""


class Seen(Enum):
    """What COS says about a file, in words for the user."""

    THERE = "is there"
    EMPTY = "is empty"
    MISSING = "is missing"


Finding: TypeAlias = Seen | MediaxError
"""What is known of a file; an error means that COS could not be asked."""

Findings: TypeAlias = Mapping[CosAddress, Finding]


class Store(Protocol):
    """COS, as far as files are looked for."""

    def look(self, addresses: Sequence[CosAddress]) -> Findings:
        """Look at each of the files once."""

    def ask(self, bucket: str) -> MediaxError | None:
        """Ask the bucket itself for a sign of life; return why it gave none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the findings mean.

    :param failures: one sentence for each file that fails the task.
    :param doubts: one sentence for each that does not, but which the user should know of.
    """

    failures: Sequence[str]
    doubts: Sequence[str]


def look_flow(promise: Promise, store: Store, clock: Callable[[], float] = time.monotonic) -> Flow[Findings]:
    """
    Look for the promised files up to three times, and return what was found.

    A missing object and a missing bucket look alike, so "missing" counts only if the bucket itself answers.

    :param clock: seconds.
    """
    found: dict[CosAddress, Finding] = {}
    answering: set[str] = set()
    left = list(dict.fromkeys(promise.addresses))[:LOOKED_AT]
    began = clock()
    for seconds in LOOKS:
        yield Pause(max(0.0, began + seconds - clock()))  # also where a kill ends it
        found |= store.look(left)
        missing = [address for address in left if found[address] is Seen.MISSING]
        for bucket in dict.fromkeys(address.bucket for address in missing):
            if bucket in answering:
                continue
            if (silence := store.ask(bucket)) is None:
                answering.add(bucket)
            else:
                found |= {address: silence for address in missing if address.bucket == bucket}
        left = [address for address in left if _may_change(found[address])]
        if not left:
            break
    return found


def judge(promise: Promise, found: Findings) -> Verdict:
    """Say what the findings mean to the task. What COS could not be asked is never a failure."""
    failing = {Seen.EMPTY: promise.empty_is_failure, Seen.MISSING: promise.missing_is_failure}
    failures = [
        _sentence(address, said) for address, said in found.items() if isinstance(said, Seen) and failing.get(said)
    ]
    doubts = [
        _sentence(address, said)
        for address, said in found.items()
        if isinstance(said, Seen) and not failing.get(said, True)
    ]
    reasons = {
        address: f"{said.reason} {said.advice}".strip()
        for address, said in found.items()
        if isinstance(said, MediaxError)
    }
    for reason, times in Counter(reasons.values()).items():
        first = next(address for address, said in reasons.items() if said == reason)
        others = f" and {times - 1} more" if times > 1 else ""
        doubts.append(f"{_shown(first)}{others} could not be looked at: {reason.rstrip('.')}")
    return Verdict(failures, doubts)


def _may_change(finding: Finding) -> bool:
    """Tell whether a further look may see something else."""
    return finding in (Seen.MISSING, Seen.EMPTY) or isinstance(finding, (Unavailable, Throttled))


def _sentence(address: CosAddress, seen: Seen) -> str:
    return f"{_shown(address)} {seen.value}"


def _shown(address: CosAddress) -> str:
    """Return an address that every log can hold: JSON may bring halves of characters."""
    return str(address).encode("utf-8", "replace").decode()
