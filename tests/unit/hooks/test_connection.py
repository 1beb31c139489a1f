"""The connection: every field read and checked, no secret shown."""

from __future__ import annotations

import json
import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.transport import Transport
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks import connection as module
from airflow_provider_mediax.hooks.base import pacing_of
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.mediax import PRESIGNED_SECONDS, MediaxHook
from airflow_provider_mediax.protocol.cos_signature import CosKeys, presigned_query
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, GatewayKeys, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import Repository
from airflow_provider_mediax.protocol.urls import CosAddress

SECRETS = {
    "gateway_secret_id": "SECRET-gateway-id",
    "gateway_secret_key": "SECRET-gateway-key",
    "cos_secret_id": "SECRET-cos-id",
    "cos_secret_key": "SECRET-cos-key",
    "cos_token": "SECRET-cos-token",
    "proxy": "http://user:SECRET-proxy@127.0.0.1:1",
}


def read(extra: dict[str, Any] | None = None, **fields: Any) -> MediaxConnection:
    fields = {"login": "SECRET-login", "password": "SECRET-password", **fields}
    connection = Connection(conn_id="c", conn_type="mediax", extra=json.dumps(extra or {}), **fields)
    return MediaxConnection.read("c", connection, extra or {})


def test_an_empty_connection_has_the_documented_defaults() -> None:
    found = read()
    assert found.base_url == "https://api.mediax.tencent.com"
    assert (found.job_path, found.register_path) == ("/job", "/register")
    assert found.requests_per_second == 10
    assert (found.transport.connect_timeout, found.transport.read_timeout) == (5, 30)
    assert found.transport.verify is True
    assert found.gateway_keys is None


def test_platform_keys_are_used_without_white_space_at_their_ends() -> None:
    found = read(login=" id\n", password="\tkey ")
    assert (found.secret_id, found.secret_key) == ("id", "key")
    assert read(login=" ").secret_id is None


