"""Damage of every kind, the same in every run: to values, to JSON, to XML and to the bytes of both."""

from __future__ import annotations

import copy
import json
import xml.etree.ElementTree as ET
from random import Random
from typing import Any

NASTY_TEXTS = [
    *("", " ", "\n", "None", "nan", "[]", "{}", "true", "0", "-1", "3.5", "1e999", "NaN", "1_000", "٣", "9" * 5000),
    *("\x00", "a\x1bb", "\ud800", "\udfff", "\ufffe", "\ufeff", "🎵", "e\u0301", "\u202e", "%00", "%ff"),
    *("&amp;", "]]>", "<a", "//", "/", "..", "a/../b", "a" * 2000, "é" * 900, "{{ x }}", "${ext}", "${"),
    *("http://[", "https://℀.com/x", "https://u:p@h:port/?q-signature=x", "cos://", "cos://a@b/c", "cos://music-1/a"),
    *("cos://mediax_default@music-1250000000/a", "a,b,c", "2026-13-45T99:99:99+0800", "(" * 300, "[" * 3000),
    *('{"a": 1}', "{1: 2}", "[1, 2]", "{'a': nan}", "{[]: 1}"),
]
NASTY_SCALARS: list[Any] = [
    *(None, True, False, 0, 1, 3, -1, 2**31, 2**63, -(10**18), 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
]
NASTY_BYTES = [
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"NaN", b"1e999"),
    *(b"<!DOCTYPE a [<!ENTITY x 'y'>]>", b"&x;", b"<![CDATA[", b"-->", b"<?xml version='1.0' encoding='utf-16'?>"),
    *(b"[" * 2000, b'{"a":' * 500, b"<a>" * 2000, b"\r\n\r\n", b'"', b"}"),
    *(b"<JobsDetail/>", b"<JobId/>", b"<JobsDetail><JobId>j</JobId></JobsDetail>"),
]


def value(chance: Random, depth: int = 2) -> Any:
    """Return some JSON-like value that nobody would send."""
    kind = chance.random()
    if depth and kind < 0.12:
        return [value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if depth and kind < 0.24:
        return {chance.choice(NASTY_TEXTS): value(chance, depth - 1) for _ in range(chance.randrange(4))}
    return chance.choice(NASTY_TEXTS) if kind < 0.7 else chance.choice(NASTY_SCALARS)


def damaged_json(chance: Random, document: Any) -> bytes:
    """Return a document with some members replaced, removed, renamed, doubled or wrapped."""
    damaged = copy.deepcopy(document)
    for _ in range(chance.randint(1, 4)):
        spots = [spot for spot in _containers(damaged) if spot]
        if not spots:
            break
        spot = chance.choice(spots)
        key = chance.choice(sorted(spot)) if isinstance(spot, dict) else chance.randrange(len(spot))
        what = chance.randrange(6)
        if what == 0:
            del spot[key]
        elif what == 1:
            spot[key] = [spot[key]] * chance.randint(1, 3)
        elif what == 2 and isinstance(spot, dict):
            other = chance.choice(spots)
            spot[chance.choice(sorted(other)) if isinstance(other, dict) and other else "id"] = spot.pop(key)
        elif what == 3:
            spot[key] = {"job": spot[key]}
        else:
            spot[key] = value(chance)
    return _bytes(chance, json.dumps(damaged).encode())


def damaged_xml(chance: Random, document: bytes) -> bytes:
    """Return a document with some elements emptied, filled, removed, renamed, doubled or moved."""
    root = ET.fromstring(document)
    for _ in range(chance.randint(1, 4)):
        elements = list(root.iter())
        spot, other = chance.choice(elements), chance.choice(elements)
        what = chance.randrange(6)
        if what == 0:
            spot.clear()
        elif what == 1 and len(spot):
            spot.remove(spot[chance.randrange(len(spot))])
        elif what == 2 and len(spot):
            spot.append(copy.deepcopy(spot[chance.randrange(len(spot))]))
        elif what == 3:
            spot.tag = other.tag
        elif what == 4:
            spot.append(copy.deepcopy(other))
        else:
            spot.text = str(value(chance, 0) if chance.random() < 0.9 else "x")[:3000]
    return _bytes(chance, ET.tostring(root, encoding="unicode").encode("utf-8", "surrogatepass"))


def headers(chance: Random) -> dict[str, str]:
    """Return headers of an answer, most of them odd."""
    names = ("retry-after", "date", "x-request-id", "x-cos-request-id", "x-ci-request-id", "content-type")
    return {name: str(value(chance, 0))[:200] for name in names if chance.random() < 0.3}


def _bytes(chance: Random, body: bytes) -> bytes:
    """Return the bytes as they are, most of the time; else cut off, changed or with something put in."""
    if chance.random() < 0.6 or not body:
        return body
    found = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(found) + 1)
        what = chance.randrange(4)
        if what == 0:
            del found[place:]
        elif what == 1:
            found[place:place] = chance.choice(NASTY_BYTES)
        elif what == 2:
            found[place : place + chance.randrange(40)] = b""
        else:
            found[place : place + 1] = bytes([chance.randrange(256)])
    return bytes(found)


def _containers(document: Any) -> list[Any]:
    found, left = [], [document]
    while left:
        spot = left.pop()
        if isinstance(spot, (dict, list)):
            found.append(spot)
            left.extend(spot.values() if isinstance(spot, dict) else spot)
    return found
