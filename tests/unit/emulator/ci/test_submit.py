"""Who may ask Cloud Infinite for what: signatures, strictness, preconditions, templates and queues."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_mediax.emulator.process import EmulatorError, MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import (
    BUCKET,
    TEMPORARY_SECRET_ID,
    TEMPORARY_SECRET_KEY,
    TEMPORARY_TOKEN,
)
from tests.unit.emulator.ci_helpers import Ci, proxied_sdk, xml

SETTINGS = {"AudioMode": "IsAudio", "AudioConfig": {"Codec": "mp3", "Bitrate": "128", "Channels": "2"}}


def template(name: str = "mine", **changed: Any) -> bytes:
    return xml("Request", {"Tag": "VoiceSeparate", "Name": name, **SETTINGS, **changed})


def submit(ci: Ci) -> tuple[int, str]:
    return ci.refused("POST", "/jobs", xml("Request", ci.request()))


def test_wrong_credentials_are_401_with_an_envelope_that_has_no_resource(
    mediax_emulator: MediaxEmulator, ci: Ci
) -> None:
    url = mediax_emulator.url
    assert submit(Ci(url, id="nobody")) == (401, "SecretidNotExist")
    assert submit(Ci(url, key="wrong")) == (401, "InvalidAuthorization")
    unsigned = ci.session.get(f"{url}/jobs?tag=VoiceSeparate", headers={"Host": ci.host})
    assert (unsigned.status_code, "<Code>MissingAuthorization</Code>" in unsigned.text) == (401, True)
    malformed = ci.session.get(f"{url}/jobs", headers={"Host": ci.host, "Authorization": "q-signature=x"})
    assert (malformed.status_code, "<Code>InvalidAuthorization</Code>" in malformed.text) == (401, True)
    assert mediax_emulator.ledger()["jobs"] == []


def test_a_clock_that_is_off_is_a_signature_out_of_its_time(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    for offset in (3600, -3600):
        mediax_emulator.clock(offset)
        assert ci.refused("GET", "/asrqueue") == (401, "SignatureExpired")


def test_a_signed_parameter_that_changes_on_the_way_is_noticed(ci: Ci) -> None:
    query = {"tag": "VoiceSeparate", "size": "1"}
    headers = {"Host": ci.host, "Authorization": ci.sign("GET", "/jobs", query)}
    right = ci.session.get(f"{ci.url}/jobs?tag=VoiceSeparate&size=1", headers=headers)
    wrong = ci.session.get(f"{ci.url}/jobs?tag=VoiceSeparate&size=2", headers=headers)
    assert (right.status_code, wrong.status_code) == (200, 401)


def test_a_temporary_key_needs_its_token_and_expires(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    triple = {"id": TEMPORARY_SECRET_ID, "key": TEMPORARY_SECRET_KEY}
    mine = Ci(mediax_emulator.url, **triple, token=TEMPORARY_TOKEN)
    assert mine.finish(mine.submit())["State"] == "Success"
    assert submit(Ci(mediax_emulator.url, **triple)) == (401, "SecretidNotExist")
    assert submit(Ci(mediax_emulator.url, **triple, token="wrong")) == (401, "SecretidNotExist")
    mediax_emulator.temporary_key_expires(-1)
    assert submit(mine) == (401, "SignatureExpired")
    assert TEMPORARY_TOKEN not in str(mediax_emulator.ledger())


def test_an_unknown_bucket_a_foreign_one_and_an_unknown_path_are_told_apart(
    mediax_emulator: MediaxEmulator, ci: Ci
) -> None:
    assert submit(Ci(mediax_emulator.url, bucket="other-1250000000")) == (404, "NoSuchBucket")
    assert submit(Ci(mediax_emulator.url, region="ap-beijing")) == (404, "NoSuchBucket")
    cos = {"secretId": "their-id", "secretKey": "their-key", "bucket": "their-1250000001", "region": ci.region}
    request = {"operateUin": "2", "userName": "someone", "cosConfig": cos}
    ci.session.post(f"{ci.url}/register", json={"action": "Register", "registerRequest": request})
    assert submit(Ci(mediax_emulator.url, bucket="their-1250000001")) == (403, "AccessDenied")
    assert ci.refused("GET", "/queue") == (501, "NotImplemented")
    assert ci.refused("PUT", "/jobs/jx") == (501, "NotImplemented")


WRONG: dict[str, dict[str, Any]] = {
    "another tag": {"Tag": "Transcode"},
    "no input": {"Input": None},
    "an empty key": {"source": ""},
    "no output": {"operation": {"Output": None}},
    "no region": {"output": {"Region": None}},
    "no voice": {"output": {"AuObject": None}},
    "an empty voice": {"output": {"AuObject": ""}},
    "no background": {"output": {"Object": None}},
    "voice mode with the background's name only": {"mode": "IsAudio", "output": {"AuObject": None}},
    "a bass without music mode": {"output": {"BassObject": "bass"}},
    "music mode without a drum": {"mode": "MusicMode", "output": {"DrumObject": None}},
    "one key for two stems": {"output": {"AuObject": "x", "Object": "x"}},
    "neither template nor parameters": {"operation": {"VoiceSeparate": None}},
    "no mode": {"operation": {"VoiceSeparate": {"AudioConfig": {"Codec": "mp3"}}}},
    "no config": {"operation": {"VoiceSeparate": {"AudioMode": "IsAudio"}}},
    "an unknown mode": {"mode": "Karaoke"},
    "an unknown codec": {"config": {"Codec": "ogg"}},
    "flac in music mode": {"mode": "MusicMode", "config": {"Codec": "flac"}},
    "mp3 of 96 kHz": {"config": {"Codec": "mp3", "Samplerate": "96000"}},
    "amr of 44.1 kHz": {"config": {"Codec": "amr", "Samplerate": "44100"}},
    "mp3 of 6 channels": {"config": {"Codec": "mp3", "Channels": "6"}},
    "a bitrate of 7": {"config": {"Codec": "mp3", "Bitrate": "7"}},
    "an empty bitrate": {"config": {"Codec": "mp3", "Bitrate": ""}},
    "user data that is no ASCII": {"operation": {"UserData": "é"}},
    "user data of 1025": {"operation": {"UserData": "x" * 1025}},
    "a level of 3": {"operation": {"JobLevel": "3"}},
    "a callback that is no address": {"CallBack": "example.com"},
    "a callback form": {"CallBackFormat": "YAML"},
    "a message queue without its config": {"CallBackType": "TDMQ"},
    "a slip of the pen": {"operation": {"Userdata": "x"}},
    "two operations": {"Operation": [{}, {}]},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_submit_is_refused_and_makes_no_job(
    mediax_emulator: MediaxEmulator, ci: Ci, wrong: dict[str, Any]
) -> None:
    assert ci.refused("POST", "/jobs", xml("Request", ci.request(**wrong))) == (400, "InvalidArgument")
    assert mediax_emulator.ledger()["jobs"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MissingContent"),
        (b"<Request>", "InvalidContent"),
        (b"{}", "InvalidContent"),
        (b"<Response/>", "InvalidContent"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><Request/>', "InvalidContent"),
    ],
)
def test_a_body_that_is_no_request_is_refused(ci: Ci, body: bytes, code: str) -> None:
    assert ci.refused("POST", "/jobs", body) == (400, code)


def test_answers_are_xml_whatever_was_asked(ci: Ci) -> None:
    assert ci.ask("GET", "/jobs/\x01目\ufffe")["NonExistJobIds"] == "?目?"
    assert ci.refused("DELETE", "/template/<\x00&>") == (400, "TemplateNotFound")


def test_the_host_may_carry_the_port_of_the_emulator(ci: Ci) -> None:
    headers = {"Host": f"{ci.host}:8480", "Authorization": ci.sign("GET", "/asrqueue", {})}
    assert ci.session.get(f"{ci.url}/asrqueue", headers=headers).status_code == 200


def test_a_signature_may_stand_in_the_address(ci: Ci) -> None:
    signed = "&".join(
        f"{name}={quote(text, safe='')}"
        for name, _, text in (part.partition("=") for part in ci.sign("GET", "/jobs", {}).split("&"))
    )
    answer = ci.session.get(f"{ci.url}/jobs?tag=VoiceSeparate&{signed}", headers={"Host": ci.host})
    assert answer.status_code == 200


def test_user_data_of_the_longest_kind_comes_back_unchanged(ci: Ci) -> None:
    text = "mx1-abc " + "".join(chr(code) for code in range(32, 127)) + "x" * 921
    assert len(text) == 1024
    job = ci.submit(operation={"UserData": text})
    assert ci.get(job["JobId"])["Operation"]["UserData"] == text


@pytest.mark.parametrize(
    ("name", "code"), [("bucket_bound", "MediaBucketUnBinded"), ("smart_audio", "MediaBucketUnBinded")]
)
def test_a_bucket_that_is_not_bound_or_activated_has_no_jobs(
    mediax_emulator: MediaxEmulator, ci: Ci, name: str, code: str
) -> None:
    mediax_emulator.precondition(name, False)
    assert submit(ci) == (400, code)
    assert ci.refused("GET", "/jobs", tag="VoiceSeparate") == (400, code)
    assert ci.ask("GET", "/asrbucket")["TotalCount"] == "0"
    mediax_emulator.precondition(name, True)
    ci.submit()


def test_activation_lets_jobs_through_and_makes_the_queue(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    mediax_emulator.precondition("smart_audio", False)
    client = proxied_sdk(mediax_emulator.url)
    assert client.ci_get_asr_queue(BUCKET)["TotalCount"] == "0"
    _, opened = client.ci_open_asr_bucket(BUCKET)
    assert opened["AsrBucket"]["BucketId"] == BUCKET
    assert client.ci_get_asr_bucket()["AsrBucketList"]
    assert client.ci_get_asr_queue(BUCKET)["TotalCount"] == "1"
    ci.submit()


def test_without_the_role_nothing_is_submitted_but_all_else_goes_on(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    job = ci.submit()
    mediax_emulator.precondition("role", False)
    assert submit(ci) == (400, "CIRoleNotExist")
    assert ci.listed() == [job["JobId"]]


def test_a_deployment_may_insist_on_the_queue_id(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    mediax_emulator.precondition("queue_id_optional", False)
    assert submit(ci) == (400, "QueueNotFound")
    assert ci.refused("GET", "/jobs", tag="VoiceSeparate") == (400, "QueueNotFound")
    queue = ci.ask("GET", "/asrqueue")["QueueList"]["QueueId"]
    job = ci.submit(QueueId=queue)
    assert ci.listed(queueId=queue) == [job["JobId"]]


def test_a_wrong_queue_id_is_refused_at_any_time(ci: Ci) -> None:
    assert ci.refused("POST", "/jobs", xml("Request", ci.request(QueueId="p0"))) == (400, "QueueNotFound")
    assert ci.refused("GET", "/jobs", tag="VoiceSeparate", queueId="p0") == (400, "QueueNotFound")


def test_an_unknown_precondition_is_refused_with_the_known_ones(mediax_emulator: MediaxEmulator) -> None:
    with pytest.raises(EmulatorError, match="queue_id_optional"):
        mediax_emulator.precondition("money", False)


def test_a_template_is_created_found_changed_used_and_deleted(ci: Ci) -> None:
    made = ci.ask("POST", "/template", template())["Template"]
    assert made["VoiceSeparate"] == SETTINGS
    assert (made["Name"], made["Tag"], made["BucketId"], made["Category"]) == (
        "mine",
        "VoiceSeparate",
        ci.bucket,
        "Custom",
    )
    path = f"/template/{made['TemplateId']}"
    changed = ci.ask("PUT", path, template("other", AudioMode="IsBackground"))["Template"]
    assert (changed["TemplateId"], changed["Name"]) == (made["TemplateId"], "other")
    use = {"VoiceSeparate": None, "TemplateId": made["TemplateId"]}
    job = ci.submit(operation=use, output={"AuObject": None})
    assert (job["Operation"]["TemplateName"], "VoiceSeparate" in job["Operation"]) == ("other", False)
    done = ci.finish(job)
    assert done["Operation"]["MediaResult"]["OutputFile"]["ObjectName"] == "out/back.mp3"
    assert ci.ask("DELETE", path)["TemplateId"] == made["TemplateId"]
    assert ci.refused("DELETE", path) == (400, "TemplateNotFound")
    assert ci.refused("POST", "/jobs", xml("Request", ci.request(operation=use))) == (400, "TemplateNotFound")
    assert ci.get(job["JobId"])["Operation"]["TemplateName"] == "other"


def test_template_names_are_unique_and_have_a_form(ci: Ci) -> None:
    ci.ask("POST", "/template", template("人声-A_1*"))
    other = ci.ask("POST", "/template", template("other"))["Template"]["TemplateId"]
    assert ci.refused("POST", "/template", template("人声-A_1*")) == (400, "TemplateNameDuplicate")
    assert ci.refused("PUT", f"/template/{other}", template("人声-A_1*")) == (400, "TemplateNameDuplicate")
    ci.ask("PUT", f"/template/{other}", template("other"))
    for name in ("a b", "x" * 65, "é"):
        assert ci.refused("POST", "/template", template(name)) == (400, "InvalidArgument")
    deep = xml("Request", {"Tag": "VoiceSeparate", "Name": "deep", "VoiceSeparate": SETTINGS})
    assert ci.refused("POST", "/template", deep) == (400, "InvalidArgument")


def test_templates_are_listed_in_pages_by_name_and_by_id(ci: Ci) -> None:
    ids = [ci.ask("POST", "/template", template(name))["Template"]["TemplateId"] for name in ("a1", "a2", "b1")]
    page = ci.ask("GET", "/template", tag="VoiceSeparate", name="a", pageSize="1", pageNumber="2")
    assert (page["TotalCount"], page["TemplateList"]["TemplateId"]) == ("2", ids[1])
    named = ci.ask("GET", "/template", ids=f"{ids[2]},tx")
    assert (named["TemplateList"]["Name"], named["NonExistTIDs"]) == ("b1", {"TemplateId": "tx"})
    assert ci.ask("GET", "/template", category="Official")["TotalCount"] == "0"
    assert ci.refused("GET", "/template", pageSize="0") == (400, "InvalidArgument")


def test_the_queue_is_read_and_paused_over_the_api(ci: Ci) -> None:
    queue = ci.ask("GET", "/asrqueue", state="All", pageNumber="1", pageSize="10")["QueueList"]
    assert (queue["Name"], queue["State"], queue["MaxConcurrent"]) == ("queue-smart-audio-1", "Active", "10")
    path = f"/asrqueue/{queue['QueueId']}"
    assert ci.ask("PUT", path, xml("Request", {"State": "Paused"}))["Queue"]["State"] == "Paused"
    job = ci.submit()
    assert job["State"] == "Pause"
    assert ci.ask("GET", "/asrqueue", state="Active")["TotalCount"] == "0"
    ci.ask("PUT", path, xml("Request", {"State": "Active"}))
    assert ci.finish(job)["State"] == "Success"
    assert ci.refused("PUT", path, xml("Request", {"State": "Stopped"})) == (400, "InvalidArgument")
    assert ci.refused("PUT", "/asrqueue/p0", xml("Request", {"State": "Paused"})) == (400, "QueueNotFound")
    missing = ci.ask("GET", "/asrqueue", queueIds=f"{queue['QueueId']},p0")
    assert (missing["TotalCount"], missing["NonExistPIDs"]) == ("1", {"QueueID": "p0"})


def test_the_real_sdk_finds_its_way_through_every_call(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    client = proxied_sdk(mediax_emulator.url)
    mediax_emulator.pause_queue()
    made = client.ci_create_media_jobs(BUCKET, Jobs=ci.request(), ContentType="application/xml")["JobsDetail"][0]
    assert client.ci_get_media_jobs(BUCKET, f"{made['JobId']},jx")["NonExistJobIds"] == "jx"
    listed = client.ci_list_media_jobs(BUCKET, "VoiceSeparate", StartCreationTime=made["CreationTime"])
    assert [job["JobId"] for job in listed["JobsDetail"]] == [made["JobId"]]
    assert client.ci_cancel_jobs(BUCKET, made["JobId"]) == ""
    assert client.ci_get_media_jobs(BUCKET, made["JobId"])["JobsDetail"][0]["State"] == "Cancel"
    request = {"Tag": "VoiceSeparate", "Name": "sdk", **SETTINGS}
    template_id = client.ci_create_template(BUCKET, request)["Template"]["TemplateId"]
    assert client.ci_update_template(BUCKET, template_id, request)["Template"]["TemplateId"] == template_id
    assert [each["Name"] for each in client.ci_get_template(BUCKET)["TemplateList"]] == ["sdk"]
    assert client.ci_delete_template(BUCKET, template_id)["TemplateId"] == template_id
    queue = client.ci_get_asr_queue(BUCKET)["QueueList"][0]
    assert queue["State"] == "Paused"
    resumed = client.ci_update_asr_queue(BUCKET, queue["QueueId"], {"State": "Active"})
    assert resumed["Queue"][0]["State"] == "Active"
