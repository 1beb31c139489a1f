"""The object store, through the real SDK wherever that can ask for it."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from qcloud_cos import CosConfig, CosS3Client

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, PRESET, REGION
from tests.unit.emulator.ci_helpers import refused
from tests.unit.emulator.helpers import PATIENCE

HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"

KEYS = [
    "plain.mp3",
    "a folder/with spaces.mp3",
    "plus+and%percent#hash?mark&amp=.mp3",
    "目录/音乐.mp3",
    "dots/../and/./slashes//x",
    "~tilde(1)'quote\"<>.mp3",
    "line\nbreak",
]


def sdk(emulator: MediaxEmulator, **other: Any) -> CosS3Client:
    place = urlsplit(emulator.cos_endpoint)
    options = {"Region": REGION, "SecretId": PRESET.cos_secret_id, "SecretKey": PRESET.cos_secret_key, **other}
    config = CosConfig(Scheme="http", IP=place.hostname, Port=place.port, **options)
    session = requests.Session()
    session.trust_env = False
    return CosS3Client(config, retry=0, session=session)


@pytest.fixture
def client(mediax_emulator: MediaxEmulator) -> CosS3Client:
    return sdk(mediax_emulator)


@pytest.mark.parametrize("key", KEYS)
def test_any_key_can_be_written_read_listed_and_deleted(client: CosS3Client, key: str) -> None:
    data = key.encode() * 3
    etag = client.put_object(BUCKET, data, key)["ETag"]
    got = client.get_object(BUCKET, key, KeySimplifyCheck=False)
    assert got["Body"].get_raw_stream().read() == data
    assert (got["ETag"], got["Content-Length"]) == (etag, str(len(data)))
    assert client.head_object(BUCKET, key)["Content-Length"] == str(len(data))
    assert [each["Key"] for each in client.list_objects(BUCKET, Prefix=key)["Contents"]] == [key]
    client.delete_object(BUCKET, key)
    assert not client.object_exists(BUCKET, key)
    client.delete_object(BUCKET, key)


def test_headers_say_what_was_stored(client: CosS3Client) -> None:
    client.put_object(BUCKET, b"abc", "x", ContentType="audio/mpeg", Metadata={"x-cos-meta-origin": "test"})
    head = client.head_object(BUCKET, "x")
    assert head["ETag"] == '"900150983cd24fb0d6963f7d28e17f72"'
    assert head["Content-Type"] == "audio/mpeg"
    assert head["x-cos-meta-origin"] == "test"
    assert head["Last-Modified"].endswith(" GMT")
    assert head["x-cos-request-id"]


@pytest.mark.parametrize(
    ("asked", "status", "part", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-2", 200, b"0123456789", None),
        ("pages=1-2", 200, b"0123456789", None),
    ],
)
def test_a_range_gives_that_part(
    client: CosS3Client, asked: str, status: int, part: bytes, content_range: str | None
) -> None:
    client.put_object(BUCKET, b"0123456789", "x")
    got = client.get_object(BUCKET, "x", Range=asked)
    assert got["Body"].get_raw_stream().read() == part
    assert got.get("Content-Range") == content_range
    assert ("Content-Range" in got) == (status == 206)


def test_a_range_past_the_end_is_refused(client: CosS3Client) -> None:
    client.put_object(BUCKET, b"0123456789", "x")
    refused(416, "InvalidRange", client.get_object, BUCKET, "x", Range="bytes=10-")


def test_errors_are_those_of_cos(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    missing = refused(404, "NoSuchKey", client.get_object, BUCKET, "none")
    assert missing.get_request_id()
    assert missing.get_resource_location() == f"{HOST}/none"
    refused(404, "NoSuchResource", client.head_object, BUCKET, "none")
    refused(404, "NoSuchBucket", client.list_objects, "other-1250000000")
    refused(404, "NoSuchBucket", sdk(mediax_emulator, Region="ap-beijing").list_objects, BUCKET)
    refused(403, "SignatureDoesNotMatch", sdk(mediax_emulator, SecretKey="wrong").put_object, BUCKET, b"", "x")
    refused(403, "InvalidAccessKeyId", sdk(mediax_emulator, SecretId="nobody").get_object, BUCKET, "x")
    refused(403, "AccessDenied", sdk(mediax_emulator, Anonymous=True).get_object, BUCKET, "x")
    assert mediax_emulator.object_keys() == []


def test_a_key_opens_only_the_bucket_it_was_registered_for(mediax_emulator: MediaxEmulator) -> None:
    cos = {"secretId": "their-id", "secretKey": "their-key", "bucket": "their-1250000001", "region": REGION}
    request = {"operateUin": "2", "userName": "someone", "cosConfig": cos}
    body = {"action": "Register", "registerRequest": request}
    answer = requests.post(f"{mediax_emulator.url}/register", json=body, timeout=PATIENCE)
    demo = answer.json()["registerInfo"]["demoCosPath"]
    theirs = sdk(mediax_emulator, SecretId="their-id", SecretKey="their-key")
    assert theirs.object_exists("their-1250000001", demo)
    refused(403, "AccessDenied", theirs.list_objects, BUCKET)


def test_a_shifted_clock_makes_signatures_late_or_early(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    mediax_emulator.clock(20_000)
    assert "expired" in refused(403, "AccessDenied", client.list_objects, BUCKET).get_error_msg()
    mediax_emulator.clock(-3600)
    refused(403, "RequestTimeTooSkewed", client.list_objects, BUCKET)
    mediax_emulator.clock(0)
    client.list_objects(BUCKET)


def test_the_date_header_shows_the_shifted_clock(mediax_emulator: MediaxEmulator) -> None:
    from email.utils import parsedate_to_datetime

    mediax_emulator.clock(86_400)
    date = requests.get(f"{mediax_emulator.url}/_emulator/health", timeout=PATIENCE).headers["Date"]
    assert abs(parsedate_to_datetime(date).timestamp() - time.time() - 86_400) < 600


def test_a_body_that_differs_from_its_md5_is_not_stored(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    client.put_object(BUCKET, b"abc", "right", EnableMD5=True)
    refused(400, "BadDigest", client.put_object, BUCKET, b"abc", "wrong", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert mediax_emulator.object_keys() == ["right"]


def test_a_listing_groups_by_delimiter(client: CosS3Client) -> None:
    for key in ("a/1", "a/2", "a/b/3", "a/c/4", "b/5", "top"):
        client.put_object(BUCKET, b"x", key)
    page = client.list_objects(BUCKET, Prefix="a/", Delimiter="/")
    assert [each["Key"] for each in page["Contents"]] == ["a/1", "a/2"]
    assert [each["Prefix"] for each in page["CommonPrefixes"]] == ["a/b/", "a/c/"]
    root = client.list_objects(BUCKET, Delimiter="/")
    assert [each["Prefix"] for each in root["CommonPrefixes"]] == ["a/", "b/"]
    assert "Contents" not in client.list_objects(BUCKET, Prefix="none")


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_together_hold_everything_once(client: CosS3Client, delimiter: str, size: int) -> None:
    keys = ["a", "b/1", "b/2", "b+", "c d/1", "目/1", "é", "z"]
    for key in keys:
        client.put_object(BUCKET, b"x", key)
    marker, found = "", []
    for _ in range(20):
        page = client.list_objects(BUCKET, Delimiter=delimiter, Marker=marker, MaxKeys=size)
        entries = [each["Key"] for each in page.get("Contents", [])]
        entries += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        assert len(entries) <= size
        found += entries
        if page["IsTruncated"] == "false":
            break
        marker = page["NextMarker"]
    expected = {"a", "b/", "b+", "c d/", "目/", "é", "z"} if delimiter else set(keys)
    assert sorted(found) == sorted(expected)


def test_a_presigned_address_opens_one_object_for_one_method(
    mediax_emulator: MediaxEmulator, client: CosS3Client
) -> None:
    client.put_object(BUCKET, b"abc", "a folder/x+y.mp3")
    # The client of the other tests would sign its own address as the host.
    config = CosConfig(Region=REGION, SecretId=PRESET.cos_secret_id, SecretKey=PRESET.cos_secret_key)
    url = urlsplit(CosS3Client(config).get_presigned_url(BUCKET, "a folder/x+y.mp3", "GET"))
    at_emulator = f"{mediax_emulator.cos_endpoint}{url.path}?{url.query}"
    # The host is signed without a port, whether one is sent or not.
    for host in (HOST, f"{HOST}:8480"):
        assert requests.get(at_emulator, headers={"Host": host}, timeout=PATIENCE).content == b"abc"
    assert requests.put(at_emulator, b"x", headers={"Host": HOST}, timeout=PATIENCE).status_code == 403
    other = at_emulator.replace("y.mp3", "z.mp3")
    assert requests.get(other, headers={"Host": HOST}, timeout=PATIENCE).status_code == 403


def test_operations_that_are_not_there_say_so_and_store_nothing(
    mediax_emulator: MediaxEmulator, client: CosS3Client
) -> None:
    client.put_object(BUCKET, b"abc", "x")
    refused(501, "NotImplemented", client.get_object_tagging, BUCKET, "x")
    refused(501, "NotImplemented", client.put_object_acl, BUCKET, "x", ACL="private")
    assert mediax_emulator.object_keys() == ["x"]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("429", 429, "SlowDown"),
        ("500", 500, "InternalError"),
        ("503", 503, "SlowDown"),
        ("unauthorized", 403, "AccessDenied"),
        ("error_response", 400, "InvalidArgument"),
    ],
)
def test_faults_come_as_xml_errors(
    mediax_emulator: MediaxEmulator, client: CosS3Client, kind: str, status: int, code: str
) -> None:
    mediax_emulator.fail_next("PutObject", kind)
    refused(status, code, client.put_object, BUCKET, b"x", "x")
    assert mediax_emulator.object_keys() == []
    client.put_object(BUCKET, b"x", "x")
    record = mediax_emulator.ledger()["requests"][0]
    assert (record["service"], record["action"], record["status"], record["fault"]) == (
        "cos",
        "PutObject",
        status,
        kind,
    )


def test_an_object_named_like_the_control_interface_is_an_object(client: CosS3Client) -> None:
    client.put_object(BUCKET, b"x", "_emulator/reset")
    assert client.object_exists(BUCKET, "_emulator/reset")


def test_control_and_store_see_the_same_objects(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    mediax_emulator.put_object("目录/a b+c.mp3", b"abc")
    assert client.get_object(BUCKET, "目录/a b+c.mp3")["Body"].get_raw_stream().read() == b"abc"
    client.put_object(BUCKET, b"def", "目录/d%.mp3")
    assert mediax_emulator.get_object("目录/d%.mp3") == b"def"
    assert mediax_emulator.object_keys() == ["目录/a b+c.mp3", "目录/d%.mp3"]
    mediax_emulator.delete_object("目录/d%.mp3")
    with pytest.raises(KeyError):
        mediax_emulator.get_object("目录/d%.mp3")
