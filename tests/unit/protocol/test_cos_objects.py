"""Small objects in a bucket as flows: what is sent, and what each answer means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    NotFound,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.protocol.cos_objects import CosObjects, Listed
from airflow_provider_mediax.protocol.exchange import Flow, Repeat, Reply
from tests.unit.protocol.flows import first_call, play
from tests.unit.protocol.helpers import KEYS, TEMPORARY, error

OF_COS = {"x-cos-request-id": "r-1"}
DATES: dict[str, Any] = {"last-modified": "Thu, 26 Nov 2026 09:41:00 GMT", "date": "Thu, 26 Nov 2026 09:41:12 GMT"}


def bucket(**changes: Any) -> CosObjects:
    return CosObjects(**{"bucket": "claims-1250000000", "region": "ap-guangzhou", "keys": KEYS, **changes})


def done(status: int = 200, body: bytes = b"", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {**OF_COS, **named}, body)


def page(*keys: str, following: str | None = None) -> Reply:
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>3</Size><LastModified>2026-11-26T09:41:00.000Z</LastModified></Contents>"
        for key in keys
    )
    more = f"<IsTruncated>true</IsTruncated><NextMarker>{following}</NextMarker>"
    end = more if following else "<IsTruncated>false</IsTruncated>"
    return done(body=f"<ListBucketResult><Prefix>p/</Prefix>{entries}{end}</ListBucketResult>".encode())


def test_an_object_is_created_only_if_there_is_none_and_sent_once() -> None:
    call = first_call(bucket().create("claims/mx1-0.0", b"{}"))
    assert (call.method, call.url) == ("PUT", "https://claims-1250000000.cos.ap-guangzhou.myqcloud.com/claims/mx1-0.0")
    assert call.headers["x-cos-forbid-overwrite"] == "true"
    assert call.repeat is Repeat.NEVER
    assert "x-cos-forbid-overwrite" in call.sign(1_800_000_000.0)["Authorization"]


def test_the_answer_says_whose_object_it_is() -> None:
    assert play(bucket().create("k", b""), done()).result is True
    assert play(bucket().create("k", b""), error("FileAlreadyExists", 409)).result is False


@pytest.mark.parametrize(
    ("answer", "kind", "nothing_done"),
    [
        (error("SlowDown", 503), Throttled, True),
        (error("AccessDenied", 403), AuthenticationFailed, True),
        (error("NoSuchBucket", 404), NotFound, True),
        (error("InternalError", 500), Unavailable, False),
        (error("OperationAborted", 409), Unavailable, False),
        (Reply(200, {}, b"<html>login</html>"), ProtocolError, False),
        (Reply(302, {"location": "https://portal.example/"}, b""), ProtocolError, False),
    ],
)
def test_a_write_that_may_have_been_done_is_not_called_undone(
    answer: Reply, kind: type[MediaxError], nothing_done: bool
) -> None:
    with pytest.raises(kind) as caught:
        play(bucket().create("k", b""), answer)
    assert caught.value.nothing_done is nothing_done


def test_a_bucket_with_versioning_is_refused_since_it_replaces() -> None:
    with pytest.raises(BadRequest, match="versioning"):
        play(bucket().create("k", b""), done(x_cos_version_id="MTg0"))


def test_an_object_is_read_with_the_times_of_cos_itself() -> None:
    stored = play(bucket().read("k"), Reply(200, {**OF_COS, **DATES}, b"<Error>mine</Error>")).result
    assert stored is not None
    assert (stored.body, stored.size, stored.read_at - stored.written_at) == (b"<Error>mine</Error>", 19, 12.0)


@pytest.mark.parametrize("missing", ["last-modified", "date"])
def test_an_answer_without_the_times_of_cos_is_not_believed(missing: str) -> None:
    headers = {name: said for name, said in DATES.items() if name != missing}
    with pytest.raises(ProtocolError):
        play(bucket().read("k"), Reply(200, {**OF_COS, **headers}, b""))


def test_only_a_missing_key_is_no_object() -> None:
    assert play(bucket().read("k"), error("NoSuchKey", 404)).result is None
    assert play(bucket().head("k"), done(404)).result is None
    for answer, kind in ((error("NoSuchBucket", 404), NotFound), (Reply(404, {}, b"<html>"), ProtocolError)):
        with pytest.raises(kind):
            play(bucket().read("k"), answer)


def test_a_head_tells_the_size_without_the_content() -> None:
    seen = play(bucket().head("k"), Reply(200, {**OF_COS, **DATES, "content-length": "7"}, b"")).result
    assert seen is not None
    assert (seen.size, seen.body) == (7, b"")


def test_a_list_is_read_to_its_end() -> None:
    played = play(bucket().every("p/"), page("p/a%20b", "p/%E9%9F%B3", following="p/%E9%9F%B3"), page("p/z"))
    assert [found.key for found in played.result] == ["p/a b", "p/音", "p/z"]
    assert played.result[0] == Listed("p/a b", 3, 1795686060.0)
    assert "marker=p%2F%E9%9F%B3" in played.steps[1].url  # type: ignore[union-attr]


def test_a_list_that_stands_still_is_no_list() -> None:
    with pytest.raises(ProtocolError):
        play(bucket().every("p/"), page("p/a", following="p/a"), page("p/a", following="p/a"))


@pytest.mark.parametrize("body", [b"<ListBucketResult/>", b"<Other/>", b"", b"no XML"])
def test_a_page_that_is_no_list_is_not_an_empty_one(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        play(bucket().page("p/"), done(body=body))


def test_deleting_what_is_gone_is_no_error() -> None:
    play(bucket().delete("k"), done(204))
    play(bucket().delete("k"), error("NoSuchKey", 404))
    with pytest.raises(NotFound):
        play(bucket().delete("k"), error("NoSuchBucket", 404))


def test_an_append_goes_to_the_position_where_the_object_ends() -> None:
    call = first_call(bucket().append("k", b"more", position=4))
    assert call.url.endswith("/k?append&position=4")
    assert call.repeat is Repeat.NEVER
    assert play(bucket().append("k", b""), done()).result is True
    for code in ("AppendPositionErr", "ObjectNotAppendable"):
        assert play(bucket().append("k", b""), error(code, 409)).result is False


FLOWS: list[Callable[[CosObjects], Flow[Any]]] = [
    lambda objects: objects.create("k", b"x"),
    lambda objects: objects.read("k"),
    lambda objects: objects.head("k"),
    lambda objects: objects.page("p/"),
    lambda objects: objects.delete("k"),
    lambda objects: objects.append("k", b"x"),
]


@pytest.mark.parametrize("flow", FLOWS)
def test_no_call_to_a_bucket_takes_a_place_of_a_job_call(flow: Callable[[CosObjects], Flow[Any]]) -> None:
    assert first_call(flow(bucket())).paced is False


@pytest.mark.parametrize("flow", FLOWS)
def test_a_session_token_travels_with_the_signature_alone(flow: Callable[[CosObjects], Flow[Any]]) -> None:
    call = first_call(flow(bucket(keys=TEMPORARY)))
    assert "token-of-a-user" not in repr(call)
    assert call.sign(0.0)["x-cos-security-token"] == "token-of-a-user"


def test_an_endpoint_gets_the_request_and_the_bucket_is_signed() -> None:
    call = first_call(bucket(endpoint="http://127.0.0.1:8000").read("k"))
    assert call.url == "http://127.0.0.1:8000/k"
    assert call.headers["Host"] == "claims-1250000000.cos.ap-guangzhou.myqcloud.com"


def rules(*rules: str) -> Reply:
    return done(body=f"<LifecycleConfiguration>{''.join(rules)}</LifecycleConfiguration>".encode())


def rule(name: str, chosen: str, ends: str = "<Expiration><Days>3</Days></Expiration>", status: str = "Enabled") -> str:
    return f"<Rule><ID>{name}</ID>{chosen}<Status>{status}</Status>{ends}</Rule>"


def test_lifecycle_rules_that_delete_plain_objects_are_found() -> None:
    found = play(
        bucket().expirations(),
        rules(
            rule("filter", "<Filter><Prefix>claims/</Prefix></Filter>"),
            rule("older form", "<Prefix>c</Prefix>"),
            rule("everything", "<Filter/>", "<Expiration><Date>2027-01-01T00:00:00Z</Date></Expiration>"),
            rule("both", "<Filter><And><Prefix>a/</Prefix></And></Filter>"),
            rule("off", "<Filter/>", status="Disabled"),
            rule("of a tag", "<Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key></Tag></And></Filter>"),
            rule("moves them", "<Filter/>", "<Transition><Days>1</Days></Transition>"),
        ),
    ).result
    assert found == [("filter", "claims/", 3), ("older form", "c", 3), ("everything", "", 0), ("both", "a/", 3)]


def test_a_bucket_without_lifecycle_rules_has_none() -> None:
    assert play(bucket().expirations(), error("NoSuchLifecycleConfiguration", 404)).result == []
    with pytest.raises(NotFound):
        play(bucket().expirations(), error("NoSuchBucket", 404))
    with pytest.raises(ProtocolError):
        play(bucket().expirations(), done(body=b"<Other/>"))
