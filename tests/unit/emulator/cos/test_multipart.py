"""Uploads in parts, copies, conditions and deletions, through the real SDK."""

from __future__ import annotations

import hashlib
import random
import threading
from pathlib import Path

import pytest
import requests
from qcloud_cos import CosS3Client
from qcloud_cos.cos_exception import CosException

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import (
    BUCKET,
    PRESET,
    REGION,
    TEMPORARY_SECRET_ID,
    TEMPORARY_SECRET_KEY,
    TEMPORARY_TOKEN,
)
from tests.unit.emulator.ci_helpers import proxied_sdk, refused
from tests.unit.emulator.helpers import PATIENCE

MIB = 1024 * 1024
SOURCE = {"Bucket": BUCKET, "Key": "from/a b+c.mp3", "Region": REGION}


@pytest.fixture
def client(mediax_emulator: MediaxEmulator) -> CosS3Client:
    return proxied_sdk(mediax_emulator.url)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(random.Random(1).randbytes(21 * MIB + 5))
    return path


def read(client: CosS3Client, key: str, bucket: str = BUCKET) -> bytes:
    data: bytes = client.get_object(bucket, key)["Body"].get_raw_stream().read()
    return data


def actions(emulator: MediaxEmulator) -> list[str]:
    return [request["action"] for request in emulator.ledger()["requests"]]


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(
    mediax_emulator: MediaxEmulator, client: CosS3Client, big: Path, tmp_path: Path
) -> None:
    answer = client.upload_file(BUCKET, "目录/big +1.bin", str(big), PartSize=8, MAXThread=3, EnableMD5=True)
    assert answer["ETag"].strip('"').endswith("-3")
    assert actions(mediax_emulator)[:2] == ["ListMultipartUploads", "CreateMultipartUpload"]
    assert actions(mediax_emulator).count("UploadPart") == 3
    back = tmp_path / "back.bin"
    client.download_file(BUCKET, "目录/big +1.bin", str(back), DumpRecordDir=str(tmp_path))
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(big.read_bytes()).digest()
    assert actions(mediax_emulator).count("GetObject") == 2
    assert client.list_multipart_uploads(BUCKET).get("Upload") is None


def test_an_interrupted_upload_is_joined_and_only_the_missing_part_sent(
    mediax_emulator: MediaxEmulator, client: CosS3Client, big: Path
) -> None:
    mediax_emulator.fail_next("UploadPart", "500")
    with pytest.raises(CosException):
        client.upload_file(BUCKET, "big", str(big), PartSize=8, MAXThread=1)
    assert mediax_emulator.object_keys() == []
    sent = actions(mediax_emulator).count("UploadPart")
    client.upload_file(BUCKET, "big", str(big), PartSize=8, MAXThread=1)
    assert actions(mediax_emulator).count("UploadPart") == sent + 1
    assert actions(mediax_emulator).count("CreateMultipartUpload") == 1
    assert mediax_emulator.get_object("big") == big.read_bytes()


