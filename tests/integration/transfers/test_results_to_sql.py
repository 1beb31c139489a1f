"""Loads into real databases: each promise on SQLite, PostgreSQL and DuckDB."""

from __future__ import annotations

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from tests.integration.transfers.conftest import Load
from tests.integration.transfers.databases import Warehouse
from tests.manifests import lyrics, owner, tags

A, B = "cos://music-1250000000/in/a.mp3", "cos://music-1250000000/in/b.mp3"
FOUND = "SELECT input, dimension, label FROM tags ORDER BY input, dimension, label"


def test_a_manifest_becomes_rows_of_the_right_types(warehouse: Warehouse, load: Load) -> None:
    assert load(tags({"mood": "Exciting", "genre": "Rock"})) == {"table": "tags", "items": 1, "rows": 2}
    columns = "dag_id, run_id, task_id, map_index, job_id, input, capability, schema_version, item_id, row_no"
    assert warehouse.query(f"SELECT {columns}, dimension, label, probability FROM tags ORDER BY row_no") == [
        ("night", "r1", "tags", -1, "job-1", A, "musicTagV2", 1, None, 0, "mood", "Exciting", 0.5),
        ("night", "r1", "tags", -1, "job-1", A, "musicTagV2", 1, None, 1, "genre", "Rock", 0.5),
    ]


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
@pytest.mark.parametrize("newest", [True, False], ids=["psycopg 3", "psycopg 2"])
def test_both_drivers_of_postgresql_copy(
    warehouse: Warehouse, load: Load, monkeypatch: pytest.MonkeyPatch, newest: bool
) -> None:
    monkeypatch.setattr("airflow.providers.postgres.hooks.postgres.USE_PSYCOPG3", newest)
    load(lyrics(["", "a\tb\n\\N", "天空 🎵"]))
    load(lyrics(["", "a\tb\n\\N", "天空 🎶"], job="job-2"))
    assert warehouse.query("SELECT text FROM tags ORDER BY line") == [("",), ("a\tb\n\\N",), ("天空 🎶",)]


def test_a_rerun_that_finds_fewer_rows_leaves_none_of_the_old(warehouse: Warehouse, load: Load) -> None:
    load([tags({"mood": "Sad", "genre": "Rock"}), tags({"mood": "Calm"}, track=B)])
    load(tags({"genre": "Pop"}, job="job-2"))
    assert warehouse.query(FOUND) == [(A, "genre", "Pop"), (B, "mood", "Calm")]
    load(tags({}, job="job-3"))
    assert warehouse.query(FOUND) == [(B, "mood", "Calm")], "an item that finds nothing has no rows"


@pytest.mark.parametrize("run", ["r1", "manual__2026-11-26", "backfill__2026-11-20"])
def test_the_newest_result_of_a_track_counts_whoever_loads_it(warehouse: Warehouse, load: Load, run: str) -> None:
    """A retry and a clear are of the same run; a run by hand and a backfill are others."""
    load([tags({"mood": "Sad"}), tags({"mood": "Calm"}, track=B)])
    load(tags({"mood": "Happy"}, of=owner(run), job="job-2"))
    assert warehouse.query(FOUND) == [(A, "mood", "Happy"), (B, "mood", "Calm")]


def test_history_keeps_other_runs_and_replaces_its_own(warehouse: Warehouse, load: Load) -> None:
    for run in ("r1", "r2"):
        load([tags({"mood": "Sad", "genre": "Rock"}, of=owner(run))], mode="history")
    load(tags({"mood": "Calm"}, of=owner("r2"), job="job-2"), mode="history")
    found = "SELECT run_id, dimension, label FROM tags ORDER BY run_id, dimension"
    assert warehouse.query(found) == [("r1", "genre", "Rock"), ("r1", "mood", "Sad"), ("r2", "mood", "Calm")]


def test_a_load_key_stands_for_a_day_whatever_the_run(warehouse: Warehouse, load: Load) -> None:
    for day, run, label in (("1", "r1", "Sad"), ("1", "manual", "Calm"), ("2", "r2", "Happy")):
        load(tags({"mood": label}, of=owner(run)), mode="history", load_key=f"2026-11-0{day}")
    assert warehouse.query("SELECT run_id, label FROM tags ORDER BY run_id") == [("manual", "Calm"), ("r2", "Happy")]


def test_capabilities_in_one_table_do_not_touch_each_other(warehouse: Warehouse, load: Load) -> None:
    load([tags({"mood": "Sad"}), lyrics(["la", "le"])])
    load(lyrics(["lo"], job="job-2"))
    found = "SELECT capability, label, text FROM tags ORDER BY capability, text"
    assert warehouse.query(found) == [("musicASR", None, "lo"), ("musicTagV2", "Sad", None)]


def test_a_table_that_is_missing_is_refused(load: Load, warehouse: Warehouse) -> None:
    with pytest.raises(BadRequest, match="there is no such table"):
        load(tags({"mood": "Sad"}), create_table=False)
