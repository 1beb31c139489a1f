"""
Bodies of Cloud Infinite: XML written strictly, XML and JSON read tolerantly (CI API reference sections 4 to 10).

What is read becomes plain JSON: leaves are text, an empty node is an empty text, a node that can repeat is always a
list, however often it occurs and whichever of the two formats it came in.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias
from xml.sax.saxutils import escape

from airflow_provider_mediax.exceptions import BadRequest, ProtocolError
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.json_body import MAX_DEPTH, parse_json

MAX_TEXT = 4 * 1024 * 1024
"""Bytes of an answer or a callback; a page of a hundred finished jobs has about a tenth of that."""

XmlNode: TypeAlias = "str | int | Mapping[str, XmlNode] | None"
"""What can be written: text, a number, children in their order; None is left out."""

REPEATABLE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Response": frozenset(
            ("JobsDetail", "NonExistJobIds", "QueueList", "NonExistPIDs", "TemplateList", "AsrBucketList")
        ),
        "NonExistPIDs": frozenset(("QueueID", "QueueId")),
        "NonExistTIDs": frozenset(("TemplateId",)),
        "Input": frozenset(("CosHeaders",)),
        "OutputFile": frozenset(("ObjectName", "Md5Info")),
        "Stream": frozenset(("Audio", "Video", "Subtitle")),
    }
)
"""Which children of which node can repeat (sections 5.2, 6, 7, 8 and 9.2)."""

_NONE: frozenset[str] = frozenset()
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROLOG = re.compile(r"(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)


def write_xml(root: str, content: Mapping[str, XmlNode]) -> bytes:
    """
    Write a request body; unset nodes are left out, because what an empty one means is undocumented (section 4.3).

    :raises BadRequest: a text holds a character that XML cannot carry.
    """
    return f"<{root}>{_children(content)}</{root}>".encode()


def read_xml(body: bytes, where: str) -> tuple[str, JsonObject]:
    """
    Read an XML body into the name of its root and the root's content.

    Namespaces and attributes are dropped. A root without children has no content.

    :param where: what the body is, for the error.
    :raises ProtocolError: it is not XML, not UTF-8, too long, too deep, or declares a document type or an entity.
    """
    if len(body) > MAX_TEXT:
        raise ProtocolError(f"{where} is longer than {MAX_TEXT} bytes")
    try:
        decoded = body.decode("utf-8-sig")
        # A declaration can stand nowhere but before the root; anything else that begins so is broken XML.
        prolog = _PROLOG.match(decoded)
        if prolog and decoded.startswith("<!", prolog.end()):
            raise ValueError("a document type declaration")
        root = ET.fromstring(decoded)  # noqa: S314 - without a document type there are no entities to expand
        name = _local(root.tag)
        content = _plain(root, name, MAX_DEPTH)
    except (ET.ParseError, ValueError) as error:
        raise ProtocolError(f"{where} is not readable XML ({len(body)} bytes, {type(error).__name__})") from None
    return name, content if isinstance(content, dict) else {}


def read_posted(body: bytes, where: str) -> JsonObject:
    """
    Read a body that may be XML or JSON (section 9.2) into the content of its root.

    :raises ProtocolError: it is neither.
    """
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        return read_xml(body, where)[1]
    if len(body) > MAX_TEXT:
        raise ProtocolError(f"{where} is longer than {MAX_TEXT} bytes")
    content = with_lists("Response", parse_json(body, where))
    return content if isinstance(content, dict) else {}


def with_lists(name: str, value: object) -> object:
    """Return a plain value in which what can repeat is a list: JSON has a lone one as an object or a text."""
    if isinstance(value, list):
        return [with_lists(name, item) for item in value]
    if not isinstance(value, dict):
        return value
    repeatable = REPEATABLE.get(name, frozenset())
    shaped: JsonObject = {}
    for child, inner in value.items():
        read = with_lists(child, inner)
        if child in repeatable and not isinstance(read, list):
            read = [] if read in (None, "") else [read]
        shaped[child] = read
    return shaped


def _children(content: Mapping[str, XmlNode]) -> str:
    return "".join(_element(name, node) for name, node in content.items() if node is not None)


def _element(name: str, node: XmlNode) -> str:
    if isinstance(node, Mapping):
        return f"<{name}>{_children(node)}</{name}>"
    said = str(node)
    if _NOT_IN_XML.search(said):
        raise BadRequest.field(name, said, "it holds a character that XML cannot carry.")
    # A bare carriage return would be read as a line feed.
    return f"<{name}>{escape(said, {chr(13): '&#13;'})}</{name}>"


def _plain(element: ET.Element, name: str, depth: int) -> object:
    """Return a node as plain JSON in one walk: a describe has hundreds of nodes, and is read for every poll."""
    if depth == 0 or (depth == 1 and len(element)):
        raise ValueError("nested too deep")
    if not len(element):
        return _said(element)
    repeatable = REPEATABLE.get(name, _NONE)
    found: JsonObject = {}
    for child in element:
        tag = _local(child.tag)
        value = _plain(child, tag, depth - 1) if len(child) else _said(child)
        if tag not in found:
            found[tag] = [value] if tag in repeatable else value
        elif isinstance(found[tag], list):
            found[tag].append(value)
        else:
            found[tag] = [found[tag], value]
    for tag in repeatable & found.keys():
        if found[tag] == [""]:
            found[tag] = []
    return found


def _said(leaf: ET.Element) -> str:
    said = leaf.text
    return said if said and not said.isspace() else ""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2] if tag[0] == "{" else tag
