"""
Results of the music platform: typed views, flat rows, addresses of files (API reference sections 6 and 9).

Views are read tolerantly: numbers arrive as strings, dimensions are missing or empty, wrappers are misspelt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.job import Job, member, objects, text
from airflow_provider_mediax.protocol.request import PREFIX_MEMBER
from airflow_provider_mediax.protocol.urls import CosAddress, object_address, shown_url

_FILE_MEMBERS = ("fileName", "songName", "voiceName", "videoName")


@dataclass(frozen=True, slots=True)
class ResultSchema:
    """
    How one capability's result is read.

    :param version: grows whenever the columns of the rows change their names or meaning.
    :param view: makes the manifest's ``result`` from ``smartContentResult``.
    :param rows: makes the capability's own columns from that view.
    """

    version: int
    view: Callable[[JsonObject], JsonObject]
    rows: Callable[[JsonObject], list[JsonObject]]


@dataclass(frozen=True, slots=True)
class ResultView:
    """
    What a job found.

    :param capability: name on the wire; of a job with several outputs, the name of each one joined by commas.
    :param result: the typed view where the schema is known, the raw object where not.
    :param files: full addresses of the files written, as far as their bucket is known.
    :param homeless: names of files whose bucket is not known.
    :param input: address of the input, without anything secret.
    """

    capability: str
    result: JsonObject
    files: list[str]
    homeless: list[str]
    input: str | None


def read_result(job: Job, repositories: Mapping[str, str]) -> ResultView:
    """
    Read a job's result as far as it is there; a job of several outputs is read in full.

    :param repositories: bucket of each repository that the connection knows.
    """
    outputs = objects(job.raw.get("outputs"))
    names: list[str] = []
    views: list[JsonObject] = []
    files: list[str] = []
    homeless: list[str] = []
    for output in outputs:
        content = member(output, "smartContentResult")
        name = _capability_of(output)
        names.append(name)
        views.append(schema_of(name).view(content) if content else {})
        bucket = repositories.get(text(output.get("contentId")) or "")
        directory = (text(output.get("destination")) or "/").strip("/")
        for file in _file_names(content):
            key = f"{directory}/{file.lstrip('/')}".lstrip("/")
            (files if bucket else homeless).append(str(CosAddress(bucket, key)) if bucket else key)
    result = views[0] if len(views) == 1 else ({"outputs": views} if views else {})
    return ResultView(",".join(names), result, files, homeless, _input_of(job, repositories))


def result_rows(capability: str, result: JsonObject, files: Sequence[str] = ()) -> Iterator[JsonObject]:
    """
    Yield flat rows: the capability's own columns, preceded by ``capability`` and ``schema_version``.

    :param capability: a manifest's ``capability``.
    :param result: a manifest's ``result``.
    :param files: a manifest's ``files``: a column ``file`` holds the full address of its file where that is known.
    """
    addresses = {file.rpartition("/")[2]: file for file in files}
    names = capability.split(",")
    views = objects(result.get("outputs")) if len(names) > 1 else [result]
    for name, view in zip(names, views, strict=False):
        schema = schema_of(name)
        for row in schema.rows(view):
            if "file" in row and not row["file"].startswith("cos://"):
                row["file"] = addresses.get(row["file"].rpartition("/")[2], row["file"])
            yield {"capability": name, "schema_version": schema.version, **row}


def schema_of(capability: str) -> ResultSchema:
    """Return the capability's schema; without a known one, the raw object in one row."""
    return SCHEMAS.get(capability, RAW)


def number(value: object) -> float | None:
    """Read a number that may have been sent as text; anything that is no finite number is None."""
    try:
        read = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def _capability_of(output: JsonObject) -> str:
    descriptor = member(output, "smartContentDescriptor") or member(output, "smartContentResult")
    return next((name for name in descriptor if name != PREFIX_MEMBER), "unknown")


