"""Tasks whose attempts get their jobs: one of a platform that cannot cancel, one of a service that can."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.jobs.identity import Identity
from airflow_provider_mediax.jobs.ownership import Acquisition, Owned
from airflow_provider_mediax.jobs.stored import RECORD_KEY, Owner, Record
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest
from tests.unit.jobs.clocks import Clocks
from tests.unit.jobs.fake_platform import LONGEST_SEND, FakePlatform, service, tags_of
from tests.unit.jobs.fake_service import FakeService, Order
from tests.unit.jobs.fake_store import Store

OWNER = Owner(dag_id="dag", run_id="run", task_id="task", map_index=-1)


@dataclass
class Task:
    """
    A task instance: what Airflow keeps between its tries.

    :param has_store: Airflow has a task state store; Airflow 3.1 has none.
    """

    platform: FakePlatform = field(default_factory=FakePlatform)
    store: Store = field(default_factory=Store)
    has_store: bool = True
    request: CapabilityRequest = field(default_factory=tags_of)
    owner: Owner = OWNER
    generation: int = 2
    tries: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)

    def attempt(self, **options: Any) -> Owned:
        """Run the next try."""
        self.tries += 1
        return self.acquisition(**options)

    def acquisition(self, **options: Any) -> Owned:
        clocks = Clocks(self.platform.time, wrong_by=options.pop("wrong_by", 0.0))
        acquisition = Acquisition(
            service(self.platform),
            self.request,
            Identity(namespace="test", owner=self.owner, generation=self.generation, **self.identity),
            store=self.store if self.has_store else None,
            try_number=self.tries,
            longest_send=LONGEST_SEND,
            clock=clocks.epoch,
            monotonic=clocks.monotonic,
            **{**self.options, **options},
        )
        return self.platform.run(acquisition.run(), monotonic=clocks.monotonic)

    def clear(self) -> None:
        """Do what Airflow does on a clear: ``max_tries`` moves, records stay."""
        self.generation = self.tries + 2

    @property
    def record(self) -> Record:
        return _record_in(self.store)


@dataclass
class CancellableTask:
    """A task instance of a service that can cancel; see :class:`Task`."""

    service: FakeService = field(default_factory=FakeService)
    store: Store = field(default_factory=Store)
    has_store: bool = True
    owner: Owner = OWNER
    generation: int = 2
    tries: int = 0
    identity: dict[str, Any] = field(default_factory=dict)

    def attempt(self, track: str = "a", *, quality: str | None = None, wrong_by: float = 0.0, **options: Any) -> Owned:
        self.tries += 1
        clocks = Clocks(self.service.time, wrong_by=wrong_by)
        acquisition = Acquisition(
            self.service,
            Order(track, quality),
            Identity(namespace=None, owner=self.owner, generation=self.generation, **self.identity),
            store=self.store if self.has_store else None,
            try_number=self.tries,
            longest_send=65.0,
            clock=clocks.epoch,
            monotonic=clocks.monotonic,
            **options,
        )
        return self.service.run(acquisition.run())

    def clear(self) -> None:
        self.generation = self.tries + 2

    @property
    def record(self) -> Record:
        return _record_in(self.store)


def no_trouble(error: MediaxError) -> NoReturn:
    """Take the failures that a flow bears, where it should meet none."""
    raise AssertionError("the flow should have met no failure") from error


def _record_in(store: Store) -> Record:
    record = Record.read(store.get(RECORD_KEY))
    assert isinstance(record, Record)
    return record
