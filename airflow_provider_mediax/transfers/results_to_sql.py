"""Lands what jobs have found in a table: a row per tag, line or file, and none twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_mediax.arguments import as_bool, as_choice, as_int, as_object, as_text, is_absent, parsed_literal
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators.failures import explained

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.sdk import XComArg

    from airflow_provider_mediax.transfers.sources import Source
    from airflow_provider_mediax.transfers.tables import Table

T = TypeVar("T")

LOADS_AGAIN = "The table is as it was. The next try of this task loads everything again."
"""What follows an error that may pass."""

METADATA = "meta_"
"""What the columns of an item's metadata begin with."""

MOST_ROWS_PER_STATEMENT = 100_000
"""More would hold too much memory at once."""


class Loaded(TypedDict):
    """What a load has done: how many items and rows were written to which table."""

    table: str
    items: int
    rows: int


class MediaxResultsToSqlOperator(BaseOperator):
    """
    Loads results into a table of any database that Airflow has an SQL connection for, in one transaction.

    A retry, a clear, a backfill or a run by hand doubles no row, and an item that has fewer rows than before keeps none
    of its old ones. An error leaves the table as it was.

    :param manifests: what job operators, job sensors and batches have returned, or addresses of files of rows
        (``.jsonl``, ``.parquet``) on any storage that Airflow knows; one or a list of them. None in a list is left out.
    :param sql_conn_id: connection of the database.
    :param table: name of the table, with its schema if need be.
    :param mediax_conn_id: connection of type ``mediax``, which opens ``cos://`` addresses.
    :param create_table: make the table unless there is one.
    :param mode: ``replace`` keeps the newest result of each item, whichever task has loaded it. ``history`` keeps those
        of earlier task instances beside them, and replaces what the same task instance has found before.
    :param load_key: in ``history``, stands in place of the task instance: ``"{{ ds }}"`` keeps one result a day.
    :param rows_per_statement: rows that are held and sent at once.
    :param columns: names that columns have in the table, by the names they have here; the others are not written. By
        default all are, under their own names. The columns of keys are always written; ``meta_<name>``, an item's
        metadata in a batch, is written only if it is named.
    :param kwargs: arguments of Airflow's ``BaseOperator``.
    """

    template_fields: Sequence[str] = (
        "manifests",
        "sql_conn_id",
        "table",
        "mediax_conn_id",
        "create_table",
        "mode",
        "load_key",
        "rows_per_statement",
        "columns",
    )
    ui_color = "#d6ecf3"

    def __init__(
        self,
        *,
        manifests: dict[str, Any] | str | XComArg | Sequence[dict[str, Any] | str | XComArg | None],
        sql_conn_id: str,
        table: str,
        mediax_conn_id: str = "mediax_default",
        create_table: bool = False,
        mode: Literal["replace", "history"] = "replace",
        load_key: str | None = None,
        rows_per_statement: int = 1000,
        columns: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifests = manifests
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.mediax_conn_id = mediax_conn_id
        self.create_table = create_table
        self.mode = mode
        self.load_key = load_key
        self.rows_per_statement = rows_per_statement
        self.columns = columns

    def execute(self, context: Context) -> Loaded:
        """
        Load everything.

        :raises BadRequest: an argument breaks a rule, or the table lacks columns.
        :raises LoadFailed: the database refuses something or cannot be reached.
        """
        with explained(self.log, if_retried=LOADS_AGAIN):
            return self._load()

    def _load(self) -> Loaded:
        create = as_bool("create_table", self.create_table, False)
        history = as_choice("mode", self.mode, ("replace", "history")) == "history"
        size = as_int("rows_per_statement", self.rows_per_statement)
        if not 1 <= size <= MOST_ROWS_PER_STATEMENT:
            rule = f"it must be from 1 to {MOST_ROWS_PER_STATEMENT:,}."
            raise BadRequest.field("rows_per_statement", size, rule)
        sources = self._sources(history)
        table = self._table(sources)
        loaded = Loaded(table=table.name, items=0, rows=0)
        if not any(source.capabilities for source in sources):
            self.log.info("There is nothing to load into %(table)s", loaded)
            return loaded  # nor is it known which columns a table would need
        if create:
            with table.opened() as cursor:
                table.create(cursor, (*(["load_id"] if history else []), "item_key", "row_no"))
        with table.opened() as cursor:
            table.require_columns(cursor)
            for source in sources:
                items, rows = self._replace(table, cursor, source, "load_id" if history else "item_key", size)
                loaded["items"] += items
                loaded["rows"] += rows
        self.log.info("Loaded %(rows)s rows of %(items)s items into %(table)s", loaded)
        return loaded

    @staticmethod
    def _replace(table: Table, cursor: Any, source: Source, column: str, size: int) -> tuple[int, int]:
        """Delete what a source replaces, all of it before its first row comes; return numbers of items and rows."""
        from airflow_provider_mediax.transfers.sources import cells
        from airflow_provider_mediax.transfers.tables import KEYS_PER_STATEMENT

        items = rows = 0
        for keys in _chunks(source.replaced(), KEYS_PER_STATEMENT):
            items += len(keys)
            table.delete(cursor, column, sorted({getattr(key, column) for key in keys}))
        for chunk in _chunks(source.rows(), size):
            table.insert(cursor, [cells(row, table.written) for row in chunk])
            rows += len(chunk)
        return items, rows

    def _sources(self, history: bool) -> list[Source]:
        """
        Return what was given, in its order.

        :raises BadRequest: something is neither a manifest nor the address of rows.
        """
        from airflow_provider_mediax.transfers.sources import Batch, Keys, Manifests, Parts

        load_key = as_text("load_key", self.load_key)
        if load_key is not None and not history:
            raise BadRequest.field("load_key", load_key, "it is for mode='history' alone.")
        keys, conn_id = Keys(load_key), self.mediax_conn_id
        given = parsed_literal(self.manifests)
        several = [given] if isinstance(given, (str, Mapping)) else given
        if not isinstance(several, Sequence):
            raise BadRequest.field("manifests", given, "it must be a manifest, an address of rows, or a list of them.")
        manifests: list[Mapping[str, Any]] = []
        addresses: list[str] = []
        sources: list[Source] = []
        for one in several:
            if isinstance(one, Mapping) and {"capability", "parts", "outcome"} <= set(one):
                sources.append(Batch(one, keys, conn_id=conn_id))
            elif isinstance(one, Mapping):
                manifests.append(one)
            elif isinstance(one, str) and not is_absent(one):
                addresses.append(one)
            elif one is not None:
                raise BadRequest.field("manifests", one, "it must be a manifest, a batch or an address of rows.")
        if manifests:
            sources.append(Manifests(manifests, keys, conn_id=conn_id, log=self.log))
        if addresses:
            sources.append(Parts(addresses, keys, conn_id=conn_id))
        return sources

    def _table(self, sources: Sequence[Source]) -> Table:
        from airflow_provider_mediax.protocol.rows import LOADED
        from airflow_provider_mediax.transfers.sources import columns_of
        from airflow_provider_mediax.transfers.tables import TABLES, Table

        name = as_text("table", self.table)
        if name is None:
            raise BadRequest.field("table", self.table, "it must name a table.")
        columns = columns_of(capability for source in sources for capability in source.capabilities)
        names = {name: name for name in columns}
        if not is_absent(self.columns) and (given := as_object("columns", self.columns)):
            columns |= {name: "text" for name in given if name.startswith(METADATA)}
            if unknown := sorted(set(given) - set(columns)):
                rule = f"the rows have no column {', '.join(unknown)}; they have {', '.join(columns)} and {METADATA}*."
                raise BadRequest.field("columns", given, rule)
            keys = [column.name for column in LOADED if column.name != "item_id"]
            names = {name: str(given.get(name, name)) for name in columns if name in given or name in keys}
        hook = self._hook()
        return TABLES.get(hook.conn_type, Table)(hook, name, columns, names)

    def _hook(self) -> DbApiHook:
        from airflow.providers.common.compat.sdk import BaseHook
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        hook = BaseHook.get_connection(self.sql_conn_id).get_hook()
        if not isinstance(hook, DbApiHook):
            rule = f"it must be a connection to an SQL database, and its hook is {type(hook).__name__}."
            raise BadRequest.field("sql_conn_id", self.sql_conn_id, rule)
        return hook


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of so many items; the last may be shorter."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
