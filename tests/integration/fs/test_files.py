"""Open objects: text, block sizes, what other libraries write through them, and threads."""

from __future__ import annotations

import gzip
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.fs.cos import CosFileSystem

BUCKET = "music-1250000000"
Write: TypeAlias = Callable[[CosFileSystem, str, str, list[str]], None]

TEXT = "Größe\n日本 🎵\n" * 3


def write_by_fs(fs: CosFileSystem, path: str, encoding: str, parts: list[str]) -> None:
    with fs.open(path, "w", encoding=encoding) as file:
        for part in parts:
            file.write(part)
            file.flush()


def write_by_fsspec(fs: CosFileSystem, path: str, encoding: str, parts: list[str]) -> None:
    """The road of pandas, too."""
    with fsspec.open(f"cos://{path}", "w", encoding=encoding) as file:
        for part in parts:
            file.write(part)
            file.flush()


def write_by_path(fs: CosFileSystem, path: str, encoding: str, parts: list[str]) -> None:
    ObjectStoragePath(f"cos://{path}").write_text("".join(parts), encoding=encoding)


@pytest.mark.parametrize("write", [write_by_fs, write_by_fsspec, write_by_path])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "U16", "gb18030"])
def test_text_is_written_as_a_local_file_would_be(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, tmp_path: Path, write: Write, encoding: str
) -> None:
    """The parts of it, too: a byte order mark stands at the beginning and nowhere else."""
    write(fs, f"{BUCKET}/text", encoding, [TEXT, TEXT])
    with (tmp_path / "text").open("w", encoding=encoding) as file:
        file.write(TEXT)
        file.write(TEXT)
    assert mediax_emulator.get_object("text") == (tmp_path / "text").read_bytes()
    with fs.open(f"{BUCKET}/text", "r", encoding=encoding) as file:
        assert file.read() == TEXT + TEXT


def test_no_text_at_all_is_an_empty_object(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    with fs.open(f"{BUCKET}/text", "w", encoding="utf-16"):
        pass
    assert mediax_emulator.get_object("text") == b""


def test_a_file_that_is_written_cannot_be_sought_in(fs: CosFileSystem) -> None:
    """A library that tries finds out and writes without it."""
    with fs.open(f"{BUCKET}/a", "wb") as file:
        for written in (b"", b"content"):
            file.write(written)
            with pytest.raises(OSError, match="read mode"):
                file.seek(0)
        assert not file.seekable()


def test_archives_are_written_through_it(fs: CosFileSystem, mediax_emulator: MediaxEmulator) -> None:
    with fs.open(f"{BUCKET}/a.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("member", b"content")
    with fs.open(f"{BUCKET}/a.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("member") == b"content"
    with fsspec.open(f"cos://{BUCKET}/a.gz", "wt", compression="gzip", encoding="utf-16") as file:
        file.write(TEXT)
    assert gzip.decompress(mediax_emulator.get_object("a.gz")).decode("utf-16") == TEXT


@pytest.mark.parametrize("buffering", [-1, 0, 1, 7, 4096, None])
def test_a_file_is_the_same_with_every_block_size(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, buffering: int | None
) -> None:
    """Airflow passes ``buffering`` on as the block size; -1 is Python's own default for it."""
    data = bytes(range(256)) * 4
    path = ObjectStoragePath(f"cos://{BUCKET}/a")
    with path.open("wb", buffering=buffering) as file:
        file.write(data)
    assert mediax_emulator.get_object("a") == data
    with path.open("rb", buffering=buffering) as file:
        assert file.read(10) == data[:10]
        assert file.readline() == b"\n"
        file.seek(-4, 2)
        assert (file.read(), file.read()) == (data[-4:], b"")
        file.seek(0)
        assert file.read() == data


@pytest.mark.parametrize("mode", ["ab", "a", "r+b", "rb+", "r+", "w+b", "x+b", "x+"])
def test_modes_that_change_an_object_in_place_are_refused(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, mode: str
) -> None:
    mediax_emulator.put_object("a", b"content")
    with pytest.raises(NotImplementedError, match="as a whole"):
        fs.open(f"{BUCKET}/a", mode)
    assert mediax_emulator.get_object("a") == b"content"


@pytest.mark.parametrize("mode", ["xb", "x"])
def test_exclusive_creation_creates(fs: CosFileSystem, mediax_emulator: MediaxEmulator, mode: str) -> None:
    with fs.open(f"{BUCKET}/a", mode) as file:
        file.write("text" if mode == "x" else b"text")
    assert mediax_emulator.get_object("a") == b"text"


def test_an_empty_object_is_an_empty_file_in_every_verb(
    fs: CosFileSystem, tmp_path: Path, mediax_emulator: MediaxEmulator
) -> None:
    path = f"{BUCKET}/in/empty"
    (tmp_path / "empty").touch()
    fs.put(str(tmp_path / "empty"), path)
    fs.copy(path, f"{BUCKET}/in/copy")
    fs.mv(f"{BUCKET}/in/copy", f"{BUCKET}/in/moved")
    fs.get(f"{BUCKET}/in/moved", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b""
    assert (fs.cat_file(path), fs.cat_file(path, 0, 5), fs.open(path).read(), fs.size(path)) == (b"", b"", b"", 0)
    assert fs.cat(f"{BUCKET}/in/*") == {path: b"", f"{BUCKET}/in/moved": b""}


def test_every_write_is_seen_by_the_next_question(fs: CosFileSystem, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"put")
    path, other = f"{BUCKET}/in/a", f"{BUCKET}/in/b"

    def seen() -> dict[str, int]:
        return {entry["name"]: entry["size"] for entry in fs.ls(f"{BUCKET}/in")}

    fs.touch(path)
    assert seen() == {path: 0}
    fs.pipe_file(path, b"piped")
    assert seen() == {path: 5}
    fs.put_file(str(tmp_path / "a"), path)
    assert seen() == {path: 3}
    with fs.open(path, "wb") as file:
        file.write(b"written")
    assert (seen(), fs.info(path)["size"], fs.du(f"{BUCKET}/in")) == ({path: 7}, 7, 7)
    fs.copy(path, other)
    assert seen() == {path: 7, other: 7}
    fs.mv(other, f"{BUCKET}/in/c")
    assert seen() == {path: 7, f"{BUCKET}/in/c": 7}
    fs.rm(f"{BUCKET}/in/c")
    assert seen() == {path: 7}
    fs.rm(f"{BUCKET}/in", recursive=True)
    assert not fs.exists(f"{BUCKET}/in")


def test_threads_share_one_filesystem(fs: CosFileSystem, tmp_path: Path) -> None:
    threads, start = 8, threading.Barrier(8)

    def work(number: int) -> list[str]:
        start.wait()
        folder = f"{BUCKET}/{number}"
        for name in "abc":
            with fs.open(f"{folder}/{name}", "w", encoding="utf-16") as file:
                file.write(f"{number}{name}")
        fs.copy(folder, f"{folder} copy", recursive=True)
        fs.mv(folder, f"{folder} moved", recursive=True)
        fs.get(f"{folder} moved", str(tmp_path / str(number)), recursive=True)
        fs.rm(f"{folder} copy", recursive=True)
        return [content.decode("utf-16") for content in fs.cat(f"{folder} moved", recursive=True).values()]

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(work, range(threads)))
    assert found == [[f"{number}{name}" for name in "abc"] for number in range(threads)]
    assert fs.find(BUCKET) == [f"{BUCKET}/{number} moved/{name}" for number in range(threads) for name in "abc"]
    assert (tmp_path / "7" / "c").read_text("utf-16") == "7c"
