from __future__ import annotations

import json
import math
from typing import Any

import pytest

from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES
from airflow_provider_mediax.protocol.mediax.gateway import read_job
from airflow_provider_mediax.protocol.mediax.results import read_result, result_of
from airflow_provider_mediax.protocol.rows import Result, number
from airflow_provider_mediax.results import schema
from tests.unit.protocol.examples import example, finished, output
from tests.unit.protocol.helpers import repositories, rows_of

BUCKETS = {"content-1": "music-1250000000"}


def schema_of(capability: str) -> list[str]:
    return [column.name for column in schema(capability).columns]


def documented(capability: str) -> Any:
    return read_job(example(capability, "get_response")["getJobResponse"]["job"], "GetJob")


def test_tags_become_one_row_per_dimension() -> None:
    view = read_result(documented("musicTagV2"), repositories({}))
    rows = rows_of(view.capability, view.result)
    assert rows[0] == {
        "capability": "musicTagV2",
        "schema_version": 1,
        "dimension": "vocal",
        "label": "Vocal",
        "probability": 1.0,
    }
    assert [row["dimension"] for row in rows] == ["vocal", "language", "mood", "genre", "scene"]


def test_lyrics_become_one_row_per_line() -> None:
    view = read_result(documented("musicASR"), repositories({}))
    assert view.result == {"lines": [{"text": "天空", "start": 25.2, "end": 28.8, "confidence": 0.8}]}
    assert rows_of(view.capability, view.result) == [
        {
            "capability": "musicASR",
            "schema_version": 1,
            "line": 0,
            "text": "天空",
            "start_s": 25.2,
            "end_s": 28.8,
            "confidence": 0.8,
        }
    ]


@pytest.mark.parametrize("content", [{"musicASR": []}, {"musicASR": None}, {}, None])
def test_silent_song_has_no_lines(content: object) -> None:
    view = read_result(finished(output("musicASR", content)), repositories({}))
    assert view.result == {"lines": []}
    assert rows_of("musicASR", view.result) == []


def test_line_with_missing_members_is_kept() -> None:
    view = read_result(
        finished(output("musicASR", {"musicASR": [{}, {"text": 7, "conf": "NaN"}, "x"]})), repositories({})
    )
    empty = {"start": None, "end": None, "confidence": None}
    assert view.result == {"lines": [{"text": "", **empty}, {"text": "7", **empty}]}


def test_observed_beats_give_the_file_and_its_row() -> None:
    content = example("musicBeat", "observed")["smartContentResult"]
    job = finished(output("musicBeat", content, contentId="content-1", destination="/output/musicBeat"))
    view = read_result(job, repositories(BUCKETS))
    assert view.files == ["cos://music-1250000000/output/musicBeat/abc123_merge.mp3"]
    assert rows_of(view.capability, view.result) == [
        {"capability": "musicBeat", "schema_version": 1, "kind": "mergeFileName", "file": view.files[0]}
    ]


def test_unknown_capability_gives_its_raw_object_in_one_row() -> None:
    view = read_result(finished(output("vocalScore", {"vocalScore": [{"start": "1", "text": "天"}]})), repositories({}))
    (row,) = rows_of(view.capability, view.result)
    assert (row["capability"], row["schema_version"]) == ("vocalScore", 1)
    assert json.loads(row["result"]) == {"vocalScore": [{"start": "1", "text": "天"}]}
    assert result_of("vocalScore") is Result


def test_highlights_become_one_row_per_chorus_with_seconds_as_floats() -> None:
    content = {"musicHighlight": [{"start": "12.5", "end": 30, "score": "0.9"}, {"start": "x"}]}
    view = read_result(finished(output("musicHighlight", content)), repositories({}))
    assert view.result["highlights"][0] == {"start": 12.5, "end": 30.0, "score": 0.9}
    rows = rows_of(view.capability, view.result)
    assert [(row["highlight"], row["start_s"], row["end_s"], row["score"]) for row in rows] == [
        (0, 12.5, 30.0, 0.9),
        (1, None, None, None),
    ]
    assert rows_of("musicHighlight", {"highlights": []}) == []


