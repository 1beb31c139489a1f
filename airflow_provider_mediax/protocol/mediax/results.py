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
from typing import Any, TypeAlias

from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.job import Job, member, objects, text
from airflow_provider_mediax.protocol.mediax.request import PREFIX_MEMBER
from airflow_provider_mediax.protocol.rows import ResultView
from airflow_provider_mediax.protocol.urls import CosAddress, object_address, shown_url

_FILE_MEMBERS = ("fileName", "songName", "voiceName", "videoName")

_TONES = MappingProxyType({1: "voice", 2: "drum", 3: "bass", 4: "piano", 5: "background"})
"""Roles of stems, in the words of Cloud Infinite (section 9.9). That 4 is the piano is a guess of the reference."""

Addresses: TypeAlias = Mapping[str, str]
"""Full addresses of an answer's files by their names, as far as the bucket is known."""


@dataclass(frozen=True, slots=True)
class ResultSchema:
    """
    How one capability's result is read.

    :param version: grows whenever the columns of the rows change their names or meaning.
    :param view: makes the manifest's ``result`` from ``smartContentResult`` and the addresses of its files.
    :param rows: makes the capability's own columns from that view.
    """

    version: int
    view: Callable[[JsonObject, Addresses], JsonObject]
    rows: Callable[[JsonObject], list[JsonObject]]


BucketOf: TypeAlias = Callable[[str], str | None]
"""Tells the bucket of a repository by its id, None if that is not known."""


