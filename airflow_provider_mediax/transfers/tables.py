"""A table in a database, written in one transaction: as every database takes it, or in a faster way of its own."""

from __future__ import annotations

import csv
import io
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_mediax.exceptions import BadRequest, LoadFailed
from airflow_provider_mediax.protocol.urls import shown_line

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from sqlalchemy.engine.interfaces import Dialect

Cells: TypeAlias = Sequence[str | int | float | None]

KEYS_PER_STATEMENT = 500
"""Keys that one DELETE names: Oracle takes 1,000, SQL Server 2,100."""

LONG_ROW = 1 << 20
"""Bytes of a row that DuckDB is made ready for, more only where there is a longer one: its buffer is a multiple."""

MOST_SAID = 500
"""Characters of a database's words that an error repeats."""

KEY_COLUMNS = ("item_key", "load_id")
"""Columns that are as long as a key: a text of any length cannot have an index everywhere."""


class Table:
    """
    A table of any database that Airflow has an SQL hook for.

    Names and types are those of SQLAlchemy's dialect for the database, of the standard where it has none.

    :param hook: the connection's hook.
    :param name: name of the table, with its schema if need be: ``music.tags``.
    :param columns: type (``text``, ``integer``, ``number``) of each column, by our name.
    :param names: the names that columns have in the table; the others are not written.
    """

    def __init__(self, hook: DbApiHook, name: str, columns: Mapping[str, str], names: Mapping[str, str]) -> None:
        self._hook = hook
        self._dialect = _dialect_of(hook)
        self._sql_name = ".".join(map(self._quoted, name.split(".")))
        self._columns = columns
        self._names = names
        self.name = name
        self.written = tuple(names)
        """Our names of the columns that are written, in the order of :meth:`insert`."""

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """
        Open the database and yield a cursor; commit at the end.

        After an error nothing is committed, and closing the connection takes everything back.

        :raises LoadFailed: the database refuses something or cannot be reached.
        """
        with _database_errors(self._hook, self.name), closing(self._connected()) as connection:
            yield self._cursor(connection)
            connection.commit()

    def create(self, cursor: Any, unique: Sequence[str]) -> None:
        """
        Make the table, unless there is one.

        :param unique: our names of the columns that no two rows have the same values in.
        """
        cursor.execute(self.definition(unique))

    def definition(self, unique: Sequence[str]) -> str:
        """Return the statement that makes the table."""
        columns = [f"{self._quoted(self._names[name])} {self._type(name)}" for name in self.written]
        key = ", ".join(self._quoted(self._names[name]) for name in unique)
        return f"CREATE TABLE IF NOT EXISTS {self._sql_name} ({', '.join(columns)}, UNIQUE ({key}))"

    def require_columns(self, cursor: Any) -> None:
        """
        Compare the columns with those of the table.

        :raises BadRequest: there is no such table, or it lacks some; names the statements that add them.
        """
        try:
            cursor.execute(f"SELECT * FROM {self._sql_name} WHERE 1 = 0")  # noqa: S608 - a quoted name
        except Exception as error:
            if not self._says_missing(cursor, error):
                raise
            rule = "there is no such table. Set create_table=True, or make it yourself."
            raise BadRequest.field("table", self.name, rule) from None
        there = {str(column[0]).casefold() for column in cursor.description}
        cursor.fetchall()
        if missing := [name for name in self.written if self._names[name].casefold() not in there]:
            add = "; ".join(
                f"ALTER TABLE {self._sql_name} ADD COLUMN {self._quoted(self._names[name])} {self._type(name)}"
                for name in missing
            )
            rule = f"it lacks columns. Add them, or choose the columns to write with columns=: {add}"
            raise BadRequest.field("table", self.name, rule)

    def delete(self, cursor: Any, column: str, keys: Sequence[str]) -> None:
        """Delete the rows that have one of some values in a column; at most :data:`KEYS_PER_STATEMENT`."""
        places = ", ".join([self._hook.placeholder] * len(keys))
        name = self._quoted(self._names[column])
        cursor.execute(f"DELETE FROM {self._sql_name} WHERE {name} IN ({places})", tuple(keys))  # noqa: S608

    def insert(self, cursor: Any, rows: Sequence[Cells]) -> None:
        """Add rows, of which each has a value for each column of :attr:`written`."""
        places = ", ".join([self._hook.placeholder] * len(self.written))
        cursor.executemany(f"INSERT INTO {self._sql_name} ({self._sql_columns}) VALUES ({places})", rows)  # noqa: S608

    @property
    def _sql_columns(self) -> str:
        return ", ".join(self._quoted(self._names[name]) for name in self.written)

    def _connected(self) -> Any:
        connection = self._hook.get_conn()
        if self._hook.supports_autocommit:
            self._hook.set_autocommit(connection, False)
        return connection

    def _cursor(self, connection: Any) -> Any:
        return connection.cursor()

    def _says_missing(self, cursor: Any, error: Exception) -> bool:
        """Tell whether an error says that there is no such table: PEP 249 has a class for that."""
        return any(kind.__name__ == "ProgrammingError" for kind in type(error).__mro__)

    def _quoted(self, word: str) -> str:
        """Return a name as SQL has it; one that the user has quoted stays as it is."""
        if word[:1] in ('"', "`", "["):
            return word
        return str(self._dialect.identifier_preparer.quote(word))

    def _type(self, name: str) -> str:
        import sqlalchemy
        from sqlalchemy.dialects import mysql

        kinds: dict[str, sqlalchemy.types.TypeEngine[Any]] = {
            "text": sqlalchemy.Text().with_variant(mysql.LONGTEXT(), "mysql"),
            "integer": sqlalchemy.BigInteger(),
            "number": sqlalchemy.Double(),
        }
        kind = sqlalchemy.String(32) if name in KEY_COLUMNS else kinds[self._columns[name]]
        return str(kind.compile(dialect=self._dialect))


