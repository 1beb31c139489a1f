"""What COS, or something in its place, answers about objects; real SDK and sockets, a scripted server."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing
from email.utils import formatdate
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_mediax.client import pacing
from airflow_provider_mediax.client.retry import ONE_TRY, PATIENT, Patience
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    NotFound,
    ProtocolError,
    Throttled,
    Unavailable,
    Unreachable,
)
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.protocol.cos_answers import Target
from airflow_provider_mediax.protocol.cos_signature import SIGNATURE_SECONDS
from tests.unit.client.stub import Answer, RawServer, StubServer, http, read_request

BUCKET, REGION = "music-1250000000", "ap-guangzhou"
DATA = b"content"
ETAG = f'"{hashlib.md5(DATA).hexdigest()}"'
KEYS = {"cos_secret_id": "idSECRET77", "cos_secret_key": "keySECRET77"}
LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

VERBS: dict[str, Callable[[CosHook], Any]] = {
    "read": lambda hook: hook.read_bytes("a"),
    "read a part": lambda hook: hook.read_range("a", 0, 3),
    "write": lambda hook: hook.write_bytes("a", DATA),
    "head": lambda hook: hook.head("a"),
    "exists": lambda hook: hook.exists("a"),
    "list": lambda hook: list(hook.iter_keys("a")),
    "delete": lambda hook: hook.delete("a"),
    "delete many": lambda hook: hook.delete_many(["a"]),
    "copy": lambda hook: hook.copy("a", "b"),
    "begin an upload": lambda hook: hook.start_upload("a"),
    "ask the bucket": lambda hook: hook.head_bucket(),
}
every_verb = pytest.mark.parametrize("act", VERBS.values(), ids=VERBS)


def of_cos(body: bytes = b"", status: int = 200, **headers: str) -> Answer:
    """Return an answer that bears what every answer of COS bears."""
    return Answer(http(body, status, x_cos_request_id="NWU4", **headers))


def refused(code: str, status: int, **headers: str) -> Answer:
    said = f"<Error><Code>{code}</Code><Message>No.</Message><RequestId>NWU4</RequestId></Error>"
    return of_cos(said.encode(), status, **headers)


def content(data: bytes = DATA, **headers: str) -> Answer:
    return of_cos(data, 200, ETag=ETAG, **headers)


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's COS has asked for must not hold the next one; and pauses last milliseconds."""
    monkeypatch.setattr(pacing, "_accounts", {})
    monkeypatch.setattr(pacing, "_limits", {})
    monkeypatch.setattr("airflow_provider_mediax.client.retry._FIRST_DELAY", 0.002)


def connection(endpoint: str, **extra: Any) -> MediaxConnection:
    fields = {"cos_bucket": BUCKET, "cos_region": REGION, "cos_endpoint": endpoint, "read_timeout": 2, **KEYS, **extra}
    return MediaxConnection.read("c", Connection(conn_id="c", conn_type="mediax"), fields)


class Cos:
    """A hook, and the server that it asks."""

    def __init__(self, server: StubServer, hook: CosHook) -> None:
        self.server = server
        self.hook = hook


@pytest.fixture
def cos() -> Iterator[Callable[..., Cos]]:
    """Start a server with a script and open a hook on it."""
    opened: list[Cos] = []

    def start(*script: Answer, patience: Patience = PATIENT, **extra: Any) -> Cos:
        server = StubServer(script).__enter__()
        opened.append(Cos(server, CosHook.opened(connection(server.url, **extra), patience=patience)))
        return opened[-1]

    yield start
    for each in opened:
        each.hook.close()
        each.server.__exit__()


# --- something other than COS ---------------------------------------------------------------------------------------

PAGE = b"<html><head><title>Sign in</title></head><body>idSECRET77 http://x/?q-signature=77SECRET</body></html>"
PAGES = {
    "a login page": http(PAGE),
    "nothing": http(b""),
    "nothing, 204": http(b"", 204),
    "a proxy that forbids": http(PAGE, 403),
    "a proxy that wants a login": http(PAGE, 401),
    "a proxy that finds nothing": http(PAGE, 404),
    "a proxy that finds nothing and says nothing": http(b"", 404),
    "a redirect": http(PAGE, 302, Location="http://login.example/?q=1"),
    "a redirect that keeps the verb": http(b"", 307, Location="http://login.example/"),
    "a redirect to nowhere": http(b"", 302, Location="http://[bad"),
    "JSON of another service": http(b'{"error": {"message": "no route"}}', 404),
}


