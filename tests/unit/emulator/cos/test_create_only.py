"""Objects that are created only if absent, and appended ones, through the real SDK."""

from __future__ import annotations

import pytest
from qcloud_cos import CosS3Client

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared.accounts import BUCKET
from tests.unit.emulator.ci_helpers import refused
from tests.unit.emulator.cos.test_service import sdk

KEEP = {"x-cos-forbid-overwrite": "true"}


@pytest.fixture
def client(mediax_emulator: MediaxEmulator) -> CosS3Client:
    return sdk(mediax_emulator)


def test_a_write_that_forbids_to_overwrite_creates_and_never_replaces(
    mediax_emulator: MediaxEmulator, client: CosS3Client
) -> None:
    client.put_object(BUCKET, b"first", "x", Metadata=KEEP)
    refused(409, "FileAlreadyExists", client.put_object, BUCKET, b"second", "x", Metadata=KEEP)
    assert mediax_emulator.get_object("x") == b"first"
    client.put_object(BUCKET, b"third", "x")
    assert mediax_emulator.get_object("x") == b"third"


def test_an_upload_in_parts_can_forbid_it_too(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    mediax_emulator.put_object("x", b"first")
    upload = client.create_multipart_upload(BUCKET, "x")["UploadId"]
    part = client.upload_part(BUCKET, "x", b"second", 1, upload)
    parts = {"Part": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    refused(409, "FileAlreadyExists", client.complete_multipart_upload, BUCKET, "x", upload, parts, Metadata=KEEP)
    assert mediax_emulator.get_object("x") == b"first"


@pytest.mark.parametrize("state", ["Enabled", "Suspended"])
def test_a_bucket_that_ever_had_versioning_replaces_all_the_same(
    mediax_emulator: MediaxEmulator, client: CosS3Client, state: str
) -> None:
    mediax_emulator.versioning(state)
    client.put_object(BUCKET, b"first", "x", Metadata=KEEP)
    again = client.put_object(BUCKET, b"second", "x", Metadata=KEEP)
    assert mediax_emulator.get_object("x") == b"second"
    assert ("x-cos-version-id" in again) == (state == "Enabled")


def test_an_append_needs_the_position_where_the_object_ends(
    mediax_emulator: MediaxEmulator, client: CosS3Client
) -> None:
    assert client.append_object(BUCKET, "x", 0, b"one")["x-cos-next-append-position"] == "3"
    refused(409, "AppendPositionErr", client.append_object, BUCKET, "x", 0, b"two")
    assert client.append_object(BUCKET, "x", 3, b"two")["x-cos-next-append-position"] == "6"
    assert mediax_emulator.get_object("x") == b"onetwo"
    assert client.head_object(BUCKET, "x")["x-cos-object-type"] == "appendable"


def test_what_was_written_whole_cannot_be_appended_to(client: CosS3Client) -> None:
    client.append_object(BUCKET, "x", 0, b"one")
    client.put_object(BUCKET, b"one", "x")
    refused(409, "ObjectNotAppendable", client.append_object, BUCKET, "x", 3, b"two")


def test_nothing_is_appended_in_a_bucket_of_several_zones(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    mediax_emulator.many_zones(True)
    refused(405, "MethodNotAllowed", client.append_object, BUCKET, "x", 0, b"one")
    assert client.head_bucket(BUCKET)["x-cos-bucket-az-type"] == "MAZ"


def test_a_reset_makes_the_bucket_a_new_one(mediax_emulator: MediaxEmulator, client: CosS3Client) -> None:
    mediax_emulator.versioning("Enabled")
    mediax_emulator.many_zones(True)
    mediax_emulator.reset()
    client.append_object(BUCKET, "x", 0, b"one")
    refused(409, "FileAlreadyExists", client.put_object, BUCKET, b"two", "x", Metadata=KEEP)
