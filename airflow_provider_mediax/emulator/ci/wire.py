"""Cloud Infinite's XML: requests read strictly, answers built from plain trees."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TypeAlias, TypeVar
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

from airflow_provider_mediax.emulator.ci.errors import CiError, invalid
from airflow_provider_mediax.emulator.shared.wire import JsonObject

T = TypeVar("T")

Value: TypeAlias = "str | Mapping[str, Value] | Sequence[Value]"
Tree: TypeAlias = Mapping[str, Value]
"""Nodes by name: a text, a node with children, or a node that repeats."""

NOT_YET = "-"
"""What stands for a time that is not known yet."""

_PAGING = (("pageNumber", "1"), ("pageSize", "10"))
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML cannot hold
_ZONE = timezone(timedelta(hours=8))


class Node:
    """
    One container of a request.

    :param path: of the element, for messages.
    :param known: names of children that it may have; others are refused, since a service that overlooks a slip of
        the pen would hide it from the tests.
    """

    def __init__(self, element: Element, path: str, known: Collection[str]) -> None:
        self._path = path
        self._children: dict[str, Element] = {}
        for child in element:
            if child.tag not in known:
                raise invalid(f"{path}/{child.tag} is not known")
            if child.tag in self._children:
                raise invalid(f"{path}/{child.tag} is there more than once")
            self._children[child.tag] = child

    def text(self, name: str) -> str | None:
        """
        Return the text of a child, None if there is none.

        :raises CiError: it is empty, or a container.
        """
        element = self._children.get(name)
        if element is None:
            return None
        if len(element) or not element.text:
            raise invalid(f"{self._path}/{name} must be a text that is not empty")
        return element.text

    def need(self, name: str) -> str:
        """Return the text of a child that must be there."""
        text = self.text(name)
        if text is None:
            raise invalid(f"{self._path}/{name} is required")
        return text

    def one_of(self, name: str, allowed: Sequence[str]) -> str | None:
        """Return the text of a child that must be one of several, None if there is no such child."""
        text = self.text(name)
        if text is not None and text not in allowed:
            raise invalid(f"{self._path}/{name} must be one of {', '.join(allowed)}")
        return text

    def node(self, name: str, known: Collection[str]) -> Node | None:
        """Return a child that is a container, None if there is none."""
        element = self._children.get(name)
        return None if element is None else Node(element, f"{self._path}/{name}", known)

    def need_node(self, name: str, known: Collection[str]) -> Node:
        """Return a child that is a container and must be there."""
        found = self.node(name, known)
        if found is None:
            raise invalid(f"{self._path}/{name} is required")
        return found


def read_request(body: bytes, known: Collection[str]) -> Node:
    """
    Read the body of a request.

    :raises CiError: it is empty or not a ``Request``.
    """
    if not body.strip():
        raise CiError("MissingContent", "The request has no body.")
    return Node(parse(body, "Request"), "Request", known)


def parse(body: bytes, root: str) -> Element:
    """
    Parse a body whose root must have that name.

    :raises CiError: it is no such XML.
    """
    if b"<!DOCTYPE" in body:
        raise CiError("InvalidContent", "The body must not declare a document type.")
    try:
        element = fromstring(body)  # noqa: S314 - without a document type there are no entities to expand
    except (ParseError, ValueError) as error:
        raise CiError("InvalidContent", f"The body is not XML: {error}") from None
    if element.tag != root:
        raise CiError("InvalidContent", f"The root of the body must be {root}.")
    return element


def as_xml(root: str, tree: Tree) -> bytes:
    """Return the tree as XML; an empty text makes an empty node."""
    element = Element(root)
    _fill(element, tree)
    text: bytes = tostring(element, encoding="utf-8", xml_declaration=True)
    return text


def as_json(tree: Tree) -> JsonObject:
    """Return the tree as it is printed in JSON: without empty nodes, a node that is there once is no list."""
    return {name: plain for name, value in tree.items() if (plain := _plain(value)) not in (None, "", {}, [])}


def time_text(seconds: float | None) -> str:
    """Return epoch seconds like ``2022-06-27T15:23:10+0800``."""
    if seconds is None:
        return NOT_YET
    return datetime.fromtimestamp(int(seconds), _ZONE).strftime("%Y-%m-%dT%H:%M:%S%z")


def read_time(text: str, field: str) -> int:
    """
    Return epoch seconds of such a time, whatever its offset.

    :raises CiError: it has another form, as when the plus of its offset was sent bare and arrived as a space.
    """
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp())
    except (ValueError, OverflowError):
        raise invalid(f"{field} must be a time like 2001-01-01T00:00:00+0800") from None


def page_of(items: Sequence[T], query: Mapping[str, str]) -> tuple[Sequence[T], Tree]:
    """
    Return the page that ``pageNumber`` (1) and ``pageSize`` (10) ask for, and the nodes that count.

    :raises CiError: one of them is no positive number.
    """
    number, size = (_positive(query.get(name) or default, name) for name, default in _PAGING)
    counts = {"TotalCount": str(len(items)), "PageNumber": str(number), "PageSize": str(size)}
    return items[(number - 1) * size : number * size], counts


def _positive(text: str, field: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10_000):
        raise invalid(f"{field} must be a positive number")
    return int(text)


def _fill(parent: Element, tree: Tree) -> None:
    for name, value in tree.items():
        for each in [value] if isinstance(value, str | Mapping) else value:
            child = SubElement(parent, name)
            if isinstance(each, str):
                child.text = _UNPRINTABLE.sub("?", each)
            elif isinstance(each, Mapping):
                _fill(child, each)


def _plain(value: Value) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return as_json(value)
    items = [_plain(item) for item in value]
    return items[0] if len(items) == 1 else items