def test_no_secret_shows_in_a_repr() -> None:
    found = read({**SECRETS, "gateway_source": "source"})
    for shown in (
        repr(found),
        str(found),
        repr(MediaxHook.service_of(found, None, None)),
        repr(found.cos),
        repr(found.transport),
    ):
        assert "SECRET" not in shown


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What Airflow was asked to hide in logs, and the thread that asked."""
    asked: dict[str, int] = {}
    monkeypatch.setattr(module, "mask_secret", lambda secret: asked.update({secret: threading.get_ident()}))
    return asked


def stored(monkeypatch: pytest.MonkeyPatch, field: str, value: str) -> None:
    """Store a connection with one secret."""
    fields = {field: value} if field in ("login", "password") else {"extra": {field: value}}
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps({"conn_type": "mediax", **fields}))
    monkeypatch.setattr(MediaxConnection, "read", lambda *args: None)


every_secret = pytest.mark.parametrize("field", ["login", "password", *SECRETS])


@every_secret
def test_every_secret_is_hidden_in_a_workers_log(
    masked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    stored(monkeypatch, field, "SECRET-value")
    MediaxConnection.look_up("c")
    assert list(masked) == ["SECRET-value"]


@every_secret
async def test_every_secret_is_hidden_in_a_triggerers_log_by_another_thread(
    masked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    """Hiding one waits for the supervisor, which must not happen on the event loop."""
    stored(monkeypatch, field, "SECRET-value")
    await MediaxConnection.alook_up("c")
    assert list(masked) == ["SECRET-value"]
    assert masked["SECRET-value"] != threading.get_ident()


@every_secret
def test_a_secret_is_hidden_as_it_is_used_without_white_space(
    masked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    stored(monkeypatch, field, " SECRET-value\n")
    MediaxConnection.look_up("c")
    assert list(masked) == ["SECRET-value"]


def test_what_is_no_secret_stays_readable_in_logs(masked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for field in ("content_id", "cos_bucket", "gateway_source", "job_path"):
        stored(monkeypatch, field, "readable")
        MediaxConnection.look_up("c")
    assert masked == {}


def test_the_form_sends_numbers_as_text_and_leaves_empty_text_behind() -> None:
    extra = {"requests_per_second": "2.5", "read_timeout": "", "content_id": "", "gateway_source": " "}
    found = read(extra)
    assert found.requests_per_second == 2.5
    assert found.transport.read_timeout == 30
    assert found.repository.content_id is None
    assert found.gateway_keys is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *((True, True), ("true", True), (" True\n", True), ("1", True), (1, True), (None, True), (" ", True)),
        *((False, False), ("FALSE", False), ("0", False), (0, False)),
        *(("/ca.pem", "/ca.pem"), (" /etc/ssl/own certs ", "/etc/ssl/own certs")),
    ],
)
def test_verify_is_a_switch_or_a_path(given: object, expected: bool | str) -> None:
    found = read({"verify": given}).transport.verify
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requests_per_second", 0),
        ("requests_per_second", "many"),
        ("connect_timeout", -1),
        ("read_timeout", 121),
        ("read_timeout", "nan"),
        ("requests_per_second", True),
        ("requests_per_second", "1_0"),
        ("requests_per_second", [1]),
        ("read_timeout", float("nan")),
        ("connect_timeout", 10**400),
        ("job_path", "job"),
        ("job_path", "/job?action=x"),
        ("job_path", "/job#x"),
        ("job_path", "//other.example/job"),
        ("job_path", "/a job"),
        ("register_path", "http://x"),
        ("verify", "maybe"),
        ("verify", "no"),
        ("verify", 2),
        ("verify", "ca.pem"),
        ("verify", ["/ca.pem"]),
        ("verify", 1.5),
        ("namespace", True),
        ("content_id", {"a": 1}),
        ("gateway_source", 1.5),
        ("cos_region", ["ap-guangzhou"]),
    ],
)
def test_a_field_that_breaks_its_rule_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadRequest, match=rf"^{field}=.*in connection c, it must"):
        read({field: value})


@pytest.mark.parametrize("field", ["content_id", "namespace", "gateway_source"])
@pytest.mark.parametrize("value", ["None", "a\nb", "nan", "\ud800"])
def test_a_name_that_nobody_chose_is_refused(field: str, value: str) -> None:
    with pytest.raises(BadRequest, match=rf"^{field}=.*in connection c, "):
        read({field: value})


@pytest.mark.parametrize("field", ["login", "password", "host", *SECRETS])
@pytest.mark.parametrize("value", [float("nan"), True, ["SECRET"], {"SECRET": 1}])
def test_what_is_no_text_is_refused_without_being_shown(field: str, value: object) -> None:
    given = {field: value} if field in ("login", "password", "host") else {}
    with pytest.raises(BadRequest, match=rf"^{field}=.*it must be text") as refused:
        read({} if given else {field: value}, **given)
    assert "SECRET" not in refused.value.what


def test_a_number_stands_for_its_digits_where_a_text_is_wanted() -> None:
    found = read({"content_id": 12, "cos_secret_id": 34}, login=56, password=78)
    assert (found.repository.content_id, found.cos.secret_id) == ("12", "34")
    assert (found.secret_id, found.secret_key) == ("56", "78")


def test_every_field_is_used_without_white_space_at_its_ends() -> None:
    given = {name: str(value) for name, value in EVERY_FIELD.items() if not isinstance(value, dict)}
    spaced = {name: f" \t{value}\n" for name, value in given.items()}
    standard = {"login": "id", "password": "key", "host": "https://gateway.example"}
    assert read(spaced, **{name: f" {value}\n" for name, value in standard.items()}) == read(given, **standard)


@pytest.mark.parametrize("extra", ["SECRET", '["SECRET"]', '"SECRET"', "5"])
def test_an_extra_that_is_no_object_is_refused(extra: str) -> None:
    """Airflow makes an empty one of it, and every field of it would be missing without a word."""
    connection = Connection(conn_id="c", conn_type="mediax", extra=extra)
    with pytest.raises(BadRequest, match=r"^extra=.*it must be a JSON object") as refused:
        MediaxConnection.of("c", connection)
    assert "SECRET" not in refused.value.what


@pytest.mark.parametrize("extra", [None, "", " ", "{}", " { } ", "null"])
def test_no_extra_is_none(extra: str | None) -> None:
    connection = Connection(conn_id="c", conn_type="mediax", extra=extra)
    assert MediaxConnection.of("c", connection).base_url == "https://api.mediax.tencent.com"


@pytest.mark.parametrize("missing", ["gateway_source", "gateway_secret_id", "gateway_secret_key"])
def test_gateway_fields_come_all_three_or_not_at_all(missing: str) -> None:
    extra = {"gateway_source": "s", "gateway_secret_id": "i", "gateway_secret_key": "k"}
    del extra[missing]
    with pytest.raises(BadRequest, match=rf"^{missing}="):
        read(extra)


@pytest.mark.parametrize("field", ["login", "password"])
def test_a_missing_platform_key_is_named_before_anything_is_sent(field: str) -> None:
    with pytest.raises(BadRequest, match=rf"^{field}="):
        MediaxHook.service_of(read(**{field: None}), None, None)


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("https://api.example.com/", None, "https://api.example.com"),
        ("api.example.com", None, "https://api.example.com"),
        ("http://127.0.0.1", 8480, "http://127.0.0.1:8480"),
        ("http://127.0.0.1:1", 2, "http://127.0.0.1:1"),
        ("api.example.com", 0, "https://api.example.com"),
        ("api.example.com:8443", None, "https://api.example.com:8443"),
        ("https://api.example.com:", 0, "https://api.example.com"),
        ("HTTPS://API.example.com", None, "https://api.example.com"),
        ("http://[::1]:8480/", None, "http://[::1]:8480"),
        ("http://[::1]", 8480, "http://[::1]:8480"),
        ("https://bücher.example", None, "https://bücher.example"),
        (" ", None, "https://api.mediax.tencent.com"),
    ],
)
def test_the_host_is_a_scheme_a_name_and_a_port(host: str, port: int | None, expected: str) -> None:
    assert read(host=host, port=port).base_url == expected


@pytest.mark.parametrize(
    "host",
    [
        *("ftp://x", "https://", "https://user:SECRET@x", "https://x?key=SECRET"),
        *("https://[SECRET", "https://user:SECRET/y@x", "x:SECRET", "https://[SECRET]x"),
        *("https://x/SECRET", "https://x#SECRET", "https://x?", "https://x#", "x/SECRET", "https://@x", "SECRET@x"),
        *("https://x:0", "https://a b", "https://a\tb", "https://x\\SECRET", "https://[::1", "https://x%00"),
        *("//x", "https:///job", "https:x", "https://x;SECRET", "://x"),
    ],
)
def test_a_host_that_is_none_is_refused_without_repeating_a_secret(host: str) -> None:
    with pytest.raises(BadRequest, match=r"^host=.* and no path \(see job_path\)\.$") as caught:
        read(host=host)
    assert "SECRET" not in caught.value.what


@pytest.mark.parametrize("port", [-1, 65536, "80", 8.0, float("nan"), True])
def test_a_port_that_is_none_is_refused(port: object) -> None:
    connection: Any = SimpleNamespace(login=None, password=None, host=None, port=port, extra=None)
    with pytest.raises(BadRequest, match=r"^port=.*it must be a whole number"):
        MediaxConnection.read("c", connection, {})


@pytest.mark.parametrize(
    ("host", "warned"), [("http://api.example.com", True), ("http://127.0.0.1:1", False), ("http://localhost", False)]
)
def test_plain_http_to_another_machine_is_warned_about(
    host: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Contradiction 14: the older host speaks plain HTTP."""
    with caplog.at_level(logging.WARNING):
        read(host=host)
    assert ("clear text" in caplog.text) is warned


