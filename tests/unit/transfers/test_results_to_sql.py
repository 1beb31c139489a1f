"""What a load refuses before it opens a database, and the tables that it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators import failures
from airflow_provider_mediax.transfers.results_to_sql import MediaxResultsToSqlOperator
from airflow_provider_mediax.transfers.tables import Table
from tests.manifests import tags


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, kind in (("MUSIC", "sqlite"), ("WEB", "mediax")):
        connection = {"conn_type": kind, "host": str(tmp_path / "music.sqlite")}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))


def load(manifests: Any, **arguments: Any) -> Any:
    given = {"sql_conn_id": "music", "table": "tags", "create_table": True, **arguments}
    return MediaxResultsToSqlOperator(task_id="load", manifests=manifests, **given).execute({})


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"mode": "append"}, r"mode='append'"),
        ({"rows_per_statement": 0}, r"rows_per_statement=0 is refused: it must be from 1 to 100,000"),
        ({"rows_per_statement": "many"}, r"rows_per_statement='many'"),
        ({"load_key": "2026"}, r"load_key='2026' is refused: it is for mode='history' alone"),
        ({"table": ""}, r"table='' is refused"),
        ({"create_table": "perhaps"}, r"create_table='perhaps'"),
        ({"columns": {"colour": "c"}}, r"the rows have no column colour; they have item_key, row_no"),
        ({"sql_conn_id": "web"}, r"sql_conn_id='web' is refused: .* its hook is MediaxHook"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_argument_that_breaks_its_rule_fails_the_task_for_good(arguments: dict[str, Any], rule: str) -> None:
    with pytest.raises(failures.BadRequest, match=rule):
        load(tags({"mood": "Sad"}), **arguments)


@pytest.mark.parametrize("given", [3, [3], {"schema": 1}, "rows.csv", "neither", [tags({}), "s3://b/rows.txt"]])
def test_what_is_neither_manifest_nor_rows_is_refused(given: Any) -> None:
    with pytest.raises(BadRequest, match=r"manifests?="):
        load(given)


def test_a_rendered_manifest_and_rendered_arguments_are_read() -> None:
    given = {"create_table": "True", "rows_per_statement": "10", "columns": '{"label": "tag"}', "mode": "replace"}
    assert load(str([tags({"mood": "Sad"}), None]), **given) == {"table": "tags", "items": 1, "rows": 1}


def test_nothing_to_load_is_no_error() -> None:
    assert load([None]) == {"table": "tags", "items": 0, "rows": 0}


class Hook(DbApiHook):
    """The hook of a database that is not here."""

    conn_name_attr = "conn_id"

    def __init__(self, dialect: str) -> None:
        super().__init__()
        self.dialect_name = dialect


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        (
            "mysql",
            "CREATE TABLE IF NOT EXISTS `order`.tags (item_key VARCHAR(32), row_no BIGINT, label LONGTEXT, "
            "`select` DOUBLE, UNIQUE (item_key, row_no))",
        ),
        (
            "postgresql",
            'CREATE TABLE IF NOT EXISTS "order".tags (item_key VARCHAR(32), row_no BIGINT, label TEXT, '
            '"select" DOUBLE PRECISION, UNIQUE (item_key, row_no))',
        ),
        (
            "of a database that SQLAlchemy does not know",
            'CREATE TABLE IF NOT EXISTS "order".tags (item_key VARCHAR(32), row_no BIGINT, label TEXT, '
            '"select" DOUBLE, UNIQUE (item_key, row_no))',
        ),
    ],
    ids=lambda value: value.partition(" ")[0],
)
def test_names_and_types_are_those_of_the_dialect(dialect: str, statement: str) -> None:
    columns = {"item_key": "text", "row_no": "integer", "label": "text", "probability": "number"}
    names = {**dict(zip(columns, columns, strict=True)), "probability": "select"}
    assert Table(Hook(dialect), "order.tags", columns, names).definition(["item_key", "row_no"]) == statement
