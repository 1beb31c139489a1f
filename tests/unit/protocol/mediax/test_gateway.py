from __future__ import annotations

import json
import locale
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.protocol.exchange import Flow, Repeat, Reply
from airflow_provider_mediax.protocol.job import JobState
from airflow_provider_mediax.protocol.json_body import parse_json
from airflow_provider_mediax.protocol.mediax.gateway import (
    Gateway,
    GatewayKeys,
    PlatformKeys,
    Registration,
    read_job,
)
from tests.unit.protocol.examples import GATEWAY, GATEWAY_KEYS, MARKER, PLATFORM_KEYS, example, reply
from tests.unit.protocol.flows import first_call, play, sent_body

CREATED = example("musicTagV2", "create_response")
GOT = example("musicTagV2", "get_response")
LISTED = example("musicTagV2", "list_response")

SECRETS = ("sigId77", "sigKey77", "bodyId77", "bodyKey77", "cosId77", "cosKey77")
SECRET_GATEWAY = Gateway(
    base_url="https://api.mediax.tencent.com",
    platform_keys=PlatformKeys("bodyId77", "bodyKey77"),
    gateway_keys=GatewayKeys(source="uin_userName", secret_id="sigId77", secret_key="sigKey77"),
)
SECRET_REGISTRATION = Registration(
    operate_uin="100000000001",
    user_name="demo",
    cos_secret_id="cosId77",
    cos_secret_key="cosKey77",
    bucket="music-1250000000",
    region="ap-guangzhou",
)
FLOWS: dict[str, Callable[[Gateway], Flow[Any]]] = {
    "CreateJob": lambda gateway: gateway.create_job({"inputs": [], "outputs": []}, MARKER),
    "GetJob": lambda gateway: gateway.get_job("job-1"),
    "ListJobs": lambda gateway: gateway.list_jobs(MARKER),
    "Register": lambda gateway: gateway.register(SECRET_REGISTRATION),
    "ListModels": lambda gateway: gateway.list_models(),
}
every_action = pytest.mark.parametrize("action", FLOWS)


def flow_of(action: str, gateway: Gateway = SECRET_GATEWAY) -> Flow[Any]:
    return FLOWS[action](gateway)


def listed(*jobs: object, **members: object) -> object:
    return {"listJobsResponse": {"jobs": list(jobs), **members}}


def job(job_id: str, created_at: object = "1610513575000", **members: object) -> dict[str, Any]:
    return {"id": job_id, "state": 2, "customId": MARKER, "timing": {"createdAt": created_at}, **members}


@pytest.mark.parametrize("vector", example("gateway_signature_vectors"), ids=["A", "B"])
def test_signature_equals_the_worked_vectors(vector: dict[str, str]) -> None:
    keys = GatewayKeys(
        source=vector["source"], secret_id=vector["gateway_secret_id"], secret_key=vector["gateway_secret_key"]
    )
    assert keys.sign(parsedate_to_datetime(vector["date"]).timestamp()) == {
        "Date": vector["date"],
        "Source": vector["source"],
        "Authorization": vector["authorization"],
    }


@pytest.mark.parametrize("month", range(1, 13))
def test_date_is_english_with_a_two_digit_day(month: int) -> None:
    previous = locale.setlocale(locale.LC_TIME)
    for name in ("de_DE.UTF-8", "zh_CN.UTF-8", "fr_FR.UTF-8"):
        try:
            locale.setlocale(locale.LC_TIME, name)
        except locale.Error:
            continue
    try:
        date = GATEWAY_KEYS.sign(datetime(2025, month, 5, 6, 7, 8, 999_000, tzinfo=UTC).timestamp())["Date"]
    finally:
        locale.setlocale(locale.LC_TIME, previous)
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][datetime(2025, month, 5).weekday()]
    assert date == f"{day}, 05 {months[month - 1]} 2025 06:07:08 GMT"