def test_an_upload_ends_only_with_its_own_parts_in_their_order(
    mediax_emulator: MediaxEmulator, client: CosS3Client
) -> None:
    upload = client.create_multipart_upload(BUCKET, "x", ContentType="audio/mpeg")["UploadId"]
    etags = [client.upload_part(BUCKET, "x", bytes(MIB), number, upload)["ETag"] for number in (1, 2)]
    small = client.upload_part(BUCKET, "x", b"small", 3, upload)["ETag"]
    first, second = ({"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1))
    third = {"PartNumber": 3, "ETag": small}

    def complete(*parts: dict[str, object]) -> dict[str, str]:
        done: dict[str, str] = client.complete_multipart_upload(BUCKET, "x", upload, {"Part": list(parts)})
        return done

    refused(400, "InvalidPartOrder", complete, second, first)
    refused(400, "InvalidPart", complete, first, {**second, "ETag": '"0"'})
    refused(400, "EntityTooSmall", complete, first, third, {**second, "PartNumber": 4} | {"ETag": last(client, upload)})
    refused(404, "NoSuchUpload", client.upload_part, BUCKET, "y", b"", 1, upload)
    refused(400, "InvalidArgument", client.upload_part, BUCKET, "x", b"", 10_001, upload)
    complete(first, third)
    refused(404, "NoSuchUpload", complete, first, third)
    assert mediax_emulator.get_object("x") == bytes(MIB) + b"small"
    assert client.head_object(BUCKET, "x")["Content-Type"] == "audio/mpeg"


def last(client: CosS3Client, upload: str) -> str:
    etag: str = client.upload_part(BUCKET, "x", b"end", 4, upload)["ETag"]
    return etag


def test_unfinished_uploads_and_their_parts_are_listed_in_pages_until_they_are_aborted(client: CosS3Client) -> None:
    uploads = [client.create_multipart_upload(BUCKET, key)["UploadId"] for key in ("a/目 1", "a/目 1", "b")]
    for number in (1, 2, 5):
        client.upload_part(BUCKET, "b", b"x" * number, number, uploads[2])
    page = client.list_multipart_uploads(BUCKET, Prefix="a/", MaxUploads=1)
    assert (page["IsTruncated"], page["Upload"][0]["Key"], page["Upload"][0]["UploadId"]) == (
        "true",
        "a/目 1",
        uploads[0],
    )
    markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    rest = client.list_multipart_uploads(BUCKET, **markers)
    assert [each["UploadId"] for each in rest["Upload"]] == uploads[1:]
    parts = client.list_parts(BUCKET, "b", uploads[2], MaxParts=2)
    assert [(each["PartNumber"], each["Size"]) for each in parts["Part"]] == [("1", "1"), ("2", "2")]
    more = client.list_parts(BUCKET, "b", uploads[2], PartNumberMarker=int(parts["NextPartNumberMarker"]))
    assert ([each["PartNumber"] for each in more["Part"]], more["IsTruncated"]) == (["5"], "false")
    for key, upload in zip(("a/目 1", "a/目 1", "b"), uploads, strict=True):
        client.abort_multipart_upload(BUCKET, key, upload)
    assert "Upload" not in client.list_multipart_uploads(BUCKET)


def test_a_copy_has_data_type_and_metadata_of_its_source_or_new_ones(client: CosS3Client) -> None:
    client.put_object(BUCKET, b"abc", SOURCE["Key"], ContentType="audio/mpeg", Metadata={"x-cos-meta-a": "1"})
    assert client.copy(BUCKET, "to/same", SOURCE)["ETag"] == '"900150983cd24fb0d6963f7d28e17f72"'
    head = client.head_object(BUCKET, "to/same")
    assert (head["Content-Type"], head["x-cos-meta-a"], read(client, "to/same")) == ("audio/mpeg", "1", b"abc")
    client.copy_object(BUCKET, "to/new", SOURCE, CopyStatus="Replaced", ContentType="text/plain")
    head = client.head_object(BUCKET, "to/new")
    assert (head["Content-Type"], "x-cos-meta-a" in head) == ("text/plain", False)
    refused(404, "NoSuchKey", client.copy_object, BUCKET, "to/none", {**SOURCE, "Key": "none"})
    refused(404, "NoSuchBucket", client.copy_object, BUCKET, "to/none", {**SOURCE, "Bucket": "other-1250000000"})


def test_a_large_copy_between_regions_goes_in_parts(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    cos = {"secretId": PRESET.cos_secret_id, "secretKey": PRESET.cos_secret_key}
    place = {"bucket": "far-1250000000", "region": "ap-beijing"}
    request = {"operateUin": "2", "userName": "someone", "cosConfig": {**cos, **place}}
    body = {"action": "Register", "registerRequest": request}
    assert "registerInfo" in requests.post(f"{mediax_emulator.url}/register", json=body, timeout=PATIENCE).json()
    data = random.Random(2).randbytes(2 * MIB + 7)
    client.put_object(BUCKET, data, SOURCE["Key"])
    far = proxied_sdk(mediax_emulator.url, Region="ap-beijing")
    far._conf.set_copy_part_threshold_size(MIB)
    far.copy("far-1250000000", "copy", SOURCE, PartSize=1, MAXThread=2)
    assert read(far, "copy", "far-1250000000") == data
    assert actions(mediax_emulator).count("UploadPartCopy") == 3


def test_a_key_may_not_copy_from_a_bucket_that_it_may_not_read(mediax_emulator: MediaxEmulator) -> None:
    cos = {"secretId": "their-id", "secretKey": "their-key", "bucket": "their-1250000001", "region": REGION}
    request = {"operateUin": "2", "userName": "someone", "cosConfig": cos}
    requests.post(
        f"{mediax_emulator.url}/register", json={"action": "Register", "registerRequest": request}, timeout=PATIENCE
    )
    mediax_emulator.put_object(SOURCE["Key"], b"abc")
    theirs = proxied_sdk(mediax_emulator.url, SecretId="their-id", SecretKey="their-key")
    refused(403, "AccessDenied", theirs.copy_object, "their-1250000001", "copy", SOURCE)


def test_conditions_decide_whether_an_object_is_sent(client: CosS3Client) -> None:
    etag = client.put_object(BUCKET, b"abc", "x")["ETag"]
    assert client.get_object(BUCKET, "x", IfMatch=etag)["Body"].get_raw_stream().read() == b"abc"
    assert client.get_object(BUCKET, "x", IfNoneMatch='"other"')["Body"].get_raw_stream().read() == b"abc"
    refused(412, "PreconditionFailed", client.get_object, BUCKET, "x", IfMatch='"other"')
    unchanged = client.head_object(BUCKET, "x", IfNoneMatch=etag)  # to the SDK, a 304 is a success without a length
    assert (unchanged["ETag"], "Content-Length" in unchanged) == (etag, False)
    assert client.head_object(BUCKET, "x", IfMatch="*")["Content-Length"] == "3"
    refused(412, "Unknown", client.head_object, BUCKET, "x", IfMatch='"other"')


def test_1500_keys_come_in_two_pages_and_go_in_two_deletions(
    mediax_emulator: MediaxEmulator, client: CosS3Client
) -> None:
    keys = [f"many/{number:04} &<é>" for number in range(1500)]
    for key in keys:
        mediax_emulator.put_object(key, b"")
    mediax_emulator.put_object("other", b"")
    first = client.list_objects(BUCKET, Prefix="many/")
    second = client.list_objects(BUCKET, Prefix="many/", Marker=first["NextMarker"])
    found = [[each["Key"] for each in page["Contents"]] for page in (first, second)]
    assert [len(page) for page in found] == [1000, 500]
    assert found[0] + found[1] == keys
    deleted = client.delete_objects(BUCKET, {"Object": [{"Key": key} for key in found[0]]})
    assert [each["Key"] for each in deleted["Deleted"]] == found[0]
    quiet = client.delete_objects(BUCKET, {"Quiet": "true", "Object": [{"Key": key} for key in (*found[1], "none")]})
    assert "Deleted" not in quiet
    assert mediax_emulator.object_keys() == ["other"]
    refused(400, "MalformedXML", client.delete_objects, BUCKET, {"Object": [{"Key": "x"}] * 1001})


def test_many_threads_may_use_the_store_at_once(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    threads = [threading.Thread(target=client.put_object, args=(BUCKET, b"x", f"t/{each}")) for each in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mediax_emulator.object_keys()) == 16


def temporary(emulator: MediaxEmulator, token: str | None = TEMPORARY_TOKEN) -> CosS3Client:
    return proxied_sdk(emulator.url, SecretId=TEMPORARY_SECRET_ID, SecretKey=TEMPORARY_SECRET_KEY, Token=token)


def test_a_temporary_key_opens_the_bucket_with_its_token_until_it_expires(mediax_emulator: MediaxEmulator) -> None:
    client = temporary(mediax_emulator)
    client.put_object(BUCKET, b"abc", "x")
    assert read(client, "x") == b"abc"
    assert "not-a-secret" not in str(mediax_emulator.ledger()["requests"])
    for token in (None, "wrong"):
        refused(403, "InvalidAccessKeyId", temporary(mediax_emulator, token).get_object, BUCKET, "x")
    mediax_emulator.temporary_key_expires(-1)
    refused(403, "ExpiredToken", client.get_object, BUCKET, "x")
    mediax_emulator.temporary_key_expires(3600)
    assert read(client, "x") == b"abc"
    mediax_emulator.clock(3700)
    refused(403, "ExpiredToken", client.get_object, BUCKET, "x")


def test_a_presigned_address_of_a_temporary_key_needs_the_token_in_it(mediax_emulator: MediaxEmulator) -> None:
    client = temporary(mediax_emulator)
    client.put_object(BUCKET, b"abc", "x")
    with_token = client.get_presigned_url(BUCKET, "x", "GET", Params={"x-cos-security-token": TEMPORARY_TOKEN})
    without = client.get_presigned_url(BUCKET, "x", "GET")
    proxies = {"http": mediax_emulator.url}
    assert requests.get(with_token, proxies=proxies, timeout=PATIENCE).content == b"abc"
    assert requests.get(without, proxies=proxies, timeout=PATIENCE).status_code == 403
