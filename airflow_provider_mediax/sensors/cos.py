"""Waits for objects in COS, so that a DAG can start from what lands in a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_provider_mediax.arguments import as_addresses, as_bool, as_int, as_name
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.sensors.base import WaitingSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_mediax.exceptions import MediaxError
    from airflow_provider_mediax.hooks.cos import CosHook
    from airflow_provider_mediax.hooks.cos_search import Search
    from airflow_provider_mediax.triggers.cos import CosKeyTrigger


class CosKeySensor(WaitingSensor):
    """
    Waits until objects exist, and returns their ``cos://`` addresses as a list.

    A bucket that does not exist is refused at once.

    :param key: a key or ``cos://[conn_id@]bucket/key``, also as an ``ObjectStoragePath`` (its bucket wins, ``conn_id``
        can only be ``mediax_conn_id``), or several, which all must exist.
    :param bucket: bucket with its APPID; default: the connection's.
    :param region: region of the buckets; default: what the connection's ``bucket_regions`` says of a bucket, else its
        ``cos_region``.
    :param wildcard: take keys as patterns, each of which must match at least one object: ``*`` stands for any
        characters, slashes included, ``?`` for one, ``[abc]`` for one of them. What comes before the first of these
        is the prefix that is listed: make it long. Not templated.
    :param min_size: bytes; smaller objects do not count.
    :raises BadRequest: an argument breaks its rule, or there is no such bucket.
    """

    template_fields: Sequence[str] = (*WaitingSensor.template_fields, "key", "bucket", "region", "min_size")

    def __init__(
        self,
        *,
        key: str | ObjectStoragePath | Sequence[str | ObjectStoragePath],
        bucket: str | None = None,
        region: str | None = None,
        wildcard: bool = False,
        min_size: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.bucket = bucket
        self.region = region
        self.wildcard = wildcard
        self.min_size = min_size
        self._has_bucket = False

    def look(self) -> list[str] | None:
        """
        Return the addresses found, None as long as something is missing.

        :raises NotFound: there is no such bucket, which is asked once in a process.
        """
        search = self._search()
        with closing(self._hook()) as hook:
            if not self._has_bucket:
                search.check_buckets(hook)
                self._has_bucket = True
            found = search.look(hook)
        self.log.info("%s: %s", self.key, "waiting" if found is None else f"{len(found)} found")
        return found

    def make_trigger(self, deadline: float) -> CosKeyTrigger:
        """Return the trigger that waits for the objects."""
        from airflow_provider_mediax.triggers.cos import CosKeyTrigger

        search = self._search()
        return CosKeyTrigger(
            conn_id=self.mediax_conn_id,
            addresses=[str(address) for address in search.addresses],
            region=as_name("region", self.region),
            wildcard=search.wildcard,
            min_size=search.min_size,
            deadline=deadline,
            poll_interval=max(1.0, self.poke_interval),
        )

    def read_event(self, event: object) -> tuple[str, MediaxError | None]:
        """Return what an event says."""
        from airflow_provider_mediax.triggers.cos import CosKeyEvent

        said = CosKeyEvent.read(event)
        return said.status, said.error

    def _hook(self) -> CosHook:
        from airflow_provider_mediax.hooks.cos import CosHook

        return CosHook(self.mediax_conn_id, region=as_name("region", self.region))

    def _search(self) -> Search:
        """Return what the rendered arguments ask for."""
        from airflow_provider_mediax.hooks.cos_search import Search
        from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

        keys = as_addresses("key", self.key, self.mediax_conn_id)
        wildcard = as_bool("wildcard", self.wildcard, False)
        min_size = as_int("min_size", self.min_size)
        if min_size < 0:
            raise BadRequest.field("min_size", self.min_size, "it must not be negative.")
        addresses = []
        for key in keys:
            address = cos_address(key)
            if address is None:
                bucket = as_name("bucket", self.bucket) or self._hook().bucket
                address = CosAddress(bucket, key.lstrip("/"))
            addresses.append(address)
        return Search(tuple(addresses), wildcard, min_size)
