"""The music platform's hook against the emulator: what the test button says, and what the calls return."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.faults import INSTEAD
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, Unreachable
from airflow_provider_mediax.hooks.base import pacing_of
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
from airflow_provider_mediax.protocol.mediax.capabilities.making import SingingCloning, VoiceCloning
from airflow_provider_mediax.protocol.mediax.gateway import Registration
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput
from airflow_provider_mediax.protocol.service import JobService
from airflow_provider_mediax.results import rows
from tests.audio import click_track
from tests.integration.hooks.conftest import Edited
from tests.unit.emulator.helpers import wait_for

CONNECTION = "AIRFLOW_CONN_MEDIAX_DEFAULT"


@pytest.fixture
def edited(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> Edited:
    """Return a function that sets the emulator's connection with some fields changed."""

    def edit(**changes: str) -> MediaxEmulator:
        connection = json.loads(mediax_emulator.connection_json())
        for name, value in changes.items():
            (connection if name in connection else connection["extra"])[name] = value
        monkeypatch.setenv(CONNECTION, json.dumps(connection))
        return mediax_emulator

    edit()
    return edit


def tags() -> CapabilityRequest:
    return CapabilityRequest(capability=MusicTag(tag_types=["mood"]), input=MediaxInput(path="a.wav"))


ACCEPTED = "Gateway accepted; platform keys accepted; COS accepted; voice separation accepted."

#: How an answer begins, as the docs have it, and what it is about.
BEGINNINGS = (
    "Gateway accepted",
    "Host unreachable",
    "Something other than the gateway answers",
    "Gateway signature refused",
    "Platform keys refused",
    "No answer now",
)


def sentence_of(answer: tuple[bool, str]) -> str:
    """Return what the test button says, which has failed, and is made of whole sentences."""
    well, sentence = answer
    assert not well
    assert ".." not in sentence
    assert sentence.endswith(".")
    assert "wrong-" not in sentence
    return sentence


class TestTestConnection:
    def test_all_is_well(self, edited: Edited) -> None:
        assert MediaxHook().test_connection() == (True, ACCEPTED)

    def test_it_buys_and_writes_nothing(self, edited: Edited) -> None:
        emulator = edited()
        MediaxHook().test_connection()
        asked = [request["action"] for request in emulator.ledger()["requests"]]
        assert {"ListJobs", "HeadBucket", "ListObjects"} <= set(asked)
        assert [action for action in asked if not action.startswith(("List", "Head", "Describe"))] == []

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"host": "http://127.0.0.1:9"}, "Host unreachable"),
            ({"host": "http://nosuchhost.invalid"}, "Host unreachable"),
            ({"gateway_secret_key": "wrong-"}, "Gateway signature refused"),
            ({"gateway_secret_id": "wrong-"}, "Gateway signature refused"),
            ({"gateway_source": "wrong-"}, "Gateway signature refused"),
            ({"login": "wrong-"}, "Platform keys refused"),
            ({"password": "wrong-"}, "Platform keys refused"),
            ({"job_path": "/nothing-here"}, "Something other than the gateway answers"),
            ({"login": ""}, "login='' is refused"),
            ({"cos_region": "cos.ap-guangzhou"}, "cos_region='cos.ap-guangzhou' is refused"),
            ({"cos_secret_key": "wrong-"}, "Gateway accepted"),
        ],
    )
    def test_it_begins_with_the_part_that_is_wrong(self, edited: Edited, changes: dict[str, str], said: str) -> None:
        edited(**changes)
        assert sentence_of(MediaxHook().test_connection()).startswith(said)

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("html", "Something other than the gateway answers"),
            ("302", "Something other than the gateway answers"),
            ("unauthorized", "Gateway signature refused"),
            ("error_response", "Platform keys refused"),
            ("429", "No answer now"),
            ("503", "No answer now"),
            ("drop_before", "No answer now"),
        ],
    )
    def test_the_answers_of_the_gateway_are_kept_apart(self, edited: Edited, kind: str, said: str) -> None:
        edited().fail_next("ListJobs", kind, times=20)
        assert sentence_of(MediaxHook().test_connection()).startswith(said)

    @pytest.mark.parametrize("kind", [*INSTEAD, "truncated", "short"])
    def test_every_answer_of_the_gateway_has_a_documented_beginning(self, edited: Edited, kind: str) -> None:
        edited().fail_next("ListJobs", kind, times=20)
        assert sentence_of(MediaxHook().test_connection()).startswith(BEGINNINGS)

    @pytest.mark.parametrize("kind", [*INSTEAD, "truncated", "drop_before"])
    def test_every_answer_of_cos_follows_the_gateways(self, edited: Edited, kind: str) -> None:
        edited().fail_next("ListObjects", kind, times=20)
        sentence = sentence_of(MediaxHook().test_connection())
        assert sentence.startswith("Gateway accepted; platform keys accepted; COS")
        assert sentence.endswith(" Voice separation accepted.")

    def test_the_beginnings_are_documented(self) -> None:
        page = Path(__file__).parents[3].joinpath("docs", "connection.md").read_text(encoding="utf-8")
        assert [words for words in BEGINNINGS if f"| `{words}` |" not in page] == []

    def test_cos_is_tried_too(self, edited: Edited) -> None:
        edited(cos_secret_key="wrong-")
        sentence = sentence_of(MediaxHook().test_connection())
        assert sentence.startswith("Gateway accepted; platform keys accepted; ")
        assert "COS refused to list cos://music-1250000000/" in sentence
        assert "Check cos_secret_id, cos_secret_key" in sentence

    def test_every_bucket_that_is_named_is_tried(self, edited: Edited) -> None:
        edited(bucket_regions={"nobody-1250000000": "ap-beijing"})
        sentence = sentence_of(MediaxHook().test_connection())
        assert "COS accepted; COS bucket nobody-1250000000: There is no cos://nobody-1250000000/" in sentence

    def test_what_is_not_set_is_not_tried(self, edited: Edited) -> None:
        edited(login="", password="")
        assert MediaxHook().test_connection() == (True, "COS accepted; voice separation accepted.")
        edited(cos_secret_id="", cos_secret_key="")
        assert MediaxHook().test_connection() == (True, "Gateway accepted; platform keys accepted.")
        edited(login="", password="", cos_secret_id="", cos_secret_key="")
        assert "Nothing is set up" in sentence_of(MediaxHook().test_connection())

    @pytest.mark.parametrize(
        ("field", "wrong"), [("proxy", "socks5://127.0.0.1"), ("verify", "/no/such/file"), ("verify", "maybe")]
    )
    def test_a_field_that_every_part_needs_is_named_once(self, edited: Edited, field: str, wrong: str) -> None:
        plain = edited().url.removeprefix("http://")
        edited(host=f"https://{plain}", cos_endpoint=f"https://{plain}", **{field: wrong})
        sentence = sentence_of(MediaxHook().test_connection())
        assert field in sentence
        assert sentence.count("is refused") == 1

    @pytest.mark.parametrize("field", ["host", "cos_endpoint"])
    def test_plain_http_without_a_scheme_is_said(self, edited: Edited, field: str) -> None:
        plain = edited().url.removeprefix("http://")
        edited(**{field: plain if field == "host" else f"https://{plain}"})
        assert "no TLS; if plain HTTP is meant, the address must begin with http://" in sentence_of(
            MediaxHook().test_connection()
        )


