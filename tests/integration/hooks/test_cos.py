"""Objects in COS, with the real SDK against the emulator."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import pickle
import random
import re
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, NotFound, ProtocolError, Unavailable
from airflow_provider_mediax.hooks import cos, cos_files
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.cos_files import Part
from airflow_provider_mediax.hooks.cos_objects import CosObject
from airflow_provider_mediax.protocol.cos_answers import Target
from airflow_provider_mediax.results import rows

MIB = 1024 * 1024


@pytest.fixture
def hook(mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[CosHook]:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    hook = CosHook()
    yield hook
    hook.close()


@pytest.mark.parametrize("key", ["a.txt", "a b.txt", "a+b", "100%", "a#b", "dir/ü/日本/🎵.bin", "a/../b", "x" * 850])
def test_an_object_is_written_read_and_deleted_under_any_key(
    hook: CosHook, mediax_emulator: MediaxEmulator, key: str
) -> None:
    assert not hook.exists(key)
    hook.write_bytes(key, b"\x00content")
    assert mediax_emulator.object_keys() == [key]
    assert hook.exists(key)
    assert hook.read_bytes(key) == b"\x00content"
    hook.delete(key)
    assert not hook.exists(key)


def test_the_slash_that_platform_paths_begin_with_is_no_part_of_the_key(
    hook: CosHook, mediax_emulator: MediaxEmulator
) -> None:
    hook.write_bytes("/out/x", b"1")
    assert mediax_emulator.object_keys() == ["out/x"]


def test_a_large_object_arrives_whole(hook: CosHook) -> None:
    data = bytes(range(256)) * 40_000
    hook.write_bytes("large", data)
    assert hook.read_bytes("large") == data


@pytest.mark.parametrize("key", ["", "/", ".", "..", "/..", "ü" * 426])
def test_a_key_that_would_address_the_bucket_or_is_too_long_is_refused(
    hook: CosHook, mediax_emulator: MediaxEmulator, key: str
) -> None:
    with pytest.raises(BadRequest, match=r"^key="):
        hook.read_bytes(key)
    assert mediax_emulator.ledger()["requests"] == []


def test_a_missing_object_is_named(hook: CosHook) -> None:
    with pytest.raises(BadRequest, match="There is no cos://music-1250000000/nothing") as caught:
        hook.read_bytes("nothing")
    assert caught.value.code == "NoSuchKey"


def test_passing_faults_of_objects_are_repeated(hook: CosHook, mediax_emulator: MediaxEmulator) -> None:
    hook.write_bytes("a", b"1")
    mediax_emulator.fail_next("GetObject", "503")
    assert hook.read_bytes("a") == b"1"


def test_a_broken_download_is_read_again_and_never_a_short_object(
    hook: CosHook, mediax_emulator: MediaxEmulator
) -> None:
    hook.write_bytes("a", b"1" * 10_000)
    mediax_emulator.fail_next("GetObject", "truncated")
    assert hook.read_bytes("a") == b"1" * 10_000
    mediax_emulator.fail_next("GetObject", "truncated", times=9)
    with pytest.raises(Unavailable):
        hook.read_bytes("a")


@pytest.mark.parametrize("field", ["cos_region", "cos_secret_id", "cos_secret_key", "cos_bucket"])
def test_a_missing_field_is_named_before_anything_is_sent(
    mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    connection = json.loads(mediax_emulator.connection_json())
    del connection["extra"][field]
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(connection))
    with pytest.raises(BadRequest, match=rf"^{field}="):
        CosHook().read_bytes("a")
    assert mediax_emulator.ledger()["requests"] == []


def test_the_sdk_logs_nothing(hook: CosHook, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(BadRequest):
            hook.read_bytes("nothing")
        hook.write_bytes("a", b"1")
    assert [record for record in caplog.records if record.name.startswith("qcloud_cos")] == []


def requests_of(emulator: MediaxEmulator, action: str) -> list[dict[str, Any]]:
    return [request for request in emulator.ledger()["requests"] if request["action"] == action]


def unfinished(hook: CosHook) -> list[str]:
    """Return the keys of the uploads that were begun and neither completed nor aborted."""
    answer = hook._client.ask("list the uploads of", Target(hook.bucket, hook.region), "list_multipart_uploads")
    return [entry["Key"] for entry in answer.said.get("Upload") or ()]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of four parts of 1 MiB, the last one short, and every part another content."""
    file = tmp_path / "large.wav"
    file.write_bytes(random.Random(7).randbytes(3 * MIB + 4321))
    return file