@pytest.mark.parametrize("source", ["音乐", "a\nb", "a\r\nX: y", "\x00", "é"])
def test_source_that_no_header_can_carry_is_refused(source: str) -> None:
    with pytest.raises(BadRequest, match=r"gateway_source=.* is refused: "):
        GatewayKeys(source=source, secret_id="id", secret_key="key")


@pytest.mark.parametrize("secret_id", ["音乐", "a\nb", 'a"b'])
def test_gateway_id_that_no_header_can_carry_is_refused_without_showing_it(secret_id: str) -> None:
    with pytest.raises(BadRequest, match="gateway_secret_id") as refused:
        GatewayKeys(source="uin_userName", secret_id=secret_id, secret_key="key")
    assert secret_id not in str(refused.value)
    assert repr(secret_id)[1:-1] not in str(refused.value)


@every_action
def test_nothing_secret_appears_in_a_repr(action: str) -> None:
    call = first_call(flow_of(action))
    shown = repr((call, SECRET_GATEWAY, SECRET_GATEWAY.gateway_keys, SECRET_GATEWAY.platform_keys, SECRET_REGISTRATION))
    assert any(secret.encode() in call.body for secret in SECRETS)
    assert [secret for secret in SECRETS if secret in shown] == []
    assert "body" not in repr(call)


def test_create_job_sends_the_documented_envelope() -> None:
    wanted = example("musicTagV2", "create_request")
    request = {name: value for name, value in wanted["createJobRequest"].items() if name != "customId"}
    call = first_call(GATEWAY.create_job(request, "{customId}"))
    assert json.loads(call.body) == wanted
    assert (call.method, call.url) == ("POST", "https://api.mediax.tencent.com/job")
    assert call.headers == {"Content-Type": "application/json"}
    assert call.sign == GATEWAY_KEYS.sign


@pytest.mark.parametrize("capability", ["musicTagV2", "musicASR"])
def test_get_and_list_send_the_documented_envelopes(capability: str) -> None:
    assert sent_body(GATEWAY.get_job("{id}")) == example(
        "musicTagV2",
        "get_request",
    )
    assert sent_body(GATEWAY.list_jobs("{customId}")) == example(capability, "list_request")


def test_text_outside_ascii_is_sent_as_utf_8() -> None:
    call = first_call(GATEWAY.create_job({"inputs": [{"sourceData": "天空"}]}, MARKER))
    assert "天空".encode() in call.body


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1, 2}, object(), b"bytes", "\ud800"],
    ids=["nan", "infinity", "set", "object", "bytes", "lone surrogate"],
)
def test_request_that_is_no_json_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(BadRequest, match="JSON"):
        next(GATEWAY.create_job({"outputs": [{"smartContentDescriptor": {"x": value}}]}, MARKER))


def test_paths_and_base_address_are_configurable() -> None:
    gateway = Gateway(
        base_url="http://old.example:8080/",
        job_path="/release/job",
        register_path="/release/register",
        model_path="/release/models",
        platform_keys=PLATFORM_KEYS,
    )
    assert first_call(gateway.get_job("1")).url == "http://old.example:8080/release/job"
    assert first_call(gateway.register(SECRET_REGISTRATION)).url == "http://old.example:8080/release/register"
    assert first_call(gateway.list_models()).url == "http://old.example:8080/release/models"


def test_register_sends_the_documented_envelope_and_no_platform_keys() -> None:
    registration = Registration(
        operate_uin="<operateUin>",
        user_name="customedName",
        cos_secret_id="<CosConfig.secretId>",
        cos_secret_key="<CosConfig.secretKey>",
        bucket="<CosConfig.bucket>",
        region="<CosConfig.region>",
    )
    wanted = example("register", "request")
    wanted["registerRequest"]["userName"] = "customedName"
    body = sent_body(GATEWAY.register(registration))
    assert body.pop("requestId")
    wanted.pop("requestId")
    assert body == wanted


