from __future__ import annotations

import json
from typing import Any

import pytest
from qcloud_cos import CosConfig, CosS3Client

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, CONTENT_ID, PRESET, REGION
from tests.unit.emulator.helpers import Platform, Receiver, clicks, wait_for


def test_a_job_is_submitted_then_processing_then_completed(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.durations("musicTagV2", 3600, waiting=0.5)
    job = platform.create()

    def begins_to_be(*states: int) -> bool:
        now: int = platform.get(job["id"])["state"]
        assert now in states
        return now == states[-1]

    assert job["state"] == 1
    wait_for(lambda: begins_to_be(1, 2))
    mediax_emulator.finish_jobs()
    wait_for(lambda: begins_to_be(2, 3))


def test_the_answers_have_the_documented_form(platform: Platform) -> None:
    answer = platform.call("CreateJob", platform.request("musicASR", callback="", timeout=60))
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["requestId", "createJobResponse"]
    created = body["createJobResponse"]["job"]
    assert list(created) == ["id", "state", "customId", "callback", "inputs", "outputs", "timing"]
    assert (created["state"], created["timing"]["startedAt"], created["timing"]["completedAt"]) == (1, "0", "0")
    done = platform.finish(created)
    assert list(done) == ["id", "state", "customId", "callback", "timing", "inputs", "outputs"]
    assert all(isinstance(moment, str) and len(moment) == 13 for moment in done["timing"].values())
    assert platform.list() == {"jobs": [done], "total": 1}


def test_floats_come_back_in_single_precision(platform: Platform) -> None:
    job = platform.create("musicASR", {"confidence": 0.2})
    assert job["outputs"][0]["smartContentDescriptor"] == {"musicASR": {"confidence": 0.20000000298023224}}


def test_the_same_custom_id_twice_makes_two_jobs_listed_newest_first(platform: Platform) -> None:
    first, second = platform.create(), platform.create()
    assert first["id"] != second["id"]
    listed = platform.list()
    assert [job["id"] for job in listed["jobs"]] == [second["id"], first["id"]]
    assert listed["total"] == 2


def test_unknown_ids_are_an_error_for_get_and_an_empty_list_for_list(platform: Platform) -> None:
    assert "errorResponse" in platform.call("GetJob", {"id": "nobody"}).json()
    assert platform.list("nobody") == {"jobs": [], "total": 0}


def test_a_new_job_is_not_listed_before_the_lag_is_over(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.list_lag(3600)
    platform.create()
    assert platform.list()["total"] == 0
    mediax_emulator.list_lag(0.5)
    wait_for(lambda: platform.list()["total"] == 1)


@pytest.mark.parametrize(("outcome", "state"), [("ERROR", 4), ("CANCELED", 5), ("UNKNOWN", 9), ("COMPLETED", 3)])
def test_tests_decide_how_the_next_job_ends_and_only_that(
    mediax_emulator: MediaxEmulator, platform: Platform, outcome: str, state: int
) -> None:
    mediax_emulator.outcome("musicTagV2", outcome)
    first, second = platform.create(), platform.create()
    assert platform.finish(first)["state"] == state
    assert platform.finish(second)["state"] == 3


def test_a_job_told_never_to_end_stays_processing_until_its_timeout(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    mediax_emulator.outcome("*", "NEVER", times=2)
    endless, limited = platform.create(), platform.create(timeout=1)
    done = platform.finish(limited)
    assert done["state"] == 4
    assert "timeout" in done["message"]
    assert platform.get(endless["id"])["state"] == 2


def test_tags_have_the_quirks_of_the_printed_example(platform: Platform) -> None:
    asked = {"tagType": ["mood", "vocal", "language", "scene", "genre", "bgm"]}
    done = platform.finish(platform.create("musicTagV2", asked))
    assert done["outputs"][0]["smartContentResult"] == {
        "musigTagV2": {
            "musicTagV2": {
                "vocal": {"label": "Vocal", "prob": "1.0000"},
                "language": {"label": "Other", "prob": "0.0817"},
                "mood": {"label": "Exciting", "prob": "0.2953"},
                "genre": {"label": "Zhuang", "prob": "0.7710"},
                "scene": {"label": "Prayer", "prob": "0.8886"},
                "intensity": {},
            }
        }
    }


def test_only_asked_dimensions_are_answered(platform: Platform) -> None:
    done = platform.finish(platform.create("musicTagV2", {"tagType": ["mood"]}))
    assert set(done["outputs"][0]["smartContentResult"]["musigTagV2"]["musicTagV2"]) == {"mood", "intensity"}


def test_lyrics_are_all_strings_above_the_confidence_and_within_the_track(platform: Platform) -> None:
    every = platform.finish(platform.create("musicASR", {"confidence": 0}))["outputs"][0]["smartContentResult"]
    sure = platform.finish(platform.create("musicASR", {"confidence": 0.5}))["outputs"][0]["smartContentResult"]
    lines = every["musicASR"]
    assert all(isinstance(value, str) for line in lines for value in line.values())
    assert all(set(line) == {"text", "startTime", "endTime", "conf"} for line in lines)
    assert all(0 <= float(line["startTime"]) < float(line["endTime"]) <= 4 for line in lines)
    assert sure["musicASR"] == [line for line in lines if float(line["conf"]) > 0.5]
    assert 0 < len(sure["musicASR"]) < len(lines)


@pytest.mark.parametrize("path", ["in/none.wav", "in/text.wav"])
def test_a_missing_or_unreadable_input_ends_in_error_with_a_reason(
    mediax_emulator: MediaxEmulator, platform: Platform, path: str
) -> None:
    mediax_emulator.put_object("in/text.wav", b"this is not music, however long it is" * 100)
    done = platform.finish(platform.create(path=path))
    assert done["state"] == 4
    assert done["message"]
    assert "smartContentResult" not in done["outputs"][0]


def test_an_input_address_is_really_downloaded(platform: Platform, receiver: Receiver) -> None:
    receiver.files["/track.wav"] = clicks(120, 2)
    assert platform.finish(platform.create(url=f"{receiver.url}/track.wav"))["state"] == 3
    missing = platform.finish(platform.create(url=f"{receiver.url}/none.wav"))
    assert (missing["state"], missing["message"]) == (4, "the input answered 404")
    assert platform.finish(platform.create(url="ftp://127.0.0.1/track.wav"))["state"] == 4
    for wrong in ("http://127.0.0.1:1/track.wav", "http://[", "http://127.0.0.1/%ff", "no address"):
        assert platform.finish(platform.create(url=wrong))["state"] == 4


def test_a_presigned_cos_address_is_read_from_the_own_store_and_its_signature_checked(platform: Platform) -> None:
    config = CosConfig(Region=REGION, SecretId=PRESET.cos_secret_id, SecretKey=PRESET.cos_secret_key)
    url = CosS3Client(config).get_presigned_url(BUCKET, "in/track.wav", "GET")
    assert "myqcloud.com" in url
    assert platform.finish(platform.create(url=url))["state"] == 3
    wrong = platform.finish(platform.create(url=url.replace("q-signature=", "q-signature=0")))
    assert (wrong["state"], wrong["message"]) == (4, "the input answered 403 SignatureDoesNotMatch")


REFUSED: dict[str, dict[str, Any]] = {
    "customId of 64": {"customId": "x" * 64},
    "customId a number": {"customId": 5},
    "timeout zero": {"timeout": 0},
    "no inputs": {"inputs": []},
    "no outputs": {"outputs": []},
    "neither url nor source": {"inputs": [{}]},
    "both url and source": {"inputs": [{"url": "http://x/y", "source": {"contentId": CONTENT_ID, "path": "x"}}]},
    "source without path": {"inputs": [{"source": {"contentId": CONTENT_ID}}]},
    "somebody else's repository": {"inputs": [{"source": {"contentId": "other", "path": "x"}}]},
    "selector past the inputs": {"output": {"inputSelectors": [1]}},
    "no selector": {"output": {"inputSelectors": []}},
    "unknown capability": {"capability": "musicNothing"},
    "two capabilities": {"descriptor": {"musicASR": {"confidence": 0.1}}},
    "prefix without files": {"descriptor": {"outputPrefix": "x"}},
    "confidence above 1": {"capability": "musicASR", "parameters": {"confidence": 1.1}},
    "confidence below 0": {"capability": "musicASR", "parameters": {"confidence": -0.1}},
    "confidence a text": {"capability": "musicASR", "parameters": {"confidence": "0.2"}},
    "no confidence": {"capability": "musicASR", "parameters": {}},
    "unknown tag": {"parameters": {"tagType": ["mood", "colour"]}},
    "all with others": {"parameters": {"tagType": ["all", "mood"]}},
    "no tag": {"parameters": {"tagType": []}},
    "files without repository": {"capability": "musicBeat", "output": {"contentId": ""}},
    "files into another repository": {"capability": "musicBeat", "output": {"contentId": "other"}},
    "prefix of 20": {"capability": "musicBeat", "descriptor": {"outputPrefix": "x" * 20}},
    "enlargeLevel 7": {"capability": "musicBeat", "parameters": {"enlargeLevel": 7}},
    "drumType a text": {"capability": "musicBeat", "parameters": {"drumType": "2"}},
}


@pytest.mark.parametrize("wrong", REFUSED.values(), ids=REFUSED)
def test_a_wrong_request_is_an_error_response_and_no_job(
    mediax_emulator: MediaxEmulator, platform: Platform, wrong: dict[str, Any]
) -> None:
    answer = platform.call("CreateJob", platform.request(**wrong))
    assert answer.status_code == 200
    assert set(answer.json()) == {"requestId", "errorResponse"}
    assert answer.json()["errorResponse"]["message"]
    assert mediax_emulator.ledger()["jobs"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"secretId": "nobody"},
        {"secretKey": "wrong"},
        {"secretKey": None},
        {"action": "DropJobs"},
        {"getJobRequest": []},
    ],
)
def test_wrong_platform_keys_or_actions_are_an_error_response(platform: Platform, change: dict[str, Any]) -> None:
    answer = platform.post({**platform.body("GetJob", {"id": "x"}), **change})
    assert (answer.status_code, set(answer.json())) == (200, {"requestId", "errorResponse"})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"action": NaN}', b'{"action": "\\ud800"}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_an_error_response(platform: Platform, body: bytes) -> None:
    assert "errorResponse" in platform.post(body).json()


