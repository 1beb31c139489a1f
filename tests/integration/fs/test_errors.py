"""What cannot be done is said the way that files say it: with the class, ``errno`` and ``filename``."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.fs.cos import CosFileSystem
from tests.integration.fs.conftest import Act, Objects

BUCKET = "music-1250000000"
MISSING, FILE, FOLDER = f"{BUCKET}/missing", f"{BUCKET}/in/a", f"{BUCKET}/in"
NO_BUCKET = "nobody-1250000000/a"
EXPECTED = {
    errno.ENOENT: FileNotFoundError,
    errno.EISDIR: IsADirectoryError,
    errno.EEXIST: FileExistsError,
    errno.EPERM: PermissionError,
}


@pytest.fixture(autouse=True)
def one_file(mediax_emulator: MediaxEmulator) -> None:
    mediax_emulator.put_object("in/a", b"content")


CASES: dict[str, tuple[int, str, Act]] = {
    "info": (errno.ENOENT, MISSING, lambda fs, path: fs.info(path)),
    "ls": (errno.ENOENT, MISSING, lambda fs, path: fs.ls(path)),
    "ls of no bucket": (errno.ENOENT, "nobody-1250000000", lambda fs, path: fs.ls(path)),
    "size": (errno.ENOENT, MISSING, lambda fs, path: fs.size(path)),
    "cat": (errno.ENOENT, MISSING, lambda fs, path: fs.cat(path)),
    "cat of a range": (errno.ENOENT, MISSING, lambda fs, path: fs.cat_file(path, 0, 1)),
    "open": (errno.ENOENT, MISSING, lambda fs, path: fs.open(path)),
    "modified": (errno.ENOENT, MISSING, lambda fs, path: fs.modified(path)),
    "checksum": (errno.ENOENT, MISSING, lambda fs, path: fs.checksum(path)),
    "copy": (errno.ENOENT, MISSING, lambda fs, path: fs.copy(path, f"{BUCKET}/b")),
    "mv": (errno.ENOENT, MISSING, lambda fs, path: fs.mv(path, f"{BUCKET}/b")),
    "rm": (errno.ENOENT, MISSING, lambda fs, path: fs.rm(path)),
    "recursive rm": (errno.ENOENT, MISSING, lambda fs, path: fs.rm(path, recursive=True)),
    "get": (errno.ENOENT, MISSING, lambda fs, path: fs.get(path, "/tmp/never-written")),
    "get_file": (errno.ENOENT, MISSING, lambda fs, path: fs.get_file(path, "/tmp/never-written")),
    "pipe into no bucket": (errno.ENOENT, NO_BUCKET, lambda fs, path: fs.pipe_file(path, b"")),
    "write into no bucket": (errno.ENOENT, NO_BUCKET, lambda fs, path: fs.open(path, "wb").close()),
    "copy into no bucket": (errno.ENOENT, NO_BUCKET, lambda fs, path: fs.copy(FILE, path)),
    "folder into no bucket": (errno.ENOENT, NO_BUCKET, lambda fs, path: fs.copy(FOLDER, path[:-2], recursive=True)),
    "cat of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.cat(path)),
    "cat_file of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.cat_file(path)),
    "range of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.cat_file(path, 0, 1)),
    "open of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.open(path)),
    "modified of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.modified(path)),
    "checksum of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.checksum(path)),
    "rm of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.rm(path)),
    "mv of a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.mv(path, f"{BUCKET}/b")),
    "mv of a list with a folder": (errno.EISDIR, FOLDER, lambda fs, path: fs.mv([path], [f"{BUCKET}/b"])),
    "write of a bucket": (errno.EISDIR, BUCKET, lambda fs, path: fs.open(path, "wb")),
    "touch of a bucket": (errno.EISDIR, BUCKET, lambda fs, path: fs.touch(path)),
    "sign of a bucket": (errno.EISDIR, BUCKET, lambda fs, path: fs.sign(path)),
    "exclusive open": (errno.EEXIST, FILE, lambda fs, path: fs.open(path, "xb")),
    "exclusive pipe": (errno.EEXIST, FILE, lambda fs, path: fs.pipe_file(path, b"", mode="create")),
    "rm of a bucket": (errno.EPERM, BUCKET, lambda fs, path: fs.rm(path, recursive=True)),
    "mv of a bucket": (errno.EPERM, BUCKET, lambda fs, path: fs.mv(path, f"{BUCKET}/b", recursive=True)),
    "rmdir of a bucket": (errno.EPERM, BUCKET, lambda fs, path: fs.rmdir(path)),
}


@pytest.mark.parametrize(("code", "path", "act"), CASES.values(), ids=CASES)
def test_an_error_is_that_of_files_with_number_and_name(
    fs: CosFileSystem, objects: Objects, code: int, path: str, act: Act
) -> None:
    with pytest.raises(EXPECTED[code]) as caught:
        act(fs, path)
    assert caught.value.errno == code
    assert caught.value.filename.rstrip("/") == f"cos://{path}"
    assert objects() == {"in/a": "content"}


def test_a_local_file_that_is_missing_is_named(fs: CosFileSystem, tmp_path: Path) -> None:
    for put in (fs.put, fs.put_file):
        with pytest.raises(FileNotFoundError) as caught:
            put(str(tmp_path / "missing"), f"{BUCKET}/b")
        assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(tmp_path / "missing"))


def test_a_second_rm_of_a_name_removes_nothing_more(
    fs: CosFileSystem, mediax_emulator: MediaxEmulator, objects: Objects
) -> None:
    """Also where object and folder have the same name."""
    mediax_emulator.put_object("in", b"object")
    fs.rm(FOLDER)
    assert objects() == {"in/a": "content"}
    with pytest.raises(IsADirectoryError):
        fs.rm(FOLDER)
    assert objects() == {"in/a": "content"}