def test_register_sends_the_domain_only_if_there_is_one() -> None:
    with_domain = Registration(**{**registration_fields(), "domain": "music.example"})
    assert sent_body(GATEWAY.register(with_domain))["registerRequest"]["cosConfig"]["domain"] == "music.example"
    assert "domain" not in sent_body(GATEWAY.register(SECRET_REGISTRATION))["registerRequest"]["cosConfig"]


def registration_fields() -> dict[str, Any]:
    return {name: getattr(SECRET_REGISTRATION, name) for name in SECRET_REGISTRATION.__dataclass_fields__}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("user_name", name) for name in ("", "a" * 20, "with space", "with-dash", "音乐", "a_b")],
        *[(name, "") for name in ("operate_uin", "cos_secret_id", "cos_secret_key", "bucket", "region")],
    ],
)
def test_register_refuses_what_the_reference_refuses(field: str, value: str) -> None:
    with pytest.raises(BadRequest, match=f"^{field}={value!r} is refused: ") as refused:
        Registration(**{**registration_fields(), field: value})
    assert [secret for secret in SECRETS if secret in str(refused.value)] == []


@pytest.mark.parametrize("name", ["a", "A1", "a" * 19])
def test_register_takes_every_allowed_name(name: str) -> None:
    assert Registration(**{**registration_fields(), "user_name": name}).user_name == name


def test_register_returns_what_was_registered() -> None:
    answer = example("register", "response")
    assert play(GATEWAY.register(SECRET_REGISTRATION), reply(answer)).result == answer["registerInfo"]


def test_register_waits_out_its_two_minutes() -> None:
    call = first_call(GATEWAY.register(SECRET_REGISTRATION))
    assert call.read_timeout is not None
    assert call.read_timeout >= 180


@pytest.mark.parametrize(
    ("query", "field"), [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"offset": -1}, "offset")]
)
def test_list_models_refuses_what_is_out_of_range_before_it_asks(query: dict[str, int], field: str) -> None:
    with pytest.raises(BadRequest, match=f"^{field}="):
        first_call(GATEWAY.list_models(**query))


def test_list_models_sends_what_was_observed() -> None:
    wanted = example("list_models")
    call = first_call(GATEWAY.list_models(kind=2))
    assert json.loads(call.body) == wanted["request"]
    assert call.url.endswith(wanted["url_path"])
    assert "type" not in sent_body(GATEWAY.list_models())["listModelsRequest"]
    assert play(GATEWAY.list_models(), reply(wanted["response"])).result == (wanted["response"]["listModelsResponse"])


@every_action
def test_only_calls_that_buy_or_register_are_never_repeated(action: str) -> None:
    wanted = Repeat.NEVER if action in ("CreateJob", "Register") else Repeat.SAFE
    call = first_call(flow_of(action))
    assert call.repeat is wanted
    assert call.action == action


@pytest.mark.parametrize("marker", ["", "x" * 64, "x" * 1000])
def test_custom_id_outside_its_limit_is_refused_before_anything_is_sent(marker: str) -> None:
    with pytest.raises(BadRequest, match="customId"):
        next(GATEWAY.create_job({}, marker))


def test_custom_id_may_have_63_characters() -> None:
    assert sent_body(GATEWAY.create_job({}, "x" * 63))["createJobRequest"]["customId"] == "x" * 63


@pytest.mark.parametrize("capability", ["musicTagV2", "musicASR"])
def test_documented_answers_give_jobs(capability: str) -> None:
    created = play(GATEWAY.create_job({}, "{customId}"), reply(example(capability, "create_response"))).result
    assert (created.id, created.state, created.state_name) == (
        "13f342e4-6866-450e-b44e-3151431c578b",
        JobState.OPEN,
        "SUBMITTED",
    )
    assert (created.started_at, created.completed_at) == (None, None)
    assert created.created_at == datetime(2020, 10, 23, 5, 59, 23, tzinfo=UTC)
    got = play(
        GATEWAY.get_job("a95e9d74-6602-4405-a3fc-6408a76bcc98"), reply(example(capability, "get_response"))
    ).result
    assert (got.state, got.state_name, got.marker) == (JobState.SUCCEEDED, "COMPLETED", "{customId}")
    assert got.completed_at == datetime(2021, 1, 13, 4, 53, 38, tzinfo=UTC)
    documented = example(capability, "get_response")["getJobResponse"]["job"]
    assert got.raw == {name: value for name, value in documented.items() if name != "callback"}
    found = play(GATEWAY.list_jobs("{customId}"), reply(example(capability, "list_response"))).result
    assert found.complete
    assert [job.id for job in found.jobs] == [got.id]


