"""Waits for objects in COS, so that a DAG can start from what lands in a bucket."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.arguments import as_int, as_text, as_texts

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.triggers.cos import Wanted


class CosKeySensor(BaseSensorOperator):
    """
    Waits until objects exist, and returns their ``cos://`` addresses as a list.

    Keeps Airflow's ``poke_interval``, ``timeout``, ``soft_fail`` and ``mode``. A bucket that does not exist is refused
    at once.

    :param key: a key or ``cos://bucket/key`` (its bucket wins), or several, which all must exist.
    :param bucket: bucket with its APPID; default: the connection's.
    :param region: region of the buckets; default: the connection's.
    :param wildcard: take keys as patterns, each of which must match at least one object: ``*`` stands for any
        characters, slashes included, ``?`` for one, ``[abc]`` for one of them. What comes before the first of these
        is the prefix that is listed: make it long. Not templated.
    :param min_size: bytes; smaller objects do not count.
    :param mediax_conn_id: connection of type ``mediax``.
    :param deferrable: wait in the triggerer, without a worker slot. Not templated.
    :raises BadRequest: an argument breaks its rule, or there is no such bucket.
    """

    template_fields: Sequence[str] = ("key", "bucket", "region", "min_size", "mediax_conn_id")
    ui_color = "#d6ecf3"

    def __init__(
        self,
        *,
        key: str | Sequence[str],
        bucket: str | None = None,
        region: str | None = None,
        wildcard: bool = False,
        min_size: int = 0,
        mediax_conn_id: str = "mediax_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.bucket = bucket
        self.region = region
        self.wildcard = wildcard
        self.min_size = min_size
        self.mediax_conn_id = mediax_conn_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Wait in the triggerer, or poke in the worker."""
        try:
            self._check_buckets()
            if self.deferrable:
                found = self._look()
                return self._defer(context) if found is None else found
        except AirflowFailException as error:
            # What Airflow does for a poke.
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped by soft_fail or never_fail: {error}") from error
            raise
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once."""
        found = self._look()
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def resume(self, context: Context, event: Mapping[str, Any] | None = None) -> list[str]:
        """Go on after the trigger's event, which is a hint: the objects are looked for again."""
        from airflow_provider_mediax.triggers.cos import CosKeyEvent

        said = CosKeyEvent.read(event)
        if said.error is not None:
            raise said.error
        found = self._look()
        if found is not None:
            return found
        if said.status == "timeout" or time.time() >= self._deadline(context):
            raise AirflowSensorTimeout(f"Not all of {self.key!r} is there after {self.timeout:g} s of waiting.")
        return self._defer(context)

    def _look(self) -> list[str] | None:
        """Return the addresses found, None as long as something is missing."""
        from airflow_provider_mediax.hooks.cos import CosHook
        from airflow_provider_mediax.triggers.cos import hooks_of

        region = as_text("region", self.region)
        with hooks_of(lambda bucket: CosHook(self.mediax_conn_id, bucket, region)) as hook_of:
            found: list[str] | None = self._wanted().look(hook_of)
        self.log.info("%s: %s", self.key, "waiting" if found is None else f"{len(found)} found")
        return found

    def _check_buckets(self) -> None:
        """Refuse a bucket that does not exist: asked for an object, COS does not say that it is the bucket."""
        from airflow_provider_mediax.hooks.cos import CosHook
        from airflow_provider_mediax.triggers.cos import hooks_of

        region = as_text("region", self.region)
        with hooks_of(lambda bucket: CosHook(self.mediax_conn_id, bucket, region)) as hook_of:
            for bucket in dict.fromkeys(address.bucket for address in self._wanted().addresses):
                hook_of(bucket).check_bucket()

    def _deadline(self, context: Context) -> float:
        """Return when the wait ends: counted from the start of this try, which a deferral does not move."""
        return float(context["ti"].start_date.timestamp()) + self.timeout

    def _defer(self, context: Context) -> NoReturn:
        from airflow_provider_mediax.triggers.base import defer_until
        from airflow_provider_mediax.triggers.cos import CosKeyTrigger

        wanted = self._wanted()
        trigger = CosKeyTrigger(
            conn_id=self.mediax_conn_id,
            addresses=[str(address) for address in wanted.addresses],
            region=as_text("region", self.region),
            wildcard=wanted.wildcard,
            min_size=wanted.min_size,
            deadline=self._deadline(context),
            poll_interval=max(1.0, self.poke_interval),
        )
        defer_until(self, trigger)

    def _wanted(self) -> Wanted:
        """Return what the rendered arguments ask for."""
        from airflow_provider_mediax.hooks.cos import CosHook
        from airflow_provider_mediax.protocol.urls import CosAddress, cos_address
        from airflow_provider_mediax.triggers.cos import Wanted

        given = as_texts("key", self.key)
        keys = [given] if isinstance(given, str) else given
        if not keys or not all(keys):
            raise BadRequest.field("key", self.key, "it must be a key or a list of keys.")
        min_size = as_int("min_size", self.min_size)
        if min_size < 0:
            raise BadRequest.field("min_size", self.min_size, "it must not be negative.")
        addresses = []
        for key in keys:
            address = cos_address(key)
            if address is None:
                bucket = as_text("bucket", self.bucket) or CosHook(self.mediax_conn_id).bucket
                address = CosAddress(bucket, key.lstrip("/"))
            addresses.append(address)
        return Wanted(tuple(addresses), self.wildcard, min_size)
