"""Bodies of Cloud Infinite: what is read whatever its form, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mediax.exceptions import BadRequest, MediaxError, ProtocolError
from airflow_provider_mediax.protocol.callbacks import read_ci_callback
from airflow_provider_mediax.protocol.ci import xml
from airflow_provider_mediax.protocol.ci.answers import read_separation, slowed_down
from airflow_provider_mediax.protocol.ci.requests import AudioConfig, VoiceSeparationRequest
from airflow_provider_mediax.protocol.ci.xml import read_posted, read_xml, write_xml
from airflow_provider_mediax.protocol.exchange import Flow, JsonObject, Reply
from tests.unit.protocol.helpers import BODIES, MARKER, ci, drive, published, submitted

PUBLISHED = sorted(file.name for file in BODIES.iterdir() if file.suffix in (".xml", ".json"))
PUBLISHED.remove("signature_vectors.json")


def read(body: str) -> JsonObject:
    return read_xml(body.encode(), "The answer")[1]


def test_what_can_repeat_is_a_list_however_often_it_occurs() -> None:
    assert read("<Response><JobsDetail><JobId>a</JobId></JobsDetail></Response>") == {"JobsDetail": [{"JobId": "a"}]}
    assert read("<Response><JobsDetail/><NonExistJobIds>a</NonExistJobIds></Response>") == {
        "JobsDetail": [],
        "NonExistJobIds": ["a"],
    }
    assert read(
        "<R><OutputFile><ObjectName>a</ObjectName><Md5Info><ObjectName>a</ObjectName></Md5Info></OutputFile></R>"
    )["OutputFile"] == {"ObjectName": ["a"], "Md5Info": [{"ObjectName": "a"}]}


def test_what_repeats_without_being_known_to_is_a_list_too() -> None:
    assert read("<R><A>1</A><A>2</A></R>") == {"A": ["1", "2"]}


def test_xml_and_json_of_one_callback_read_the_same() -> None:
    from_xml = read_posted(published("callback_workflow_job.xml"), "The callback")
    from_json = read_posted(published("callback_workflow_job.json"), "The callback")

    def without_empty(value: dict[str, Any] | list[Any] | str) -> dict[str, Any] | list[Any] | str:
        if isinstance(value, dict):
            kept = {name: without_empty(inner) for name, inner in value.items()}
            return {name: inner for name, inner in kept.items() if inner not in ("", [], {})}
        return [without_empty(item) for item in value] if isinstance(value, list) else value

    assert without_empty(from_xml) == without_empty(from_json)


def test_namespaces_and_attributes_are_ignored() -> None:
    assert read('<a:Response xmlns:a="urn:x"><a:JobId b="c">1</a:JobId></a:Response>') == {"JobId": "1"}


def test_what_is_read_can_be_stored_as_json() -> None:
    for name in PUBLISHED:
        json.dumps(read_posted(published(name), name), allow_nan=False).encode()


LAUGHS = '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><r>&b;</r>'


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS,
        '<?xml version="1.0"?>' + LAUGHS,
        f"<!-- a --> <?pi x?>\n{LAUGHS}",
        '<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>',
        "<!DOCTYPE html><html><body>Please wait.</body></html>",
        "<r>&undefined;</r>",
        "<r>",
        "<r></s>",
        "<r/><r/>",
        "<r>\0</r>",
        "<r>&#0;</r>",
        "<r>&#xD800;</r>",
        "plain text",
        "",
        "<!-- never ends",
        "<a>" * 200 + "</a>" * 200,
        "<a>" * 200_000 + "</a>" * 200_000,
    ],
    ids=lambda body: body[:30],
)
def test_what_is_no_harmless_xml_is_refused(body: str) -> None:
    with pytest.raises(ProtocolError):
        read(body)


def test_an_entity_in_another_encoding_is_refused() -> None:
    with pytest.raises(ProtocolError):
        read_xml(LAUGHS.encode("utf-16"), "The answer")


def test_an_address_of_a_document_type_inside_a_text_is_only_text() -> None:
    assert read("<r><a><![CDATA[<!DOCTYPE x>]]></a></r>") == {"a": "<!DOCTYPE x>"}


def test_a_body_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml, "MAX_TEXT", 20)
    with pytest.raises(ProtocolError, match="longer than 20 bytes"):
        read("<r>" + "a" * 20 + "</r>")
    with pytest.raises(ProtocolError, match="longer than 20 bytes"):
        read_posted(b'{"a": "' + b"a" * 20 + b'"}', "The callback")


def test_a_prolog_of_any_length_takes_linear_time() -> None:
    assert read("<!-- -->" * 100_000 + " " * 100_000 + "<r><a>1</a></r>") == {"a": "1"}


def test_an_error_repeats_nothing_of_the_body() -> None:
    with pytest.raises(ProtocolError) as refused:
        read("<r>my secret")
    assert "secret" not in str(refused.value)


@given(st.text(max_size=20))
def test_a_text_written_is_the_text_read_or_refused(said: str) -> None:
    try:
        body = write_xml("R", {"A": {"B": said, "C": None}})
    except BadRequest:
        return
    assert read_xml(body, "x")[1]["A"]["B"] == (said if said.strip() else "")


flows: dict[str, Callable[[], Flow[Any]]] = {
    "submit": lambda: submitted(ci(), _request(), MARKER),
    "describe": lambda: ci().describe(["j1", "j2"]),
    "list": lambda: ci().list_jobs(),
    "cancel": lambda: ci().cancel(["j1"]),
    "templates": lambda: ci().get_templates(ids=["t1"]),
    "create": lambda: ci().create_template("n", "IsAudio", _audio()),
    "queues": lambda: ci().queues(),
    "activation": lambda: ci().activation(),
}


def _request() -> VoiceSeparationRequest:
    from tests.unit.protocol.helpers import request

    return request()


def _audio() -> AudioConfig:
    from airflow_provider_mediax.protocol.ci.requests import AudioConfig

    return AudioConfig()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A published body in which some pieces are cut, doubled, swapped or overwritten."""
    body = bytearray(published(draw(st.sampled_from(PUBLISHED))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        until = min(len(body), at + draw(st.integers(0, 60)))
        kind = draw(st.sampled_from(["cut", "double", "noise", "node"]))
        if kind == "cut":
            del body[at:until]
        elif kind == "double":
            body[at:at] = body[at:until]
        elif kind == "noise":
            body[at:until] = draw(st.binary(max_size=8))
        else:
            body[at:at] = draw(
                st.sampled_from([b"<a/>", b"</JobsDetail>", b"<JobsDetail>", b"{", b"null", b"]", b"1e999"])
            )
    return bytes(body)


@given(damaged() | st.binary(max_size=40), st.sampled_from([200, 204, 301, 400, 401, 404, 429, 500, 503]))
def test_a_damaged_answer_gives_a_typed_error_or_a_result(body: bytes, status: int) -> None:
    reply = Reply(status, {}, body)
    slowed_down(reply)
    for start in flows.values():
        try:
            drive(start(), reply)
        except MediaxError:
            continue


@given(damaged() | st.binary(max_size=40))
def test_a_damaged_callback_gives_a_typed_error_or_jobs(body: bytes) -> None:
    try:
        jobs = read_ci_callback(body)
    except ProtocolError:
        return
    for job in jobs:
        json.dumps(read_separation(job, "music-1250000000", "ap-guangzhou").result)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["JobsDetail", "JobId", "State", "Operation", "Output", "Object", "AuObject", "MediaResult", "OutputFile",
         "ObjectName", "Md5Info", "Input", "UserData", "CreationTime", "Code"]), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(st.dictionaries(st.just("JobsDetail"), json_values))
def test_any_json_gives_a_typed_error_or_jobs(posted: dict[str, Any]) -> None:
    try:
        jobs = read_ci_callback(json.dumps(posted).encode())
    except ProtocolError:
        return
    for job in jobs:
        json.dumps(read_separation(job, "music-1250000000", "ap-guangzhou").result)
