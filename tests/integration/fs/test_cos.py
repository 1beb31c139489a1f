"""cos:// for fsspec and for ObjectStoragePath, with the real SDK against the emulator."""

from __future__ import annotations

import json
import pickle
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_mediax.client.retry import PATIENT
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.exceptions import AuthenticationFailed, MediaxError, Unavailable
from airflow_provider_mediax.fs.cos import CosFileSystem
from airflow_provider_mediax.fs.cos_file import CosFile

BUCKET = "music-1250000000"
MIB = 1024 * 1024
KEYS = ["a.wav", "in/a b+c.wav", "in/50%.wav", "in/%41.wav", "in/日本/🎵.wav", "in/a[1]*.wav", "in/" + "x" * 847]


@pytest.fixture
def tree(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> CosFileSystem:
    for key in ("in/a.wav", "in/deep/er/b.wav", "in/deep/c.txt", "inside.txt", "top.wav"):
        mediax_emulator.put_object(key, key.encode())
    return fs


def actions(emulator: MediaxEmulator) -> list[str]:
    return [request["action"] for request in emulator.ledger()["requests"]]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_is_written_read_copied_moved_and_removed(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, tmp_path: Path, key: str
) -> None:
    path = f"cos://{BUCKET}/{key}"
    fs.pipe_file(path, b"content")
    assert mediax_emulator.object_keys() == [key]
    assert fs.cat_file(path) == b"content"
    assert fs.cat_file(path, 1, -1) == b"onten"
    assert fs.exists(path)
    assert fs.isfile(path)
    assert not fs.isdir(path)
    fs.copy(path, f"cos://{BUCKET}/copy")
    fs.mv(f"cos://{BUCKET}/copy", f"cos://{BUCKET}/moved")
    assert mediax_emulator.object_keys() == sorted([key, "moved"], key=str.encode)
    fs.get(path, str(tmp_path / "local"))
    assert (tmp_path / "local").read_bytes() == b"content"
    fs.rm(path)
    assert mediax_emulator.object_keys() == ["moved"]


@pytest.mark.parametrize("key", [*KEYS, "in/a#b.wav", "in/a?b.wav"])
def test_an_address_from_a_manifest_opens_as_it_stands(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, key: str
) -> None:
    mediax_emulator.put_object(key, b"content")
    path = ObjectStoragePath(f"cos://{BUCKET}/{key}", conn_id="music")
    assert path.read_bytes() == b"content"
    with path.open("rb") as file:
        assert file.read() == b"content"
    assert path.exists()
    assert path.stat().st_size == 7


@pytest.mark.parametrize("start", [f"cos://music@{BUCKET}", f"cos://{BUCKET}"])
def test_object_storage_path_does_what_it_does_for_other_stores(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, start: str, tmp_path: Path
) -> None:
    """Also without a connection id, which takes the default connection."""
    folder = ObjectStoragePath(start) / "new" / "folder"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "a.txt"
    assert not path.exists()
    path.write_text("text")
    assert path.read_text() == "text"
    assert path.is_file()
    assert folder.is_dir()
    assert [found.name for found in folder.iterdir()] == ["a.txt"]
    assert [str(found) for found in folder.parent.glob("**/*.txt")] == [str(path)]
    path.copy(folder / "b.txt")
    path.copy(ObjectStoragePath(f"file://{tmp_path}/local.txt"))
    assert (tmp_path / "local.txt").read_text() == "text"
    (folder / "b.txt").rename(folder / "c.txt")
    assert path.checksum() == (folder / "c.txt").checksum()
    path.unlink()
    assert mediax_emulator.object_keys() == ["new/folder/c.txt"]


def test_paths_may_be_made_before_there_is_a_connection() -> None:
    """DAG files make them at import."""
    path = ObjectStoragePath(f"cos://nowhere@{BUCKET}/a")
    assert path.name == "a"


def test_listings_show_files_and_folders(tree: CosFileSystem) -> None:
    listed = {entry["name"]: (entry["type"], entry["size"]) for entry in tree.ls(f"cos://{BUCKET}/in")}
    assert listed == {f"{BUCKET}/in/a.wav": ("file", 8), f"{BUCKET}/in/deep": ("directory", 0)}
    assert tree.ls(f"{BUCKET}/in/a.wav", detail=False) == [f"{BUCKET}/in/a.wav"]
    assert tree.ls(BUCKET, detail=False) == [f"{BUCKET}/inside.txt", f"{BUCKET}/top.wav", f"{BUCKET}/in"] or sorted(
        tree.ls(BUCKET, detail=False)
    ) == [f"{BUCKET}/in", f"{BUCKET}/inside.txt", f"{BUCKET}/top.wav"]
    with pytest.raises(FileNotFoundError):
        tree.ls(f"{BUCKET}/nothing")
    with pytest.raises(FileNotFoundError):
        tree.ls("nobody-1250000000")


def test_everything_below_a_folder_is_found_by_one_listing(
    tree: CosFileSystem, mediax_emulator: MediaxEmulator
) -> None:
    names = [f"{BUCKET}/in/a.wav", f"{BUCKET}/in/deep/c.txt", f"{BUCKET}/in/deep/er/b.wav"]
    assert tree.find(f"{BUCKET}/in") == names
    assert actions(mediax_emulator) == ["ListObjects"]
    folders = [f"{BUCKET}/in", f"{BUCKET}/in/deep", f"{BUCKET}/in/deep/er"]
    assert tree.find(f"{BUCKET}/in", withdirs=True) == sorted([*names, *folders])
    assert tree.glob(f"{BUCKET}/in/**/*.wav") == [names[0], names[2]]
    assert tree.glob(f"{BUCKET}/in/*") == [names[0], f"{BUCKET}/in/deep"]
    assert tree.du(f"{BUCKET}/in") == sum(len(name) - len(BUCKET) - 1 for name in names)


def test_folders_are_copied_moved_and_removed_whole(
    tree: CosFileSystem, mediax_emulator: MediaxEmulator, tmp_path: Path
) -> None:
    tree.copy(f"{BUCKET}/in", f"{BUCKET}/copy", recursive=True)
    tree.mv(f"{BUCKET}/copy", f"{BUCKET}/moved", recursive=True)
    tree.get(f"{BUCKET}/moved", str(tmp_path / "local"), recursive=True)
    assert (tmp_path / "local" / "deep" / "er" / "b.wav").read_text() == "in/deep/er/b.wav"
    tree.put(str(tmp_path / "local"), f"{BUCKET}/put", recursive=True)
    tree.rm(f"{BUCKET}/in", recursive=True)
    kept = ["a.wav", "deep/c.txt", "deep/er/b.wav"]
    expected = [*(f"{folder}/{name}" for folder in ("moved", "put") for name in kept), "inside.txt", "top.wav"]
    assert mediax_emulator.object_keys() == sorted(expected)


def test_a_pattern_in_a_name_removes_nothing_else(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    for key in ("a*", "ab", "ac"):
        mediax_emulator.put_object(key, b"")
    fs.rm(f"{BUCKET}/a*")
    assert mediax_emulator.object_keys() == ["ab", "ac"]


@pytest.mark.parametrize("path", [BUCKET, f"cos://{BUCKET}/", f"cos://music@{BUCKET}"])
def test_a_whole_bucket_is_never_removed(tree: CosFileSystem, mediax_emulator: MediaxEmulator, path: str) -> None:
    with pytest.raises(PermissionError):
        tree.rm(path, recursive=True)
    assert len(mediax_emulator.object_keys()) == 5


def test_what_is_missing_is_missing_as_files_are(fs: CosFileSystem, tmp_path: Path) -> None:
    path = f"{BUCKET}/nothing"
    for act in (fs.info, fs.cat_file, fs.open, fs.rm, fs.modified, fs.checksum, lambda path: fs.cat_file(path, 0, 1)):
        with pytest.raises(FileNotFoundError):
            act(path)
    with pytest.raises(FileNotFoundError):
        fs.copy(path, f"{BUCKET}/copy")
    with pytest.raises(FileNotFoundError):
        fs.get(path, str(tmp_path / "local"))
    assert not fs.exists(path)


def test_an_error_is_never_taken_for_a_no(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsspec's own exists() answers no to every error, and then something would be overwritten."""
    mediax_emulator.put_object("a", b"")
    mediax_emulator.fail_next("HeadObject", "unauthorized", times=9)
    for ask in (fs.exists, fs.isfile, fs.isdir):
        with pytest.raises(AuthenticationFailed):
            ask(f"{BUCKET}/a")


def test_times_and_checksums_tell_of_the_content(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    mediax_emulator.put_object("a", b"1")
    mediax_emulator.put_object("b", b"1")
    mediax_emulator.put_object("c", b"2")
    a, b, c = (fs.checksum(f"{BUCKET}/{key}") for key in "abc")
    assert a == b != c
    assert abs((datetime.now(UTC) - fs.modified(f"{BUCKET}/a")).total_seconds()) < 60
    assert fs.created(f"{BUCKET}/a") == fs.modified(f"{BUCKET}/a")


def test_a_large_object_is_written_in_parts_and_read_in_ranges(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator
) -> None:
    data = bytes(range(256)) * (13 * MIB // 1024)
    with fs.open(f"{BUCKET}/large", "wb", block_size=MIB) as file:
        for start in range(0, len(data), 100_000):
            file.write(data[start : start + 100_000])
        assert not fs.exists(f"{BUCKET}/large")  # nothing can be seen before it is whole
    assert mediax_emulator.get_object("large") == data
    assert actions(mediax_emulator).count("UploadPart") >= 3

    with fs.open(f"{BUCKET}/large", "rb", block_size=MIB) as file:
        file.seek(-5, 2)
        assert file.read() == data[-5:]
        file.seek(2 * MIB)
        assert file.read(3) == data[2 * MIB : 2 * MIB + 3]
    asked = [request for request in mediax_emulator.ledger()["requests"] if request["action"] == "GetObject"]
    assert all("range" in request["headers"] and "if-match" in request["headers"] for request in asked)


@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_a_with_block_that_ends_by_an_error_leaves_nothing(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, size: int
) -> None:
    """fsspec's own file would close itself, and half of a file would look like all of it."""
    mediax_emulator.put_object("a", b"old")

    def write_and_fail() -> None:
        with fs.open(f"{BUCKET}/a", "wb", block_size=MIB) as file:
            file.write(b"x" * size)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert mediax_emulator.get_object("a") == b"old"
    assert actions(mediax_emulator).count("AbortMultipartUpload") == (size > MIB)


def test_a_write_that_fails_removes_its_parts(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    file = fs.open(f"{BUCKET}/a", "wb", block_size=MIB)
    file.write(b"x" * MIB)
    mediax_emulator.fail_next("UploadPart", "500", times=PATIENT.attempts)
    with pytest.raises(Unavailable):
        file.write(b"x" * MIB)
    file.close()
    assert "AbortMultipartUpload" in actions(mediax_emulator)
    assert mediax_emulator.object_keys() == []


def test_an_object_that_is_replaced_while_it_is_read_is_an_error(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator
) -> None:
    mediax_emulator.put_object("a", b"1" * 3 * MIB)
    with fs.open(f"{BUCKET}/a", block_size=MIB) as file:
        file.read(1)
        mediax_emulator.put_object("a", b"2" * 3 * MIB)
        with pytest.raises(Unavailable, match="replaced"):
            file.read()


def test_modes_are_those_that_objects_have(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    with pytest.raises(NotImplementedError):
        fs.open(f"{BUCKET}/a", "ab")
    with fs.open(f"{BUCKET}/a", "xb") as file:
        file.write(b"1")
    with pytest.raises(FileExistsError):
        fs.open(f"{BUCKET}/a", "xb")
    with fs.open(f"{BUCKET}/text", "w", newline="\r\n") as file:
        file.write("ü\n")
    assert mediax_emulator.get_object("text") == "ü\r\n".encode()
    with fs.open(f"{BUCKET}/empty", "wb"):
        pass
    assert fs.cat_file(f"{BUCKET}/empty") == b""


def test_a_transaction_appears_as_a_whole_or_not_at_all(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    with fs.transaction:
        fs.open(f"{BUCKET}/a", "wb").close()
        assert mediax_emulator.object_keys() == []
    assert mediax_emulator.object_keys() == ["a"]


def test_sign_gives_an_address_that_opens(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    mediax_emulator.put_object("a", b"content")
    url = fs.sign(f"{BUCKET}/a", expiration=60)
    place = url.replace(f"https://{BUCKET}.cos.ap-guangzhou.myqcloud.com", mediax_emulator.cos_endpoint)
    asked = urllib.request.Request(place, headers={"Host": f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"})
    assert urllib.request.urlopen(asked).read() == b"content"


def test_keys_are_in_no_pickle_no_json_no_repr_and_not_among_the_options(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator
) -> None:
    mediax_emulator.put_object("a", b"content")
    named = CosFileSystem(conn_id="music")
    assert named.cat_file(f"{BUCKET}/a") == b"content"
    extra = json.loads(mediax_emulator.connection_json())["extra"]
    file = named.open(f"{BUCKET}/a")
    shown = [
        named.to_json(),
        repr(named),
        repr(file),
        repr(named.storage_options),
        repr(CosFileSystem._cache),
        repr(ObjectStoragePath(f"cos://music@{BUCKET}/a").serialize()),
        pickle.dumps(named).decode("latin-1"),
    ]
    for secret in (extra["cos_secret_id"], extra["cos_secret_key"]):
        assert [text for text in shown if secret in text] == []
    assert named.storage_options == {"conn_id": "music"}
    for again in (pickle.loads(pickle.dumps(named)), CosFileSystem.from_json(named.to_json())):
        assert again.conn_id == "music"
        assert again.cat_file(f"{BUCKET}/a") == b"content"


def test_a_dead_call_asks_four_times_and_not_more(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cosfs asks 44 times; the pauses are left out here. A rate limit is no fault: it is waited for, up to 300 s."""
    monkeypatch.setattr("airflow_provider_mediax.client.retry._FIRST_DELAY", 0.002)
    mediax_emulator.fail_next("GetObject", "500", times=99)
    with pytest.raises(MediaxError):
        fs.cat_file(f"{BUCKET}/a")
    assert actions(mediax_emulator) == ["GetObject"] * 4


def test_a_missing_object_is_found_out_by_two_requests(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    assert not fs.exists(f"{BUCKET}/a")
    assert actions(mediax_emulator) == ["HeadObject", "ListObjects"]


def test_fsspec_and_airflow_find_it(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    """Fails where the package was installed before its entry points: install it again."""
    mediax_emulator.put_object("a", b"content")
    assert fsspec.get_filesystem_class("cos") is CosFileSystem
    with fsspec.open(f"cos://music@{BUCKET}/a") as file:
        assert isinstance(file, CosFile)
        assert file.fs.conn_id == "music"
        assert file.read() == b"content"
    assert isinstance(ObjectStoragePath(f"cos://music@{BUCKET}/a").fs, CosFileSystem)