def test_the_gateway_refuses_before_the_platform_looks(platform: Platform) -> None:
    answer = platform.call("GetJob", {"id": "x"}, **platform.sign(key="wrong"))
    assert (answer.status_code, answer.json()) == (401, {"message": "HMAC signature does not match."})


def test_the_older_path_answers_and_an_unknown_one_does_not(platform: Platform) -> None:
    assert "listJobsResponse" in platform.call("ListJobs", {"customId": "x"}, path="/release/job").json()
    answer = platform.call("ListJobs", {"customId": "x"}, path="/nowhere")
    assert answer.status_code == 404
    assert answer.json()["message"].startswith("There is no api match")


def test_a_finished_job_calls_back_once_with_the_bare_job(
    mediax_emulator: MediaxEmulator, platform: Platform, receiver: Receiver
) -> None:
    job = platform.create(callback=f"{receiver.url}/done")
    callbacks = wait_for(lambda: mediax_emulator.ledger()["callbacks"])
    assert receiver.posted == [platform.get(job["id"])]
    assert [(each["job_id"], each["status"], each["error"]) for each in callbacks] == [(job["id"], 200, None)]


def test_a_canceled_job_does_not_call_back_and_a_dead_receiver_does_no_harm(
    mediax_emulator: MediaxEmulator, platform: Platform, receiver: Receiver
) -> None:
    mediax_emulator.outcome("*", "CANCELED")
    platform.finish(platform.create(callback=f"{receiver.url}/done"))
    failed = platform.create(callback="http://127.0.0.1:1/done", path="in/none.wav")
    callbacks = wait_for(lambda: mediax_emulator.ledger()["callbacks"])
    assert [(each["job_id"], each["status"]) for each in callbacks] == [(failed["id"], None)]
    assert receiver.posted == []


