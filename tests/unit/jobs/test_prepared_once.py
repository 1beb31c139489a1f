"""A request is held against the rules, built and signed once, whatever becomes of its submit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import Acquisition
from airflow_provider_mediax.operators.music import MusicTagOperator
from airflow_provider_mediax.protocol.ci.requests import VoiceSeparationRequest
from airflow_provider_mediax.protocol.exchange import Call
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest
from airflow_provider_mediax.protocol.urls import CosAddress
from tests.unit.jobs.fake_platform import LONGEST_SEND, FakePlatform, service
from tests.unit.jobs.tasks import OWNER
from tests.unit.protocol import helpers

ELSEWHERE = "cos://other-1250000000/in/a.mp3"
ONCE = {"parameters": 1, "identity": 1, "wire": 1, "presign": 1}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each part of a request was made."""
    counts: Counter[str] = Counter()

    def count(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def counting(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(kind, name, counting)

    count(MusicTag, "parameters")
    for kind in (CapabilityRequest, VoiceSeparationRequest):
        count(kind, "wire")
        count(kind, "identity")
    return counts


@pytest.mark.parametrize("faults", [[], ["lost"], [429, "dropped"]], ids=["answered", "answer lost", "sent twice"])
@pytest.mark.parametrize("key", [None, "shared"])
def test_a_submit_builds_and_signs_its_request_once(
    counted: Counter[str], faults: list[int | str], key: str | None
) -> None:
    def presign(address: CosAddress) -> str:
        counted["presign"] += 1
        return f"https://{address.bucket}.invalid/{address.key}?signature={counted['presign']}"

    platform = FakePlatform()
    platform.fail("CreateJob", *faults)
    watched = service(platform)
    object.__setattr__(watched, "repository", replace(watched.repository, presign=presign))
    request = MusicTagOperator(task_id="tags", url=ELSEWHERE).build_request()
    identity = Identity(namespace="test", owner=OWNER, generation=2, key=key)
    acquisition = Acquisition(watched, request, identity, store=None, try_number=1, longest_send=LONGEST_SEND)
    platform.run(acquisition.run())
    assert len(platform.jobs) == 1
    assert counted == ONCE


def test_a_separation_is_built_once_to_be_submitted_and_compared(counted: Counter[str]) -> None:
    separations = helpers.separations()
    prepared = separations.prepare(helpers.request())
    flow = separations.submit(prepared, helpers.MARKER)
    submitted = next(flow)
    assert isinstance(submitted, Call)
    assert helpers.MARKER in submitted.body.decode()
    with pytest.raises(StopIteration) as ended:
        flow.send(
            helpers.xml(
                f"<Response><JobsDetail><JobId>j-1</JobId><UserData>{helpers.MARKER}</UserData></JobsDetail></Response>"
            )
        )
    assert separations.matches(ended.value.value, prepared)
    assert counted == {"identity": 1, "wire": 1}