def read_result(job: Job, bucket_of: BucketOf) -> ResultView:
    """
    Read a job's result as far as it is there; a job of several outputs is read in full.

    :param bucket_of: tells the bucket of a repository.
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
        content_id = text(output.get("contentId"))
        bucket = bucket_of(content_id) if content_id else None
        directory = (text(output.get("destination")) or "/").strip("/")
        keys = {file: f"{directory}/{file.lstrip('/')}".lstrip("/") for _, file in _files_in(content)}
        addresses = {file: str(CosAddress(bucket, key)) for file, key in keys.items()} if bucket else {}
        for _, file in _files_in(content):
            (files if bucket else homeless).append(addresses.get(file, keys[file]))
        views.append(schema_of(name).view(content, addresses) if content else {})
    inputs = [_input_of(job, output, bucket_of) for output in outputs or ({},)]
    # What was asked of another input is a fact of its output, and its rows must say so.
    result = views[0] if len(views) == 1 else ({"outputs": views, "inputs": inputs} if views else {})
    return ResultView(",".join(names), result, files, homeless, inputs[0])


def result_rows(capability: str, result: JsonObject, files: Sequence[str] = ()) -> Iterator[JsonObject]:
    """
    Yield flat rows: the capability's own columns, preceded by ``capability`` and ``schema_version``.

    :param capability: a manifest's ``capability``.
    :param result: a manifest's ``result``.
    :param files: a manifest's ``files``: a column ``file`` holds the full address of its file where that is known.
    """
    left = list(files)
    names = capability.split(",")
    several = len(names) > 1
    views = objects(result.get("outputs")) if several else [result]
    inputs = result.get("inputs") if several else None
    for place, (name, view) in enumerate(zip(names, views, strict=False)):
        schema = schema_of(name)
        own = {"input": inputs[place]} if isinstance(inputs, list) and place < len(inputs) else {}
        for row in schema.rows(view):
            if row.get("file"):
                row["file"] = _take_address(row["file"], left)
            yield {**own, "capability": name, "schema_version": schema.version, **row}


def _take_address(file: str, left: list[str]) -> str:
    """
    Return a file's address and take it out of what is left.

    Rows come in the order of the files, so of two outputs that name their files alike each gets its own.
    """
    found = next((address for address in left if address == file or address.endswith("/" + file.lstrip("/"))), None)
    if found is None:
        return file
    left.remove(found)
    return found


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


def _files_in(content: Any) -> Iterator[tuple[str, str]]:
    """Yield every file at any depth, in the order of the answer: the member that names it, and its name."""
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            for name, inner in value.items():
                if _names_file(name, inner):
                    yield name, inner
            stack.extend(reversed([inner for inner in value.values() if isinstance(inner, (dict, list))]))


def _names_file(name: str, value: object) -> bool:
    return isinstance(value, str) and value != "" and (name in _FILE_MEMBERS or name.endswith("FileName"))


def _input_of(job: Job, output: JsonObject, bucket_of: BucketOf) -> str | None:
    """Return the address of the first input that an output was computed from; text and no input have none."""
    inputs, selectors = job.raw.get("inputs"), output.get("inputSelectors")
    chosen = selectors[0] if isinstance(selectors, list) and selectors else 0
    if isinstance(inputs, list) and type(chosen) is int and 0 <= chosen < len(inputs):
        inputs = inputs[chosen:]
    first = next(iter(objects(inputs)), {})
    if url := text(first.get("url")):
        address = object_address(url)
        return str(address) if address else shown_url(url)
    source = member(first, "source")
    if path := text(source.get("path")):
        content_id = text(source.get("contentId"))
        bucket = bucket_of(content_id) if content_id else None
        return str(CosAddress(bucket, path.lstrip("/"))) if bucket else path
    return None


def _tags_view(content: JsonObject, addresses: Addresses) -> JsonObject:
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


def _lyrics_view(content: JsonObject, addresses: Addresses) -> JsonObject:
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


def _highlights_view(content: JsonObject, addresses: Addresses) -> JsonObject:
    """Read choruses as they were observed; anything else stays raw. Times are taken as seconds."""
    found = content.get("musicHighlight")
    if not isinstance(found, (list, dict)):
        return content
    members = ("start", "end", "score")
    return {"highlights": [{name: number(chorus.get(name)) for name in members} for chorus in objects(found)]}


def _highlights_rows(view: JsonObject) -> list[JsonObject]:
    return [
        {
            "highlight": position,
            "start_s": number(chorus.get("start")),
            "end_s": number(chorus.get("end")),
            "score": number(chorus.get("score")),
        }
        for position, chorus in enumerate(objects(view.get("highlights")))
    ]


def _stems_view(content: JsonObject, addresses: Addresses) -> JsonObject:
    """Read stems as they were observed, under either spelling (contradiction 20); anything else stays raw."""
    stems: dict[str, str] = {}
    for stem in objects(content.get("musicSeperate")) or objects(content.get("musicSeparate")):
        file = stem.get("fileName")
        if isinstance(file, str) and file:
            role = _TONES.get(int(number(stem.get("tone")) or 0), "unknown")
            again = sum(known.partition("_")[0] == role for known in stems)
            stems[f"{role}_{again + 1}" if again else role] = addresses.get(file, file)
    return {"stems": stems} if stems else content


def _stems_rows(view: JsonObject) -> list[JsonObject]:
    return [{"stem": role, "file": file} for role, file in member(view, "stems").items() if isinstance(file, str)]


def _beats_view(content: JsonObject, addresses: Addresses) -> JsonObject:
    """Hand the object through: only the names of its files are known."""
    return member(content, "musicBeat") or content


def _file_rows(view: JsonObject) -> list[JsonObject]:
    return [{"kind": name, "file": file} for name, file in _files_in(view)]


def _cloning_view(content: JsonObject, addresses: Addresses) -> JsonObject:
    """Hand the object through, from under either name."""
    return member(content, "singingCloning") or member(content, "voiceCloning") or content


def _cloning_rows(view: JsonObject) -> list[JsonObject]:
    """Return one row: a training leaves the name of a voice, everything else a file."""
    row = {
        "model": text(view.get("modelName")),
        "file": next((file for _, file in _files_in(view)), None),
    }
    return [row] if any(row.values()) else []


def _raw_view(content: JsonObject, addresses: Addresses) -> JsonObject:
    return content


def _raw_rows(view: JsonObject) -> list[JsonObject]:
    return [{"result": json.dumps(view, ensure_ascii=False, sort_keys=True)}]


RAW = ResultSchema(1, _raw_view, _raw_rows)
FILES = ResultSchema(1, _raw_view, _file_rows)
CLONING = ResultSchema(1, _cloning_view, _cloning_rows)
STEMS = ResultSchema(1, _stems_view, _stems_rows)

SCHEMAS: Mapping[str, ResultSchema] = MappingProxyType(
    {
        "musicTagV2": ResultSchema(1, _tags_view, _tags_rows),
        "musicASR": ResultSchema(1, _lyrics_view, _lyrics_rows),
        "musicBeat": ResultSchema(1, _beats_view, _file_rows),
        "musicHighlight": ResultSchema(1, _highlights_view, _highlights_rows),
        "musicStructureAnalysis": RAW,
        "musicRecognition": RAW,
        "skipMusicIntro": RAW,
        "musicSeperate": STEMS,
        "musicSeparate": STEMS,
        "vocalMidi": FILES,
        "singingCloning": CLONING,
        "voiceCloning": CLONING,
        "musicCompose": FILES,
        "musicComposerHumming": FILES,
        "imageBgmGeneration": FILES,
        "videoBgmGeneration": FILES,
        "textBgmGeneration": FILES,
        "VoiceSeparate": ResultSchema(1, _raw_view, _stems_rows),
    }
)
"""The schema of each capability; those whose result was not seen at all are :data:`RAW` (contradiction 27)."""