def test_stems_have_full_addresses_by_role_and_an_unknown_tone_is_said_to_be_unknown() -> None:
    tones = [1, "2", 3, 4, 5, 9, None, 1]
    content = {"musicSeperate": [{"fileName": f"{place}.wav", "tone": tone} for place, tone in enumerate(tones)]}
    job = finished(output("musicSeperate", content, contentId="content-1", destination="/out/"))
    view = read_result(job, repositories(BUCKETS))
    roles = ["voice", "drum", "bass", "piano", "background", "unknown", "unknown_2", "voice_2"]
    assert view.result == {"stems": dict(zip(roles, view.files, strict=True))}
    assert view.files[0] == "cos://music-1250000000/out/0.wav"
    rows = rows_of(view.capability, view.result)
    assert [(row["stem"], row["file"]) for row in rows] == list(view.result["stems"].items())


def test_stems_in_an_unknown_bucket_keep_the_platforms_names() -> None:
    content = {"musicSeperate": [{"fileName": "v.wav", "tone": 1}]}
    view = read_result(
        finished(output("musicSeperate", content, contentId="other", destination="/out/")), repositories(BUCKETS)
    )
    assert (view.result, view.files, view.unresolved_files) == ({"stems": {"voice": "v.wav"}}, [], ["out/v.wav"])


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("content", [{"other": [1]}, dict.fromkeys((*CAPABILITIES, "musigTagV2"), "a")])
def test_an_answer_of_another_form_than_is_known_is_kept_raw(capability: str, content: dict[str, Any]) -> None:
    view = read_result(finished(output(capability, content)), repositories({}))
    assert view.result == content
    rows = rows_of(view.capability, view.result)
    assert [json.loads(row["result"]) for row in rows] == [content] * ("result" in schema_of(capability))


@pytest.mark.parametrize(
    ("capability", "content", "row"),
    [
        ("singingCloning", {"songName": "a.wav"}, (None, "cos://music-1250000000/o/a.wav")),
        ("voiceCloning", {"voiceName": "a.wav"}, (None, "cos://music-1250000000/o/a.wav")),
        ("singingCloning", {"modelName": "m"}, ("m", None)),
        ("voiceCloning", {"modelName": "m"}, ("m", None)),
    ],
)
def test_a_cloning_becomes_one_row_of_its_voice_or_file(capability: str, content: Any, row: tuple[str, str]) -> None:
    job = finished(output(capability, {capability: content}, contentId="content-1", destination="/o"))
    view = read_result(job, repositories(BUCKETS))
    (found,) = rows_of(view.capability, view.result)
    assert (found["model"], found["file"]) == row


def test_files_of_one_name_in_two_directories_get_each_their_own_address() -> None:
    content = {"musicCompose": [{"songName": "a.mp3"}, {"songName": "b.mp3"}]}
    job = finished(*(output("musicCompose", content, contentId="content-1", destination=place) for place in "xy"))
    view = read_result(job, repositories(BUCKETS))
    rows = rows_of(view.capability, view.result)
    assert [row["file"] for row in rows] == view.files
    assert len(set(view.files)) == 4


def test_rows_of_several_outputs_name_the_input_of_each() -> None:
    inputs = [{"url": "https://h/a.mp3"}, {"source": {"contentId": "content-1", "path": "b.mp3"}}]
    outputs = [output("musicRecognition", {"x": 1}, inputSelectors=[place]) for place in (1, 0, 7, "1")]
    view = read_result(finished(*outputs, inputs=inputs), repositories(BUCKETS))
    rows = rows_of(view.capability, view.result)
    first, second = "https://h/a.mp3", "cos://music-1250000000/b.mp3"
    assert [row["input"] for row in rows] == [second, first, first, first]
    assert view.input == second


def test_rows_of_one_output_leave_the_input_to_the_manifest() -> None:
    assert "input" not in next(iter(rows_of("musicRecognition", {"x": 1})))


def test_every_schema_has_a_version() -> None:
    assert all(schema(name).version >= 1 for name in (*CAPABILITIES, "vocalScore"))


