"""Whatever arrives, a parser gives a result or a typed error, and what it gives can be stored as JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.protocol.callbacks import read_mediax_callback
from airflow_provider_mediax.protocol.exchange import Flow, Reply
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.json_body import parse_json
from airflow_provider_mediax.protocol.mediax.gateway import Registration, read_job
from airflow_provider_mediax.protocol.mediax.results import read_result
from tests.unit.protocol.helpers import repositories, rows_of

from .examples import GATEWAY, example
from .flows import play

REGISTRATION = Registration(
    operate_uin="1", user_name="demo", cos_secret_id="id", cos_secret_key="key", bucket="b-1", region="r"
)
FLOWS: dict[str, Callable[[], Flow[Any]]] = {
    "createJobResponse": lambda: GATEWAY.create_job({}, "{customId}"),
    "getJobResponse": lambda: GATEWAY.get_job("1"),
    "listJobsResponse": lambda: GATEWAY.list_jobs("{customId}"),
    "registerInfo": lambda: GATEWAY.register(REGISTRATION),
    "listModelsResponse": lambda: GATEWAY.list_models(),
}
DOCUMENTED: list[Any] = [
    *[
        example(capability, kind)
        for capability in ("musicTagV2", "musicASR")
        for kind in ("create_response", "get_response", "list_response")
    ],
    example("register", "response"),
    example("list_models", "response"),
    example("error_response"),
]
KNOWN_NAMES = sorted(
    {
        *(
            "id",
            "job",
            "jobs",
            "total",
            "state",
            "customId",
            "timing",
            "createdAt",
            "inputs",
            "outputs",
            "url",
            "source",
        ),
        *(
            "contentId",
            "path",
            "destination",
            "smartContentDescriptor",
            "smartContentResult",
            "musicTagV2",
            "musigTagV2",
        ),
        *(
            "musicASR",
            "musicBeat",
            "fileName",
            "label",
            "prob",
            "text",
            "startTime",
            "errorResponse",
            "message",
            "lines",
        ),
        *FLOWS,
    }
)

fuzz = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

texts = st.one_of(
    st.text(st.characters(codec=None), max_size=8),
    st.sampled_from(
        ["", "http://[", "https://℀.com/x", "\ud83d", "9" * 5000, "-1", "1e999", "NaN", "{customId}", "a,b"]
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 3, 10**400, -(10**18), 1e308, float("nan"), float("inf"), -0.0]),
    st.floats(),
    texts,
)
names = st.one_of(st.sampled_from(KNOWN_NAMES), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=5)),
    max_leaves=25,
)
objects = st.dictionaries(names, values, max_size=6)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


@st.composite
def deep(draw: st.DrawFn) -> bytes:
    """A documented body with a part that is nested a great deal."""
    depth = draw(st.sampled_from([50, 98, 101, 400, 900, 960, 980, 990, 5000, 100_000]))
    opening, closing = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b'{"fileName":"x","a":[', b"]}")]))
    core = opening * depth + (b"1" if opening[-1:] == b":" else b"") + closing * depth
    body = encoded(draw(st.sampled_from(DOCUMENTED)))
    spot = draw(st.sampled_from([b'"1610513575000"', b'"1.0000"', b'"{url}"', b"{}", b'"{customId}"', b"3", b"1"]))
    return body.replace(spot, core, 1)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A documented body with some members replaced, removed or added."""
    body = copy.deepcopy(draw(st.sampled_from(DOCUMENTED)))
    for _ in range(draw(st.integers(1, 4))):
        spot: Any = body
        while isinstance(spot, (dict, list)) and spot:
            key = (
                draw(st.sampled_from(sorted(spot)))
                if isinstance(spot, dict)
                else draw(st.sampled_from(range(len(spot))))
            )
            inner = spot[key]
            if isinstance(inner, (dict, list)) and inner and draw(st.integers(0, 4)):
                spot = inner
                continue
            if draw(st.booleans()) and isinstance(spot, dict):
                del spot[key]
            else:
                spot[key] = draw(values)
            break
    return encoded(body)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A documented body cut off or with bytes changed."""
    body = bytearray(encoded(draw(st.sampled_from(DOCUMENTED))))
    for _ in range(draw(st.integers(0, 5))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body[: draw(st.integers(0, len(body)))])


bodies = st.one_of(st.binary(max_size=60), values.map(encoded), mutated(), mutated(), damaged(), deep())


def storable(value: object) -> None:
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


def inspect(job: Job) -> None:
    """Do with a job everything that is done with one."""
    assert job.id
    storable([job.id, job.state_name, job.marker, job.message, job.summary, job.raw])
    view = read_result(job, repositories({"tmpContentId": "b-1"}))
    storable([view.capability, view.result, view.files, view.unresolved_files, view.input])
    storable(rows_of(view.capability, view.result))


@pytest.mark.parametrize("member", FLOWS)
@fuzz
@given(body=bodies, status=st.sampled_from([200, 200, 200, 204, 302, 400, 403, 429, 500]))
def test_flows_end_in_a_result_or_a_typed_error(member: str, body: bytes, status: int) -> None:
    try:
        result = play(FLOWS[member](), Reply(status, {"x-request-id": "r"}, body)).result
    except MediaxError as error:
        storable([str(error), error.facts()])
        return
    for job in [result] if isinstance(result, Job) else getattr(result, "jobs", []):
        inspect(job)


@fuzz
@given(body=bodies)
def test_callbacks_end_in_a_job_or_a_typed_error(body: bytes) -> None:
    try:
        job = read_mediax_callback(body)
    except MediaxError as error:
        storable(str(error))
    else:
        inspect(job)


@settings(fuzz, max_examples=400)
@given(raw=objects)
def test_any_json_object_can_be_read_as_a_job(raw: dict[str, Any]) -> None:
    try:
        read = parse_json(encoded({**raw, "id": "job-1"}), "The job")
    except MediaxError:
        return
    inspect(read_job(read, "GetJob"))


@settings(fuzz, max_examples=400)
@given(
    capability=st.one_of(
        st.sampled_from(["musicTagV2", "musicASR", "musicBeat", "musicASR,musicTagV2", "x"]), texts.filter(bool)
    ),
    view=objects,
)
def test_rows_are_made_of_any_view(capability: str, view: dict[str, Any]) -> None:
    try:
        read = parse_json(encoded(view), "The view")
    except MediaxError:
        return
    made = rows_of(capability, read)
    assert made or capability != "x"  # a form that is not known is one row
    for row in made:
        assert {"capability", "schema_version"} <= row.keys()
        json.dumps(row, allow_nan=False)


@fuzz
@given(body=bodies)
def test_what_is_read_can_be_stored(body: bytes) -> None:
    try:
        read = parse_json(body, "The answer")
    except MediaxError:
        return
    storable(read)