@pytest.mark.parametrize(
    ("number", "name", "state"),
    [
        (1, "SUBMITTED", JobState.OPEN),
        (2, "PROCESSING", JobState.OPEN),
        (3, "COMPLETED", JobState.SUCCEEDED),
        (4, "ERROR", JobState.FAILED),
        (5, "CANCELED", JobState.CANCELED),
        ("3", "COMPLETED", JobState.SUCCEEDED),
        (0, "0", JobState.UNKNOWN),
        (6, "6", JobState.UNKNOWN),
        (-1, "-1", JobState.UNKNOWN),
        ("COMPLETED?", "COMPLETED?", JobState.UNKNOWN),
        (None, "0", JobState.UNKNOWN),
        (True, "0", JobState.UNKNOWN),
        ([3], "0", JobState.UNKNOWN),
    ],
)
def test_states_mean_what_the_reference_says_and_an_unknown_one_is_not_final(
    number: object, name: str, state: JobState
) -> None:
    job = read_job({"id": "1", "state": number}, "GetJob")
    assert (job.state_name, job.state) == (name, state)
    assert job.state.final is (name in ("COMPLETED", "ERROR", "CANCELED"))


@pytest.mark.parametrize("raw", [{}, {"id": ""}, {"id": None}, {"id": []}, {"id": True}, {"state": 3}])
def test_job_without_an_id_is_unreadable(raw: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="no job id"):
        read_job(raw, "GetJob")


def test_job_is_read_from_what_is_there() -> None:
    job = read_job({"id": 17, "timing": None, "customId": None}, "GetJob")
    assert (job.id, job.marker, job.created_at) == ("17", None, None)


@pytest.mark.parametrize("name", ["message", "error"])
def test_failure_reason_is_taken_from_the_members_that_clients_try(name: str) -> None:
    assert read_job({"id": "1", "state": 4, name: "bad audio"}, "GetJob").message == "bad audio"


def test_jobs_are_listed_newest_first_and_without_a_time_last() -> None:
    answer = listed(job("none", "0"), job("old", "1000"), job("new", 3000), job("mid", "2000"), total=4)
    found = play(GATEWAY.list_jobs(MARKER), reply(answer)).result
    assert [one.id for one in found.jobs] == ["new", "mid", "old", "none"]


def test_jobs_of_another_custom_id_are_dropped() -> None:
    answer = listed(job("1"), job("2", customId=MARKER + "x"), job("3", customId=MARKER.upper()), total=3)
    found = play(GATEWAY.list_jobs(MARKER), reply(answer)).result
    assert [one.id for one in found.jobs] == ["1"]
    assert found.complete


