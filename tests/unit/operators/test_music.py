"""Promise 8: bad input is refused after rendering and before anything is sent, with field, value and rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators import music
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music import (
    MediaxJobOperator,
    MusicAsrOperator,
    MusicBeatOperator,
    MusicSeparationOperator,
    MusicTagOperator,
    TextBgmOperator,
)
from airflow_provider_mediax.operators.music_base import MediaxOperator
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import MediaxRequest, Repository
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from airflow_provider_mediax.protocol.service import Prepared
from tests.unit.protocol.helpers import wired

OPERATORS = [
    operator
    for _, operator in inspect.getmembers(music, inspect.isclass)
    if issubclass(operator, MediaxOperator) and operator.__module__ == music.__name__
]
NOT_TEMPLATED = {"deferrable", "wait_for_completion", "cancel_on_kill", "retry_failed_jobs", "verify_outputs"}
REPOSITORY = Repository(content_id="repository", bucket="music-1")


def arguments(operator: type[JobOperator[Any]]) -> set[str]:
    """Return the names of an operator's own arguments, those of its bases included."""
    found: set[str] = set()
    for kind in operator.__mro__[: operator.__mro__.index(JobOperator) + 1]:
        parameters = inspect.signature(vars(kind).get("__init__", lambda self: None)).parameters.values()
        found |= {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return found


def made(operator: type[MediaxOperator], **options: Any) -> MediaxOperator:
    return operator(task_id="t", **({"path": "a.mp3"} | options))


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_argument_is_templated_unless_the_design_says_not(operator: type[MediaxOperator]) -> None:
    assert arguments(operator) - {"task_id"} - NOT_TEMPLATED == set(operator.template_fields)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_constructor_looks_at_no_templated_value(operator: type[MediaxOperator]) -> None:
    templates: dict[str, Any] = dict.fromkeys(operator.template_fields, "{{ nothing.that.exists }}")
    assert operator(task_id="t", **templates).build_request.__name__ == "build_request"


@pytest.mark.parametrize("operator", OPERATORS)
def test_only_the_task_id_is_positional(operator: Callable[..., MediaxOperator]) -> None:
    with pytest.raises(TypeError):
        operator("t", "a.mp3")


@pytest.mark.parametrize(
    ("operator", "options", "field"),
    [
        (MusicTagOperator, {"path": None, "url": "file:///a"}, "url"),
        (MusicTagOperator, {"path": None, "url": "cos://bucket"}, "url"),
        (MusicTagOperator, {"tag_types": ["all", "mood"]}, "tag_types"),
        (MusicTagOperator, {"tag_types": "all, mood"}, "tag_types"),
        (MusicTagOperator, {"tag_types": ["tempo"]}, "tag_types"),
        (MusicTagOperator, {"tag_types": []}, "tag_types"),
        (MusicTagOperator, {"tag_types": ""}, "tag_types"),
        (MusicTagOperator, {"tag_types": 7}, "tag_types"),
        (MusicAsrOperator, {"confidence": 1.01}, "confidence"),
        (MusicAsrOperator, {"confidence": -0.1}, "confidence"),
        (MusicAsrOperator, {"confidence": "high"}, "confidence"),
        (MusicAsrOperator, {"confidence": "nan"}, "confidence"),
        (MusicBeatOperator, {"enlarge_level": 7}, "enlarge_level"),
        (MusicBeatOperator, {"enlarge_level": 0}, "enlarge_level"),
        (MusicBeatOperator, {"drum_type": "loud"}, "drum_type"),
        (MusicBeatOperator, {"split_num": 2.5}, "split_num"),
        (MusicBeatOperator, {"output_prefix": "x" * 20}, "output_prefix"),
        (MusicBeatOperator, {"cos_bucket": "b"}, "cos_bucket"),
        (MusicTagOperator, {"job_timeout": 0}, "job_timeout"),
        (MusicTagOperator, {"job_timeout": "soon"}, "job_timeout"),
        (MusicTagOperator, {"job_timeout": 600, "wait_timeout": 600}, "job_timeout"),
        (MusicTagOperator, {"job_timeout": "900", "wait_timeout": "600"}, "job_timeout"),
        (MusicTagOperator, {"extra_parameters": "text"}, "extra_parameters"),
        (MediaxJobOperator, {"descriptor": {"a": {}}, "inputs": [{}]}, "inputs"),
        (MediaxJobOperator, {"descriptor": {"a": {}, "b": {}}}, "descriptor"),
        (MediaxJobOperator, {"descriptor": {"outputPrefix": "x"}}, "descriptor"),
        (MediaxJobOperator, {"descriptor": "text"}, "descriptor"),
        (MediaxJobOperator, {"path": None, "outputs": [{}]}, "outputs"),
        (MediaxJobOperator, {"outputs": [{"smartContentDescriptor": {"a": {}}}]}, "path"),
    ],
)
def test_bad_input_is_refused_by_field(operator: type[MediaxOperator], options: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        prepared(made(operator, **options))
    assert caught.value.what.startswith(f"{field}=")
    assert "is refused: " in caught.value.what


def prepared(operator: MediaxOperator) -> Prepared[MediaxRequest]:
    """Take an operator as far as it goes before anything is sent."""
    platform = MediaxService(Gateway(base_url="http://x", platform_keys=PlatformKeys("id", "key")), REPOSITORY)
    return replace(platform, cos_bucket=operator._cos_bucket()).prepare(operator.build_request())


BOTH = {"url": "https://x/y", "path": "z"}


@pytest.mark.parametrize(
    ("operator", "options", "said"),
    [
        (MusicTagOperator, {"path": None}, "Give exactly one of url and path; got none"),
        (MusicTagOperator, {"url": "", "path": "None"}, "Give exactly one of url and path; got none"),
        (MusicTagOperator, BOTH, "Give exactly one of url and path; got url and path"),
        (TextBgmOperator, {"path": None}, "Give source_data; got none"),
        (
            TextBgmOperator,
            {"source_data": "x"},
            "Give exactly one of url, path and source_data; got path and source_data",
        ),
        (MediaxJobOperator, {}, "Give exactly one of descriptor and outputs; got none"),
        (
            MediaxJobOperator,
            {"descriptor": {"a": {}}, "outputs": [{}]},
            "Give exactly one of descriptor and outputs; got descriptor and outputs",
        ),
    ],
)
def test_of_arguments_that_exclude_each_other_one_must_be_given(
    operator: type[MediaxOperator], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        made(operator, **options).build_request()
    assert caught.value.what == said


@pytest.mark.parametrize(
    ("operator", "options", "descriptor"),
    [
        (MusicTagOperator, {}, {"musicTagV2": {"tagType": ["all"]}}),
        (MusicTagOperator, {"tag_types": "['mood', 'bgm']"}, {"musicTagV2": {"tagType": ["mood", "bgm"]}}),
        (MusicAsrOperator, {"confidence": "0.5"}, {"musicASR": {"confidence": 0.5}}),
        (
            MusicBeatOperator,
            {},
            {"musicBeat": {"outputType": 4, "drumType": 2, "enlargeLevel": 3, "splitNum": 3}},
        ),
        (
            MusicBeatOperator,
            {"split_num": None, "output_prefix": "p", "extra_parameters": {"new": 1}},
            {"outputPrefix": "p", "musicBeat": {"outputType": 4, "drumType": 2, "enlargeLevel": 3, "new": 1}},
        ),
        (MediaxJobOperator, {"descriptor": {"vocalScore": {"x": 1}}}, {"vocalScore": {"x": 1}}),
    ],
)
def test_rendered_arguments_become_the_documented_request(
    operator: type[MediaxOperator], options: dict[str, Any], descriptor: dict[str, Any]
) -> None:
    body = wired(made(operator, **options).build_request(), REPOSITORY)
    assert body["outputs"][0]["smartContentDescriptor"] == descriptor
    assert body["inputs"] == [{"source": {"contentId": "repository", "path": "a.mp3"}}]


def test_cos_addresses_in_the_registered_bucket_are_paths() -> None:
    body = wired(made(MusicTagOperator, path=None, url="cos://music-1/in/a b.mp3").build_request(), REPOSITORY)
    assert body["inputs"] == [{"source": {"contentId": "repository", "path": "in/a b.mp3"}}]


def test_timeout_and_callback_are_sent_only_if_given() -> None:
    plain = wired(made(MusicTagOperator).build_request(), REPOSITORY)
    assert set(plain) == {"inputs", "outputs"}
    full = wired(made(MusicTagOperator, job_timeout=60, callback="https://x").build_request(), REPOSITORY)
    assert (full["timeout"], full["callback"]) == (60, "https://x")


@pytest.mark.parametrize("content_id", ["other", "{{ 'other' }}"])
def test_the_bucket_of_another_repository_reaches_the_manifest(content_id: str) -> None:
    operator = made(MusicSeparationOperator, content_id=content_id, cos_bucket="other-1")
    operator._stop = None
    assert operator.make_hook()._cos_bucket == "other-1"
    for options in ({}, {"content_id": "other"}, {"cos_bucket": "None"}):
        assert made(MusicSeparationOperator, **options)._cos_bucket() is None