class SqliteTable(Table):
    """A table in SQLite, whose driver has no error of its own for a table that is missing."""

    def _says_missing(self, cursor: Any, error: Exception) -> bool:
        names = "SELECT count(*) FROM pragma_table_list WHERE lower(name) = lower(?)"
        return bool(cursor.execute(names, (self.name.rpartition(".")[2].strip('"`[]'),)).fetchone() == (0,))


class PostgresTable(Table):
    """A table in PostgreSQL, which takes rows by COPY in the same transaction."""

    def insert(self, cursor: Any, rows: Sequence[Cells]) -> None:
        """Send the rows as CSV."""
        null, lines = _csv(rows)
        copy = f"COPY {self._sql_name} ({self._sql_columns}) FROM STDIN WITH (FORMAT csv, NULL '{null}')"
        if hasattr(cursor, "copy_expert"):  # psycopg2
            cursor.copy_expert(copy, io.StringIO(lines))
        else:
            with cursor.copy(copy) as sent:
                sent.write(lines)


class DuckdbTable(Table):
    """A table in DuckDB, which reads rows out of a file much faster than from statements."""

    def insert(self, cursor: Any, rows: Sequence[Cells]) -> None:
        """Write the rows into a file beside as CSV, and let the database take them by their names."""
        null, lines = _csv(rows)
        types = ", ".join(f"{_literal(self._names[name])}: '{self._type(name)}'" for name in self.written)
        longest = LONG_ROW
        if len(lines) > LONG_ROW:
            longest = max(longest, *(4 * sum(len(str(cell)) for cell in row) for row in rows))
        with tempfile.TemporaryDirectory(prefix="mediax-") as folder:
            file = Path(folder) / "rows.csv"
            file.write_text(lines, encoding="utf-8", newline="")
            read = (
                f"read_csv({_literal(str(file))}, columns = {{{types}}}, header = false, auto_detect = false, "
                f"""nullstr = '{null}', allow_quoted_nulls = false, delim = ',', quote = '"', escape = '"', """
                f"new_line = '\\n', parallel = false, max_line_size = {longest}, buffer_size = {2 * longest})"
            )
            cursor.execute(f"INSERT INTO {self._sql_name} BY NAME SELECT * FROM {read}")  # noqa: S608

    def _cursor(self, connection: Any) -> Any:
        """Return the connection itself: a cursor of DuckDB's is another connection, with transactions of its own."""
        return connection.begin()


TABLES: Mapping[str, type[Table]] = {"sqlite": SqliteTable, "postgres": PostgresTable, "duckdb": DuckdbTable}
"""How tables are written, by the type of the connection; all others as :class:`Table` does it."""


def _csv(rows: Sequence[Cells]) -> tuple[str, str]:
    """Return rows as CSV, and the word in it that stands for NULL: one that no text can hold by chance."""
    null = f"null-{secrets.token_hex(16)}"
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows([null if cell is None else cell for cell in row] for row in rows)
    return null, lines.getvalue()


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


def _dialect_of(hook: DbApiHook) -> Dialect:
    from sqlalchemy.dialects import registry
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.exc import NoSuchModuleError

    try:
        found: type[Dialect] = registry.load(hook.dialect_name)
    except NoSuchModuleError:
        found = DefaultDialect
    return found()


@contextmanager
def _database_errors(hook: DbApiHook, table: str) -> Iterator[None]:
    """Let errors of the database leave as ours: PEP 249 says that a driver's all descend from one named ``Error``."""
    try:
        yield
    except Exception as error:
        if not any(kind.__name__ == "Error" for kind in type(error).__mro__):
            raise
        said = shown_line(str(error), [hook.connection.password])[:MOST_SAID]  # some repeat the value that they refuse
        raise LoadFailed(f"Loading into {table} failed: {type(error).__name__}: {said}") from error