def register_body(**changed: Any) -> dict[str, Any]:
    cos = {
        "secretId": "their-cos-id",
        "secretKey": "their-cos-key",
        "bucket": "their-1250000001",
        "region": "ap-beijing",
    }
    request = {"operateUin": "2000000002", "userName": "someone1", "cosConfig": cos}
    return {"requestId": "r-1", "action": "Register", "registerRequest": {**request, **changed}}


@pytest.mark.parametrize("path", ["/register", "/release/register"])
def test_register_makes_a_further_account_that_works(platform: Platform, path: str) -> None:
    answer = platform.session.post(platform.url + path, json=register_body()).json()
    assert answer["requestId"] == "r-1"
    info = answer["registerInfo"]
    account = type(PRESET)(
        gateway_source="2000000002_someone1",
        gateway_secret_id=info["apiGateSecretId"],
        gateway_secret_key=info["apiGateSecretKey"],
        platform_id=info["tmpSecretId"],
        platform_key=info["tmpSecretKey"],
        content_id=info["tmpContentId"],
        cos_secret_id="their-cos-id",
        cos_secret_key="their-cos-key",
        bucket="their-1250000001",
        region="ap-beijing",
    )
    theirs = Platform(platform.url, account)
    job = theirs.create(path=info["demoCosPath"])
    assert theirs.finish(job)["message"].startswith("the input cannot be decoded")
    assert "errorResponse" in platform.call("GetJob", {"id": job["id"]}).json()
    # One account's gateway pair does not go with another's platform pair.
    mixed = theirs.post(platform.body("ListJobs", {"customId": "marker"})).json()
    assert set(mixed) == {"requestId", "errorResponse"}


