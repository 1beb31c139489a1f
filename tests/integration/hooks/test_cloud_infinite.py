"""The hook of Cloud Infinite against the emulator: jobs, templates, queues, and what an account may lack."""

from __future__ import annotations

import time

import pytest

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, Unavailable
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.protocol.job import JobState
from tests.integration.hooks.conftest import Edited
from tests.integration.hooks.separations import separation


def test_a_job_is_submitted_found_described_and_canceled(edited: Edited) -> None:
    emulator = edited()
    emulator.pause_queue()
    hook = CloudInfiniteHook()
    job = hook.submit(separation(user_data="for the archive"), "mx1-a")
    other = hook.submit(separation(), "mx1-b")
    assert [found.id for found in hook.jobs_of("mx1-a", since=time.time() - 60).jobs] == [job.id]
    assert set(hook.describe([job.id, other.id, "unknown"])) == {job.id, other.id}
    assert {found.id for found in hook.jobs().jobs} == {job.id, other.id}
    hook.cancel([job.id])
    assert hook.describe([job.id])[job.id].state is JobState.CANCELED
    hook.close()


def test_a_thousand_jobs_are_described_in_a_hundred_calls(edited: Edited) -> None:
    emulator = edited()
    emulator.outcome("VoiceSeparate", "NEVER", times=30)
    hook = CloudInfiniteHook()
    ids = [hook.submit(separation(), f"mx1-{number}").id for number in range(30)]
    before = len(emulator.ledger()["requests"])
    limit = hook.service.describe_limit
    found = [job for start in range(0, 30, limit) for job in hook.describe(ids[start : start + limit])]
    assert sorted(found) == sorted(ids)
    assert len(emulator.ledger()["requests"]) - before == 3


def test_eleven_ids_are_refused_before_they_are_sent(edited: Edited) -> None:
    emulator = edited()
    with pytest.raises(BadRequest, match="10"):
        CloudInfiniteHook().describe([f"j{number}" for number in range(11)])
    assert emulator.ledger()["requests"] == []


def test_a_template_is_made_once_and_found_by_its_name(edited: Edited) -> None:
    edited()
    hook = CloudInfiniteHook()
    made = hook.ensure_template("stems", "MusicMode", codec="mp3")
    assert hook.ensure_template("stems", "MusicMode", codec="mp3").id == made.id
    assert hook.template(made.id).mode == "MusicMode"
    with pytest.raises(BadRequest, match=r"^name='stems' is refused"):
        hook.ensure_template("stems", "IsAudio", codec="mp3")


def test_a_template_whose_answer_was_lost_is_found_and_not_made_twice(edited: Edited) -> None:
    emulator = edited()
    emulator.fail_next("CreateCiTemplate", "drop_after")
    made = CloudInfiniteHook().ensure_template("stems", "IsAudio", codec="mp3")
    assert made.mode == "IsAudio"
    actions = [request["action"] for request in emulator.ledger()["requests"]]
    assert actions.count("CreateCiTemplate") == 1


def test_the_smart_audio_queue_is_listed(edited: Edited) -> None:
    edited()
    assert [queue.name for queue in CloudInfiniteHook().queues()] == ["queue-smart-audio-1"]


@pytest.mark.parametrize(
    ("precondition", "advice"),
    [("bucket_bound", "Bind the bucket"), ("smart_audio", "activate Smart Audio"), ("role", "CI_QCSRole")],
)
def test_what_the_account_lacks_is_said_with_what_to_do(edited: Edited, precondition: str, advice: str) -> None:
    edited().precondition(precondition, False)
    with pytest.raises(BadRequest) as caught:
        CloudInfiniteHook().submit(separation(), "mx1-a")
    assert advice in caught.value.advice


@pytest.mark.parametrize("field", ["cos_secret_id", "cos_secret_key"])
def test_a_wrong_key_is_an_authentication_error_that_does_not_repeat_it(edited: Edited, field: str) -> None:
    edited(**{field: "mistyped"})
    with pytest.raises(AuthenticationFailed) as caught:
        CloudInfiniteHook().submit(separation(), "mx1-a")
    assert "cos_secret_id" in caught.value.advice
    assert "mistyped" not in caught.value.reason


@pytest.mark.parametrize("field", ["cos_secret_id", "cos_secret_key", "cos_bucket", "cos_region"])
def test_a_missing_field_is_named_before_anything_is_sent(edited: Edited, field: str) -> None:
    emulator = edited(**{field: ""})
    with pytest.raises(BadRequest, match=rf"^{field}="):
        CloudInfiniteHook().submit(separation(), "mx1-a")
    assert emulator.ledger()["requests"] == []


def test_an_unknown_bucket_is_said_with_what_to_check(edited: Edited) -> None:
    edited()
    with pytest.raises(BadRequest) as caught:
        CloudInfiniteHook(bucket="other-1250000000").submit(separation(), "mx1-a")
    assert "Check bucket" in caught.value.advice


@pytest.mark.parametrize("offset", [600.0, -1200.0])
def test_a_clock_that_is_off_is_learned_from_the_refusal(edited: Edited, offset: float) -> None:
    edited().clock(offset)
    assert CloudInfiniteHook().submit(separation(), "mx1-a").id


def test_a_lost_answer_is_reported_and_never_repeated(edited: Edited) -> None:
    emulator = edited()
    emulator.fail_next("SubmitCiJob", "drop_after")
    with pytest.raises(Unavailable):
        CloudInfiniteHook().submit(separation(), "mx1-a")
    assert len(emulator.ledger()["jobs"]) == 1


def test_temporary_keys_come_with_their_token(edited: Edited) -> None:
    from airflow_provider_mediax.emulator.shared import accounts

    edited(
        cos_secret_id=accounts.TEMPORARY_SECRET_ID,
        cos_secret_key=accounts.TEMPORARY_SECRET_KEY,
        cos_token=accounts.TEMPORARY_TOKEN,
    )
    assert CloudInfiniteHook().submit(separation(), "mx1-a").id
    edited(cos_secret_id=accounts.TEMPORARY_SECRET_ID, cos_secret_key=accounts.TEMPORARY_SECRET_KEY)
    with pytest.raises(AuthenticationFailed):
        CloudInfiniteHook().submit(separation(), "mx1-b")


def test_an_input_of_another_bucket_gets_an_address_that_is_masked_and_passes(
    edited: Edited, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow_provider_mediax.hooks import mediax
    from airflow_provider_mediax.protocol.mediax.request import MediaxInput

    edited()
    masked: list[str] = []
    monkeypatch.setattr(mediax, "mask_secret", masked.append)
    repository = mediax.MediaxHook().service.repository
    given = MediaxInput(url="cos://other-1250000000/a b+ü.mp3")
    url = given.wire(repository)["url"]
    address, _, signature = url.partition("?")
    assert address == "https://other-1250000000.cos.ap-guangzhou.myqcloud.com/a%20b%2B%C3%BC.mp3"
    assert signature.startswith("q-sign-algorithm")
    assert signature in masked
    assert signature not in caplog.text
    assert given.identity() == {"url": "cos://other-1250000000/a b+ü.mp3"}