@pytest.mark.parametrize("key", ["a/..", "a/.", "x/y/..", "/a/."])
def test_a_key_that_the_http_library_would_shorten_is_refused(
    hook: CosHook, mediax_emulator: MediaxEmulator, key: str
) -> None:
    for act in (hook.read_bytes, hook.delete, hook.head, lambda key: hook.write_bytes(key, b"")):
        with pytest.raises(BadRequest, match=r"^key="):
            act(key)
    assert mediax_emulator.ledger()["requests"] == []


@pytest.mark.parametrize("key", ["a b", "a+b", "50%", "%41", "a#b?c", "日本/🎵 .wav", "dir./x", "a/./b", "x" * 850])
def test_every_operation_works_under_any_key(
    hook: CosHook, mediax_emulator: MediaxEmulator, tmp_path: Path, key: str
) -> None:
    (tmp_path / "in").write_bytes(b"content")
    hook.upload_file(tmp_path / "in", key)
    assert mediax_emulator.object_keys() == [key]
    assert list(hook.iter_keys(key[:2])) == [key]
    hook.download_file(key, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"content"
    hook.copy(key, f"c{key[1:]}")
    assert hook.read_bytes(f"c{key[1:]}") == b"content"
    assert hook.read_range(key, 1, 3) == b"on"
    hook.delete_many([key, f"c{key[1:]}"])
    assert mediax_emulator.object_keys() == []


def test_head_tells_size_etag_and_time(hook: CosHook) -> None:
    hook.write_bytes("a", b"content", content_type="audio/wav")
    found = hook.head("a")
    assert (found.key, found.size, found.headers["content-type"]) == ("a", 7, "audio/wav")
    assert found.etag == f'"{hashlib.md5(b"content").hexdigest()}"'
    assert abs((datetime.now(UTC) - found.modified).total_seconds()) < 60


def test_a_listing_of_any_size_is_read_page_by_page(hook: CosHook, mediax_emulator: MediaxEmulator) -> None:
    keys = sorted(f"in/{number:04}+ü %.wav" for number in range(2100))
    for key in keys:
        mediax_emulator.put_object(key, b"")
    mediax_emulator.put_object("other", b"")
    listed = hook.iter_keys("in/")
    assert next(listed) == keys[0]
    assert len(requests_of(mediax_emulator, "ListObjects")) == 1  # the rest was not asked for yet
    assert [keys[0], *listed] == keys
    assert len(requests_of(mediax_emulator, "ListObjects")) == 3
    hook.delete_many(keys)
    assert mediax_emulator.object_keys() == ["other"]


def test_a_large_file_goes_in_parts_and_comes_back_in_ranges(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path, tmp_path: Path
) -> None:
    hook.upload_file(large, "large", part_size=MIB)
    assert len(requests_of(mediax_emulator, "UploadPart")) == 4
    assert all("content-md5" in request["headers"] for request in requests_of(mediax_emulator, "UploadPart"))
    assert mediax_emulator.get_object("large") == large.read_bytes()

    etag = hook.head("large").etag
    hook.download_file("large", tmp_path / "back", part_size=MIB)
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    ranges = requests_of(mediax_emulator, "GetObject")
    assert len(ranges) == 4
    assert {request["headers"]["if-match"] for request in ranges} == {etag}


def test_two_uploads_of_one_key_never_share_their_parts(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path
) -> None:
    """The SDK's own upload_file joins an unfinished upload that it finds."""
    other = hook.start_upload("large")
    other.send_part(1, b"x" * MIB)
    hook.upload_file(large, "large", part_size=MIB)
    assert mediax_emulator.get_object("large") == large.read_bytes()
    assert requests_of(mediax_emulator, "ListParts") == []
    other.complete()
    assert mediax_emulator.get_object("large") == b"x" * MIB


@pytest.mark.parametrize("action", ["UploadPart", "CompleteMultipartUpload"])
def test_the_parts_of_a_failed_upload_are_removed_and_the_old_object_stays(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path, action: str
) -> None:
    hook.write_bytes("large", b"old")
    hook._client.patience = ONE_TRY
    mediax_emulator.fail_next(action, "500", times=4)
    with pytest.raises(Unavailable):
        hook.upload_file(large, "large", part_size=MIB)
    assert unfinished(hook) == []
    assert mediax_emulator.get_object("large") == b"old"


def test_the_parts_of_a_killed_upload_are_removed(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(parts: list[Part], work: Callable[[Part], object]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cos, "in_parallel", killed)
    with pytest.raises(KeyboardInterrupt):
        hook.upload_file(large, "large", part_size=MIB)
    assert len(requests_of(mediax_emulator, "AbortMultipartUpload")) == 1
    assert unfinished(hook) == []


def test_a_lost_answer_to_the_last_call_of_an_upload_is_no_failure(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path
) -> None:
    mediax_emulator.fail_next("CompleteMultipartUpload", "drop_after")
    hook.upload_file(large, "large", part_size=MIB)
    assert len(requests_of(mediax_emulator, "CompleteMultipartUpload")) == 2
    assert mediax_emulator.get_object("large") == large.read_bytes()


def test_a_file_that_changes_while_it_is_uploaded_is_an_error(
    hook: CosHook, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parallel = cos_files.in_parallel

    def meanwhile(parts: list[Part], work: Callable[[Part], object]) -> None:
        in_parallel(parts, work)
        with large.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(cos, "in_parallel", meanwhile)
    with pytest.raises(Unavailable, match="changed meanwhile"):
        hook.upload_file(large, "large", part_size=MIB)
    assert not hook.exists("large")
    assert unfinished(hook) == []


def test_an_object_that_is_replaced_while_it_is_downloaded_is_an_error(
    hook: CosHook, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.upload_file(large, "large", part_size=MIB)
    head = hook.head

    def then_replaced(key: str) -> CosObject:
        found = head(key)
        hook.write_bytes(key, b"y" * found.size)
        return found

    monkeypatch.setattr(hook, "head", then_replaced)
    target = tmp_path / "back"
    target.write_bytes(b"old")
    with pytest.raises(Unavailable, match="replaced"):
        hook.download_file("large", target, part_size=MIB)
    assert target.read_bytes() == b"old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["back", "large.wav"]


def test_a_download_that_breaks_off_is_read_again_and_never_leaves_half_a_file(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path, tmp_path: Path
) -> None:
    mediax_emulator.put_object("large", large.read_bytes())
    target = tmp_path / "back"
    mediax_emulator.fail_next("GetObject", "truncated", times=2)
    hook.download_file("large", target, part_size=MIB)
    assert target.read_bytes() == large.read_bytes()
    mediax_emulator.fail_next("GetObject", "truncated", times=100)
    with pytest.raises((Unavailable, ProtocolError)):
        hook.download_file("large", tmp_path / "half", part_size=MIB)
    mediax_emulator.reset()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["back", "large.wav"]


@pytest.mark.parametrize("header", ["ETag", "x-cos-hash-crc64ecma"])
def test_content_that_does_not_fit_its_checksum_is_an_error(
    hook: CosHook, mediax_emulator: MediaxEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    mediax_emulator.put_object("a", b"content")
    head, read_range = hook.head, hook.read_range
    crc = cos_files._crc64()
    crc.update(b"content")
    described = {"ETag": hook.head("a").etag, "x-cos-hash-crc64ecma": '"0-2"'}
    known = dataclasses.replace(head("a"), etag=described[header], headers={"x-cos-hash-crc64ecma": str(crc.crcValue)})
    monkeypatch.setattr(hook, "head", lambda key: known)
    monkeypatch.setattr(hook, "read_range", lambda key, start, end, *, etag: read_range(key, start, end))
    hook.download_file("a", tmp_path / "right")
    monkeypatch.setattr(hook, "read_range", lambda *asked, etag: b"tnetnoc")
    with pytest.raises(Unavailable, match="checksum"):
        hook.download_file("a", tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_the_crc_is_the_one_that_cos_documents() -> None:
    crc = cos_files._crc64()
    crc.update(b"123456789")
    assert crc.crcValue == 0x995DC9BBDF1939FA  # check value of CRC-64/XZ, which is ECMA-182 as COS computes it


def test_a_file_is_never_held_in_memory(hook: CosHook, mediax_emulator: MediaxEmulator, tmp_path: Path) -> None:
    size = 96 * MIB
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        hook.upload_file(tmp_path / "big", "big", part_size=2 * MIB)
        hook.download_file("big", tmp_path / "back", part_size=2 * MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "back").stat().st_size == size
    assert peak < 40 * MIB


def test_nothing_is_written_to_the_home_directory(
    hook: CosHook, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    hook.upload_file(large, "large", part_size=MIB)
    hook.download_file("large", tmp_path / "back", part_size=MIB)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(("seconds", "lines"), [(0.0, range(2, 9)), (3600.0, range(1))])
def test_a_long_transfer_says_how_far_it_is(
    hook: CosHook, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, lines: range
) -> None:
    monkeypatch.setattr(cos_files, "PROGRESS_SECONDS", seconds)
    log = MagicMock()
    monkeypatch.setattr(CosHook, "log", log)
    hook.upload_file(large, "large", part_size=MIB)
    hook.download_file("large", tmp_path / "back", part_size=MIB)
    said = [call.args[0] % call.args[1:] for call in log.info.call_args_list]
    ended = [line for line in said if ": done, 3.0 MiB in " in line]
    assert [line.split()[0] for line in ended] == ["Uploading", "Downloading"]
    assert len([line for line in said if re.search(r": \d.* of 3\.0 MiB \(\d+ %\), \d.*/s$", line)]) in lines


def test_a_downloaded_file_has_the_permissions_of_any_new_file(hook: CosHook, tmp_path: Path) -> None:
    hook.write_bytes("a", b"")
    hook.download_file("a", tmp_path / "a")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_an_object_larger_than_one_copy_is_copied_in_parts(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cos, "COPY_LIMIT", MIB)
    monkeypatch.setattr(cos, "COPY_PART_SIZE", MIB)
    mediax_emulator.put_object("a b+ü", large.read_bytes())
    hook.copy("a b+ü", "copy")
    assert len(requests_of(mediax_emulator, "UploadPartCopy")) == 4
    assert mediax_emulator.get_object("copy") == large.read_bytes()
    mediax_emulator.fail_next("UploadPartCopy", "unauthorized", times=9)
    with pytest.raises(AuthenticationFailed):
        hook.copy("a b+ü", "copy 2")
    assert unfinished(hook) == []


def test_a_source_that_is_replaced_while_its_parts_are_copied_is_an_error(
    hook: CosHook, mediax_emulator: MediaxEmulator, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cos, "COPY_LIMIT", MIB)
    monkeypatch.setattr(cos, "COPY_PART_SIZE", MIB)
    mediax_emulator.put_object("a", large.read_bytes())
    in_parallel = cos_files.in_parallel

    def meanwhile(parts: list[Part], work: Callable[[Part], object]) -> None:
        in_parallel(parts, work)
        mediax_emulator.put_object("a", b"other")

    monkeypatch.setattr(cos, "in_parallel", meanwhile)
    with pytest.raises(Unavailable, match="replaced meanwhile"):
        hook.copy("a", "copy")
    assert not hook.exists("copy")
    assert unfinished(hook) == []


def test_a_missing_source_of_a_copy_is_named(hook: CosHook) -> None:
    with pytest.raises(BadRequest, match="There is no cos://music-1250000000/nothing"):
        hook.copy("cos://music-1250000000/nothing", "b")


def test_a_missing_bucket_is_told_from_a_missing_object(hook: CosHook) -> None:
    hook.check_bucket()
    with pytest.raises(BadRequest, match="There is no cos://nobody-1250000000/"):
        CosHook(bucket="nobody-1250000000").check_bucket()


def with_fields(emulator: MediaxEmulator, **fields: dict[str, str] | str) -> str:
    connection = json.loads(emulator.connection_json())
    connection["extra"].update(fields)
    return json.dumps(connection)


def test_the_token_of_a_temporary_key_is_sent_and_signed(
    mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", with_fields(mediax_emulator, cos_token="temporary-token"))
    hook = CosHook()
    hook.write_bytes("a", b"1")
    assert hook.read_bytes("a") == b"1"
    sent = mediax_emulator.ledger()["requests"]
    assert all("x-cos-security-token" in request["headers"] for request in sent)
    assert "x-cos-security-token=temporary-token" in hook.presigned_url("a")


def test_keys_that_were_renewed_meanwhile_are_used(
    hook: CosHook, mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch, large: Path
) -> None:
    right = mediax_emulator.connection_json()
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", with_fields(mediax_emulator, cos_secret_key="expired"))
    hook.close()
    with pytest.raises(AuthenticationFailed):
        hook.read_bytes("a")
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", right)
    hook.upload_file(large, "large", part_size=MIB)
    assert mediax_emulator.get_object("large") == large.read_bytes()


@pytest.mark.parametrize("key", ["a.wav", "a b+%#?🎵.wav"])
def test_a_presigned_address_opens_the_object_without_keys_until_it_ends(
    hook: CosHook, mediax_emulator: MediaxEmulator, key: str
) -> None:
    from airflow_provider_mediax.client.session import new_session
    from airflow_provider_mediax.client.transport import Transport

    hook.write_bytes(key, b"content")
    session = new_session(Transport(), mediax_emulator.cos_endpoint)
    url = hook.presigned_url(key, expires=60)
    assert url.startswith("https://music-1250000000.cos.ap-guangzhou.myqcloud.com/")
    assert session.get(url).content == b"content"
    mediax_emulator.clock(120)
    assert session.get(url).status_code == 403
    mediax_emulator.clock(0)
    assert session.put(hook.presigned_url(key, method="PUT"), data=b"new").status_code == 200
    assert hook.read_bytes(key) == b"new"


@pytest.mark.parametrize("wrong", [{"expires": 0}, {"expires": "60"}, {"method": "POST"}])
def test_a_presigned_address_out_of_range_is_refused(hook: CosHook, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        hook.presigned_url("a", **wrong)


def test_presigned_addresses_are_masked_and_never_logged(
    hook: CosHook,
    mediax_emulator: MediaxEmulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", with_fields(mediax_emulator, cos_token="temporary/token+"))
    masked: list[str] = []
    monkeypatch.setattr(cos, "mask_secret", masked.append)
    hook.close()
    with caplog.at_level(logging.DEBUG):
        url = hook.presigned_url("a")
    (signature,) = re.findall(r"q-signature=(\w{40})", url)
    assert signature in masked
    shown = url
    for secret in masked:
        shown = shown.replace(secret, "***")
    assert signature not in shown
    assert "temporary" not in shown
    assert signature not in caplog.text + "".join(capfd.readouterr())


def test_keys_are_in_no_repr_and_no_pickle(hook: CosHook, mediax_emulator: MediaxEmulator) -> None:
    hook.write_bytes("a", b"1")
    extra = json.loads(mediax_emulator.connection_json())["extra"]
    stored = pickle.dumps(hook)
    for secret in (extra["cos_secret_id"], extra["cos_secret_key"]):
        assert secret.encode() not in stored
        assert secret not in repr(hook)
    assert pickle.loads(stored).read_bytes("a") == b"1"


def test_many_threads_may_use_one_hook(hook: CosHook, mediax_emulator: MediaxEmulator) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: hook.write_bytes(f"{number}", b"1"), range(100)))
    assert len(mediax_emulator.object_keys()) == 100


def test_find_takes_patterns_and_sizes(hook: CosHook, mediax_emulator: MediaxEmulator) -> None:
    for key in ("in/a.wav", "in/b/c.wav", "in/a[1].wav", "in/note.txt", "out/d.wav"):
        mediax_emulator.put_object(key, b"12345")
    mediax_emulator.put_object("in/empty.wav", b"")

    def found(key: str, **options: Any) -> list[str]:
        return [entry.key for entry in hook.find(key, **options)]

    assert found("in/*.wav", wildcard=True, min_size=1) == ["in/a.wav", "in/a[1].wav", "in/b/c.wav"]
    assert found("/in/?.wav", wildcard=True) == ["in/a.wav"]
    assert found("in/a[1].wav") == ["in/a[1].wav"]  # no pattern unless told so
    assert found("in/empty.wav", min_size=1) == []
    assert found("in/nothing") == []


class TestAddresses:
    """Where a method takes a key it takes ``cos://[conn_id@]bucket/key`` too; the address's bucket wins."""

    BUCKET = "music-1250000000"

    @pytest.fixture
    def elsewhere(self, mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[CosHook]:
        monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
        hook = CosHook(bucket="elsewhere-1250000000")
        yield hook
        hook.close()

    @pytest.fixture(params=["cos://{}/in/a b.bin", "cos://mediax_default@{}/in/a b.bin", "a path"])
    def address(self, request: pytest.FixtureRequest) -> str:
        if request.param == "a path":  # no text, but taken as well
            return cast("str", ObjectStoragePath(f"cos://mediax_default@{self.BUCKET}/in/a b.bin"))
        return str(request.param).format(self.BUCKET)

    def test_every_verb_reaches_the_object_that_an_address_names(
        self, elsewhere: CosHook, hook: CosHook, address: str, tmp_path: Path
    ) -> None:
        elsewhere.write_bytes(address, b"12345")
        assert hook.read_bytes("in/a b.bin") == b"12345"
        assert elsewhere.exists(address)
        assert elsewhere.head(address).size == 5
        assert elsewhere.read_bytes(address) == b"12345"
        assert elsewhere.read_range(address, 1, 3) == b"23"
        assert [found.key for found in elsewhere.find(address)] == ["in/a b.bin"]
        assert list(elsewhere.iter_keys(str(address))) == ["in/a b.bin"]
        assert elsewhere.has_prefix(str(address))
        assert f"//{self.BUCKET}.cos." in elsewhere.presigned_url(address)
        elsewhere.download_file(address, tmp_path / "a")
        elsewhere.upload_file(tmp_path / "a", f"cos://{self.BUCKET}/in/copy.bin")
        elsewhere.copy(address, f"cos://{self.BUCKET}/in/copied.bin")
        hook.copy("in/copied.bin", "in/copied again.bin")
        assert sorted(hook.iter_keys()) == ["in/a b.bin", "in/copied again.bin", "in/copied.bin", "in/copy.bin"]
        hook.delete_many([address, "in/copy.bin"])
        elsewhere.delete(f"cos://{self.BUCKET}/in/copied.bin")
        assert list(hook.iter_keys()) == ["in/copied again.bin"]

    @pytest.mark.parametrize(
        "address",
        ["cos://theirs@music-1250000000/a", "cos://u:5e7@music-1250000000/a", "cos://music/a", "cos://music-1"],
    )
    def test_another_connection_or_no_object_is_refused_and_nothing_is_sent(
        self, hook: CosHook, mediax_emulator: MediaxEmulator, address: str
    ) -> None:
        for ask in (hook.read_bytes, hook.exists, hook.delete, hook.presigned_url, hook.iter_objects):
            with pytest.raises(BadRequest, match=r"^key='cos://.*' is refused: ") as refused:
                ask(address)
            assert "5e7" not in refused.value.what
        assert mediax_emulator.ledger()["requests"] == []

    def test_objects_of_two_buckets_are_not_deleted_with_one_request(
        self, hook: CosHook, mediax_emulator: MediaxEmulator
    ) -> None:
        with pytest.raises(BadRequest, match=r"^key=.*all of them must lie in music-1250000000"):
            hook.delete_many(["a", "cos://elsewhere-1250000000/a"])
        assert mediax_emulator.ledger()["requests"] == []

    def test_a_hook_of_no_bucket_works_in_that_of_an_address(
        self, mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = json.loads(mediax_emulator.connection_json())
        del connection["extra"]["cos_bucket"]
        monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(connection))
        hook = CosHook()
        hook.write_bytes(f"cos://{self.BUCKET}/a", b"1")
        assert hook.read_bytes(f"cos://{self.BUCKET}/a") == b"1"
        hook.close()


def test_files_in_another_region_open_by_their_addresses(
    mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, region = "music-1250000000", "ap-guangzhou"
    mediax_emulator.put_object("out/a.json", b"{}")
    elsewhere = with_fields(mediax_emulator, cos_region="ap-beijing")
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", elsewhere)
    monkeypatch.setenv("AIRFLOW_CONN_ASTRAY", elsewhere)  # a filesystem is kept for each connection of a process
    with pytest.raises(FileNotFoundError):
        ObjectStoragePath(f"cos://astray@{bucket}/out/a.json").read_bytes()
    with pytest.raises(NotFound, match=r"in region ap-beijing.*bucket_regions"):
        CosHook().read_bytes("out/a.json")
    named = with_fields(mediax_emulator, cos_region="ap-beijing", bucket_regions={bucket: region})
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", named)
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", named)
    assert CosHook().read_bytes("out/a.json") == b"{}"
    assert ObjectStoragePath(f"cos://elsewhere@{bucket}/out/a.json").read_bytes() == b"{}"


def test_a_large_result_is_read_in_the_region_of_its_manifest(
    mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    mediax_emulator.put_object("out/job-1.result.json", b'{"musicTagV2": {}}')
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", with_fields(mediax_emulator, cos_region="ap-beijing"))
    manifest = {
        "schema": 1,
        "service": "mediax",
        "capability": "musicTagV2",
        "job_id": "job-1",
        "result": {"uri": "cos://music-1250000000/out/job-1.result.json"},
        "place": {"bucket": "music-1250000000", "region": "ap-guangzhou"},
    }
    rows(manifest)
    with pytest.raises(NotFound, match="bucket_regions"):
        rows({**manifest, "place": {}})
