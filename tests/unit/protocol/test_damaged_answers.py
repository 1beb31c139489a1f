"""60,000 damaged answers of both services: every reader gives a result that can be stored, or a typed error."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.protocol.callbacks import read_ci_callback, read_mediax_callback
from airflow_provider_mediax.protocol.ci.answers import expected_stems, read_separation
from airflow_provider_mediax.protocol.ci.requests import AudioConfig
from airflow_provider_mediax.protocol.exchange import Call, Flow, Reply
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.mediax.gateway import Registration
from airflow_provider_mediax.protocol.mediax.results import read_result
from airflow_provider_mediax.protocol.rows import ResultView
from tests import damage
from tests.capability_cases import CASES
from tests.unit.protocol.helpers import repositories, rows_of, separations, submitted

from .examples import GATEWAY, example
from .helpers import BODIES, MARKER, ci, request

ANSWERS = 60_000
PARTS = 12
SECONDS = 2.0
"""Processor time that one answer may take; they take a millisecond."""

BUCKET = "music-1250000000"
REGISTRATION = Registration(
    operate_uin="1", user_name="demo", cos_secret_id="id", cos_secret_key="key", bucket="b-1", region="r"
)
MEDIAX_DOCUMENTS: list[Any] = [
    *(
        example(capability, kind)
        for capability in ("musicTagV2", "musicASR")
        for kind in ("create_response", "get_response", "list_response")
    ),
    *(example("register", "response"), example("list_models", "response"), example("error_response")),
    *(
        {
            "getJobResponse": {
                "job": {
                    "id": "job-1",
                    "state": 3,
                    "customId": MARKER,
                    "outputs": [
                        {
                            "contentId": "c",
                            "destination": "/out/",
                            "smartContentDescriptor": {case.name: case.sent},
                            "smartContentResult": dict(case.answer),
                        }
                    ],
                }
            }
        }
        for case in CASES
    ),
]
MEDIAX_FLOWS: list[Callable[[], Flow[Any]]] = [
    lambda: GATEWAY.create_job({}, MARKER),
    lambda: GATEWAY.get_job("job-1"),
    lambda: GATEWAY.list_jobs(MARKER),
    lambda: GATEWAY.register(REGISTRATION),
    lambda: GATEWAY.list_models(),
]
CI_XML = [path.read_bytes() for path in sorted(BODIES.glob("*.xml")) if "request" not in path.name]
CI_JSON = [json.loads(path.read_bytes()) for path in sorted(BODIES.glob("callback*.json"))]
CI_FLOWS: list[Callable[[], Flow[Any]]] = [
    lambda: submitted(ci(), request(), MARKER),
    lambda: ci().describe(["j1", "j2"]),
    lambda: ci().list_jobs(),
    lambda: separations().jobs_of(MARKER),
    lambda: ci().cancel(["j1"]),
    lambda: ci().create_template("name", "IsAudio", AudioConfig()),
    lambda: ci().get_templates(name="name"),
    lambda: ci().queues(),
    lambda: ci().activation(),
]


def test_there_are_documents_of_both_services_to_damage() -> None:
    assert len(MEDIAX_DOCUMENTS) > 20
    assert len(CI_XML) > 10
    assert CI_JSON


@pytest.mark.parametrize("part", range(PARTS))
def test_a_damaged_answer_gives_a_result_or_a_typed_error(part: int) -> None:
    chance = Random(f"answers {part}")
    read = 0
    for _ in range(ANSWERS // PARTS // 2):
        for body, flows, callback in (
            (damage.damaged_json(chance, chance.choice(MEDIAX_DOCUMENTS)), MEDIAX_FLOWS, read_mediax_callback),
            (ci_body(chance), CI_FLOWS, read_ci_callback),
        ):
            began = time.process_time()
            try:
                if chance.random() < 0.2:
                    result: Any = callback(body)
                else:
                    status = chance.choice([200, 200, 200, 200, 204, 302, 400, 401, 403, 404, 408, 429, 500, 503])
                    result = carried_out(chance.choice(flows)(), Reply(status, damage.headers(chance), body))
                for job in jobs_in(result):
                    look_at(job)
                read += 1
            except MediaxError as error:
                storable([str(error), error.what, error.facts()])
            assert time.process_time() - began < SECONDS, body
    assert read > ANSWERS // PARTS // 20, "hardly anything could be read: the damage is too great to find anything"


def ci_body(chance: Random) -> bytes:
    if chance.random() < 0.15:
        return damage.damaged_json(chance, chance.choice(CI_JSON))
    return damage.damaged_xml(chance, chance.choice(CI_XML))


def carried_out(flow: Flow[Any], reply: Reply) -> Any:
    """Give a flow the same answer to everything that it asks."""
    try:
        step = next(flow)
        for _ in range(200):
            step = flow.send(reply if isinstance(step, Call) else None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the flow has no end")


def jobs_in(result: Any) -> list[Job]:
    if isinstance(result, Job):
        return [result]
    if isinstance(result, dict):
        return [job for job in result.values() if isinstance(job, Job)]
    return [
        job for job in (result if isinstance(result, list) else getattr(result, "jobs", [])) if isinstance(job, Job)
    ]


def look_at(job: Job) -> None:
    """Do with a job everything that is done with one."""
    assert job.id
    storable([job.id, job.state_name, job.marker, job.message, job.summary, job.raw])
    for view in (read_result(job, repositories({"c": BUCKET})), read_separation(job, BUCKET, "ap-guangzhou")):
        look_at_result(view)
    expected_stems(job, BUCKET)


def look_at_result(view: ResultView) -> None:
    storable([view.capability, view.result, view.files, view.unresolved_files, view.input])
    storable(rows_of(view.capability, view.result))


def storable(value: object) -> None:
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
