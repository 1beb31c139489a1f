"""Every kind of fault, as a client sees it that reads the socket itself."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_mediax.emulator.process import EmulatorError, MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, REGION
from airflow_provider_mediax.emulator.shared.faults import ACTIONS, COS_ACTIONS, INSTEAD, JOB_ACTIONS, KINDS
from tests.unit.emulator.ci_helpers import Ci, xml
from tests.unit.emulator.helpers import PATIENCE, Platform, wait_for


@dataclass
class Seen:
    status: int | None
    headers: dict[str, str]
    body: bytes
    seconds: float


def exchange(platform: Platform) -> Seen:
    """Send one CreateJob over a socket of its own and read until the connection is closed."""
    body = json.dumps(platform.body("CreateJob", platform.request())).encode()
    headers = {**platform.sign(), "Host": "x", "Content-Length": str(len(body)), "Connection": "close"}
    head = "POST /job HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    place = urlsplit(platform.url)
    started = time.monotonic()
    got = b""
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + b"\r\n" + body)
        try:
            while chunk := connection.recv(65536):
                got += chunk
        except ConnectionResetError:
            pass
    answer_head, _, answer_body = got.partition(b"\r\n\r\n")
    lines = answer_head.decode().split("\r\n")
    named = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return Seen(int(lines[0].split()[1]) if got else None, named, answer_body, time.monotonic() - started)


def signed(emulator: MediaxEmulator, method: str, key: str, data: bytes | None = None) -> requests.Response:
    """Send a request for an object, signed by code of its own."""
    caller = Ci(emulator.url)
    caller.host = f"{BUCKET}.cos.{REGION}.myqcloud.com"
    return caller.call(method, f"/{key}", data, _redirects="no")


def signed_get(emulator: MediaxEmulator, key: str) -> requests.Response:
    return signed(emulator, "GET", key)


def put_object(emulator: MediaxEmulator, key: str, data: bytes) -> requests.Response:
    return signed(emulator, "PUT", key, data)


def jobs(emulator: MediaxEmulator) -> int:
    return len(emulator.ledger()["jobs"])


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((kind, int(kind)) for kind in ("408", "409", "425", "429", "499", "500", "502", "503", "504")),
        ("slow_down", 503),
        ("unauthorized", 401),
    ],
)
def test_a_refusal_has_its_status_and_makes_no_job(
    mediax_emulator: MediaxEmulator, platform: Platform, kind: str, status: int
) -> None:
    mediax_emulator.fail_next("CreateJob", kind)
    seen = exchange(platform)
    assert seen.status == status
    assert json.loads(seen.body)["message"]
    assert jobs(mediax_emulator) == 0
    assert exchange(platform).status == 200


@pytest.mark.parametrize("kind", [kind for kind in INSTEAD if kind != "429"])
def test_only_a_429_says_when_to_come_back_unless_asked(
    mediax_emulator: MediaxEmulator, platform: Platform, kind: str
) -> None:
    mediax_emulator.fail_next("CreateJob", kind)
    mediax_emulator.fail_next("CreateJob", kind, retry_after=2)
    assert "retry-after" not in exchange(platform).headers
    assert exchange(platform).headers["retry-after"] == "2"


def test_a_429_says_when_to_come_back(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.fail_next("CreateJob", "429", retry_after=7)
    mediax_emulator.fail_next("CreateJob", "429", retry_after=None)
    assert exchange(platform).headers["retry-after"] == "7"
    assert "retry-after" not in exchange(platform).headers


@pytest.mark.parametrize(("kind", "made"), [("500", 0), ("500_after", 1)])
def test_a_500_may_hide_a_job(mediax_emulator: MediaxEmulator, platform: Platform, kind: str, made: int) -> None:
    mediax_emulator.fail_next("CreateJob", kind)
    assert exchange(platform).status == 500
    assert jobs(mediax_emulator) == made


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_gives_no_answer_at_all(
    mediax_emulator: MediaxEmulator, platform: Platform, kind: str, made: int
) -> None:
    mediax_emulator.fail_next("CreateJob", kind)
    seen = exchange(platform)
    assert (seen.status, seen.body) == (None, b"")
    assert jobs(mediax_emulator) == made
    record = mediax_emulator.ledger()["requests"][0]
    assert (record["fault"], record["status"]) == (kind, None)


@pytest.mark.parametrize("kind", ["slow", "slow_after"])
def test_a_slow_answer_is_the_true_one_after_the_time_asked_for(
    mediax_emulator: MediaxEmulator, platform: Platform, kind: str
) -> None:
    mediax_emulator.fail_next("CreateJob", kind, seconds=0.4)
    seen = exchange(platform)
    assert seen.status == 200
    assert "createJobResponse" in json.loads(seen.body)
    assert seen.seconds >= 0.4


def test_slow_after_makes_the_job_before_it_waits(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    def call_and_leave(kind: str, seconds: float) -> None:
        mediax_emulator.fail_next("CreateJob", kind, seconds=seconds)
        with pytest.raises(OSError, match="timed out"):
            platform.call("CreateJob", platform.request(), timeout=0.3)

    call_and_leave("slow_after", 3600)
    wait_for(lambda: jobs(mediax_emulator) == 1)
    call_and_leave("slow", 3600)
    assert jobs(mediax_emulator) == 1
    # A caller that has gone away does not undo a request that is only slow.
    call_and_leave("slow", 1)
    wait_for(lambda: jobs(mediax_emulator) == 2)


def test_a_truncated_answer_ends_before_its_length_and_the_job_exists(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    mediax_emulator.fail_next("CreateJob", "truncated")
    seen = exchange(platform)
    assert seen.status == 200
    assert 0 < len(seen.body) < int(seen.headers["content-length"])
    assert jobs(mediax_emulator) == 1


@pytest.mark.parametrize(("kind", "made"), [("html", 0), ("html_after", 1)])
def test_a_page_for_people_arrives_as_200(
    mediax_emulator: MediaxEmulator, platform: Platform, kind: str, made: int
) -> None:
    mediax_emulator.fail_next("CreateJob", kind)
    seen = exchange(platform)
    assert (seen.status, seen.headers["content-type"][:9]) == (200, "text/html")
    assert seen.body.startswith(b"<!DOCTYPE html>")
    assert jobs(mediax_emulator) == made


def test_an_error_response_is_a_200_without_a_job(mediax_emulator: MediaxEmulator, platform: Platform) -> None:
    mediax_emulator.fail_next("CreateJob", "error_response")
    seen = exchange(platform)
    assert (seen.status, set(json.loads(seen.body))) == (200, {"requestId", "errorResponse"})
    assert jobs(mediax_emulator) == 0


def test_faults_hit_in_their_order_as_often_as_asked_and_only_their_action(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    mediax_emulator.fail_next("GetJob", "504")
    mediax_emulator.fail_next("CreateJob", "503", times=2)
    mediax_emulator.fail_next("*", "502")
    assert [exchange(platform).status for _ in range(4)] == [503, 503, 502, 200]
    assert platform.call("GetJob", {"id": "x"}).status_code == 504


def test_an_unknown_kind_is_refused_with_the_known_ones(mediax_emulator: MediaxEmulator) -> None:
    with pytest.raises(EmulatorError) as caught:
        mediax_emulator.fail_next("CreateJob", "explode")
    assert all(kind in str(caught.value) for kind in KINDS)


def test_a_storm_of_one_seed_hits_the_same_requests_again_and_ends_when_asked(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    seen = []
    for _ in range(2):
        mediax_emulator.storm(7, {"503": 0.3, "429": 0.2})
        seen.append([platform.call("GetJob", {"id": "x"}).status_code for _ in range(60)])
    mediax_emulator.storm(7, {})
    assert seen[0] == seen[1]
    assert 6 <= seen[0].count(503) <= 30
    assert 3 <= seen[0].count(429) <= 24
    assert {platform.call("GetJob", {"id": "x"}).status_code for _ in range(20)} == {200}


def test_a_storm_of_more_than_all_requests_is_refused(mediax_emulator: MediaxEmulator) -> None:
    with pytest.raises(EmulatorError, match="at most 1"):
        mediax_emulator.storm(1, {"503": 0.6, "429": 0.6})


def test_after_a_rotation_only_the_new_keys_open_the_old_jobs(
    mediax_emulator: MediaxEmulator, platform: Platform
) -> None:
    job = platform.create()
    connection = json.loads(mediax_emulator.rotate_keys())
    assert platform.call("GetJob", {"id": job["id"]}).status_code == 401
    renewed = Platform(
        platform.url,
        replace(
            platform.account,
            platform_key=connection["password"],
            gateway_secret_key=connection["extra"]["gateway_secret_key"],
        ),
    )
    assert renewed.get(job["id"])["id"] == job["id"]


@pytest.mark.parametrize("kind", INSTEAD)
def test_any_answer_may_hide_work_that_was_done(mediax_emulator: MediaxEmulator, platform: Platform, kind: str) -> None:
    mediax_emulator.fail_next("CreateJob", kind)
    before = exchange(platform)
    assert jobs(mediax_emulator) == 0
    mediax_emulator.fail_next("CreateJob", f"{kind}_after")
    after = exchange(platform)
    assert jobs(mediax_emulator) == 1
    assert after.status == before.status
    assert after.headers.get("content-type") == before.headers.get("content-type")
    assert mediax_emulator.ledger()["requests"][-1]["fault"] == f"{kind}_after"


@pytest.mark.parametrize("kind", INSTEAD)
def test_cloud_infinite_gives_every_answer_too(mediax_emulator: MediaxEmulator, ci: Ci, kind: str) -> None:
    body = xml("Request", ci.request())
    for name, made in ((kind, 0), (f"{kind}_after", 1)):
        mediax_emulator.fail_next("SubmitCiJob", name)
        answer = ci.call("POST", "/jobs", body, _redirects="no")
        assert jobs(mediax_emulator) == made
        assert answer.status_code == STATUS.get(kind, {"error_response": 400}.get(kind))
        if kind not in ("html", "html_403", "json_error", "302", "307"):
            assert answer.content.startswith(b"<?xml")


@pytest.mark.parametrize("kind", INSTEAD)
def test_the_object_store_gives_every_answer_too(mediax_emulator: MediaxEmulator, kind: str) -> None:
    for name, made in ((kind, []), (f"{kind}_after", ["a"])):
        mediax_emulator.fail_next("PutObject", name)
        answer = put_object(mediax_emulator, "a", b"content")
        assert mediax_emulator.object_keys() == made
        assert answer.status_code == {"error_response": 400, "unauthorized": 403}.get(kind, STATUS.get(kind))


STATUS = {kind: what.status for kind, what in INSTEAD.items() if kind != "error_response"}


@pytest.mark.parametrize("kind", ["302", "307"])
def test_a_redirect_points_to_another_host(mediax_emulator: MediaxEmulator, platform: Platform, kind: str) -> None:
    mediax_emulator.fail_next("CreateJob", kind)
    assert exchange(platform).headers["location"] == "http://login.example/"


def test_an_error_of_something_in_between_is_json_that_no_service_sends(mediax_emulator: MediaxEmulator) -> None:
    mediax_emulator.put_object("a", b"content")
    mediax_emulator.fail_next("GetObject", "json_error")
    answer = signed_get(mediax_emulator, "a")
    assert (answer.status_code, answer.headers["Content-Type"][:16]) == (503, "application/json")
    assert set(answer.json()) == {"error"}


def test_a_short_answer_is_half_of_the_true_one_and_looks_complete(mediax_emulator: MediaxEmulator) -> None:
    mediax_emulator.put_object("a", b"0123456789")
    mediax_emulator.fail_next("GetObject", "short")
    short, full = signed_get(mediax_emulator, "a"), signed_get(mediax_emulator, "a")
    assert (short.content, short.headers["Content-Length"]) == (b"01234", "5")
    assert (full.content, full.headers["ETag"]) == (b"0123456789", short.headers["ETag"])


def test_an_answer_about_another_job_is_whole_and_names_no_job_of_ours(
    mediax_emulator: MediaxEmulator, platform: Platform, ci: Ci
) -> None:
    mediax_emulator.fail_next("CreateJob", "other_job")
    created = platform.call("CreateJob", platform.request()).json()["createJobResponse"]["job"]
    ours = mediax_emulator.ledger()["jobs"][0]
    assert created["id"] != ours["id"]
    assert created["customId"] != ours["custom_id"]
    mediax_emulator.fail_next("GetJob", "other_job")
    assert platform.get(ours["id"])["id"] not in (ours["id"], created["customId"])
    mediax_emulator.fail_next("ListJobs", "other_job")
    assert [job["customId"] for job in platform.list()["jobs"]] == [created["customId"]]
    mediax_emulator.fail_next("SubmitCiJob", "other_job")
    submitted = ci.submit()
    theirs = mediax_emulator.ledger()["jobs"][1]
    assert submitted["JobId"] != theirs["id"]
    assert submitted["Operation"]["UserData"].split()[0] != theirs["marker"]
    mediax_emulator.fail_next("DescribeCiJobs", "other_job")
    assert ci.get(theirs["id"])["JobId"] != theirs["id"]


def test_an_answer_about_another_job_is_for_actions_that_have_one(mediax_emulator: MediaxEmulator) -> None:
    for action in ACTIONS:
        if action in (*JOB_ACTIONS, "*"):
            mediax_emulator.fail_next(action, "other_job")
        else:
            with pytest.raises(EmulatorError, match="other_job goes with CreateJob"):
                mediax_emulator.fail_next(action, "other_job")


def test_a_clock_that_is_minutes_off_is_refused_by_each_service_in_its_own_way(
    mediax_emulator: MediaxEmulator, platform: Platform, ci: Ci
) -> None:
    for minutes in (-20, 20):
        mediax_emulator.clock(minutes * 60, gateway_tolerance=300)
        gateway = platform.call("GetJob", {"id": "x"})
        assert (gateway.status_code, "valid date" in gateway.json()["message"]) == (401, True)
        assert ci.refused("GET", "/jobs/x") == (401, "SignatureExpired")
        stored = signed_get(mediax_emulator, "a")
        code = "AccessDenied" if minutes > 0 else "RequestTimeTooSkewed"  # over, or not yet valid
        assert (stored.status_code, f"<Code>{code}</Code>" in stored.text) == (403, True)
        ahead = parsedate_to_datetime(stored.headers["Date"]).timestamp() - time.time()
        assert abs(ahead - minutes * 60) < 120


def test_every_action_belongs_to_one_service() -> None:
    assert len(set(ACTIONS)) == len(ACTIONS)
    assert set(COS_ACTIONS) < set(ACTIONS)
