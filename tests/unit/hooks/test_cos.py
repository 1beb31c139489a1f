"""Objects in COS, with the real SDK against the emulator."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_mediax.exceptions import BadRequest, Unavailable
from airflow_provider_mediax.hooks.cos import CosHook


@pytest.fixture
def hook(mediax_emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    hook = CosHook()
    yield hook
    hook.close()


@pytest.mark.parametrize("key", ["a.txt", "a b.txt", "a+b", "100%", "a#b", "dir/ü/日本/🎵.bin", "a/../b", "x" * 850])
def test_an_object_is_written_read_and_deleted_under_any_key(hook, mediax_emulator, key):
    assert not hook.exists(key)
    hook.write_bytes(key, b"\x00content")
    assert mediax_emulator.object_keys() == [key]
    assert hook.exists(key)
    assert hook.read_bytes(key) == b"\x00content"
    hook.delete(key)
    assert not hook.exists(key)


def test_the_slash_that_platform_paths_begin_with_is_no_part_of_the_key(hook, mediax_emulator):
    hook.write_bytes("/out/x", b"1")
    assert mediax_emulator.object_keys() == ["out/x"]


def test_a_large_object_arrives_whole(hook):
    data = bytes(range(256)) * 40_000
    hook.write_bytes("large", data)
    assert hook.read_bytes("large") == data


@pytest.mark.parametrize("key", ["", "/", ".", "..", "/..", "ü" * 426])
def test_a_key_that_would_address_the_bucket_or_is_too_long_is_refused(hook, mediax_emulator, key):
    with pytest.raises(BadRequest, match=r"^key="):
        hook.read_bytes(key)
    assert mediax_emulator.ledger()["requests"] == []


def test_a_missing_object_is_named(hook):
    with pytest.raises(BadRequest, match="There is no cos://music-1250000000/nothing") as caught:
        hook.read_bytes("nothing")
    assert caught.value.code == "NoSuchKey"


def test_passing_faults_of_objects_are_repeated(hook, mediax_emulator):
    hook.write_bytes("a", b"1")
    mediax_emulator.fail_next("GetObject", "503")
    assert hook.read_bytes("a") == b"1"


def test_a_broken_download_is_an_error_and_not_a_short_object(hook, mediax_emulator):
    hook.write_bytes("a", b"1" * 10_000)
    mediax_emulator.fail_next("GetObject", "truncated")
    with pytest.raises(Unavailable):
        hook.read_bytes("a")


@pytest.mark.parametrize("field", ["cos_region", "cos_secret_id", "cos_secret_key", "cos_bucket"])
def test_a_missing_field_is_named_before_anything_is_sent(mediax_emulator, monkeypatch, field):
    import json

    connection = json.loads(mediax_emulator.connection_json())
    del connection["extra"][field]
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", json.dumps(connection))
    with pytest.raises(BadRequest, match=rf"^{field}="):
        CosHook().read_bytes("a")
    assert mediax_emulator.ledger()["requests"] == []


def test_the_sdk_logs_nothing(hook, caplog):
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(BadRequest):
            hook.read_bytes("nothing")
        hook.write_bytes("a", b"1")
    assert [record for record in caplog.records if record.name.startswith("qcloud_cos")] == []
