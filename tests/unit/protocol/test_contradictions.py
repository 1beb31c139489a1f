"""The documentation contradicts itself; each test is named after the finding's number in the API reference."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest, ProtocolError, Throttled
from airflow_provider_mediax.protocol.callbacks import read_mediax_callback
from airflow_provider_mediax.protocol.exchange import unsigned
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.protocol.json_body import parse_json
from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES, Capability
from airflow_provider_mediax.protocol.mediax.capabilities.listening import (
    MusicAsr,
    MusicBeat,
    MusicHighlight,
    MusicSeparation,
    MusicStructure,
    MusicTag,
    SkipMusicIntro,
)
from airflow_provider_mediax.protocol.mediax.capabilities.making import (
    ImageBgm,
    MusicCompose,
    MusicComposeHumming,
    SingingCloning,
    TextBgm,
    VideoBgm,
    VoiceCloning,
)
from airflow_provider_mediax.protocol.mediax.gateway import (
    Gateway,
    GatewayKeys,
    PlatformKeys,
    Registration,
    read_job,
)
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput, RawRequest, Repository
from airflow_provider_mediax.protocol.mediax.results import read_result
from tests.unit.protocol.helpers import repositories, rows_of, wired

from .examples import GATEWAY, GATEWAY_KEYS, MARKER, PLATFORM_KEYS, REPOSITORY, example, finished, output, reply
from .flows import first_call, play, sent_body

URL = MediaxInput(url="https://example.com/a.mp3")
CLONINGS: list[type[Capability]] = [SingingCloning, VoiceCloning]
TYPED: list[Capability] = [
    *(kind() for kind in CAPABILITIES.values() if kind not in CLONINGS and {"url", "path"} <= set(kind.inputs)),
    SingingCloning(task="generate", model_name="a"),
    VoiceCloning(task="train", model_name="a"),
]


def wire(capability: Capability | dict[str, Any], **options: Any) -> dict[str, Any]:
    return wired(CapabilityRequest(capability=capability, input=URL, **options), REPOSITORY)


def result_of(capability: str, result: object) -> Any:
    return read_result(finished(output(capability, result)), repositories({})).result


def rows_in(capability: str, result: object) -> list[dict[str, Any]]:
    return rows_of(capability, result_of(capability, result))


@pytest.mark.parametrize("outer", ["musigTagV2", "musicTagV2"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_contradiction_01_tags_are_found_under_all_four_wrappers(outer: str, wrapped: bool) -> None:
    tags = {"vocal": {"label": "Vocal", "prob": "1.0000"}}
    content = {outer: {"musicTagV2": tags} if wrapped else tags}
    assert result_of("musicTagV2", content) == {"vocal": {"label": "Vocal", "prob": 1.0}}


def test_contradiction_02_the_older_tagger_is_kept_raw() -> None:
    content = {"audioTagger": [{"tagType": 1, "tag": "Rock", "probility": "0.5"}]}
    assert result_of("musicTagV2", content) == content
    assert rows_in("musicTagV2", content) == []
    as_object = {"audioTagger": {"tagType": 1, "tag": "Rock"}}
    assert result_of("musicTagV2", as_object) == as_object
    assert rows_in("musicTagV2", as_object) == []


def test_contradiction_03_neither_the_older_tagger_nor_the_test_path_is_ever_sent() -> None:
    call = first_call(GATEWAY.create_job(wire(MusicTag()), MARKER))
    assert b"audioTagger" not in call.body
    assert "audioTagger" not in CAPABILITIES
    assert call.url == "https://api.mediax.tencent.com/job"


def test_contradiction_04_a_dimension_that_was_asked_for_may_be_missing_or_empty() -> None:
    job = read_job(example("musicTagV2", "get_response")["getJobResponse"]["job"], "GetJob")
    found = read_result(job, repositories({})).result
    assert found == {
        "vocal": {"label": "Vocal", "prob": 1.0},
        "language": {"label": "Other", "prob": 0.0817},
        "mood": {"label": "Exciting", "prob": 0.2953},
        "genre": {"label": "Zhuang", "prob": 0.771},
        "scene": {"label": "Prayer", "prob": 0.8886},
    }
    assert len(rows_of("musicTagV2", found)) == 5


@pytest.mark.parametrize("content", [{"musigTagV2": {}}, {"musicTagV2": {}}, {"musigTagV2": {"musicTagV2": {}}}])
def test_contradiction_04_an_empty_answer_has_no_tags_and_no_rows(content: dict[str, Any]) -> None:
    assert result_of("musicTagV2", content) == {}
    assert rows_in("musicTagV2", content) == []


@pytest.mark.parametrize("label", ["Something New", "说唱", "36 & more"])
def test_contradiction_05_labels_are_no_closed_set(label: str) -> None:
    view = result_of("musicTagV2", {"musigTagV2": {"scene": {"label": label, "prob": "0.5"}, "new": {"label": label}}})
    assert view == {"scene": {"label": label, "prob": 0.5}, "new": {"label": label, "prob": None}}


def test_contradiction_06_the_printed_answer_without_its_comma_is_not_json() -> None:
    with pytest.raises(ProtocolError):
        parse_json(b'{"endTime": "28.8" "conf": "0.8"}', "The answer")


@pytest.mark.parametrize("conf", ["0.8", 0.8, "8e-1"])
def test_contradiction_07_numbers_are_read_from_text_and_from_numbers(conf: object) -> None:
    line = {"text": "天空", "startTime": "25.2", "endTime": 28.8, "conf": conf}
    assert result_of("musicASR", {"musicASR": [line]}) == {
        "lines": [{"text": "天空", "start": 25.2, "end": 28.8, "confidence": 0.8}]
    }
    assert result_of("musicTagV2", {"musigTagV2": {"mood": {"label": "Sad", "prob": conf}}})["mood"]["prob"] == 0.8


def test_contradiction_07_the_single_precision_echo_does_not_enter_the_identity() -> None:
    request = CapabilityRequest(capability=MusicAsr(confidence=0.2), input=URL)
    echo = example("musicASR", "create_response")["createJobResponse"]["job"]
    assert echo["outputs"][0]["smartContentDescriptor"]["musicASR"]["confidence"] != 0.2
    assert request.identity()["parameters"] == {"musicASR": {"confidence": 0.2}}
    assert play(
        GATEWAY.create_job(wired(request, REPOSITORY), "{customId}"), reply({"createJobResponse": {"job": echo}})
    )


def test_contradiction_08_comments_are_documentation_only() -> None:
    with pytest.raises(ProtocolError):
        parse_json(b'{"state": 1 // SUBMITTED\n}', "The answer")


def test_contradiction_09_both_layers_are_sent_and_the_signature_can_be_switched_off() -> None:
    signed = first_call(GATEWAY.get_job("1"))
    assert signed.sign == GATEWAY_KEYS.sign
    without = first_call(Gateway(base_url="https://x", platform_keys=PLATFORM_KEYS).get_job("1"))
    assert without.sign is unsigned
    assert without.sign(0) == {}
    for call in (signed, without):
        assert {"secretId", "secretKey"} <= json.loads(call.body).keys()


def test_contradiction_10_source_is_a_required_setting_and_sent_as_given() -> None:
    with pytest.raises(TypeError):
        GatewayKeys(secret_id="id", secret_key="key")  # type: ignore[call-arg]
    assert GatewayKeys(source="any text", secret_id="id", secret_key="key").sign(0)["Source"] == "any text"


@pytest.mark.parametrize("name", ["registerInfo", "registerResponse"])
def test_contradiction_11_the_registration_is_found_under_both_names(name: str) -> None:
    assert play(GATEWAY.register(REGISTRATION), reply({name: {"tmpContentId": "c"}})).result == {"tmpContentId": "c"}


def test_contradiction_11_the_account_is_sent_as_text() -> None:
    assert sent_body(GATEWAY.register(REGISTRATION))["registerRequest"]["operateUin"] == "100000000001"


def test_contradiction_12_cos_settings_are_nested_as_in_the_example() -> None:
    request = sent_body(GATEWAY.register(REGISTRATION))["registerRequest"]
    assert request.keys() == {"operateUin", "userName", "cosConfig"}
    assert request["cosConfig"].keys() == {"secretId", "secretKey", "bucket", "region"}


def test_contradiction_13_only_register_sends_a_request_id() -> None:
    assert sent_body(GATEWAY.register(REGISTRATION))["requestId"]
    for flow in (GATEWAY.create_job({}, MARKER), GATEWAY.get_job("1"), GATEWAY.list_jobs("1"), GATEWAY.list_models()):
        assert "requestId" not in sent_body(flow)


def test_contradiction_14_the_newer_paths_are_the_default() -> None:
    paths = Gateway(base_url="https://x", platform_keys=PLATFORM_KEYS)
    assert (paths.job_path, paths.register_path) == ("/job", "/register")


@pytest.mark.parametrize("capability", TYPED, ids=lambda one: one.name)
def test_contradiction_15_the_repository_is_required_where_files_are_written(capability: Capability) -> None:
    request = CapabilityRequest(capability=capability, input=URL)
    if capability.has_files():
        with pytest.raises(BadRequest, match="content_id"):
            wired(request, Repository())
        assert wired(request, REPOSITORY)["outputs"][0]["contentId"] == "tmpContentId"
    else:
        assert "contentId" not in wired(request, Repository())["outputs"][0]


@pytest.mark.parametrize("outputs", [[], [{}], [{"smartContentDescriptor": {}}], [{"smartContentDescriptor": None}]])
def test_contradiction_16_the_descriptor_is_required(outputs: list[dict[str, Any]]) -> None:
    with pytest.raises(BadRequest, match="outputs"):
        RawRequest(inputs=[{"url": "https://example.com/a.mp3"}], outputs=outputs)
    for descriptor in ({}, {"outputPrefix": "a"}):
        with pytest.raises(BadRequest, match="descriptor"):
            CapabilityRequest(capability=descriptor, input=URL)


@pytest.mark.parametrize("kind", [MusicCompose, MusicComposeHumming, ImageBgm, TextBgm])
def test_contradiction_17_the_number_of_songs_is_always_sent(kind: type[Capability]) -> None:
    assert kind().parameters()["songQuantity"] == 1


def test_contradiction_18_on_is_a_number_a_boolean_or_a_list() -> None:
    assert (MusicHighlight().parameters(), SkipMusicIntro().parameters()) == (2, 2)
    assert MusicStructure().parameters() == {"structureAnalysis": True}
    assert SingingCloning(task="generate", model_name="a", use_separate=True).parameters()["useSeparate"] == 2
    assert MusicComposeHumming(use_sieve=False).parameters()["useSieve"] == 1


def test_contradiction_19_the_songs_type_has_two_names_and_a_clonings_type_is_its_task() -> None:
    assert MusicCompose(song_type=1).parameters() == {"songQuantity": 1, "songType": 1}
    for kind in (ImageBgm, TextBgm):
        assert kind(song_type="LARGE_MODEL").parameters() == {"songQuantity": 1, "type": 1}
    assert VoiceCloning(task="train", model_name="a").parameters() == {"type": 2, "modelName": "a"}


def test_contradiction_18_tags_are_asked_for_by_a_list() -> None:
    assert MusicTag(tag_types="mood, vocal").parameters() == {"tagType": ["mood", "vocal"]}
    assert MusicTag().parameters() == {"tagType": ["all"]}
    assert MusicBeat().parameters() == {"outputType": 4, "drumType": 2, "enlargeLevel": 3, "splitNum": 3}


def test_contradiction_20_a_raw_descriptor_keeps_the_misspelt_name() -> None:
    for name in ("musicSeperate", "musicSeparate"):
        assert wire({name: {"method": 1}})["outputs"][0]["smartContentDescriptor"] == {name: {"method": 1}}
        content = {name: [{"fileName": "v.mp3", "tone": 1}]}
        job = finished(output("musicSeperate", content, contentId="tmpContentId", destination="/o"))
        assert read_result(job, repositories({"tmpContentId": "b-1"})).files == ["cos://b-1/o/v.mp3"]


def test_contradiction_20_misspelt_names_are_sent_as_the_service_spells_them() -> None:
    assert MusicSeparation.name == "musicSeperate"
    for name in ("MULTI_TRACE", "MULTI_TRACK", 2):
        assert VideoBgm(mode=name).parameters()["mode"] == 2


@pytest.mark.parametrize("asked", ["musicSeperate", "musicSeparate"])
@pytest.mark.parametrize("answered", ["musicSeperate", "musicSeparate"])
def test_contradiction_20_stems_are_read_under_either_spelling(asked: str, answered: str) -> None:
    content = {answered: [{"fileName": "v.mp3", "tone": 1}]}
    job = finished(output(asked, content, contentId="tmpContentId", destination="/o"))
    assert read_result(job, repositories({"tmpContentId": "b-1"})).result == {"stems": {"voice": "cos://b-1/o/v.mp3"}}


def test_contradiction_22_the_three_pairs_have_names_of_their_own() -> None:
    assert {field.name for field in fields(PlatformKeys)} == {"secret_id", "secret_key"}
    assert {"cos_secret_id", "cos_secret_key"} <= {field.name for field in fields(Registration)}
    job_body = sent_body(GATEWAY.get_job("1"))
    register_body = sent_body(GATEWAY.register(REGISTRATION))
    assert (job_body["secretId"], job_body["secretKey"]) == ("{secretId}", "{secretKey}")
    assert "secretId" not in register_body
    assert register_body["registerRequest"]["cosConfig"]["secretId"] == "cosId"
    assert b"apiSecret" not in first_call(GATEWAY.get_job("1")).body


@pytest.mark.parametrize("status", [200, 400, 404])
def test_contradiction_23_an_error_response_is_read_whatever_the_status(status: int) -> None:
    with pytest.raises(BadRequest, match="<text>"):
        play(GATEWAY.create_job({}, MARKER), reply(example("error_response"), status))


def test_contradiction_23_the_status_decides_the_class_never_the_text() -> None:
    with pytest.raises(Throttled):
        play(GATEWAY.get_job("1"), reply({"errorResponse": {"message": "HMAC signature does not match."}}, 429))


@pytest.mark.parametrize(
    "wrap", [lambda job: job, lambda job: {"job": job}, lambda job: {"getJobResponse": {"job": job}}]
)
def test_contradiction_24_a_callback_may_be_bare_or_wrapped(wrap: Any) -> None:
    job = example("musicASR", "get_response")["getJobResponse"]["job"]
    assert read_mediax_callback(json.dumps(wrap(job)).encode()).id == job["id"]


def test_contradiction_25_a_list_that_is_shorter_than_its_total_is_incomplete() -> None:
    body = example("musicTagV2", "list_response")
    assert play(GATEWAY.list_jobs("{customId}"), reply(body)).result.complete
    body["listJobsResponse"]["total"] = 2
    short = play(GATEWAY.list_jobs("{customId}"), reply(body))
    assert not short.result.complete
    assert len(short.steps) == 1


def test_contradiction_26_a_failed_job_keeps_everything_the_service_said() -> None:
    raw = {"id": "1", "state": 4, "reason": {"unheard": "of"}}
    job = read_job(raw, "GetJob")
    assert (job.state, job.state_name, job.message) == (JobState.FAILED, "ERROR", None)
    assert job.raw == raw


def test_contradiction_27_beats_and_unknown_results_are_handed_through() -> None:
    beats = {"mergeFileName": "a.mp3", "positions": ["0.5", "1.0"], "bpm": "120"}
    assert result_of("musicBeat", {"musicBeat": beats}) == beats
    assert result_of("vocalMidi", {"anything": [1]}) == {"anything": [1]}


def test_contradiction_27_only_file_names_become_rows_of_beats() -> None:
    rows = rows_in("musicBeat", {"musicBeat": {"mergeFileName": "a.mp3", "bpm": "120", "positions": ["0.5"]}})
    assert [(row["kind"], row["file"]) for row in rows] == [("mergeFileName", "a.mp3")]


UNSEEN = ["musicStructureAnalysis", "musicRecognition", "skipMusicIntro", "vocalMidi", "musicCompose"]


@pytest.mark.parametrize("name", [*UNSEEN, "musicComposerHumming", "textBgmGeneration", "vocalScore"])
def test_contradiction_27_a_result_that_nobody_has_seen_is_handed_through(name: str) -> None:
    content = {name: [{"anything": ["1", {"songName": "a.mp3"}]}]}
    assert result_of(name, content) == content


@pytest.mark.parametrize("number", [-1, 0, 12, 99])
def test_contradiction_28_numbers_of_unseen_tables_and_texts_of_videos_pass(number: int) -> None:
    song = MusicCompose(emotion=number, genre=str(number), sound_effect=number).parameters()
    assert (song["emotion"], song["genre"], song["soundEffect"]) == (number, number, number)
    assert ImageBgm(output_type=number).parameters()["outputType"] == number
    assert VideoBgm(emotion=str(number)).parameters()["emotion"] == str(number)


@pytest.mark.parametrize("number", [-1, 0, 3, 4, 99])
def test_contradiction_28_enums_whose_tables_were_not_seen_take_any_number(number: int) -> None:
    parameters = MusicBeat(output_type=number, drum_type=number, split_num=number).parameters()
    assert parameters == {"outputType": number, "drumType": number, "enlargeLevel": 3, "splitNum": number}


@pytest.mark.parametrize("capability", TYPED, ids=lambda capability: capability.name)
def test_contradiction_29_one_input_and_one_output_are_built(capability: Capability) -> None:
    body = wire(capability)
    assert len(body["inputs"]) == len(body["outputs"]) == 1
    assert body["outputs"][0]["inputSelectors"] == [0]


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_contradiction_29_arrays_of_any_length_are_read_in_full(count: int) -> None:
    names = ["musicTagV2", "musicASR"]
    results = [{"musigTagV2": {"mood": {"label": "Sad"}}}, {"musicASR": [{"text": "la"}]}]
    job = finished(*(output(names[index % 2], results[index % 2]) for index in range(count)))
    view = read_result(job, repositories({}))
    rows = rows_of(view.capability, view.result)
    assert [row["capability"] for row in rows] == [names[index % 2] for index in range(count)]


@pytest.mark.parametrize("order", ["AA", "AAB", "ABA", "BBA"])
def test_contradiction_29_outputs_of_one_capability_keep_all_their_rows(order: str) -> None:
    kinds = {
        "A": output("musicTagV2", {"musigTagV2": {"mood": {"label": "Sad"}}}),
        "B": output("musicASR", {"musicASR": [{"text": "la"}]}),
    }
    view = read_result(finished(*(kinds[one] for one in order)), repositories({}))
    rows = rows_of(view.capability, view.result)
    assert ["A" if "dimension" in row else "B" for row in rows] == list(order)


def test_contradiction_30_times_are_reported_as_given_and_named_as_seconds() -> None:
    rows = rows_in("musicASR", {"musicASR": [{"text": "la", "startTime": "25.2", "endTime": "28.8", "conf": "0.8"}]})
    assert [(row["start_s"], row["end_s"]) for row in rows] == [(25.2, 28.8)]


def test_contradiction_31_the_timeout_is_the_callers_and_not_sent_unless_given() -> None:
    assert "timeout" not in wire(MusicTag())
    assert wire(MusicTag(), job_timeout=600)["timeout"] == 600


REGISTRATION = Registration(
    operate_uin="100000000001",
    user_name="demo",
    cos_secret_id="cosId",
    cos_secret_key="cosKey",
    bucket="music-1250000000",
    region="ap-guangzhou",
)