def test_one_rate_limit_serves_all_hooks_of_a_process() -> None:
    assert pacing(MediaxHook, read()) is pacing(MediaxHook, read())
    assert pacing(MediaxHook, read()) is not pacing(MediaxHook, read(host="https://other"))
    assert pacing(MediaxHook, read()) is not pacing(MediaxHook, read(login="other"))
    assert pacing(MediaxHook, read()) is not pacing(MediaxHook, read({"requests_per_second": 1}))


def pacing(hook: Any, connection: MediaxConnection, *place: str | None) -> Pacing:
    return pacing_of(hook.service_of(connection, *[*place, None, None][:2]), connection)


def held(limit: Pacing) -> bool:
    return limit.held(100.0, submit=False) > 0


def test_a_pause_that_mediax_asks_for_holds_the_account_at_that_host() -> None:
    pacing(MediaxHook, read()).hold(20, 100.0, submits_only=False)
    assert held(pacing(MediaxHook, read({"requests_per_second": 1})))
    assert not held(pacing(MediaxHook, read(login="other")))
    assert not held(pacing(MediaxHook, read(host="https://other")))
    assert not held(pacing(CloudInfiniteHook, read(CI_FIELDS)))


CI_FIELDS = {
    "cos_bucket": "b-1250000000",
    "cos_region": "ap-guangzhou",
    "cos_secret_id": "id",
    "cos_secret_key": "key",
}