@pytest.mark.parametrize("name", ["fileName", "mergeFileName", "songName", "voiceName", "videoName", "xFileName"])
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_file_members_are_found_at_any_depth(name: str, depth: int) -> None:
    content: Any = {name: "a.mp3", "tone": 1, "text": "b.mp3", "name": "c.mp3"}
    for _ in range(depth):
        content = {"list": [content]}
    job = finished(output("musicSeperate", content, contentId="content-1", destination="/out/"))
    assert read_result(job, repositories(BUCKETS)).files == ["cos://music-1250000000/out/a.mp3"]


def test_files_are_listed_in_the_order_of_the_answer() -> None:
    content = {"musicSeperate": [{"fileName": f"{index}.mp3"} for index in range(5)]}
    job = finished(output("musicSeperate", content, contentId="content-1"))
    assert read_result(job, repositories(BUCKETS)).files == [
        f"cos://music-1250000000/{index}.mp3" for index in range(5)
    ]


@pytest.mark.parametrize(
    ("destination", "file", "key"),
    [
        (None, "a.mp3", "a.mp3"),
        ("/", "a.mp3", "a.mp3"),
        ("", "/a.mp3", "a.mp3"),
        ("/out", "a.mp3", "out/a.mp3"),
        ("out/", "/a.mp3", "out/a.mp3"),
        ("/a/b/", "c/d.mp3", "a/b/c/d.mp3"),
    ],
)
def test_file_address_joins_directory_and_name_with_one_slash(destination: Any, file: str, key: str) -> None:
    job = finished(output("x", {"fileName": file}, contentId="content-1", destination=destination))
    assert read_result(job, repositories(BUCKETS)).files == [f"cos://music-1250000000/{key}"]


def test_file_in_an_unknown_bucket_is_named_without_an_address() -> None:
    job = finished(output("x", {"fileName": "a.mp3"}, contentId="other", destination="/out"))
    view = read_result(job, repositories(BUCKETS))
    assert (view.files, view.unresolved_files) == ([], ["out/a.mp3"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([{"url": "https://u:5e7@h/a.mp3?sign=5e7#5e7"}], "https://h/a.mp3?2d907e248161c2ff"),
        ([{"source": {"contentId": "content-1", "path": "/in/a.mp3"}}], "cos://music-1250000000/in/a.mp3"),
        ([{"source": {"contentId": "other", "path": "in/a.mp3"}}], "in/a.mp3"),
        ([{"sourceData": "la"}], None),
        ([], None),
        ([None, {"url": "https://h/b"}], "https://h/b"),
    ],
)
def test_input_is_shown_without_anything_secret(given: list[Any], shown: str | None) -> None:
    assert read_result(finished(output("x", {}), inputs=given), repositories(BUCKETS)).input == shown


def test_unreadable_input_address_does_not_lose_the_result() -> None:
    job = finished(output("musicASR", {"musicASR": [{"text": "la"}]}), inputs=[{"url": "http://[5e7"}])
    view = read_result(job, repositories({}))
    assert "5e7" not in str(view.input)
    assert len(view.result["lines"]) == 1


def test_job_that_is_not_done_has_an_empty_result() -> None:
    job = read_job(example("musicTagV2", "create_response")["createJobResponse"]["job"], "GetJob")
    view = read_result(job, repositories({}))
    assert (view.capability, view.result, view.files) == ("musicTagV2", {}, [])


def test_capability_is_read_from_the_descriptor_beside_a_prefix() -> None:
    given = {"smartContentDescriptor": {"outputPrefix": "p", "musicBeat": {}}, "smartContentResult": {"musicBeat": {}}}
    assert read_result(finished(given), repositories({})).capability == "musicBeat"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("25.2", 25.2),
        (25.2, 25.2),
        (3, 3.0),
        (" 1 ", 1.0),
        ("", None),
        ("1,5", None),
        ("NaN", None),
        (math.inf, None),
        ("1e999", None),
        (10**400, None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_number_is_read_from_text_and_never_infinite(value: object, read: float | None) -> None:
    assert number(value) == read