@pytest.mark.parametrize(
    ("members", "complete"),
    [
        ({"jobs": [job("1")], "total": 1}, True),
        ({"jobs": [job("1")], "total": "1"}, True),
        ({"jobs": [job("1")], "total": 1.0}, True),
        ({"jobs": [job("1")], "total": 0}, True),
        ({"jobs": [job("1")]}, True),
        ({"jobs": [job("1")], "total": None}, True),
        ({"jobs": [], "total": 0}, True),
        ({}, True),
        ({"jobs": None}, True),
        ({"jobs": [job("1")], "total": 2}, False),
        ({"jobs": [job("1")], "total": "2"}, False),
        ({"jobs": [job("1")], "total": 2.0}, False),
        ({"jobs": [job("1")], "total": "9" * 5000}, False),
        ({"jobs": [], "total": 1}, False),
        ({"total": 1}, False),
        # What cannot be read may be a job that was paid for, so it never proves that there is none.
        ({"jobs": [None]}, False),
        ({"jobs": [job("1", customId="")], "total": 1}, False),
        ({"jobs": [job("1"), "job"], "total": 1}, False),
        ({"jobs": "none", "total": 0}, False),
        ({"jobs": [], "total": "several"}, False),
        ({"jobs": [], "total": -1}, False),
        ({"jobs": [], "total": {}}, False),
    ],
)
def test_list_is_complete_only_if_nothing_can_be_missing(members: dict[str, Any], complete: bool) -> None:
    found = play(GATEWAY.list_jobs(MARKER), reply({"listJobsResponse": members})).result
    assert found.complete is complete


def test_list_with_a_job_that_has_no_id_says_nothing() -> None:
    with pytest.raises(ProtocolError):
        play(GATEWAY.list_jobs(MARKER), reply(listed({"state": 1, "customId": MARKER}, total=1)))


STATUS_CLASSES = [
    (200, BadRequest),
    (201, BadRequest),
    (302, BadRequest),
    (400, BadRequest),
    (401, AuthenticationFailed),
    (403, AuthenticationFailed),
    (404, BadRequest),
    (426, BadRequest),
    (429, Throttled),
    (500, Unavailable),
    (502, Unavailable),
    (504, Unavailable),
    (599, Unavailable),
]


@every_action
@pytest.mark.parametrize(("status", "kind"), STATUS_CLASSES)
def test_error_response_at_any_status_gives_the_class_of_the_status(
    action: str, status: int, kind: type[MediaxError]
) -> None:
    body = {"requestId": "req-1", "errorResponse": {"message": "model name is taken", "code": 4711}}
    with pytest.raises(MediaxError, match="model name is taken") as raised:
        play(flow_of(action), reply(body, status))
    assert type(raised.value) is kind
    assert raised.value.facts() == {
        "job_id": None,
        "marker": None,
        "request_id": "req-1",
        "status": status,
        "code": "4711",
    }
    assert raised.value.layer == "platform"
    assert action in str(raised.value)


@every_action
@pytest.mark.parametrize(("status", "kind"), [pair for pair in STATUS_CLASSES if pair[0] >= 400])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad Gateway</html>", b"\xff\xfe\x00", b"[]", b"null", b'{"message": "API rate limit"}']
)
def test_gateway_error_gives_the_class_of_the_status_whatever_the_body(
    action: str, status: int, kind: type[MediaxError], body: bytes
) -> None:
    with pytest.raises(MediaxError) as raised:
        play(flow_of(action), reply(body, status, x_request_id="req-2"))
    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.request_id) == (status, "req-2")
    assert raised.value.layer == "gateway"


def test_gateway_says_its_reason() -> None:
    with pytest.raises(AuthenticationFailed, match="HMAC signature does not match") as raised:
        play(GATEWAY.get_job("1"), reply({"message": "HMAC signature does not match."}, 401))
    assert "three gateway fields" in raised.value.advice


@pytest.mark.parametrize("body", [b"HMAC does not match", b"<html><title>HMAC does\n not match</title></html>"])
def test_a_gateway_error_that_is_no_json_keeps_its_words(body: bytes) -> None:
    with pytest.raises(AuthenticationFailed, match="HMAC does not match"):
        play(GATEWAY.get_job("1"), Reply(401, {}, body))


@pytest.mark.parametrize("status", [408, 409, 425, 499, 500, 503])
@pytest.mark.parametrize("body", [{}, {"errorResponse": {"message": "on demand"}}])
def test_an_answer_that_leaves_the_outcome_open_proves_nothing(status: int, body: dict[str, object]) -> None:
    with pytest.raises(Unavailable) as raised:
        play(GATEWAY.create_job({}, MARKER), reply(body, status))
    assert not raised.value.nothing_done


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_an_error_of_the_platform_does_not_prove_that_there_is_no_job(status: int) -> None:
    with pytest.raises((BadRequest, AuthenticationFailed)) as raised:
        play(GATEWAY.create_job({}, MARKER), reply({"errorResponse": {"message": "on demand"}}, status))
    assert (raised.value.layer, raised.value.nothing_done) == ("platform", False)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
