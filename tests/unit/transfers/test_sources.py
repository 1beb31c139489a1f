"""What a load is given, as keys and rows."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.results import Row, schema
from airflow_provider_mediax.transfers.sources import Keys, Manifests, Parts, cells, columns_of
from tests.manifests import lyrics, manifest, owner, tags

LOG = logging.getLogger(__name__)


def loaded(*manifests: Any, keys: Keys | None = None) -> Manifests:
    return Manifests(manifests, keys or Keys(), conn_id="mediax_default", log=LOG)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes rows into a file of lines and returns its address."""

    def write(*rows: object, name: str = "rows.jsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(row if isinstance(row, str) else f"{json.dumps(row)}\n" for row in rows))
        return f"file://{path}"

    return write


def row(item: str, **more: Any) -> Row:
    return {"capability": "musicASR", "job_id": f"job-{item}", "item_id": item, "input": None, **more}


def test_the_same_item_has_the_same_key_whatever_the_job_and_the_run() -> None:
    first, second = (loaded(tags({}, of=owner(run), job=run)) for run in ("r1", "r2"))
    assert [key.item_key for key in first.replaced()] == [key.item_key for key in second.replaced()]
    assert [key.load_id for key in first.replaced()] != [key.load_id for key in second.replaced()]


@pytest.mark.parametrize(
    "other",
    [lyrics([], of=owner()), tags({}, track="cos://music-1250000000/in/b.mp3"), tags({}, track=None)],
    ids=["capability", "input", "none"],
)
def test_another_item_has_another_key(other: Any) -> None:
    assert len({key.item_key for key in loaded(tags({}), other).replaced()}) == 2


def test_jobs_without_an_input_stand_for_themselves() -> None:
    songs = [manifest("musicCompose", {"songName": "a.mp3"}, of=owner(), track=None, job=job) for job in ("1", "2")]
    assert len({key.item_key for key in loaded(*songs).replaced()}) == 2


def test_jobs_without_an_owner_share_no_load() -> None:
    unowned = [tags({}, of=None, job=job, track=f"cos://music-1250000000/{job}") for job in ("1", "2")]
    assert len({key.load_id for key in loaded(*unowned).replaced()}) == 2


def test_an_id_that_reads_like_an_address_is_no_address() -> None:
    by_id, by_input = ({"capability": "c", "job_id": "j", name: "x"} for name in ("item_id", "input"))
    assert Keys().of(by_id).item_key != Keys().of(by_input).item_key


def test_a_load_key_stands_for_every_owner() -> None:
    keys = Keys("2026-11-26")
    found = {key.load_id for run in ("r1", "r2") for key in loaded(tags({}, of=owner(run)), keys=keys).replaced()}
    assert len(found) == 1


def test_of_two_results_for_one_item_the_later_counts_and_both_are_named(caplog: pytest.LogCaptureFixture) -> None:
    both = loaded(tags({"mood": "Sad"}, job="job-1"), tags({"mood": "Calm"}, job="job-2"))
    assert [row["label"] for row in both.rows()] == ["Calm"]
    assert "job-1 and job-2" in caplog.text


def test_a_job_that_has_not_succeeded_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"job job-1, PROCESSING.*must have succeeded"):
        loaded(tags({}, state="PROCESSING"))


def test_rows_of_an_item_are_numbered_in_their_order(file: Callable[..., str]) -> None:
    address = file(row("a", text="1"), row("a", text="2"), row("b", text="3"))
    found = list(Parts([address], Keys(), conn_id="mediax_default").rows())
    assert [(row["item_id"], row["row_no"], row["text"]) for row in found] == [
        ("a", 0, "1"),
        ("a", 1, "2"),
        ("b", 0, "3"),
    ]


def test_a_file_yields_one_key_for_an_item(file: Callable[..., str]) -> None:
    parts = Parts([file(row("a"), row("a"), row("b")), file(row("b"), name="2.jsonl")], Keys(), conn_id="x")
    assert len(list(parts.replaced())) == 2
    assert parts.capabilities == {"musicASR"}


@pytest.mark.parametrize("line", ['{"capability": "c"}', "[1]", "cut {", '{"job_id": "j"}'])
def test_a_line_that_is_no_row_is_refused_with_its_number(file: Callable[..., str], line: str) -> None:
    with pytest.raises(BadRequest, match=r"rows\.jsonl.*row 2 must be an object"):
        list(Parts([file(row("a"), f"{line}\n")], Keys(), conn_id="x").rows())


def test_a_file_with_rows_of_another_capability_is_refused(file: Callable[..., str]) -> None:
    with pytest.raises(BadRequest, match=r"'musicBeat' is refused: a file must have the rows of one capability"):
        list(Parts([file(row("a"), row("b", capability="musicBeat"))], Keys(), conn_id="x").replaced())


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"ends in \.jsonl or \.parquet"):
        Parts(["file:///tmp/rows.csv"], Keys(), conn_id="x")


def test_rows_of_parquet_are_those_of_lines(file: Callable[..., str], tmp_path: Path) -> None:
    parquet, pyarrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    rows = [row("a", text="🎵", start_s=0.5), row("a", text=None, start_s=None)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    addresses = [file(*rows), f"file://{tmp_path / 'rows.parquet'}"]
    lines, columns = (list(Parts([address], Keys(), conn_id="x").rows()) for address in addresses)
    assert lines == columns


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("a\0b\0", "ab"),
        ("🎵 é", "🎵 é"),
        ("\ud83c!", "?!"),
        (math.nan, None),
        (-math.inf, None),
        (0.1, 0.1),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (True, 1),
        (None, None),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_a_value_is_as_every_database_takes_it(value: object, cell: object) -> None:
    (found,) = cells(row("a", text=value), ["text"])
    assert (found, type(found)) == (cell, type(cell))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_a_whole_number_beyond_64_bits_is_refused_with_item_and_column(value: int) -> None:
    with pytest.raises(BadRequest, match=r"line=.*64 bits \(item a\)"):
        cells(row("a", line=value), ["line"])


def test_columns_are_those_of_the_keys_and_of_the_schema() -> None:
    found = columns_of(["musicASR"])
    assert list(found)[:4] == ["item_key", "row_no", "load_id", "item_id"]
    assert {column.name: column.type for column in schema("musicASR").columns}.items() <= found.items()