@every_verb
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_what_is_not_of_cos_is_neither_success_nor_missing_nor_a_matter_of_keys(
    cos: Callable[..., Cos], act: Callable[[CosHook], Any], page: bytes
) -> None:
    with pytest.raises(ProtocolError) as error:
        act(cos(Answer(page)).hook)
    assert "SECRET" not in error.value.sentences
    assert "cos_secret" not in error.value.sentences
    assert "proxy" in error.value.advice


@every_verb
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_fault_of_the_way_is_asked_again_before_it_is_an_outage(
    cos: Callable[..., Cos], act: Callable[[CosHook], Any], status: int
) -> None:
    made = cos(Answer(http(PAGE, status)))
    with pytest.raises(Unavailable):
        act(made.hook)
    assert len(made.server.requests) == PATIENT.attempts


# --- what COS refuses -----------------------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Answer, type[MediaxError], str | None]] = {
    "keys": (refused("InvalidAccessKeyId", 403), AuthenticationFailed, "InvalidAccessKeyId"),
    "rights": (refused("AccessDenied", 403), AuthenticationFailed, "AccessDenied"),
    "an argument": (refused("InvalidArgument", 400), BadRequest, "InvalidArgument"),
    "in JSON": (of_cos(b'{"code": "InvalidArgument", "message": "No."}', 400), BadRequest, "InvalidArgument"),
    "in JSON, elsewhere": (of_cos(b'{"Error": {"Code": "AccessDenied"}}', 403), AuthenticationFailed, "AccessDenied"),
    "in JSON of no sense": (of_cos(b'{"message": 5}', 400), BadRequest, None),
    "in broken JSON": (of_cos(b'{"code": ', 400), BadRequest, None),
    "in broken XML": (of_cos(b"<Error><Code>Inva", 400), BadRequest, None),
    "without a code": (of_cos(b"<Error><Message>No.</Message></Error>", 400), BadRequest, None),
    "without a word": (of_cos(b"", 403), AuthenticationFailed, None),
    "an object that was replaced": (refused("PreconditionFailed", 412), Unavailable, "PreconditionFailed"),
    "a body that came in half": (refused("IncompleteBody", 400), Unavailable, "IncompleteBody"),
    "a fault of its own": (refused("InternalError", 500), Unavailable, "InternalError"),
    "what it cannot do": (refused("NotImplemented", 501), BadRequest, "NotImplemented"),
    "its rate": (refused("SlowDown", 503), Throttled, None),
    "its rate by status": (of_cos(b"", 429), Throttled, None),
    "a bucket that moved": (refused("PermanentRedirect", 301), BadRequest, "PermanentRedirect"),
}