@pytest.mark.parametrize(
    ("extra", "fields", "place", "expected"),
    [
        ({}, {}, (), True),
        ({}, {"host": "https://other", "login": "other"}, (), True),  # nothing of CI's
        ({"requests_per_second": 1}, {}, (), True),
        ({}, {}, ("b-1250000000", "ap-guangzhou"), True),
        ({"cos_bucket": "other-1250000000"}, {}, ("b-1250000000", None), True),
        ({"cos_secret_id": "other"}, {}, (), False),
        ({"cos_bucket": "other-1250000000"}, {}, (), False),
        ({}, {}, ("other-1250000000", None), False),
        ({}, {}, (None, "ap-beijing"), False),
        ({"cos_endpoint": "http://127.0.0.1:1"}, {}, (), False),
    ],
)
def test_a_pause_that_ci_asks_for_holds_the_account_at_the_bucket(
    extra: dict[str, Any], fields: dict[str, str], place: tuple[str | None, ...], expected: bool
) -> None:
    pacing(CloudInfiniteHook, read(CI_FIELDS)).hold(20, 100.0, submits_only=False)
    assert held(pacing(CloudInfiniteHook, read({**CI_FIELDS, **extra}, **fields), *place)) is expected


def test_buckets_behind_one_endpoint_share_what_it_asks_for() -> None:
    endpoint = {**CI_FIELDS, "cos_endpoint": "http://127.0.0.1:1"}
    pacing(CloudInfiniteHook, read(endpoint)).hold(20, 100.0, submits_only=False)
    assert held(pacing(CloudInfiniteHook, read(endpoint), "other-1250000000"))


EVERY_FIELD = {
    **SECRETS,
    "gateway_source": "source",
    "job_path": "/release/job",
    "register_path": "/release/register",
    "content_id": "repository",
    "cos_region": "ap-guangzhou",
    "cos_bucket": "b-1250000000",
    "cos_endpoint": "http://127.0.0.1:1",
    "bucket_regions": {"far-1250000000": "ap-beijing"},
    "namespace": "production",
    "claims": "cos://claims-1250000000/mediax/claims",
    "mailbox": "cos://claims-1250000000/mailbox//",
    "requests_per_second": 3,
    "connect_timeout": 4,
    "read_timeout": 50,
    "verify": "/ca.pem",
}


def test_every_field_reaches_its_place() -> None:
    found = read(EVERY_FIELD, host="https://gateway")
    assert MediaxHook.service_of(found, None, None).gateway == Gateway(
        base_url="https://gateway",
        job_path="/release/job",
        register_path="/release/register",
        platform_keys=PlatformKeys("SECRET-login", "SECRET-password"),
        gateway_keys=GatewayKeys(source="source", secret_id="SECRET-gateway-id", secret_key="SECRET-gateway-key"),
    )
    assert found.cos_keys() == CosKeys(secret_id="SECRET-cos-id", secret_key="SECRET-cos-key", token="SECRET-cos-token")
    assert (found.cos.region, found.cos.bucket, found.cos.endpoint) == (
        "ap-guangzhou",
        "b-1250000000",
        "http://127.0.0.1:1",
    )
    assert found.repository == Repository(
        content_id="repository", bucket="b-1250000000", region="ap-guangzhou", conn_id="c"
    )
    assert found.cos.bucket_regions == {"far-1250000000": "ap-beijing"}
    assert found.claims == CosAddress("claims-1250000000", "mediax/claims/")
    assert found.mailbox == CosAddress("claims-1250000000", "mailbox/")
    assert found.transport == Transport(
        connect_timeout=4, read_timeout=50, proxy="http://user:SECRET-proxy@127.0.0.1:1", verify="/ca.pem"
    )
    assert (found.conn_id, found.namespace, found.requests_per_second) == ("c", "production", 3)


@pytest.mark.usefixtures("masked")
async def test_a_triggerer_reads_a_connection_as_a_worker_does(monkeypatch: pytest.MonkeyPatch) -> None:
    stored_fields = {"conn_type": "mediax", "login": "id", "password": "key", "host": "gateway", "extra": EVERY_FIELD}
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(stored_fields))
    assert await MediaxConnection.alook_up("c") == MediaxConnection.look_up("c")
    assert MediaxConnection.look_up("c") == read(EVERY_FIELD, login="id", password="key", host="gateway")


@pytest.mark.parametrize("missing", ["cos_secret_id", "cos_secret_key"])
def test_a_missing_cos_key_is_named(missing: str) -> None:
    with pytest.raises(BadRequest, match=rf"^{missing}=.* connection c needs it"):
        read({**EVERY_FIELD, missing: ""}).cos_keys()


@pytest.mark.usefixtures("masked")
def test_an_address_for_the_platform_is_signed_for_reading_at_its_host_for_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    presign = MediaxHook.service_of(read(EVERY_FIELD), None, None).repository.presign
    assert presign is not None
    url = presign(CosAddress("other-1250000000", "in/a.mp3"))
    host = "other-1250000000.cos.ap-guangzhou.myqcloud.com"
    expected = presigned_query(
        read(EVERY_FIELD).cos_keys(),
        "GET",
        "/in/a.mp3",
        headers={"host": host},
        now=1_800_000_000.0,
        ahead=PRESIGNED_SECONDS,
    )
    assert url == f"https://{host}/in/a.mp3?{expected}"


