# ruff: noqa: S105 - these keys are fake on purpose and printed at every start
"""Who may call the emulator: one preset account, and those that Register adds."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, replace

from airflow_provider_mediax.emulator.shared.settings import FEW

GATEWAY_SOURCE = "1000000001_emulator"
GATEWAY_SECRET_ID = "emu-gateway-id"
GATEWAY_SECRET_KEY = "emu-gateway-key-not-a-secret"
PLATFORM_SECRET_ID = "emu-platform-id"
PLATFORM_SECRET_KEY = "emu-platform-key-not-a-secret"
CONTENT_ID = "emu-content-id"
COS_SECRET_ID = "emu-cos-id"
COS_SECRET_KEY = "emu-cos-key-not-a-secret"
TEMPORARY_SECRET_ID = "emu-temporary-id"
TEMPORARY_SECRET_KEY = "emu-temporary-key-not-a-secret"
TEMPORARY_TOKEN = "emu-temporary-token-not-a-secret"
BUCKET = "music-1250000000"
REGION = "ap-guangzhou"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """
    A registered customer.

    :param gateway_source: the ``Source`` that belongs to the gateway pair.
    :param content_id: the repository, which is the bucket under another name.
    :param bucket: COS bucket of the repository, in ``region``.
    """

    gateway_source: str
    gateway_secret_id: str
    gateway_secret_key: str
    platform_id: str
    platform_key: str
    content_id: str
    cos_secret_id: str
    cos_secret_key: str
    bucket: str
    region: str


PRESET = Customer(
    gateway_source=GATEWAY_SOURCE,
    gateway_secret_id=GATEWAY_SECRET_ID,
    gateway_secret_key=GATEWAY_SECRET_KEY,
    platform_id=PLATFORM_SECRET_ID,
    platform_key=PLATFORM_SECRET_KEY,
    content_id=CONTENT_ID,
    cos_secret_id=COS_SECRET_ID,
    cos_secret_key=COS_SECRET_KEY,
    bucket=BUCKET,
    region=REGION,
)
"""The account that every emulator starts with. Its keys are fake and open no real service."""


class RegistrationRefused(Exception):
    """The COS pair of a registration contradicts an earlier one, or there are enough accounts."""


class Accounts:
    """
    All accounts of one emulator, found by any of their identifiers.

    :ivar temporary_until: epoch seconds until which the preset account's temporary key is valid.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every registered account but the preset one, whose temporary key does not expire then."""
        self._accounts = [PRESET]
        self.temporary_until = math.inf

    @property
    def preset(self) -> Customer:
        """Return the account that every emulator starts with, under its present keys."""
        return self._accounts[0]

    def rotate_keys(self) -> None:
        """Give the preset account new secret keys under the ids that it has; the old ones open nothing any more."""
        self._accounts[0] = replace(
            self.preset,
            gateway_secret_key=_fresh("gateway-key"),
            platform_key=_fresh("platform-key"),
            cos_secret_key=_fresh("cos-key"),
        )

    def by_gateway_id(self, gateway_id: str) -> Customer | None:
        """Find the owner of a gateway pair."""
        return next((account for account in self._accounts if account.gateway_secret_id == gateway_id), None)

    def by_platform_id(self, platform_id: str) -> Customer | None:
        """Find the owner of a platform pair."""
        return next((account for account in self._accounts if account.platform_id == platform_id), None)

    def cos_key(self, cos_id: str) -> str | None:
        """Return the secret key of a COS key id, permanent or temporary."""
        if cos_id == TEMPORARY_SECRET_ID:
            return TEMPORARY_SECRET_KEY
        return next((account.cos_secret_key for account in self._accounts if account.cos_secret_id == cos_id), None)

    def may_use(self, cos_id: str, bucket: str) -> bool:
        """Tell whether a COS key id was registered for a bucket."""
        return self.user_of(cos_id, bucket) is not None

    def user_of(self, cos_id: str, bucket: str) -> Customer | None:
        """Return the account that registered a COS key id for a bucket."""
        lasting = COS_SECRET_ID if cos_id == TEMPORARY_SECRET_ID else cos_id
        mine = (account for account in self._accounts if account.cos_secret_id == lasting)
        return next((account for account in mine if account.bucket == bucket), None)

    def buckets_of(self, cos_id: str) -> list[Customer]:
        """Return the accounts, one per bucket, that registered a COS key id."""
        return [account for account in self._accounts if self.user_of(cos_id, account.bucket) == account]

    def register(self, *, source: str, cos_secret_id: str, cos_secret_key: str, bucket: str, region: str) -> Customer:
        """
        Add an account with fresh keys.

        :raises RegistrationRefused: the key id is known with another key, or the bucket with another key id or region,
            or there are enough accounts.
        """
        if len(self._accounts) > FEW:
            raise RegistrationRefused(f"The emulator keeps at most {FEW} registered accounts.")
        known = self.cos_key(cos_secret_id)
        if known is not None and known != cos_secret_key:
            raise RegistrationRefused("cosConfig.secretKey does not belong to cosConfig.secretId")
        owner = next((account for account in self._accounts if account.bucket == bucket), None)
        if owner is not None and (owner.cos_secret_id, owner.region) != (cos_secret_id, region):
            raise RegistrationRefused(f"cosConfig cannot write to bucket {bucket} in {region}")
        account = Customer(
            gateway_source=source,
            gateway_secret_id=_fresh("gateway-id"),
            gateway_secret_key=_fresh("gateway-key"),
            platform_id=_fresh("platform-id"),
            platform_key=_fresh("platform-key"),
            content_id=_fresh("content-id"),
            cos_secret_id=cos_secret_id,
            cos_secret_key=cos_secret_key,
            bucket=bucket,
            region=region,
        )
        self._accounts.append(account)
        return account


def _fresh(what: str) -> str:
    return f"emu-{what}-{uuid.uuid4().hex[:12]}"