@pytest.mark.parametrize("verb", ["read", "write", "list", "delete", "delete many", "begin an upload"])
@pytest.mark.parametrize(("answer", "kind", "code"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_typed_by_its_code_and_status(
    cos: Callable[..., Cos], verb: str, answer: Answer, kind: type[MediaxError], code: str | None
) -> None:
    with pytest.raises(MediaxError) as error:
        VERBS[verb](cos(answer, patience=ONE_TRY).hook)
    assert type(error.value) is kind
    assert error.value.code == code


def test_an_error_names_the_request_and_shows_no_secret_that_cos_repeats(cos: Callable[..., Cos]) -> None:
    said = "The key idSECRET77 is unknown, see http://x/a?q-signature=77SECRET\n2nd line"
    body = f"<Error><Code>InvalidAccessKeyId</Code><Message>{said}</Message><RequestId>R1</RequestId></Error>"
    with pytest.raises(AuthenticationFailed) as error:
        cos(of_cos(body.encode(), 403)).hook.read_bytes("a")
    assert error.value.request_id == "R1"
    assert "SECRET" not in error.value.reason
    assert "The key *** is unknown" in error.value.reason
    assert "\n" not in error.value.reason


@pytest.mark.parametrize("status", [200, 206])
def test_an_object_that_looks_like_an_error_is_read(cos: Callable[..., Cos], status: int) -> None:
    data = b"<Error><Code>AccessDenied</Code></Error>"
    etag = f'"{hashlib.md5(data).hexdigest()}"'
    part = {"Content_Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
    hook = cos(of_cos(data, status, ETag=etag, Content_Type="application/xml", **part)).hook
    assert (hook.read_bytes("a") if status == 200 else hook.read_range("a", 0, 100)) == data


def test_an_error_in_a_good_answer_is_an_error(cos: Callable[..., Cos]) -> None:
    with pytest.raises(Unavailable):
        cos(content(), refused("InternalError", 200)).hook.copy("a", "b")


# --- regions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["read", "write", "list", "delete"])
def test_a_missing_bucket_names_the_region_asked_and_the_field(cos: Callable[..., Cos], verb: str) -> None:
    with pytest.raises(NotFound) as error:
        VERBS[verb](cos(refused("NoSuchBucket", 404)).hook)
    assert f"cos://{BUCKET}/ in region {REGION}" in str(error.value)
    assert "bucket_regions" in str(error.value)
    assert error.value.errno is not None


def test_a_head_that_finds_nothing_names_the_region_asked_and_the_field(cos: Callable[..., Cos]) -> None:
    with pytest.raises(NotFound) as error:
        cos(of_cos(b"", 404)).hook.head("a")
    assert REGION in str(error.value)
    assert "bucket_regions" in error.value.advice


def test_each_bucket_is_asked_in_its_own_region(cos: Callable[..., Cos]) -> None:
    made = cos(content(), bucket_regions={"far-1250000000": "ap-beijing"})
    made.hook.read_bytes("a")
    made.hook.read_bytes("cos://far-1250000000/a")
    made.hook.read_bytes("cos://other-1250000000/a")
    assert [seen.headers["host"] for seen in made.server.requests] == [
        f"{BUCKET}.cos.{REGION}.myqcloud.com",
        "far-1250000000.cos.ap-beijing.myqcloud.com",
        f"other-1250000000.cos.{REGION}.myqcloud.com",
    ]
    assert "far-1250000000.cos.ap-beijing." in made.hook.presigned_url("cos://far-1250000000/a")


def test_a_copy_names_the_region_of_its_source(cos: Callable[..., Cos]) -> None:
    done = of_cos(f"<CopyObjectResult><ETag>{ETAG}</ETag></CopyObjectResult>".encode(), ETag=ETAG)
    made = cos(done, bucket_regions={"far-1250000000": "ap-beijing"})
    made.hook.copy("cos://far-1250000000/a", "b")
    assert made.server.requests[-1].headers["x-cos-copy-source"] == "far-1250000000.cos.ap-beijing.myqcloud.com/a"
    made.hook.copy("cos://far-1250000000/a", "b", source_region="ap-shanghai")
    assert made.server.requests[-1].headers["x-cos-copy-source"] == "far-1250000000.cos.ap-shanghai.myqcloud.com/a"


def test_an_argument_wins_over_the_field(cos: Callable[..., Cos]) -> None:
    server = cos(content()).server
    known = connection(server.url, bucket_regions={"far-1250000000": "ap-beijing"})
    for bucket in ("far-1250000000", None):
        with closing(CosHook.opened(known, bucket, "ap-shanghai")) as hook:
            hook.read_bytes("cos://far-1250000000/a")
    assert {seen.headers["host"] for seen in server.requests} == {"far-1250000000.cos.ap-shanghai.myqcloud.com"}


# --- clocks, pauses, repeats ----------------------------------------------------------------------------------------


def signed(headers: dict[str, str]) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(headers["authorization"], keep_blank_values=True))


def window(headers: dict[str, str]) -> tuple[int, int]:
    start, end = signed(headers)["q-sign-time"].split(";")
    return int(start), int(end)


@every_verb
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_off_is_corrected_by_that_of_cos(
    cos: Callable[..., Cos], act: Callable[[CosHook], Any], minutes: int
) -> None:
    real = time.time() + 60 * minutes
    made = cos(refused("RequestTimeTooSkewed", 403, Date=formatdate(real, usegmt=True)), refused("NoSuchKey", 404))
    with pytest.raises(NotFound) if act is not VERBS["exists"] else closing(made.hook):
        act(made.hook)
    before, after = (window(seen.headers) for seen in made.server.requests[:2])
    assert abs((after[0] - before[0]) - 60 * minutes) < 10
    url = made.hook.presigned_url("a", expires=60)
    end = int(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["q-sign-time"][0].split(";")[1])
    assert abs(end - (real + 60)) < 10


def test_a_signature_holds_as_long_as_those_of_jobs(cos: Callable[..., Cos]) -> None:
    made = cos(content())
    made.hook.read_bytes("a")
    start, end = window(made.server.requests[0].headers)
    assert end - start == SIGNATURE_SECONDS + 60


def test_what_says_what_is_wanted_is_signed(cos: Callable[..., Cos]) -> None:
    made = cos(content(), cos_token="token77")
    made.hook.read_bytes("a b+ü/../c")
    made.hook.write_bytes("a", DATA, content_type="audio/wav")
    read, written = (signed(seen.headers)["q-header-list"].split(";") for seen in made.server.requests)
    assert read == ["host", "x-cos-security-token"]
    assert written == ["content-md5", "content-type", "host", "x-cos-security-token"]
    assert made.server.requests[1].headers["content-md5"] == base64.b64encode(hashlib.md5(DATA).digest()).decode()


def test_the_sdk_signs_nothing_and_knows_no_key(cos: Callable[..., Cos], monkeypatch: pytest.MonkeyPatch) -> None:
    import qcloud_cos

    given: list[str] = []
    real = qcloud_cos.CosConfig

    def counted(**fields: Any) -> Any:
        given.append(str(fields))
        return real(**fields)

    monkeypatch.setattr(qcloud_cos, "CosConfig", counted)
    made = cos(content(), cos_token="tokenSECRET")
    made.hook.read_bytes("a")
    assert given
    assert "SECRET" not in "".join(given)
    assert signed(made.server.requests[0].headers)["q-ak"] == KEYS["cos_secret_id"]


@pytest.mark.parametrize("answer", ["503", "429"])
def test_nothing_is_asked_earlier_than_retry_after(cos: Callable[..., Cos], answer: str) -> None:
    first = refused("InternalError", 503, Retry_After="1") if answer == "503" else of_cos(b"", 429, Retry_After="1")
    made = cos(first, content())
    began = time.monotonic()
    made.hook.read_bytes("a")
    assert time.monotonic() - began >= 1
    assert len(made.server.requests) == 2


def test_a_pause_that_cos_wants_holds_every_hook_of_the_account(cos: Callable[..., Cos]) -> None:
    made = cos(of_cos(b"", 429, Retry_After="100"), content(), patience=ONE_TRY)
    with pytest.raises(Throttled) as error:
        made.hook.read_bytes("a")
    assert error.value.retry_after == 100
    with (
        closing(CosHook.opened(connection(made.server.url))) as other,
        pytest.raises(Throttled),
    ):
        other.read_bytes("b")
    assert len(made.server.requests) == 1


CUT = Answer(content().data[:-3], "close")
SHORT = {
    "breaks off": CUT,
    "has another content": content(b"another"),
    "is empty": content(b""),
    "has no length": Answer(f"HTTP/1.1 200 OK\r\nx-cos-request-id: 1\r\nETag: {ETAG}\r\n\r\ncon".encode(), "close"),
}


@pytest.mark.parametrize("answer", SHORT.values(), ids=SHORT)
def test_a_body_that_is_not_whole_is_read_again(cos: Callable[..., Cos], answer: Answer) -> None:
    made = cos(answer, content())
    assert made.hook.read_bytes("a") == DATA
    assert len(made.server.requests) == 2


@pytest.mark.parametrize("answer", SHORT.values(), ids=SHORT)
def test_a_body_that_is_never_whole_is_an_outage(cos: Callable[..., Cos], answer: Answer) -> None:
    with pytest.raises(Unavailable):
        cos(answer).hook.read_bytes("a")


def test_a_part_that_is_shorter_than_it_says_is_read_again(cos: Callable[..., Cos]) -> None:
    part = {"Content_Range": "bytes 0-2/7", "ETag": ETAG}
    made = cos(of_cos(b"c", 206, **part), of_cos(b"con", 206, **part))
    assert made.hook.read_range("a", 0, 3) == b"con"


@pytest.mark.parametrize(
    ("place", "data"), [(None, b"con"), ("bytes 1-3/7", b"ont"), ("bytes 0-4/7", b"conte"), ("bytes */7", b"con")]
)
def test_a_part_that_was_not_asked_for_is_refused(cos: Callable[..., Cos], place: str | None, data: bytes) -> None:
    headers = {"Content_Range": place} if place else {}
    with pytest.raises(ProtocolError):
        cos(of_cos(data, 206 if place else 200, **headers)).hook.read_range("a", 0, 3)


def test_a_lost_connection_is_an_outage_and_a_refused_one_says_that_nothing_was_sent(
    cos: Callable[..., Cos],
) -> None:
    made = cos(Answer(then="close"))
    with pytest.raises(Unavailable) as lost:
        made.hook.read_bytes("a")
    assert type(lost.value) is Unavailable
    assert len(made.server.requests) == PATIENT.attempts
    with StubServer([content()]) as gone:
        url = gone.url
    with closing(CosHook.opened(connection(url))) as hook, pytest.raises(Unreachable):
        hook.read_bytes("a")


def test_an_answer_that_trickles_ends_after_the_read_timeout() -> None:
    def trickle(socket: Any, over: Any) -> None:
        read_request(socket)
        socket.sendall(content(b"x" * 1000).data[:-1000])
        while not over.wait(0.05):
            socket.sendall(b"x")

    with (
        RawServer(trickle) as server,
        closing(CosHook.opened(connection(server.url, read_timeout=0.5))) as hook,
        pytest.raises(Unavailable, match="less than 64 KiB"),
    ):
        hook.read_bytes("a")


# --- what is ours ---------------------------------------------------------------------------------------------------


@every_verb
@pytest.mark.parametrize(
    "wrong",
    [
        {"cos_secret_id": ""},
        {"cos_secret_key": ""},
        {"cos_secret_id": "a\nb"},
        {"cos_token": "a\nb"},
        {"cos_token": "é"},
        {"cos_bucket": ""},
        {"cos_region": ""},
        {"proxy": "socks5://user:pass77@127.0.0.1:1"},
    ],
    ids=str,
)
def test_a_wrong_field_is_a_bad_request_and_never_an_outage(
    cos: Callable[..., Cos], act: Callable[[CosHook], Any], wrong: dict[str, str]
) -> None:
    made = cos(content())
    hook = CosHook.opened(connection(made.server.url, **wrong), patience=PATIENT)
    with pytest.raises(BadRequest, match=next(iter(wrong))) as error:
        act(hook)
    assert type(error.value) is BadRequest
    assert "pass77" not in error.value.sentences
    assert made.server.requests == []


@pytest.mark.parametrize("place", [("music", None), ("cos://music-1250000000", None), (None, "cos.ap-x"), (None, "A")])
def test_a_wrong_argument_is_held_to_the_rules_of_the_field(
    cos: Callable[..., Cos], place: tuple[str | None, str | None]
) -> None:
    made = cos(content())
    with pytest.raises(BadRequest, match=r"^(bucket|region)="):
        CosHook.opened(connection(made.server.url), *place).read_bytes("a")
    assert made.server.requests == []


@pytest.mark.parametrize("key", ["\ud800", "a/\udfff.wav"])
def test_a_key_with_half_a_character_is_refused(cos: Callable[..., Cos], key: str) -> None:
    with pytest.raises(BadRequest, match=r"^key="):
        cos(content()).hook.read_bytes(key)


def test_renewed_keys_are_used_for_the_same_request(cos: Callable[..., Cos], monkeypatch: pytest.MonkeyPatch) -> None:
    made = cos(refused("ExpiredToken", 403), content())
    stored = [connection(made.server.url), connection(made.server.url, cos_secret_id="new77")]
    monkeypatch.setattr(MediaxConnection, "look_up", lambda conn_id: stored.pop(0))
    with closing(CosHook()) as hook:
        assert hook.read_bytes("a") == DATA
    assert [signed(seen.headers)["q-ak"] for seen in made.server.requests] == [KEYS["cos_secret_id"], "new77"]


def test_a_target_shows_its_address_and_knows_its_host() -> None:
    target = Target(BUCKET, REGION, "a")
    assert str(target) == f"cos://{BUCKET}/a"
    assert json.dumps(target.host) == f'"{BUCKET}.cos.{REGION}.myqcloud.com"'