def _file_names(content: Any) -> Iterator[str]:
    """Yield every file name at any depth, in the order of the answer."""
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            for name, inner in value.items():
                if _names_file(name, inner):
                    yield inner
            stack.extend(reversed([inner for inner in value.values() if isinstance(inner, (dict, list))]))


def _names_file(name: str, value: object) -> bool:
    return isinstance(value, str) and value != "" and (name in _FILE_MEMBERS or name.endswith("FileName"))


def _input_of(job: Job, repositories: Mapping[str, str]) -> str | None:
    first = next(iter(objects(job.raw.get("inputs"))), {})
    if url := text(first.get("url")):
        address = object_address(url)
        return str(address) if address else shown_url(url)
    source = member(first, "source")
    if path := text(source.get("path")):
        bucket = repositories.get(text(source.get("contentId")) or "")
        return str(CosAddress(bucket, path.lstrip("/"))) if bucket else path
    return None


def _tags_view(content: JsonObject) -> JsonObject:
    """
    Read tags under any of the four wrappers seen (contradiction 1); an absent or empty dimension is left out.

    The remains of an older tagger, ``audioTagger``, stay raw.
    """
    if not content.keys() & {"musigTagV2", "musicTagV2"}:
        return content
    outer = member(content, "musigTagV2") or member(content, "musicTagV2")
    tags = member(outer, "musicTagV2") or outer
    return {
        dimension: {"label": label, "prob": number(answer.get("prob"))}
        for dimension, answer in tags.items()
        if isinstance(answer, dict) and (label := text(answer.get("label")))
    }


def _tags_rows(view: JsonObject) -> list[JsonObject]:
    return [
        {"dimension": dimension, "label": label, "probability": number(tag.get("prob"))}
        for dimension, tag in view.items()
        if isinstance(tag, dict) and (label := text(tag.get("label")))
    ]


def _lyrics_view(content: JsonObject) -> JsonObject:
    """Read lyrics; a silent song may come as ``[]`` or without the member. Times are taken as seconds."""
    return {
        "lines": [
            {
                "text": text(line.get("text")) or "",
                "start": number(line.get("startTime")),
                "end": number(line.get("endTime")),
                "confidence": number(line.get("conf")),
            }
            for line in objects(content.get("musicASR"))
        ]
    }


def _lyrics_rows(view: JsonObject) -> list[JsonObject]:
    return [
        {
            "line": position,
            "text": line.get("text"),
            "start_s": number(line.get("start")),
            "end_s": number(line.get("end")),
            "confidence": number(line.get("confidence")),
        }
        for position, line in enumerate(objects(view.get("lines")))
    ]


def _beats_view(content: JsonObject) -> JsonObject:
    """Hand the object through: only the names of its files are known."""
    return member(content, "musicBeat") or content


def _beats_rows(view: JsonObject) -> list[JsonObject]:
    return [{"kind": name, "file": file} for name, file in view.items() if _names_file(name, file)]


def _stems_rows(view: JsonObject) -> list[JsonObject]:
    return [{"stem": role, "file": file} for role, file in member(view, "stems").items() if isinstance(file, str)]


def _raw_view(content: JsonObject) -> JsonObject:
    return content


def _raw_rows(view: JsonObject) -> list[JsonObject]:
    return [{"result": json.dumps(view, ensure_ascii=False, sort_keys=True)}]


RAW = ResultSchema(1, _raw_view, _raw_rows)
SCHEMAS: Mapping[str, ResultSchema] = MappingProxyType(
    {
        "musicTagV2": ResultSchema(1, _tags_view, _tags_rows),
        "musicASR": ResultSchema(1, _lyrics_view, _lyrics_rows),
        "musicBeat": ResultSchema(1, _beats_view, _beats_rows),
        "VoiceSeparate": ResultSchema(1, _raw_view, _stems_rows),
    }
)
"""The schema of each capability whose result fields are known."""