@pytest.mark.parametrize("field", ["host", "cos_endpoint"])
async def test_plain_http_without_a_scheme_is_said_in_the_triggerer(edited: Edited, field: str) -> None:
    plain = edited().url.removeprefix("http://")
    edited(**{field: plain if field == "host" else f"https://{plain}"})
    connection = MediaxConnection.look_up("mediax_default")
    service: JobService[Any] = MediaxHook.service_of(connection, None, None)
    if field == "cos_endpoint":
        service = CloudInfiniteHook.service_of(connection, None, None)
    async with AsyncClient(connection.transport, pacing_of(service, connection)) as client:
        with pytest.raises(Unreachable, match="no TLS; if plain HTTP is meant"):
            await client.run(service.jobs_of("marker"), ONE_TRY)


def test_a_job_is_submitted_found_and_read(edited: Edited) -> None:
    emulator = edited()
    emulator.put_object("a.wav", click_track(seconds=2))
    emulator.durations("*", 0)
    hook = MediaxHook()
    job = hook.submit(tags(), "marker-1")
    assert [found.id for found in hook.jobs_of("marker-1").jobs] == [job.id]
    assert hook.jobs_of("marker-2").jobs == []
    assert hook.describe([job.id])[job.id].state in (JobState.OPEN, JobState.SUCCEEDED)
    hook.close()


@pytest.mark.parametrize("field", ["gateway_secret_key", "gateway_source"])
def test_a_wrong_gateway_key_is_an_authentication_error(edited: Edited, field: str) -> None:
    edited(**{field: "mistyped"})
    with pytest.raises(AuthenticationFailed) as caught:
        MediaxHook().submit(tags(), "marker")
    assert caught.value.layer == "gateway"
    assert caught.value.status == 401
    assert "mistyped" not in str(caught.value)


