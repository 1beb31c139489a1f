from __future__ import annotations

import json

import pytest

from airflow_provider_mediax.exceptions import ProtocolError
from airflow_provider_mediax.protocol.callbacks import read_mediax_callback
from airflow_provider_mediax.protocol.job import JobState

from .examples import example


def test_documented_job_is_read() -> None:
    job = read_mediax_callback(json.dumps(example("musicTagV2", "get_response")).encode())
    assert (job.id, job.state, job.marker) == (
        "a95e9d74-6602-4405-a3fc-6408a76bcc98",
        JobState.SUCCEEDED,
        "{customId}",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"<xml/>",
        b"\xff\xff",
        b"[]",
        b"null",
        b'"id"',
        b"{}",
        b'{"id": ""}',
        b'{"id": null}',
        b'{"id": {}}',
        b'{"id": ["1"]}',
        b'{"job": []}',
        b'{"job": {"state": 3}}',
        b'{"getJobResponse": {"job": {}}}',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_anything_that_holds_no_job_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_mediax_callback(body)


def test_wrapped_job_wins_over_an_id_beside_it() -> None:
    assert read_mediax_callback(b'{"id": "request", "job": {"id": "job", "state": 3}}').id == "job"