def test_a_refusal_of_the_gateway_proves_that_there_is_no_job(status: int) -> None:
    with pytest.raises(MediaxError) as raised:
        play(GATEWAY.create_job({}, MARKER), reply({"message": "on demand"}, status))
    assert raised.value.nothing_done


def test_a_redirect_proves_a_refusal_and_names_the_host_it_leads_to() -> None:
    with pytest.raises(BadRequest, match=r"leads to portal\.example\.com") as raised:
        play(GATEWAY.create_job({}, MARKER), Reply(302, {"location": "https://portal.example.com/?s=1"}, b""))
    assert raised.value.nothing_done


def test_an_answer_about_another_job_leaves_the_outcome_of_a_submit_open() -> None:
    other = {"createJobResponse": {"job": {"id": "9", "state": 1, "customId": "mx1-other"}}}
    with pytest.raises(ProtocolError, match="another job, 9") as raised:
        play(GATEWAY.create_job({}, MARKER), reply(other))
    assert not raised.value.nothing_done


def test_a_description_of_another_job_is_not_taken_for_the_one_asked_for() -> None:
    with pytest.raises(ProtocolError, match="another job, 9"):
        play(GATEWAY.get_job("1"), reply({"getJobResponse": {"job": {"id": "9", "state": 3}}}))


def test_the_address_of_a_callback_is_not_kept() -> None:
    job = {"id": "1", "state": 1, "callback": "https://user:password@example.com/hook"}
    assert "callback" not in play(GATEWAY.get_job("1"), reply({"getJobResponse": {"job": job}})).result.raw


def test_what_the_platform_says_is_one_line_of_a_log_without_control_characters() -> None:
    said = "too long\nERROR all is lost\x1b[31m"
    with pytest.raises(BadRequest) as raised:
        play(GATEWAY.get_job("1"), reply({"errorResponse": {"message": said, "code": "1\n2"}, "requestId": "a\nb"}))
    job = {"id": "1", "state": "odd\nstate", "message": said}
    read = play(GATEWAY.get_job("1"), reply({"getJobResponse": {"job": job}})).result
    assert read.message == "too long ERROR all is lost?[31m"
    for words in (raised.value.what, str(raised.value), raised.value.reason, read.summary):
        assert words.isprintable()
    assert raised.value.what.endswith(read.message)


@pytest.mark.parametrize("said", [{}, None, [], "text", {"message": None}, {"message": ""}, {"message": {}}])
def test_empty_error_response_is_an_error_too(said: object) -> None:
    body = {"errorResponse": said, "createJobResponse": {"job": {"id": "1", "state": 1}}}
    with pytest.raises(BadRequest, match="no reason given"):
        play(GATEWAY.create_job({}, MARKER), reply(body))


