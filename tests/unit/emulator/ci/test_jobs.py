"""Cloud Infinite jobs from submit to their end, and what finds them again."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import BUCKET
from tests.unit.emulator.ci_helpers import Ci, proxied_sdk, tree, xml
from tests.unit.emulator.helpers import Platform, Receiver, wait_for

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0800")


def code_and_cancels(ci: Ci, emulator: MediaxEmulator, ids: str) -> tuple[tuple[int, str], list[tuple[Any, bool]]]:
    refusal = ci.refused("PUT", f"/jobs/{ids}", cancel="")
    return refusal, [(each["state"], each["accepted"]) for each in emulator.ledger()["cancels"]]


def test_a_job_is_submitted_then_running_then_success(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    mediax_emulator.durations("VoiceSeparate", 3600, waiting=0.5)
    job = ci.submit()

    def begins_to_be(*states: str) -> bool:
        now = ci.get(job["JobId"])
        assert now["Code"] == "Success"
        assert (now["EndTime"] == "-") == (now["State"] in ("Submitted", "Running"))
        assert (now["StartTime"] == "-") == (now["State"] == "Submitted")
        assert now["State"] in states
        return bool(now["State"] == states[-1])

    assert job["State"] == "Submitted"
    wait_for(lambda: begins_to_be("Submitted", "Running"))
    mediax_emulator.finish_jobs()
    wait_for(lambda: begins_to_be("Running", "Success"))


def test_a_submitted_job_has_the_form_of_the_reference(ci: Ci) -> None:
    job = ci.submit(operation={"JobLevel": "1"})
    assert re.fullmatch("j[0-9a-f]{32}", job["JobId"])
    assert TIME.fullmatch(job["CreationTime"])
    assert job["Input"] == {"BucketId": ci.bucket, "Object": "in/track.wav", "Region": ci.region}
    assert job["Operation"] == {
        "VoiceSeparate": {"AudioConfig": {"Codec": "wav"}, "AudioMode": "AudioAndBackground"},
        "Output": {
            "Region": ci.region,
            "Bucket": ci.bucket,
            "Object": "out/back.${ext}",
            "AuObject": "out/voice.${ext}",
        },
        "UserData": "marker and more",
        "JobLevel": "1",
    }
    expected = {"Code": "Success", "Message": "", "StartTime": "-", "EndTime": "-", "Tag": "VoiceSeparate"}
    assert {name: job[name] for name in expected} == expected
    assert (job["QueueType"], re.fullmatch("p[0-9a-f]{32}", job["QueueId"]) is not None) == ("Speeching", True)


def test_a_finished_job_names_its_files_voice_first_with_the_md5_of_each(
    mediax_emulator: MediaxEmulator, ci: Ci
) -> None:
    done = ci.finish(ci.submit())
    files = done["Operation"]["MediaResult"]["OutputFile"]
    assert files["ObjectName"] == ["out/voice.wav", "out/back.wav"]
    assert (files["ObjectPrefix"], files["Bucket"], files["Region"]) == ("", ci.bucket, ci.region)
    heads = {key: proxied_sdk(ci.url).head_object(BUCKET, key) for key in files["ObjectName"]}
    assert [(each["ObjectName"], f'"{each["Md5"]}"') for each in files["Md5Info"]] == [
        (key, head["ETag"]) for key, head in heads.items()
    ]
    info = done["Operation"]["MediaInfo"]
    assert info["Format"]["Duration"] == "1.000000"
    assert info["Format"]["Size"] == heads["out/voice.wav"]["Content-Length"]
    assert [audio["SampleRate"] for audio in info["Stream"]["Audio"]] == ["44100", "44100"]
    assert all(TIME.fullmatch(done[name]) for name in ("CreationTime", "StartTime", "EndTime"))


def test_the_same_submit_twice_makes_two_jobs(ci: Ci) -> None:
    first, second = ci.submit(), ci.submit()
    assert first["JobId"] != second["JobId"]
    assert ci.listed() == [second["JobId"], first["JobId"]]


def test_describe_takes_ten_ids_and_names_those_that_do_not_exist(ci: Ci) -> None:
    ids = [ci.submit()["JobId"] for _ in range(3)]
    found = ci.ask("GET", f"/jobs/{','.join([*ids, 'jx', 'jy'])}")
    assert sorted(job["JobId"] for job in found["JobsDetail"]) == sorted(ids)
    assert found["NonExistJobIds"] == ["jx", "jy"]
    assert set(ci.ask("GET", f"/jobs/{ids[0]}")) == {"JobsDetail"}
    assert ci.ask("GET", "/jobs/jx") == {"NonExistJobIds": "jx"}
    assert ci.ask("GET", f"/jobs/{','.join(['jx'] * 10)}") == {"NonExistJobIds": "jx"}
    assert ci.refused("GET", f"/jobs/{','.join(['jx'] * 11)}") == (400, "InvalidArgument")
    assert ci.refused("GET", "/jobs/jx,") == (400, "InvalidArgument")
    comma = ci.session.get(
        f"{ci.url}/jobs/{ids[0]}%2Cjx",
        headers={"Host": ci.host, "Authorization": ci.sign("GET", f"/jobs/{ids[0]},jx", {})},
    )
    assert comma.status_code == 200


def test_pages_of_a_list_hold_every_job_once_even_when_new_ones_come(ci: Ci) -> None:
    ids = [ci.submit()["JobId"] for _ in range(5)]
    for order, expected in (("Desc", ids[::-1]), ("Asc", list(ids))):
        page = ci.page(size="2", orderByTime=order)
        found = [job["JobId"] for job in page["jobs"]]
        if order == "Desc":
            ci.submit()
        for _ in range(5):
            if not page["next"]:
                break
            page = ci.page(size="2", orderByTime=order, nextToken=page["next"])
            found += [job["JobId"] for job in page["jobs"]]
        assert found[:5] == expected


def test_a_list_shows_ten_unless_told_otherwise(ci: Ci) -> None:
    for _ in range(12):
        ci.submit()
    assert (len(ci.listed()), len(ci.listed(size="100"))) == (10, 12)


def test_a_list_is_filtered_by_state_input_queue_and_time(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    missing = ci.finish(ci.submit(source="in/none.wav"))
    job = ci.finish(ci.submit())
    assert ci.listed(inputObject="in/track.wav") == [job["JobId"]]
    assert ci.listed(inputObject="track.wav") == []
    assert ci.listed(states="Failed") == [missing["JobId"]]
    assert len(ci.listed(states="Failed,Success")) == len(ci.listed(states="All", queueId=job["QueueId"])) == 2
    created = job["CreationTime"]
    assert job["JobId"] in ci.listed(startCreationTime=created, endCreationTime=created)
    utc = datetime.strptime(created, "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
    assert job["JobId"] in ci.listed(startCreationTime=utc, endCreationTime=utc)
    assert ci.listed(startCreationTime="2100-01-01T00:00:00+0800") == []
    assert ci.listed(endCreationTime="2001-01-01T00:00:00+0800") == []


def test_times_are_those_of_the_servers_clock(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    mediax_emulator.clock(-3600)
    job = ci.ask("POST", "/jobs", xml("Request", ci.request()), _start=str(int(time.time()) - 3700))["JobsDetail"]
    created = datetime.strptime(job["CreationTime"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    assert abs(created - time.time() + 3600) < 600


@pytest.mark.parametrize(
    "query",
    [
        {"size": "0"},
        {"size": "101"},
        {"size": "many"},
        {"states": "Done"},
        {"orderByTime": "desc"},
        {"nextToken": "x"},
        {"startCreationTime": "2001-01-01T00:00:00 0800"},
        {"startCreationTime": "2001-01-01"},
        {"inputObjet": "a slip of the pen"},
        {"tag": "Transcode"},
    ],
    ids=str,
)
def test_a_wrong_list_is_refused_even_when_there_are_no_jobs(ci: Ci, query: dict[str, str]) -> None:
    assert ci.refused("GET", "/jobs", None, **{"tag": "VoiceSeparate", **query}) == (400, "InvalidArgument")


def test_a_new_job_is_described_at_once_but_not_listed_before_the_lag_is_over(
    mediax_emulator: MediaxEmulator, ci: Ci
) -> None:
    mediax_emulator.list_lag(3600)
    job = ci.submit()
    assert ci.get(job["JobId"])["JobId"] == job["JobId"]
    assert ci.listed() == []
    mediax_emulator.list_lag(0.5)
    wait_for(lambda: ci.listed() == [job["JobId"]])


def test_a_waiting_job_is_cancelled_with_an_empty_answer_and_never_runs(
    mediax_emulator: MediaxEmulator, ci: Ci
) -> None:
    mediax_emulator.durations("VoiceSeparate", 60)
    ids = [ci.submit()["JobId"] for _ in range(2)]
    answer = ci.call("PUT", f"/jobs/{','.join(ids)}", cancel="")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-ci-request-id"]
    for each in ids:
        done = ci.get(each)
        assert (done["State"], done["StartTime"]) == ("Cancel", "-")
        assert TIME.fullmatch(done["EndTime"])
    cancels = mediax_emulator.ledger()["cancels"]
    assert [(each["job_id"], each["state"], each["accepted"]) for each in cancels] == [
        (each, "Submitted", True) for each in ids
    ]


def test_a_running_finished_cancelled_or_unknown_job_cannot_be_cancelled(
    mediax_emulator: MediaxEmulator, ci: Ci
) -> None:
    done = ci.finish(ci.submit())
    assert code_and_cancels(ci, mediax_emulator, done["JobId"]) == ((400, "InvalidArgument"), [("Success", False)])
    mediax_emulator.outcome("VoiceSeparate", "NEVER")
    running = ci.submit()
    wait_for(lambda: ci.get(running["JobId"])["State"] == "Running")
    assert ci.refused("PUT", f"/jobs/{running['JobId']}", cancel="") == (400, "InvalidArgument")
    assert ci.get(running["JobId"])["State"] == "Running"
    assert ci.refused("PUT", "/jobs/jx", cancel="") == (400, "InvalidArgument")
    assert [(each["state"], each["accepted"]) for each in mediax_emulator.ledger()["cancels"]] == [
        ("Success", False),
        ("Running", False),
        (None, False),
    ]


def test_one_job_that_cannot_be_cancelled_spares_the_others(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    done = ci.finish(ci.submit())
    mediax_emulator.pause_queue()
    waiting = ci.submit()
    ids = f"{waiting['JobId']},{done['JobId']}"
    assert ci.refused("PUT", f"/jobs/{ids}", cancel="") == (400, "InvalidArgument")
    assert ci.get(waiting["JobId"])["State"] == "Pause"


def test_a_paused_queue_lets_waiting_jobs_pause_and_running_ones_go_on(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    mediax_emulator.durations("VoiceSeparate", 0.5)
    running = ci.submit()
    wait_for(lambda: ci.get(running["JobId"])["State"] == "Running")
    mediax_emulator.pause_queue()
    waiting, unwanted = ci.submit(), ci.submit()
    assert ci.finish(running)["State"] == "Success"
    assert ci.get(waiting["JobId"])["State"] == "Pause"
    assert set(ci.listed(states="Pause")) == {waiting["JobId"], unwanted["JobId"]}
    assert ci.call("PUT", f"/jobs/{unwanted['JobId']}", cancel="").status_code == 200
    mediax_emulator.resume_queue()
    assert ci.finish(waiting)["State"] == "Success"
    assert ci.get(unwanted["JobId"])["State"] == "Cancel"


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("Failed", "Failed"),
        ("ERROR", "Failed"),
        ("Cancel", "Cancel"),
        ("CANCELED", "Cancel"),
        ("UNKNOWN", "Archived"),
        ("Success", "Success"),
    ],
)
def test_tests_decide_how_the_next_job_ends_and_only_that(
    mediax_emulator: MediaxEmulator, ci: Ci, outcome: str, state: str
) -> None:
    mediax_emulator.outcome("VoiceSeparate", outcome)
    first, second = ci.submit(), ci.submit()
    assert ci.finish(first)["State"] == state
    assert ci.finish(second)["State"] == "Success"


@pytest.mark.parametrize(
    ("source", "data", "code"),
    [("in/none.wav", None, "ResourceNotFound"), ("in/text.wav", b"this is no music" * 100, "InvalidContent")],
)
def test_a_missing_or_unreadable_input_fails_with_code_and_message(
    mediax_emulator: MediaxEmulator, ci: Ci, source: str, data: bytes | None, code: str
) -> None:
    if data is not None:
        mediax_emulator.put_object(source, data)
    done = ci.finish(ci.submit(source=source))
    assert (done["State"], done["Code"]) == ("Failed", code)
    assert done["Message"]
    assert "MediaResult" not in done["Operation"]


@pytest.mark.parametrize("output", [{"Bucket": "other-1250000000"}, {"Region": "ap-beijing"}])
def test_a_bucket_that_cannot_be_written_to_fails_the_job(ci: Ci, output: dict[str, str]) -> None:
    done = ci.finish(ci.submit(output=output))
    assert (done["State"], done["Code"]) == ("Failed", "WriteTargetBucketDenied")


def test_a_callback_is_xml_or_json_and_shows_the_finished_job(
    mediax_emulator: MediaxEmulator, ci: Ci, receiver: Receiver
) -> None:
    as_xml = ci.submit(CallBack=f"{receiver.url}/xml")
    (record,) = wait_for(lambda: mediax_emulator.ledger()["callbacks"])
    assert (record["job_id"], record["status"], record["url"]) == (as_xml["JobId"], 200, f"{receiver.url}/xml")
    content_type, body = receiver.bodies[0]
    root = ElementTree.fromstring(body)
    assert (content_type, root.tag, root.findtext("EventName")) == ("application/xml", "Response", "TaskFinish")
    assert tree(root)["JobsDetail"] == ci.get(as_xml["JobId"])
    as_json = ci.submit(CallBack=f"{receiver.url}/json", CallBackFormat="JSON", mode="IsAudio")
    wait_for(lambda: len(mediax_emulator.ledger()["callbacks"]) == 2)
    content_type, body = receiver.bodies[1]
    posted = json.loads(body)
    assert (content_type, posted["EventName"]) == ("application/json", "TaskFinish")
    (job,) = posted["JobsDetail"]
    assert (job["JobId"], job["State"], "Message" in job) == (as_json["JobId"], "Success", False)
    assert job["Operation"]["MediaResult"]["OutputFile"]["ObjectName"] == "out/voice.wav"


def test_the_callback_of_the_queue_is_used_unless_the_job_says_no(
    mediax_emulator: MediaxEmulator, ci: Ci, receiver: Receiver
) -> None:
    queue = ci.ask("GET", "/asrqueue")["QueueList"]["QueueId"]
    notify = {"State": "On", "Type": "Url", "Url": f"{receiver.url}/queue", "ResultFormat": "JSON"}
    ci.ask("PUT", f"/asrqueue/{queue}", xml("Request", {"State": "Active", "NotifyConfig": notify}))
    silent = ci.finish(ci.submit(CallBack="no"))
    loud = ci.submit(source="in/none.wav")
    wait_for(lambda: receiver.posted)
    assert [each["JobsDetail"][0]["JobId"] for each in receiver.posted] == [loud["JobId"]]
    assert receiver.posted[0]["JobsDetail"][0]["Code"] == "ResourceNotFound"
    assert silent["State"] == "Success"


def test_a_message_queue_or_a_dead_receiver_leaves_a_record_and_a_finished_job(
    mediax_emulator: MediaxEmulator, ci: Ci
) -> None:
    queue = {"MqRegion": "gz", "MqMode": "Queue", "MqName": "ended"}
    for more in ({"CallBackType": "TDMQ", "CallBackMqConfig": queue}, {"CallBack": "http://127.0.0.1:1/"}):
        assert ci.finish(ci.submit(**more))["State"] == "Success"
    records = wait_for(lambda: found if len(found := mediax_emulator.ledger()["callbacks"]) == 2 else None)
    assert [(each["status"], bool(each["error"])) for each in records] == [(None, True), (None, True)]


def test_the_ledger_tells_both_services_apart_and_knows_the_markers(
    mediax_emulator: MediaxEmulator, ci: Ci, platform: Platform
) -> None:
    ci_job, other = ci.submit(), platform.create()
    ci.submit(operation={"UserData": None})
    ledger = mediax_emulator.ledger()
    assert [(each["id"], each["service"], each["marker"]) for each in ledger["jobs"][:2]] == [
        (ci_job["JobId"], "ci", "marker"),
        (other["id"], "mediax", "marker"),
    ]
    assert (ledger["jobs"][0]["capability"], ledger["jobs"][2]["marker"]) == ("VoiceSeparate", None)
    first = ledger["requests"][0]
    assert (first["service"], first["action"], first["status"], first["job_id"], first["marker"]) == (
        "ci",
        "SubmitCiJob",
        200,
        ci_job["JobId"],
        "marker",
    )


def test_reset_brings_queue_templates_preconditions_and_jobs_back(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    settings = {"AudioMode": "IsAudio", "AudioConfig": {"Codec": "mp3"}}
    template = xml("Request", {"Tag": "VoiceSeparate", "Name": "mine", **settings})
    ci.ask("POST", "/template", template)
    mediax_emulator.pause_queue()
    mediax_emulator.precondition("role", False)
    mediax_emulator.list_lag(60)
    mediax_emulator.temporary_key_expires(-1)
    mediax_emulator.reset()
    assert mediax_emulator.ledger()["jobs"] == []
    assert ci.listed() == []
    assert ci.submit()["State"] == "Submitted"
    ci.ask("POST", "/template", template)


@pytest.mark.parametrize(
    ("kind", "status", "made"),
    [
        ("429", 429, 0),
        ("500", 500, 0),
        ("503", 503, 0),
        ("slow_down", 503, 0),
        ("unauthorized", 401, 0),
        ("error_response", 400, 0),
        ("500_after", 500, 1),
    ],
)
def test_faults_of_a_submit_come_in_the_envelope_of_the_service(
    mediax_emulator: MediaxEmulator, ci: Ci, kind: str, status: int, made: int
) -> None:
    mediax_emulator.fail_next("SubmitCiJob", kind)
    refusal = ci.refused("POST", "/jobs", xml("Request", ci.request()))
    codes = {"429": "SlowDown", "slow_down": "SlowDown", "unauthorized": "InvalidAuthorization"}
    codes |= {"500": "InternalError", "500_after": "InternalError"}
    assert refusal[0] == status
    assert refusal[1] == codes.get(kind, refusal[1])
    assert len(mediax_emulator.ledger()["jobs"]) == made
    assert mediax_emulator.ledger()["requests"][0]["fault"] == kind


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1), ("truncated", 1)])
def test_a_lost_answer_may_hide_a_job(mediax_emulator: MediaxEmulator, ci: Ci, kind: str, made: int) -> None:
    mediax_emulator.fail_next("SubmitCiJob", kind)
    with pytest.raises(OSError, match=r"Remote|reset|IncompleteRead"):
        ci.call("POST", "/jobs", xml("Request", ci.request()))
    assert len(mediax_emulator.ledger()["jobs"]) == made


def test_each_action_can_be_hit_alone(mediax_emulator: MediaxEmulator, ci: Ci) -> None:
    job = ci.submit()
    path = f"/jobs/{job['JobId']}"
    calls = {
        "DescribeCiJobs": ("GET", path, {}),
        "ListCiJobs": ("GET", "/jobs", {"tag": "VoiceSeparate"}),
        "CancelCiJobs": ("PUT", path, {"cancel": ""}),
        "ListCiTemplates": ("GET", "/template", {}),
        "ListCiQueues": ("GET", "/asrqueue", {}),
        "ListCiBuckets": ("GET", "/asrbucket", {}),
    }
    for action in calls:
        mediax_emulator.fail_next(action, "slow_down")
    for action, (method, where, query) in calls.items():
        assert ci.refused(method, where, None, **query) == (503, "SlowDown"), action
    assert ci.listed() == [job["JobId"]]
