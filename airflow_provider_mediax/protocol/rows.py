"""What a finished job has found, and its flat rows: the same for every service."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.exchange import JsonObject


ColumnType: TypeAlias = Literal["text", "integer", "number"]
"""What a column holds besides null; a number is a finite 64-bit float."""

FILE_MEMBERS = ("fileName", "songName", "voiceName", "videoName")
"""Members that name a file; so does each that ends in ``FileName``."""


class Column(NamedTuple):
    """A column of flat rows, for documentation and for tables in a warehouse."""

    name: str
    type: ColumnType
    meaning: str


COMMON: tuple[Column, ...] = (
    Column("dag_id", "text", "the task instance that owns the job; null if a sensor was given only a job id"),
    Column("run_id", "text", "likewise"),
    Column("task_id", "text", "likewise"),
    Column("map_index", "integer", "likewise; -1 for a task that is not mapped"),
    Column("job_id", "text", "the service's id"),
    Column(
        "input", "text", "address of the input: `cos://bucket/key`, or the URL, with 16 digits in place of its query"
    ),
    Column("capability", "text", "name on the wire"),
    Column("schema_version", "integer", "grows when columns of the capability change their names or meaning"),
)
"""Columns that every row begins with."""

LOADED: tuple[Column, ...] = (
    Column("item_key", "text", "32 hex digits that stand for the capability and the item; see below"),
    Column("row_no", "integer", "position among the rows of the item, from 0"),
    Column("load_id", "text", "32 hex digits that stand for the task instance and the capability, or for `load_key`"),
    Column("item_id", "text", "id of the item in its batch; null for a single job"),
)
"""Columns that a row has in a warehouse, in front of its own."""

FILE_COLUMNS = (
    Column("kind", "text", "the member's name"),
    Column("file", "text", "the file's full address"),
)


class Result:
    """
    How one capability's result is read; by itself, one whose form is not known: the object as it came.

    :cvar version: grows whenever the columns change their names or meaning.
    :cvar columns: the capability's own columns.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[Column, ...]] = (Column("result", "text", "the platform's object, as JSON text"),)

    @classmethod
    def view(cls, content: JsonObject) -> JsonObject:
        """Return the manifest's ``result`` of what the service sent, in which files have their full addresses."""
        return content

    @classmethod
    def rows(cls, view: JsonObject) -> list[JsonObject]:
        """Return the rows of a view: one, with the object as JSON text."""
        return [{"result": json.dumps(view, ensure_ascii=False, sort_keys=True)}]

    @classmethod
    def summary(cls, view: JsonObject) -> str:
        """Say in a few words what was found; files are counted apart."""
        return f"an object with {', '.join(list(view)[:5])}" if view else "nothing"


class Files(Result):
    """A result of which only the names of its files are known."""

    columns = FILE_COLUMNS

    @classmethod
    def rows(cls, view: JsonObject) -> list[JsonObject]:
        """Return one row per file, in the order of the answer."""
        return [{"kind": name, "file": file} for name, file in files_in(view)]

    @classmethod
    def summary(cls, view: JsonObject) -> str:
        """Say nothing: all that is known of the result is its files."""
        return ""


class Stems(Result):
    """Files by their roles: ``{"stems": {role: address}}``."""

    columns = (Column("stem", "text", "role"), FILE_COLUMNS[1])

    @classmethod
    def rows(cls, view: JsonObject) -> list[JsonObject]:
        """Return one row per stem."""
        stems = view.get("stems")
        found = stems.items() if isinstance(stems, dict) else ()
        return [{"stem": role, "file": file} for role, file in found if isinstance(file, str)]

    @classmethod
    def summary(cls, view: JsonObject) -> str:
        """Name the stems."""
        return ", ".join(str(row["stem"]) for row in cls.rows(view)) or "no stems"


class Place(NamedTuple):
    """
    Where a job's files lie: what a sensor needs to describe the job as its operator did.

    :param content_id: the repository of the music platform.
    """

    content_id: str | None = None
    bucket: str | None = None
    region: str | None = None


class ResultView(NamedTuple):
    """
    What a job found.

    :param capability: name on the wire; of a job with several outputs, the name of each one joined by commas.
    :param result: the typed view where the schema is known, the raw object where not.
    :param files: full addresses of the files written, as far as their bucket is known.
    :param unresolved_files: names of files whose bucket is not known.
    :param input: address of the input, without anything secret.
    """

    capability: str
    result: JsonObject
    files: list[str]
    unresolved_files: list[str]
    input: str | None
    place: Place


def key_of(*facts: object) -> str:
    """Return 32 hex digits that are the same for the same facts in every process."""
    return sha256(json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def item_key(capability: str, *, item_id: str | None, input: str | None, job_id: str) -> str:  # noqa: A002
    """
    Return what stands for one item in a warehouse: a later result of the same item has the same key.

    :param item_id: id of the item in its batch; without one the input counts, and without an input the job itself.
    :param input: address of the input, without its signature.
    """
    item = next((name, fact) for name, fact in (("id", item_id), ("input", input), ("job", job_id)) if fact is not None)
    return key_of(capability, *item)


def number(value: object) -> float | None:
    """Read a number that may have been sent as text; anything that is no finite number is None."""
    try:
        read = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def files_in(content: Any) -> Iterator[tuple[str, str]]:
    """Yield every file at any depth, in the order of the answer: the member that names it, and its name."""
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            for name, inner in value.items():
                if names_file(name, inner):
                    yield name, inner
            stack.extend(reversed([inner for inner in value.values() if isinstance(inner, (dict, list))]))


def names_file(name: str, value: object) -> bool:
    """Tell whether a member names a file."""
    return isinstance(value, str) and value != "" and (name in FILE_MEMBERS or name.endswith("FileName"))