WRONG_COS_FIELDS = {
    "an endpoint without a scheme": {"cos_endpoint": "127.0.0.1:9000"},
    "an endpoint with a path": {"cos_endpoint": "http://127.0.0.1:9000/cos"},
    "an endpoint with a password": {"cos_endpoint": "http://user:SECRET@127.0.0.1:9000"},
    "an endpoint of another kind": {"cos_endpoint": "ftp://127.0.0.1"},
    "an endpoint without a port": {"cos_endpoint": "http://127.0.0.1:0"},
    "a bucket as an address": {"cos_bucket": "cos://music-1250000000"},
    "a bucket with a slash": {"cos_bucket": "music-1250000000/"},
    "a bucket without its number": {"cos_bucket": "music"},
    "a bucket as a host": {"cos_bucket": "music-1250000000.cos.ap-guangzhou.myqcloud.com"},
    "a region as a host": {"cos_region": "cos.ap-guangzhou.myqcloud.com"},
    "a region with a line break": {"cos_region": "ap-\nguangzhou"},
    "a region in upper case": {"cos_region": "AP-Guangzhou"},
    "claims without a folder": {"claims": "cos://claims-1250000000/"},
    "claims that are slashes": {"claims": "cos://claims-1250000000///"},
    "claims in no bucket": {"claims": "/mediax/claims/"},
    "claims in a bucket without its number": {"claims": "cos://claims/mediax/"},
    "claims of another connection": {"claims": "cos://other@claims-1250000000/mediax/"},
    "claims at an address": {"claims": "https://claims-1250000000.cos.ap-guangzhou.myqcloud.com/mediax/"},
    "regions as a list": {"bucket_regions": ["ap-beijing"]},
    "regions as a word": {"bucket_regions": "ap-beijing"},
    "regions as a number": {"bucket_regions": 5},
    "regions of no bucket": {"bucket_regions": {"music": "ap-beijing"}},
    "regions that are none": {"bucket_regions": '{"music-1250000000": "cos.ap-beijing"}'},
    "regions that are numbers": {"bucket_regions": {"music-1250000000": 5}},
}


@pytest.mark.parametrize("wrong", WRONG_COS_FIELDS.values(), ids=WRONG_COS_FIELDS)
def test_a_wrong_field_of_cos_is_refused_by_its_name(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(
        BadRequest, match=rf"^{name}=.* in connection c, it(s bucket)? must|^{name}=.* in connection c, it holds"
    ) as (refused):
        read({**EVERY_FIELD, **wrong})
    assert "SECRET" not in refused.value.what


@pytest.mark.parametrize("place", [{"bucket": "music"}, {"region": "cos.ap-guangzhou"}])
def test_a_place_that_is_given_is_refused_by_its_own_name(place: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match=rf"^{next(iter(place))}="):
        CloudInfiniteHook.service_of(read(EVERY_FIELD), place.get("bucket"), place.get("region"))


@pytest.mark.parametrize("name", ["cos_secret_id", "cos_token"])
def test_a_line_break_in_a_key_is_refused_without_showing_it(name: str) -> None:
    with pytest.raises(BadRequest, match=rf"^{name}='\*\*\*' is refused") as refused:
        read({**EVERY_FIELD, name: "SECRET\nSECRET"}).cos_keys()
    assert "SECRET" not in refused.value.what


@pytest.mark.parametrize("given", [None, "", " ", "{}", {}])
def test_no_regions_of_other_buckets_are_none(given: object) -> None:
    assert read({**EVERY_FIELD, "bucket_regions": given}).cos.bucket_regions == {}


@pytest.mark.parametrize("given", [{"far-1250000000": "ap-beijing"}, ' {"far-1250000000": "ap-beijing"} '])
def test_the_region_of_another_bucket_counts_for_both_services(given: object) -> None:
    found = read({**EVERY_FIELD, "bucket_regions": given})
    assert CloudInfiniteHook.service_of(found, "far-1250000000", None).bucket.region == "ap-beijing"
    assert CloudInfiniteHook.service_of(found, "near-1250000000", None).bucket.region == "ap-guangzhou"
    assert CloudInfiniteHook.service_of(found, "far-1250000000", "ap-shanghai").bucket.region == "ap-shanghai"
    presign = MediaxHook.service_of(found, None, None).repository.presign
    assert presign is not None
    assert presign(CosAddress("far-1250000000", "a")).startswith(
        "https://far-1250000000.cos.ap-beijing.myqcloud.com/a?"
    )
