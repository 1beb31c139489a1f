"""
The items of a batch: what a line, a row or a member of a list says, checked member by member.

Whether a request can be made of it is for the request itself to say; here are only the rules of an item's own form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from airflow_provider_mediax.exceptions import BadRequest, ProtocolError
from airflow_provider_mediax.jobs.stored import digest
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.json_body import parse_json
from airflow_provider_mediax.protocol.names import refused, suggestion
from airflow_provider_mediax.protocol.urls import unsigned_url

INPUTS = ("url", "path", "source", "source_data")
"""Members that name an item's input: the arguments of the typed operators."""

MEMBERS = ("id", *INPUTS, "parameters", "destination", "metadata")
"""Members that an item may have."""

PARAMETER, METADATA = "param.", "meta."
"""What the columns of a table begin with that are parameters and metadata."""

_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    One piece of work.

    :param id: how the user knows it; the input itself where no id is given.
    :param arguments: input and destination, by the names of the typed operators' arguments.
    :param parameters: what differs from the batch's own parameters.
    :param metadata: goes through to the rows.
    :param etag: of an object that a pattern has found.
    """

    id: str
    arguments: JsonObject
    parameters: JsonObject = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)
    etag: str | None = None

    @property
    def key(self) -> str:
        """Sixteen hex digits of the digest of the id: the name of its folder."""
        return digest(self.id)[:16]


@dataclass(frozen=True, slots=True)
class Shard:
    """The items whose id's digest falls into one residue: ``3/20`` is residue 3 of 20."""

    index: int
    of: int

    @classmethod
    def read(cls, said: str | None) -> Shard | None:
        """
        Read ``i/n``; None if none is given.

        :raises BadRequest: it is no shard.
        """
        if said is None:
            return None
        found = _SHARD.fullmatch(said)
        if not found or int(found[1]) >= int(found[2]):
            raise refused("shard", said, 'it must be "i/n" with i from 0 to n - 1.')
        return cls(int(found[1]), int(found[2]))

    def holds(self, item: Item) -> bool:
        """Tell whether an item belongs to this shard."""
        return int(digest(item.id)[:12], 16) % self.of == self.index


def read_items(raws: Iterable[tuple[str, object]]) -> Iterator[tuple[str, Item]]:
    """
    Read items with the places that they come from.

    :param raws: place, in words for the user, and what stands there: text or an object.
    :raises BadRequest: one breaks a rule; names place and member.
    """
    for number, (place, raw) in enumerate(raws):
        try:
            yield place, read_item(raw, number)
        except BadRequest as error:
            raise at(place, error) from None


def at(place: str, error: BadRequest) -> BadRequest:
    """Return a refusal that says where the refused item stands."""
    return BadRequest(f"{place}: {error.what}", advice=error.advice)


def read_item(raw: object, number: int) -> Item:
    """
    Read one item: text is a url if it has a scheme, else a path; an object has :data:`MEMBERS`.

    :param number: its place in the source: the id of an item without id and input.
    :raises BadRequest: names member, value and rule.
    """
    if isinstance(raw, str):
        raw = {"url" if "://" in raw else "path": raw}
    if not isinstance(raw, Mapping):
        raise refused("item", raw, "it must be text or an object.")
    given = {str(name): value for name, value in raw.items() if value is not None}
    if unknown := [name for name in given if name not in MEMBERS]:
        rule = f"an item has {', '.join(MEMBERS)}.{suggestion(unknown[0], MEMBERS)}"
        raise refused(unknown[0], given[unknown[0]], rule)
    inputs = {name: given[name] for name in INPUTS if name in given}
    if len(inputs) > 1:
        first, second = list(inputs)[:2]
        raise refused(second, inputs[second], f"an item has one input, and {first} is one.")
    for name, value in inputs.items():
        if not isinstance(value, str) or not value:
            raise refused(name, value, "it must be text.")
    arguments = dict(inputs)
    if "destination" in given:
        arguments["destination"] = _text("destination", given["destination"])
    said = given.get("id")
    return Item(
        id=_id(said) if said is not None else _own_id(inputs, number),
        arguments=arguments,
        parameters=_object("parameters", given.get("parameters", {})),
        metadata=_metadata(given.get("metadata", {})),
    )


def from_columns(row: Mapping[str, object]) -> JsonObject:
    """
    Return an item's object of a row of a table: ``param.<name>`` and ``meta.<name>`` are its parameters and metadata.

    Empty cells are left out.
    """
    item: JsonObject = {}
    for column, value in row.items():
        if value is None or value == "":
            continue
        for prefix, member in ((PARAMETER, "parameters"), (METADATA, "metadata")):
            if column.startswith(prefix):
                item.setdefault(member, {})[column.removeprefix(prefix)] = value
                break
        else:
            item[column] = str(value) if column == "id" else value
    return item


def from_line(line: bytes) -> object:
    """
    Return what a line of JSON holds.

    :raises BadRequest: it is no JSON.
    """
    try:
        return parse_json(line, "The line")
    except ProtocolError as error:
        raise BadRequest("it is no JSON", advice="") from error


def _id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    said = _text("id", value)
    if len(said) > 1024 or not said.isprintable():
        raise refused("id", value, "it must be printable and at most 1024 characters.")
    return said


def _own_id(inputs: Mapping[str, str], number: int) -> str:
    for name, value in inputs.items():
        return digest(value)[:16] if name == "source_data" else unsigned_url(value)
    return str(number)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise refused(name, value, "it must be text that says something.")
    return value


def _object(name: str, value: object) -> JsonObject:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise refused(name, value, "it must be an object.")
    return dict(value)


def _metadata(value: object) -> JsonObject:
    found = _object("metadata", value)
    for name, member in found.items():
        if member is not None and not isinstance(member, (str, int, float, bool)):
            raise refused(f"metadata.{name}", member, "it must be text, a number, true, false or null.")
    return found
