"""A job that is found under a shared key is taken only if nothing that the service echoes says that it is another's."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_mediax.protocol.ci import answers
from airflow_provider_mediax.protocol.ci.operations import CloudInfinite
from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService
from airflow_provider_mediax.protocol.ci.xml import read_xml
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.echo import contradicts, names_another
from airflow_provider_mediax.protocol.mediax import gateway
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicAsr, MusicBeat, MusicTag
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput, Repository
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from tests.unit.protocol.helpers import marked, wired

BUCKET = "music-1250000000"
SIGNED = "https://cdn.example.com/a.mp3?X-Amz-Signature={}&X-Amz-Date=20261126T000000Z&v=2"


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        (0.2, 0.20000000298023224),  # a float32
        (3, "3"),
        ("3", 3.0),
        (True, 1),
        (False, None),
        (0, None),
        (5, None),  # not echoed
        ({"a": 1, "b": 0}, {"a": "1"}),
        ({"a": 1}, {"a": 1, "more": 2}),
        ([1, 2], ["1", 2]),
        ("true", True),
        (True, "True"),
        ("/in/a.mp3", "in/a.mp3"),
        (SIGNED.format("one"), SIGNED.format("two")),
        (None, "something"),
        ({}, {"a": 1}),
        (0, {}),
        (0, "0"),
        (0, False),
        ({"a": 1}, {}),
    ],
)
def test_what_is_echoed_in_another_way_is_no_contradiction(sent: object, echoed: object) -> None:
    assert not contradicts(sent, echoed)


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        (0.2, 0.3),
        (3, "4"),
        ("a.mp3", "b.mp3"),
        (True, 2),
        ({"a": 1}, {"a": 2}),
        ([1, 2], [1]),
        ([1, 2], "12"),
        ("12", [1, 2]),
        ("a", 3),
        (3, "a"),
        ([1, 2], [2, 1]),
        (SIGNED.format("one"), SIGNED.format("one").replace("v=2", "v=3")),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}),
        ({"a": 1}, {"a": {"b": 1}}),
        (0, 5),
        (0.0, "0.5"),
        (False, True),
        (5, 0),
        (True, False),
        ("0", "4"),
    ],
)
def test_what_is_echoed_as_something_else_is_a_contradiction(sent: object, echoed: object) -> None:
    assert contradicts(sent, echoed)


def test_of_what_has_one_of_several_members_another_member_is_another_thing() -> None:
    assert names_another({"url": "x"}, {"source": {}})
    assert not names_another({"url": "x"}, {"url": "y", "source": None})
    assert not names_another({"url": "x"}, {})
    assert not names_another({"url": None}, {"url": "y"})
    assert not names_another({"url": "x"}, "y")
    assert not names_another(None, {"url": "y"})


PLATFORM = MediaxService(
    Gateway(base_url="http://platform.invalid", platform_keys=PlatformKeys("id", "key")),
    Repository(content_id="repository", bucket=BUCKET),
)


def tags(**options: Any) -> CapabilityRequest:
    defaults: dict[str, Any] = {"capability": MusicTag(), "input": MediaxInput(path="in/a.mp3")}
    return CapabilityRequest(**{**defaults, **options})


def bought(request: CapabilityRequest, **echo: Any) -> Any:
    """Return the job that the platform describes after this request, as far as it echoes it."""
    body = wired(request, PLATFORM.repository)
    raw = {"id": "1", "state": 1, "customId": "m", "inputs": body.get("inputs"), "outputs": body["outputs"], **echo}
    return gateway.read_job(raw, "GetJob")


@pytest.mark.parametrize(
    "request_of",
    [
        tags(),
        tags(capability=MusicAsr(confidence=0.2)),
        tags(capability=MusicBeat(), input=MediaxInput(url=SIGNED.format("x"))),
        tags(input=MediaxInput(url=f"cos://{BUCKET}/in/a b.mp3")),
    ],
)
def test_a_job_of_the_platform_matches_the_request_that_made_it(request_of: CapabilityRequest) -> None:
    assert PLATFORM.matches(bought(request_of), PLATFORM.prepare(request_of))


def test_a_job_of_the_platform_that_echoes_nothing_is_not_contradicted() -> None:
    assert PLATFORM.matches(bought(tags(), inputs=None, outputs=[]), PLATFORM.prepare(tags()))


@pytest.mark.parametrize(
    "other",
    [
        tags(input=MediaxInput(path="in/b.mp3")),
        tags(input=MediaxInput(url="https://cdn.example.com/a.mp3")),
        tags(capability=MusicBeat()),
        tags(capability=MusicAsr(confidence=0.5)),
        tags(capability=MusicAsr(confidence=0)),
        tags(capability=MusicTag(tag_types=["mood"])),
    ],
)
def test_a_job_of_the_platform_does_not_match_another_request(other: CapabilityRequest) -> None:
    mine = tags(capability=MusicAsr(confidence=0.4)) if isinstance(other.capability, MusicAsr) else tags()
    assert not PLATFORM.matches(bought(other), PLATFORM.prepare(mine))


CI = CloudInfiniteService(
    CloudInfinite(bucket=BUCKET, region="ap-guangzhou", keys=CosKeys(secret_id="id", secret_key="key"))
)


def separation(**options: Any) -> VoiceSeparationRequest:
    defaults: dict[str, Any] = {
        "source": "in/a.mp3",
        "mode": "AudioAndBackground",
        "outputs": {"voice": "out/v.mp3", "background": "out/b.mp3"},
    }
    return VoiceSeparationRequest(**{**defaults, **options})


def separated(request: VoiceSeparationRequest, **echo: Any) -> Any:
    _, body = read_xml(marked(request, "m", bucket=BUCKET, region="ap-guangzhou"), "The request")
    raw = {"JobId": "j1", "State": "Submitted", "Input": body["Input"], "Operation": body["Operation"], **echo}
    return answers.read_job(raw, "DescribeJobs")


@pytest.mark.parametrize(
    "request_of",
    [
        separation(),
        separation(audio=AudioConfig(codec="wav", sample_rate=44100)),
        separation(mode=None, template_id="t1"),
        separation(outputs={"voice": "out/${jobid}.mp3", "background": "out/b.mp3"}),
    ],
)
def test_a_separation_matches_the_request_that_made_it(request_of: VoiceSeparationRequest) -> None:
    assert CI.matches(separated(request_of), CI.prepare(request_of))


def test_a_separation_that_echoes_nothing_is_not_contradicted() -> None:
    assert CI.matches(separated(separation(), Input={}, Operation={"UserData": "m"}), CI.prepare(separation()))


@pytest.mark.parametrize(
    "other",
    [
        separation(source="in/b.mp3"),
        separation(mode="IsAudio", outputs={"voice": "out/v.mp3"}),
        separation(outputs={"voice": "elsewhere/v.mp3", "background": "out/b.mp3"}),
        separation(audio=AudioConfig(codec="wav")),
        separation(output_bucket="other-1250000000"),
    ],
)
def test_a_separation_does_not_match_another_request(other: VoiceSeparationRequest) -> None:
    assert not CI.matches(separated(other), CI.prepare(separation()))


def test_a_separation_that_makes_fewer_stems_does_not_match_although_a_template_holds_its_mode() -> None:
    few = separation(mode=None, template_id="t1", outputs={"voice": "out/v.mp3"})
    assert not CI.matches(separated(few), CI.prepare(separation(mode=None, template_id="t1")))


def test_a_stem_that_the_mode_does_not_make_need_not_be_echoed() -> None:
    asked = separation(mode="IsAudio")
    assert CI.matches(separated(separation(mode="IsAudio", outputs={"voice": "out/v.mp3"})), CI.prepare(asked))
