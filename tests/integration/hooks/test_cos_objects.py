"""Small objects as flows against the emulated bucket, in a worker and on an event loop."""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

import pytest

from airflow_provider_mediax.client.aio import AsyncClient
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.exceptions import Throttled, Unavailable
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.protocol.cos_objects import CosObjects
from airflow_provider_mediax.protocol.exchange import Flow
from tests.integration.hooks.conftest import Edited

T = TypeVar("T")


class Run(Protocol):
    """What the fixture ``run`` returns: it runs a flow to its end."""

    def __call__(self, flow: Flow[T]) -> T: ...


@pytest.fixture(params=["worker", "triggerer"])
def run(request: pytest.FixtureRequest, edited: Edited) -> Run:
    transport = MediaxConnection.look_up("mediax_default").transport

    async def waiting(flow: Flow[T]) -> T:
        async with AsyncClient(transport, Pacing(1000)) as client:
            return await client.run(flow, PATIENT)

    def on_a_loop(flow: Flow[T]) -> T:
        return asyncio.run(waiting(flow))

    def in_a_worker(flow: Flow[T]) -> T:
        with SyncClient(transport, Pacing(1000)) as client:
            return client.run(flow)

    return in_a_worker if request.param == "worker" else on_a_loop


@pytest.fixture
def objects(edited: Edited) -> CosObjects:
    connection = MediaxConnection.look_up("mediax_default")
    return connection.cos_objects(connection.cos.bucket or "")


def test_of_two_who_create_one_object_one_has_it(edited: Edited, objects: CosObjects, run: Run) -> None:
    assert run(objects.create("claims/a b.0", b"mine")) is True
    assert run(objects.create("claims/a b.0", b"yours")) is False
    assert edited().get_object("claims/a b.0") == b"mine"


def test_a_lost_answer_leaves_open_whether_it_was_created(edited: Edited, objects: CosObjects, run: Run) -> None:
    edited().fail_next("PutObject", "drop_after")
    with pytest.raises(Unavailable):
        run(objects.create("claims/a", b"mine"))
    assert edited().get_object("claims/a") == b"mine"
    puts = [each for each in edited().ledger()["requests"] if each["action"] == "PutObject"]
    assert len(puts) == 1


def test_a_rate_limit_of_the_bucket_is_waited_for(edited: Edited, objects: CosObjects, run: Run) -> None:
    edited().fail_next("PutObject", "429", retry_after=0)
    assert run(objects.create("claims/a", b"mine")) is True
    edited().fail_next("PutObject", "429", retry_after=3600)
    with pytest.raises(Throttled):
        run(objects.create("claims/b", b"mine"))


def test_what_is_written_is_read_listed_and_deleted(objects: CosObjects, run: Run) -> None:
    for number in range(3):
        run(objects.create(f"p/音 {number}", b"x" * number))
    stored, seen = run(objects.read("p/音 2")), run(objects.head("p/音 2"))
    assert stored is not None
    assert seen is not None
    assert (stored.body, stored.size, seen.size) == (b"xx", 2, 2)
    assert stored.written_at <= stored.read_at
    assert [(found.key, found.size) for found in run(objects.every("p/"))] == [
        (f"p/音 {number}", number) for number in range(3)
    ]
    first = run(objects.page("p/", limit=1))
    assert run(objects.page("p/", after=first.following)).objects[0].key == "p/音 1"
    run(objects.delete("p/音 2"))
    assert run(objects.read("p/音 2")) is None
    assert run(objects.head("p/音 2")) is None


def test_an_object_grows_where_it_ends_and_nowhere_else(edited: Edited, objects: CosObjects, run: Run) -> None:
    assert run(objects.append("mail", b"one")) is True
    assert run(objects.append("mail", b"two")) is False
    assert run(objects.append("mail", b"two", position=3)) is True
    assert edited().get_object("mail") == b"onetwo"