@pytest.mark.parametrize("field", ["login", "password"])
def test_a_wrong_platform_key_is_a_refusal_that_names_the_fields(edited: Edited, field: str) -> None:
    edited(**{field: "mistyped"})
    with pytest.raises(BadRequest) as caught:
        MediaxHook().submit(tags(), "marker")
    assert "check login and password" in caught.value.advice
    assert caught.value.layer == "platform"
    assert "mistyped" not in str(caught.value)


@pytest.mark.parametrize("field", ["cos_secret_id", "cos_secret_key"])
def test_a_wrong_cos_key_is_an_authentication_error(edited: Edited, field: str) -> None:
    edited(**{field: "mistyped"})
    with pytest.raises(AuthenticationFailed) as caught:
        CosHook().write_bytes("a", b"x")
    assert "cos_secret_id, cos_secret_key" in caught.value.advice
    assert "mistyped" not in str(caught.value)


def test_register_returns_all_keys_and_is_sent_once(edited: Edited) -> None:
    emulator = edited()
    emulator.fail_next("Register", "500")
    registration = Registration(
        operate_uin="1000000001",
        user_name="demo",
        cos_secret_id="id",
        cos_secret_key="key",
        bucket="other-1250000000",
        region="ap-guangzhou",
    )
    with pytest.raises(Exception, match="answered Register"):
        MediaxHook().register(registration)
    assert sum(request["action"] == "Register" for request in emulator.ledger()["requests"]) == 1
    info = MediaxHook().register(registration)
    assert {"tmpContentId", "tmpSecretId", "tmpSecretKey", "apiGateSecretId", "apiGateSecretKey"} <= set(info)


def is_over(hook: MediaxHook, job_id: str) -> bool:
    return hook.describe([job_id])[job_id].state.final


def test_trained_voices_are_listed_by_kind_and_page(edited: Edited) -> None:
    emulator = edited()
    emulator.put_object("a.wav", click_track(seconds=2))
    emulator.durations("*", 0)
    hook = MediaxHook()
    kinds = {"singer": SingingCloning, "speaker": VoiceCloning}
    for name, kind in kinds.items():
        training = kind(task="train", model_name=name)
        job = hook.submit(CapabilityRequest(capability=training, input=MediaxInput(path="a.wav")), name)
        wait_for(partial(is_over, hook, job.id))
    assert sorted(voice["name"] for voice in hook.models()) == ["singer", "speaker"]
    assert [voice["name"] for voice in hook.models(kind=2)] == ["singer"]
    assert len(hook.models(limit=1)) == 1
    assert hook.models(offset=2) == []
    with pytest.raises(BadRequest, match="limit"):
        hook.models(limit=101)
    hook.close()


def test_a_passing_fault_of_the_list_of_voices_is_borne(edited: Edited) -> None:
    edited().fail_next("ListModels", "502")
    assert MediaxHook().models() == []


def test_files_in_another_repository_have_an_address_only_where_its_bucket_is_told(
    edited: Edited, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    edited()
    from airflow_provider_mediax.protocol.mediax.gateway import read_job

    output: dict[str, Any] = {
        "contentId": "other",
        "destination": "/out",
        "smartContentDescriptor": {"musicSeperate": {}},
        "smartContentResult": {"musicSeperate": [{"fileName": "v.wav", "tone": 1}]},
    }
    job = read_job({"id": "j", "state": 3, "customId": "m", "outputs": [output]}, "test")
    told = MediaxHook(cos_bucket="other-1250000000").manifest(job, None, reattached=False)
    assert told["files"] == ["cos://other-1250000000/out/v.wav"]
    assert told["result"] == {"stems": {"voice": told["files"][0]}}
    assert "is not known" not in caplog.text + capfd.readouterr().out
    untold = MediaxHook().manifest(job, None, reattached=False)
    assert untold["files"] == []
    assert "The bucket of ['out/v.wav'] is not known (set cos_bucket)" in caplog.text + capfd.readouterr().out


def test_a_result_too_large_for_xcom_is_kept_beside_the_files_and_its_rows_are_read_from_there(edited: Edited) -> None:
    edited()
    hook = MediaxHook()
    lines = {f"f{number}FileName": "x" * 1000 for number in range(60)}
    content_id = hook.connection.repository.content_id
    from airflow_provider_mediax.protocol.mediax.gateway import read_job

    # The job as the platform would describe it.
    output: dict[str, Any] = {
        "contentId": content_id,
        "destination": "/out",
        "smartContentDescriptor": {"musicBeat": {}},
        "smartContentResult": {"musicBeat": lines},
    }
    job = read_job({"id": "j", "state": 3, "customId": "m", "outputs": [output]}, "test")
    manifest = hook.manifest(job, None, reattached=False)
    assert manifest["result"] == {"uri": "cos://music-1250000000/out/j.result.json"}
    assert len(rows(manifest)) == 60