@every_action
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>hello</html>", b"{", b"[]", b"null", b"1", b"{}", b'{"createJobResponse": []}', b'{"requestId": 1}'],
)
def test_readable_status_with_an_unreadable_answer_is_a_protocol_error(action: str, body: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        play(flow_of(action), reply(body))
    assert raised.value.status == 200


@every_action
def test_keys_that_the_server_echoes_are_not_repeated(action: str) -> None:
    echo = " ".join(SECRETS)
    answers = [
        reply({"errorResponse": {"message": echo, "code": echo}, "requestId": echo}),
        reply({"message": echo}, 401),
        reply({"message": echo}, 500, x_request_id=echo),
        reply(dict.fromkeys(SECRETS, 1)),
    ]
    for answer in answers:
        with pytest.raises(MediaxError) as raised:
            play(flow_of(action), answer)
        shown = str(raised.value) + repr(raised.value) + str(raised.value.facts())
        own = SECRETS[4:] if action == "Register" else SECRETS[:4]
        assert [secret for secret in own if secret in shown] == []


def test_key_that_begins_with_the_other_is_hidden_whole() -> None:
    gateway = Gateway(base_url="https://x", platform_keys=PlatformKeys("AKID", "AKIDrest77"))
    with pytest.raises(BadRequest) as raised:
        play(gateway.get_job("1"), reply({"errorResponse": {"message": "bad key AKIDrest77"}}))
    assert "rest77" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket.example/a.mp3?q-sign-algorithm=sha1&q-signature=5e7",
        "https://user:5e7@bucket.example/a.mp3",
        "HTTPS://bucket.example/a.mp3?X-Amz-Signature=5e7#part",
    ],
)
def test_signed_address_that_the_server_echoes_loses_its_signature(url: str) -> None:
    with pytest.raises(BadRequest, match=r"cannot download .*bucket\.example/a\.mp3") as raised:
        play(GATEWAY.create_job({}, MARKER), reply({"errorResponse": {"message": f'cannot download "{url}", sorry'}}))
    assert "5e7" not in str(raised.value)
    assert "sorry" in str(raised.value)
    assert "5e7" not in str(read_job({"id": "1", "state": 4, "message": f"cannot download {url}"}, "GetJob").message)


@every_action
def test_error_texts_are_bounded(action: str) -> None:
    for answer in (reply({"errorResponse": {"message": "x" * 100_000}}), reply({"x" * 100_000: 1})):
        with pytest.raises(MediaxError) as raised:
            play(flow_of(action), answer)
        assert len(str(raised.value)) < 2000


@every_action
def test_flow_that_is_given_no_answer_says_so(action: str) -> None:
    with pytest.raises(ProtocolError, match="no answer"):
        play(flow_of(action), None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{'a': 1}",
        b'{"a": 1} x',
        rb'"\ud8zz"',
        b'{"a": NaN}',
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"[" * 100_000,
        b"[" * 300 + b"]" * 300,
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_json_is_read_strictly(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^The answer is not JSON"):
        parse_json(body, "The answer")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ude00\ud83d x"', "\ufffd\ufffd x"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\uD83D\uD83D\uDE00"', "\ufffd\U0001f600"),
        (rb'"\\ud83d"', r"\ud83d"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (rb'{"\udead": "\n"}', {"\ufffd": "\n"}),
    ],
)
def test_half_a_character_is_replaced_since_no_database_takes_it(body: bytes, value: object) -> None:
    assert parse_json(body, "The answer") == value


def test_json_may_be_wide_and_a_hundred_levels_deep() -> None:
    assert len(parse_json(b"[" + b"{}," * 1000 + b"{}]", "x")) == 1001
    assert parse_json(b"[" * 90 + b"]" * 90, "x")


def test_json_may_come_in_any_unicode_encoding() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert parse_json('{"text": "天空"}'.encode(encoding), "x") == {"text": "天空"}


@every_action
def test_every_call_but_a_registration_carries_the_gateways_signature(action: str) -> None:
    signed = first_call(flow_of(action)).sign(0)
    assert ("Authorization" in signed) is (action != "Register")


@pytest.mark.parametrize(("platform", "speaker"), [(True, "The platform"), (False, "The gateway")])
def test_a_refusal_says_who_refused_and_in_which_words(platform: bool, speaker: str) -> None:
    said = {"message": "not this one", "code": "E7"}
    flow = flow_of("GetJob")
    next(flow)
    with pytest.raises(BadRequest) as refused:
        flow.send(Reply(400, {}, json.dumps({"errorResponse": said} if platform else said).encode()))
    assert refused.value.what == f"{speaker} answered GetJob with: not this one"
    assert (refused.value.code, refused.value.layer) == ("E7", speaker.removeprefix("The "))