@pytest.mark.parametrize(
    "changed", [{"userName": "x" * 20}, {"userName": "a-b"}, {"operateUin": ""}, {"cosConfig": {"secretId": "x"}}]
)
def test_a_wrong_registration_is_an_error_response(platform: Platform, changed: dict[str, Any]) -> None:
    assert "errorResponse" in platform.session.post(f"{platform.url}/register", json=register_body(**changed)).json()


def test_reset_stops_jobs_and_forgets_everything(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.outcome("*", "NEVER", times=5)
    mediax_emulator.fail_next("*", "500", times=50)
    platform.call("CreateJob", platform.request())
    platform.session.post(f"{platform.url}/register", json=register_body())
    mediax_emulator.reset()
    assert mediax_emulator.ledger() == {"jobs": [], "requests": [], "callbacks": [], "cancels": []}
    assert mediax_emulator.object_keys() == []
    assert platform.list() == {"jobs": [], "total": 0}


def test_the_ledger_tells_what_was_asked_but_no_signature(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    job = platform.create()
    platform.finish(job)
    ledger = mediax_emulator.ledger()
    first = ledger["requests"][0]
    assert (first["service"], first["action"], first["status"]) == ("mediax", "CreateJob", 200)
    assert (first["job_id"], first["custom_id"]) == (job["id"], "marker")
    assert first["headers"]["authorization"] == "..."
    for secret in (PRESET.platform_key, PRESET.gateway_secret_key, "signature="):
        assert secret not in json.dumps(ledger)
    assert [(each["id"], each["state"], each["capability"]) for each in ledger["jobs"]] == [
        (job["id"], "COMPLETED", "musicTagV2")
    ]


def test_bytes_that_are_no_text_are_refused_and_break_nothing(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    for header in (b'hmac id="\xff", algorithm="hmac-sha1", headers="date source", signature="\xfe"', b"q-ak=\xff"):
        answer = platform.session.post(
            f"{platform.url}/job", b"{}", headers={**platform.sign(), "Authorization": header}
        )
        assert answer.status_code == 401
    assert platform.session.get(f"{platform.url}/%ff").status_code == 400
    assert "Traceback" not in mediax_emulator.printed()


def test_jobs_that_are_told_to_finish_do_and_later_ones_take_their_time(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    mediax_emulator.durations("*", 3600)
    first = platform.create()
    mediax_emulator.finish_jobs()
    assert platform.finish(first)["state"] == 3
    later = platform.create()
    assert platform.get(later["id"])["state"] == 1
