"""The state that the emulated services share, and that tests look into and change."""

from __future__ import annotations

from airflow_provider_mediax.emulator.shared.accounts import BUCKET, REGION, Accounts
from airflow_provider_mediax.emulator.shared.clock import Clock
from airflow_provider_mediax.emulator.shared.faults import Faults
from airflow_provider_mediax.emulator.shared.ledger import Ledger
from airflow_provider_mediax.emulator.shared.objects import Bucket, ObjectStore
from airflow_provider_mediax.emulator.shared.outgoing import Outgoing
from airflow_provider_mediax.emulator.shared.plan import Plan
from airflow_provider_mediax.emulator.shared.settings import Settings


class World:
    """
    Accounts, objects and time of one emulator; faults and other decisions of tests; what happened.

    :param settings: bounds.
    :ivar url: where the emulator listens, set once that is known.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = ""
        self.accounts = Accounts()
        self.store = ObjectStore(settings.max_object_mib)
        self.clock = Clock()
        self.faults = Faults()
        self.ledger = Ledger(settings.max_records)
        self.plan = Plan()
        self.outgoing = Outgoing(settings.local_network)
        self.settings = settings
        self.store.create(BUCKET, REGION)

    @property
    def bucket(self) -> Bucket:
        """Return the preset bucket."""
        return self.store.create(BUCKET, REGION)

    def reset(self) -> None:
        """Return to the state of the start."""
        self.accounts.reset()
        self.store.reset()
        self.store.create(BUCKET, REGION)
        self.clock.reset()
        self.faults.reset()
        self.ledger.reset()
        self.plan.reset()
