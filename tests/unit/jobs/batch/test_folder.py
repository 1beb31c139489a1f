"""The folder of a batch: files that are created once, written whole, and read again by their names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest, Unavailable
from airflow_provider_mediax.hooks.batch_folder import StorageFolder
from airflow_provider_mediax.jobs.batch.folder import Entry, Store
from airflow_provider_mediax.jobs.batch.ledger import Names
from tests.unit.jobs.batch.world import FakeFolder
from tests.unit.jobs.virtual_time import in_virtual_time, now


@pytest.fixture
def folder(tmp_path: Path) -> StorageFolder:
    return StorageFolder(f"file://{tmp_path}/a b/[x]")


def test_a_name_is_created_once_whoever_asks(folder: StorageFolder) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda number: folder.create("chunks/0.intent", str(number).encode()), range(40)))
    assert created.count(True) == 1
    assert folder.read("chunks/0.intent") == str(created.index(True)).encode()


def test_files_are_listed_by_their_names_below_the_folder(folder: StorageFolder) -> None:
    assert folder.entries("chunks") == []
    folder.write("chunks/1.jobs", b"1")
    folder.write("plan.json", b"{}")
    assert [entry.name for entry in folder.entries("chunks")] == ["chunks/1.jobs"]
    assert sorted(entry.name for entry in folder.entries("")) == ["chunks/1.jobs", "plan.json"]
    assert all(entry.modified for entry in folder.entries(""))
    assert list(folder.names()) == ["chunks"]
    folder.delete(["chunks/1.jobs", "chunks/2.jobs"])
    assert [entry.name for entry in folder.entries("")] == ["plan.json"]


def test_a_missing_file_is_missing(folder: StorageFolder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.read("plan.json")


def direct(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do blocking work at once, for folders in memory."""

    async def done() -> Any:
        return work(*arguments)

    return done()


@in_virtual_time
async def test_an_outage_of_two_minutes_is_borne_and_a_longer_one_is_told() -> None:
    memory = FakeFolder()
    store = Store(memory, direct)
    memory.fails_until = now() + 100.0
    await store.write("plan.json", {"a": 1})
    assert (await store.read("plan.json") or {})["a"] == 1
    memory.fails_until = now() + 1000.0
    with pytest.raises(Unavailable):
        await store.read("plan.json")


@in_virtual_time
async def test_a_create_whose_answer_was_lost_is_known_as_ones_own() -> None:
    memory = FakeFolder()
    store = Store(memory, direct)
    create = memory.create
    lost = iter([True])

    def losing(name: str, data: bytes) -> bool:
        created = create(name, data)
        if next(lost, False):
            raise OSError("the answer was lost")
        return created

    memory.create = losing  # type: ignore[method-assign]
    assert await store.create("plan.json", {"token": "mine"})
    assert not await store.create("plan.json", {"token": "another"})


def test_what_is_damaged_or_of_a_later_version_is_refused_by_its_name() -> None:
    memory = FakeFolder()
    store = Store(memory, direct)
    for content in (b"{", b"[]", b'{"schema": 99}'):
        memory.files["plan.json"] = content
        memory.written_at["plan.json"] = 0.0
        with pytest.raises(BadRequest, match=r"plan\.json cannot be read"):
            asyncio.run(store.read("plan.json"))


def test_the_names_of_the_ledger_say_which_chunks_there_are() -> None:
    names = Names.read(
        Entry(f"chunks/{name}", float(moment))
        for moment, name in enumerate(
            [
                *("000000.00.intent", "000000.p1.0.jobs", "000000.done"),
                *("000001.00.intent", "000001.01.intent", "000001.p1.0.jobs", "000001.p2.3.jobs"),
                *("000123.00.intent", "other.txt", ".x.part"),
            ]
        )
    )
    assert names.waves == {0: [0], 1: [0, 1], 123: [0]}
    assert names.jobs == {0: ["chunks/000000.p1.0.jobs"], 1: ["chunks/000001.p1.0.jobs", "chunks/000001.p2.3.jobs"]}
    assert names.done == {0}
    assert names.written == {0: 0.0, 1: 4.0, 123: 7.0}
    assert names.next_number == 124
