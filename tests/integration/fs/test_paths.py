"""What ``ObjectStoragePath`` can do with ``cos://``, on every Airflow."""

from __future__ import annotations

import errno
from collections.abc import Callable
from importlib.metadata import version

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.fs.cos import CosFileSystem
from tests.integration.fs.conftest import Objects

BUCKET = "music-1250000000"
NAMES = ["a b.wav", "a+b.wav", "50%.wav", "%41.wav", "日本 🎵.wav", "[x].wav", "a*.wav", "why?", "no#1", "a&b=c;d"]
NEW_LIBRARY = version("universal_pathlib") >= "0.3"
"""Airflow 3.1 has the older one, which lacks verbs and cuts a path at its question mark where it joins names."""


@pytest.fixture
def top(fs: CosFileSystem) -> ObjectStoragePath:
    return ObjectStoragePath(f"cos://{BUCKET}")


@pytest.mark.parametrize("name", NAMES)
def test_a_joined_name_is_taken_as_it_stands_in_every_verb(top: ObjectStoragePath, objects: Objects, name: str) -> None:
    path = top / name
    path.write_text("text")
    path.touch()
    assert (path.exists(), path.is_file(), path.is_dir(), path.name) == (True, True, False, name)
    assert path.stat().st_size == (0 if objects()[name] == "" else 4)
    path.write_bytes(b"again")
    path.copy(top / "copy")
    path.rename(top / "renamed")
    assert objects() == {"copy": "again", "renamed": "again"}
    (top / "renamed").replace(top / name)
    (top / "copy").move(top / "moved")
    assert objects() == {name: "again", "moved": "again"}
    path.unlink()
    assert objects() == {"moved": "again"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_missing(
    top: ObjectStoragePath, mediax_emulator: MediaxEmulator, objects: Objects, name: str
) -> None:
    for other in ("x.wav", "ab.wav", "why!"):
        mediax_emulator.put_object(other, b"")
    before, path = objects(), top / name
    assert not path.exists()
    path.unlink(missing_ok=True)
    for act in (path.unlink, path.stat, path.read_bytes, lambda: path.rename(top / "renamed")):
        with pytest.raises(FileNotFoundError):
            act()
    assert objects() == before


def test_errors_have_number_and_name(top: ObjectStoragePath) -> None:
    (top / "in" / "a").write_text("text")
    cases: list[tuple[Callable[[ObjectStoragePath], object], ObjectStoragePath, int]] = [
        (ObjectStoragePath.read_bytes, top / "missing", errno.ENOENT),
        (ObjectStoragePath.stat, top / "missing", errno.ENOENT),
        (ObjectStoragePath.read_bytes, top / "in", errno.EISDIR),
        (ObjectStoragePath.unlink, top / "in", errno.EISDIR),
        (lambda path: path.open("xb"), top / "in" / "a", errno.EEXIST),
        (ObjectStoragePath.rmdir, top, errno.EPERM),
    ]
    for act, path, code in cases:
        with pytest.raises(OSError, match="cos://") as caught:
            act(path)
        assert (caught.value.errno, "cos://" in str(caught.value.filename)) == (code, True)


@pytest.mark.parametrize("name", ["[x]", "5* hits", "plain"])
def test_a_folder_is_walked_and_searched_by_its_name(
    top: ObjectStoragePath, mediax_emulator: MediaxEmulator, name: str
) -> None:
    for key in (f"{name}/a.wav", f"{name}/cd/[b].wav", f"{name}/cd/c.txt", "x/other.wav", "5 best hits/other.wav"):
        mediax_emulator.put_object(key, key.encode())
    folder = top / name
    assert sorted(path.name for path in folder.iterdir()) == ["a.wav", "cd"]
    assert [path.read_text() for path in folder.glob("*.wav")] == [f"{name}/a.wav"]
    assert sorted(path.read_text() for path in folder.rglob("*.wav")) == [f"{name}/a.wav", f"{name}/cd/[b].wav"]
    assert sorted(path.name for path in folder.glob("**/*")) == ["[b].wav", "a.wav", "c.txt", "cd"]
    assert [path.read_text() for path in folder.rglob("c.*")] == [f"{name}/cd/c.txt"]
    assert [path.name for path in top.rglob("[[]b].wav")] == ["[b].wav"]
    folder.rmdir()
    assert mediax_emulator.object_keys() == sorted({"x/other.wav", "5 best hits/other.wav"})


@pytest.mark.skipif(not NEW_LIBRARY, reason="the path library of Airflow 3.1 gives the filesystem one text for both")
@pytest.mark.parametrize("name", ["[x]", "why?", "5* hits"])
def test_a_folder_that_is_gone_is_no_pattern(
    top: ObjectStoragePath, mediax_emulator: MediaxEmulator, name: str
) -> None:
    for key in ("x/a/b", "why!/a/b", "5 best hits/a/b"):
        mediax_emulator.put_object(key, b"")
    for found in ((top / name).glob("*"), (top / name).rglob("*"), (top / name / "a").glob("*")):
        assert list(found) == []


@pytest.mark.skipif(not NEW_LIBRARY, reason="the path library of Airflow 3.1 has no such verbs")
def test_objects_and_folders_go_into_folders(top: ObjectStoragePath, objects: Objects) -> None:
    (top / "in" / "[x]" / "a").write_text("text")
    (top / "there" / "b").write_text("b")
    (top / "in" / "[x]" / "a").copy_into(top / "there")
    (top / "in" / "[x]").copy_into(top / "there", recursive=True)
    (top / "there" / "b").move_into(top / "in")
    expected = {"in/[x]/a": "text", "in/b": "b", "there/a": "text", "there/[x]/a": "text"}
    assert objects() == expected
    assert [(path.name, folders, files) for path, folders, files in (top / "in").walk()] == [
        ("in", ["[x]"], ["b"]),
        ("[x]", [], ["a"]),
    ]


def test_folders_are_moved_whole_where_that_is_asked(top: ObjectStoragePath, objects: Objects) -> None:
    (top / "in" / "[x]" / "a").write_text("text")
    for move in (ObjectStoragePath.move, ObjectStoragePath.rename):
        with pytest.raises(IsADirectoryError):
            move(top / "in", top / "out")
    (top / "in").move(top / "out", recursive=True)
    assert objects() == {"out/[x]/a": "text"}


def test_a_question_mark_or_hash_is_cut_off_at_the_end_of_an_address_only(
    top: ObjectStoragePath, mediax_emulator: MediaxEmulator
) -> None:
    """As the documentation says, so that it is corrected when Airflow is."""
    for key in ("why?", "why#", "why?not#1"):
        mediax_emulator.put_object(key, b"whole")
    mediax_emulator.put_object("why", b"cut")
    for name in ("why?", "why#", "why?not#1"):
        assert (top / name).read_bytes() == b"whole"
    assert ObjectStoragePath(f"cos://{BUCKET}/why?not#1").read_bytes() == b"whole"
    for address in ("why?", "why#"):
        assert ObjectStoragePath(f"cos://{BUCKET}/{address}").read_bytes() == b"cut"
