"""5,000 damaged arguments of every operator of both services: a request that can be sent, or a typed error."""

from __future__ import annotations

import inspect
import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_mediax import arguments
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.operators import music
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music_base import MediaxOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.protocol.ci.requests import VoiceSeparationRequest
from airflow_provider_mediax.protocol.mediax.request import MediaxRequest, Repository
from tests import damage
from tests.unit.protocol.helpers import marked, wired

ARGUMENTS = 5_000
SECONDS = 2.0
"""Processor time that one request may take; they take a millisecond."""

REPOSITORY = Repository(
    content_id="repository",
    bucket="music-1250000000",
    conn_id="mediax_default",
    presign=lambda address: f"https://signed/{address.bucket}",
)
GIVEN: dict[str, Any] = {"task": "generate", "model_name": "default", "source_data": "x"}
STEMS: dict[Literal["voice", "background", "bass", "drum"], str] = {
    "voice": "out/voice.mp3",
    "background": "out/background.mp3",
}
SEPARATION: dict[str, Any] = {"source": "in/a.mp3", "mode": "AudioAndBackground", "outputs": STEMS}
OUTPUTS = [{"smartContentDescriptor": {"musicTagV2": {"tagType": ["all"]}}}]


def working() -> list[JobOperator[Any]]:
    """Return an operator of every class, with arguments that are right."""
    made: list[JobOperator[Any]] = []
    for name, kind in sorted(inspect.getmembers(music, inspect.isclass)):
        if issubclass(kind, MediaxOperator) and kind.__module__ == music.__name__ and "computes" in vars(kind):
            taken: dict[str, Any] = {"path": "a.mp3"} if "path" in kind.computes.inputs else {}
            needed = {one: value for one, value in GIVEN.items() if one in kind.template_fields}
            if taken:
                needed.pop("source_data", None)
            made.append(kind(task_id=name, **taken, **needed))
    made.append(music.MediaxJobOperator(task_id="raw", path="a.mp3", descriptor={"vocalScore": {"a": 1}}))
    made.append(music.MediaxJobOperator(task_id="arrays", inputs=[{"url": "https://h/a"}], outputs=OUTPUTS))
    made.append(VoiceSeparationOperator(task_id="stems", **SEPARATION))
    made.append(VoiceSeparationOperator(task_id="folder", source="in/a.mp3", mode="IsAudio", destination="out"))
    made.append(VoiceSeparationOperator(task_id="template", source="in/a.mp3", template_id="t1", outputs=STEMS))
    return made


with DAG("damaged_arguments"):
    OPERATORS = working()
    RETURNED = music.MusicTagOperator(task_id="before", path="a").output

#: What a DAG file can hand over and JSON does not know.
OBJECTS: list[Any] = [
    *(RETURNED, object(), b"a", {1, 2}, (1, "a"), frozenset(["mood"]), Decimal("1.5"), Decimal("NaN"), 1j, print),
    *(
        timedelta(seconds=90),
        timedelta(days=10**6),
        datetime(2026, 1, 1, tzinfo=UTC),
        Path("/a"),
        range(3),
        {1: 2, "a": 1},
    ),
    *(ObjectStoragePath("cos://mediax_default@music-1250000000/in/a.mp3"), ObjectStoragePath("cos://a@b-1/c")),
    *(
        {1: 2, "a": 1},
        [None],
        ["mood", None],
        [[]],
        {"voice": None},
        {"voice": 3},
        [{"url": None}],
        [{"source": {"path": "a/.."}}],
    ),
]


def checked(operator: JobOperator[Any]) -> None:
    """Build the request and everything that is made of it."""
    request = operator.build_request()
    identity = json.dumps(request.identity(), sort_keys=True, allow_nan=False)
    assert identity == json.dumps(operator.build_request().identity(), sort_keys=True)
    if isinstance(request, MediaxRequest):
        json.dumps(wired(request, REPOSITORY), allow_nan=False, ensure_ascii=False).encode()
    else:
        assert isinstance(request, VoiceSeparationRequest)
        ET.fromstring(marked(request, "mx1-0", bucket="music-1250000000", region="ap-guangzhou"))
    operator.make_hook()


def refusal_of(operator: JobOperator[Any]) -> str | None:
    """Return why the arguments are refused, None if they are not; any other error comes out."""
    try:
        checked(operator)
    except BadRequest as error:
        error.what.encode()
        return error.what
    return None


def own_arguments(operator: JobOperator[Any]) -> list[str]:
    """Return what a request is made of."""
    return sorted(set(operator.template_fields) - {"mediax_conn_id", "on_clear", "idempotency_key", "poll_interval"})


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.task_id)
def test_a_damaged_argument_gives_a_request_or_a_typed_error(operator: JobOperator[Any]) -> None:
    checked(operator)
    chance = Random(f"arguments of {operator.task_id}")
    right = {name: getattr(operator, name) for name in own_arguments(operator)}
    built = 0
    try:
        for _ in range(ARGUMENTS // len(OPERATORS) + 1):
            wrong = {
                name: chance.choice(OBJECTS) if chance.random() < 0.3 else damage.value(chance)
                for name in chance.sample(sorted(right), chance.choice([1, 1, 1, 2, 3]))
            }
            vars(operator).update(right | wrong)
            began = time.process_time()
            refusal = refusal_of(operator)
            built += refusal is None
            assert len(refusal or "") < 1000, wrong
            assert time.process_time() - began < SECONDS, wrong
    finally:
        vars(operator).update(right)
    assert built > 5, "hardly anything was built: the damage is too great to find anything"


READERS: list[Callable[[Any], object]] = [
    lambda value: arguments.as_bool("name", value, True),
    lambda value: arguments.as_seconds("name", value),
    lambda value: arguments.as_whole_seconds("name", value),
    lambda value: arguments.as_int("name", value),
    lambda value: arguments.as_float("name", value),
    lambda value: arguments.as_text("name", value),
    lambda value: arguments.as_texts("name", value),
    lambda value: arguments.as_object("name", value),
    lambda value: arguments.as_objects("name", value),
    lambda value: arguments.as_choice("name", value, ("rerun", "reuse")),
    lambda value: arguments.as_address("name", value, "mediax_default"),
    lambda value: arguments.as_addresses("name", value, "mediax_default"),
    arguments.as_idempotency_key,
]


@pytest.mark.parametrize("read", READERS, ids=range(len(READERS)))
def test_a_reader_gives_a_value_or_a_typed_error_whatever_it_is_given(read: Callable[[Any], object]) -> None:
    chance = Random("readers")
    for value in [*OBJECTS, *damage.NASTY_TEXTS, *damage.NASTY_SCALARS, *(damage.value(chance) for _ in range(300))]:
        try:
            read(value)
        except BadRequest as error:
            error.what.encode()
