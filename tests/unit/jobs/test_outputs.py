"""Which files a finished job promises, when a missing one is believed, and what that means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import AuthenticationFailed, MediaxError, NotFound, Throttled, Unavailable
from airflow_provider_mediax.jobs.outputs import LOOKED_AT, LOOKS, Finding, Seen, judge, look_flow
from airflow_provider_mediax.protocol.ci.answers import read_job
from airflow_provider_mediax.protocol.ci.operations import CloudInfinite
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.exchange import Pause
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import Repository
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from airflow_provider_mediax.protocol.service import Promise
from airflow_provider_mediax.protocol.urls import CosAddress

BUCKET = "music-1250000000"
VOICE, DRUM = CosAddress(BUCKET, "voice.mp3"), CosAddress(BUCKET, "drum.mp3")
REFUSED = AuthenticationFailed("COS refused to look at it", advice="Check the keys.", status=403)
SILENT = Unavailable("COS did not answer")


@dataclass
class Shelf:
    """COS by script: what each look at a file finds; the last finding serves all further looks."""

    files: Mapping[CosAddress, Sequence[Finding]]
    bucket: MediaxError | None = None
    looks: list[Sequence[CosAddress]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    now: float = 100.0
    took: float = 0.0

    def look(self, addresses: Sequence[CosAddress]) -> dict[CosAddress, Finding]:
        self.looks.append(list(addresses))
        self.now += self.took
        place = len(self.looks) - 1
        return {address: self.files[address][min(place, len(self.files[address]) - 1)] for address in addresses}

    def ask(self, bucket: str) -> MediaxError | None:
        self.asked.append(bucket)
        return self.bucket

    def find(self, promise: Promise) -> dict[CosAddress, Finding]:
        flow = look_flow(promise, self, lambda: self.now)
        try:
            step = next(flow)
            while True:
                assert isinstance(step, Pause)
                self.now += step.seconds
                step = flow.send(None)
        except StopIteration as end:
            return dict(end.value)


def promise(*addresses: CosAddress, **terms: Any) -> Promise:
    return Promise(addresses=addresses or (VOICE,), **terms)


class TestLooking:
    def test_what_is_there_is_looked_at_once(self) -> None:
        shelf = Shelf({VOICE: [Seen.THERE], DRUM: [Seen.THERE]})
        assert shelf.find(promise(VOICE, DRUM)) == {VOICE: Seen.THERE, DRUM: Seen.THERE}
        assert shelf.looks == [[VOICE, DRUM]]
        assert shelf.asked == []

    @pytest.mark.parametrize("at_first", [Seen.MISSING, Seen.EMPTY, SILENT, Throttled("Slow down")])
    def test_what_comes_late_is_there(self, at_first: Throttled | Unavailable | Seen) -> None:
        shelf = Shelf({VOICE: [at_first, at_first, Seen.THERE], DRUM: [Seen.THERE]})
        assert shelf.find(promise(VOICE, DRUM)) == {VOICE: Seen.THERE, DRUM: Seen.THERE}
        assert shelf.looks == [[VOICE, DRUM], [VOICE], [VOICE]]

    def test_what_never_comes_is_missing_after_three_looks_in_six_seconds(self) -> None:
        shelf = Shelf({VOICE: [Seen.MISSING]})
        assert shelf.find(promise()) == {VOICE: Seen.MISSING}
        assert len(shelf.looks) == 3
        assert shelf.now - 100.0 == LOOKS[-1] <= 6

    def test_slow_answers_do_not_move_the_later_looks(self) -> None:
        shelf = Shelf({VOICE: [Seen.MISSING]}, took=1.0)
        shelf.find(promise())
        assert shelf.now - 100.0 == LOOKS[-1] + 1.0

    @pytest.mark.parametrize("silence", [NotFound("There is no bucket"), REFUSED])
    def test_nothing_is_missing_in_a_bucket_that_does_not_answer(
        self, silence: AuthenticationFailed | NotFound
    ) -> None:
        shelf = Shelf({VOICE: [Seen.MISSING], DRUM: [Seen.MISSING]}, bucket=silence)
        assert shelf.find(promise(VOICE, DRUM)) == {VOICE: silence, DRUM: silence}
        assert (len(shelf.looks), len(shelf.asked)) == (1, 1)

    def test_a_bucket_that_passes_over_a_question_is_asked_again(self) -> None:
        shelf = Shelf({VOICE: [Seen.MISSING]}, bucket=SILENT)
        assert shelf.find(promise()) == {VOICE: SILENT}
        assert len(shelf.asked) == 3

    def test_a_bucket_that_answers_is_asked_once(self) -> None:
        shelf = Shelf({VOICE: [Seen.MISSING], DRUM: [Seen.MISSING]})
        shelf.find(promise(VOICE, DRUM))
        assert shelf.asked == [BUCKET]

    def test_a_refusal_is_not_asked_for_again(self) -> None:
        shelf = Shelf({VOICE: [REFUSED]})
        assert shelf.find(promise()) == {VOICE: REFUSED}
        assert len(shelf.looks) == 1

    def test_of_very_many_files_the_first_are_looked_at(self) -> None:
        many = [CosAddress(BUCKET, str(number)) for number in range(3 * LOOKED_AT)]
        found = Shelf({address: [Seen.THERE] for address in many}).find(promise(*many))
        assert list(found) == many[:LOOKED_AT]


class TestMeaning:
    @pytest.mark.parametrize(
        ("terms", "failures", "doubts"),
        [
            ({}, [f"{VOICE} is missing", f"{DRUM} is empty"], []),
            ({"missing_is_failure": False}, [f"{DRUM} is empty"], [f"{VOICE} is missing"]),
            (
                {"missing_is_failure": False, "empty_is_failure": False},
                [],
                [f"{VOICE} is missing", f"{DRUM} is empty"],
            ),
        ],
    )
    def test_the_service_says_what_a_missing_and_an_empty_file_mean(
        self, terms: dict[str, bool], failures: list[str], doubts: list[str]
    ) -> None:
        verdict = judge(promise(VOICE, DRUM, **terms), {VOICE: Seen.MISSING, DRUM: Seen.EMPTY})
        assert (verdict.failures, verdict.doubts) == (failures, doubts)

    def test_what_is_there_is_not_spoken_of(self) -> None:
        verdict = judge(promise(VOICE, DRUM), {VOICE: Seen.THERE, DRUM: Seen.THERE})
        assert (verdict.failures, verdict.doubts) == ([], [])

    def test_what_could_not_be_asked_is_a_doubt_said_once_with_its_remedy(self) -> None:
        verdict = judge(promise(VOICE, DRUM), {VOICE: REFUSED, DRUM: REFUSED})
        said = f"{VOICE} and 1 more could not be looked at: COS refused to look at it (HTTP status 403). Check the keys"
        assert (verdict.failures, verdict.doubts) == ([], [said])


def separation(*named: str, mode: str | None = "AudioAndBackground", **output: str) -> Job:
    """Return a finished job: the names in ``MediaResult``, and the nodes of ``Output``."""
    operation: dict[str, Any] = {"Output": {"Bucket": BUCKET, "Region": "ap-guangzhou", **output}}
    if mode is not None:
        operation["VoiceSeparate"] = {"AudioMode": mode}
    if named:
        operation["MediaResult"] = {"OutputFile": {"ObjectName": list(named)}}
    return read_job({"JobId": "j1", "State": "Success", "Operation": operation}, "The job")


CI = CloudInfiniteService(
    CloudInfinite(bucket=BUCKET, region="ap-guangzhou", keys=CosKeys(secret_id="id", secret_key="key"))
)


def keys(promise: Promise) -> list[str]:
    assert {address.bucket for address in promise.addresses} <= {BUCKET}
    return sorted(address.key for address in promise.addresses)


class TestCloudInfinite:
    def test_the_names_of_the_answer_are_promised(self) -> None:
        job = separation("a/v.mp3", "a/b.mp3", AuObject="a/v.${ext}", Object="a/b.${ext}")
        assert keys(CI.promised(job)) == ["a/b.mp3", "a/v.mp3"]
        assert CI.promised(job).missing_is_failure
        assert CI.promised(job).empty_is_failure

    def test_without_names_our_own_keys_are_promised_unless_they_have_a_wildcard(self) -> None:
        assert keys(CI.promised(separation(AuObject="v.mp3", Object="b.${ext}"))) == ["v.mp3"]

    @pytest.mark.parametrize("named", [(), ("v.mp3",)])
    def test_a_stem_that_the_answer_leaves_out_is_looked_for(self, named: tuple[Any, ...]) -> None:
        assert keys(CI.promised(separation(*named, AuObject="v.mp3", Object="b.mp3"))) == ["b.mp3", "v.mp3"]

    def test_a_key_that_the_mode_does_not_make_is_not_promised(self) -> None:
        assert keys(CI.promised(separation(mode="IsAudio", AuObject="v.mp3", Object="b.mp3"))) == ["v.mp3"]
        assert keys(CI.promised(separation("v.mp3", mode=None, AuObject="v.mp3", Object="b.mp3"))) == ["v.mp3"]

    def test_as_many_names_as_stems_are_taken_at_their_word(self) -> None:
        job = separation("one.mp3", "two.mp3", AuObject="v.mp3", Object="b.mp3")
        assert keys(CI.promised(job)) == ["one.mp3", "two.mp3"]

    def test_without_a_mode_all_own_keys_are_promised(self) -> None:
        assert keys(CI.promised(separation(mode=None, AuObject="v.mp3", Object="b.mp3"))) == ["b.mp3", "v.mp3"]

    def test_the_region_is_that_of_the_output(self) -> None:
        assert CI.promised(separation(AuObject="v", Region="ap-beijing")).region == "ap-beijing"
        assert CI.promised(separation(AuObject="v", Region="")).region == "ap-guangzhou"
        assert CI.promised(separation(AuObject="v", Region="", Bucket="other-1250000000")).region is None

    def test_another_output_bucket_is_looked_into(self) -> None:
        (address,) = CI.promised(separation(mode="IsAudio", AuObject="v", Bucket="other-1250000000")).addresses
        assert address == CosAddress("other-1250000000", "v")


def platform(bucket: str | None) -> MediaxService:
    keys = PlatformKeys("id", "key")
    gateway = Gateway(
        base_url="http://127.0.0.1", job_path="/job", register_path="/r", platform_keys=keys, gateway_keys=None
    )
    return MediaxService(gateway, Repository(content_id="repo", bucket=bucket))


def composed(*songs: str) -> Job:
    result = {"musicCompose": [{"songName": song} for song in songs]}
    output = {"contentId": "repo", "destination": "/out/", "smartContentResult": result}
    return Job(id="1", state=JobState.SUCCEEDED, state_name="COMPLETED", raw={"outputs": [output]})


class TestMediax:
    def test_a_missing_file_proves_nothing_and_an_empty_one_does(self) -> None:
        promised = platform(BUCKET).promised(composed("a.mp3", "b.mp3"))
        assert promised.addresses == [CosAddress(BUCKET, "out/a.mp3"), CosAddress(BUCKET, "out/b.mp3")]
        assert (promised.missing_is_failure, promised.empty_is_failure, promised.region) == (False, True, None)

    @pytest.mark.parametrize(("bucket", "songs"), [(None, ["a.mp3"]), (BUCKET, [])])
    def test_without_a_bucket_or_a_file_nothing_is_promised(self, bucket: str | None, songs: list[str]) -> None:
        assert platform(bucket).promised(composed(*songs)).addresses == []
