"""What a wait for objects looks for: the same in a worker and in a triggerer."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.protocol.urls import CosAddress


@dataclass(frozen=True, slots=True)
class Search:
    """
    What is waited for: every one of the addresses, or for every pattern at least one object.

    :param wildcard: whether the keys are patterns.
    :param min_size: bytes; smaller objects do not count.
    """

    addresses: tuple[CosAddress, ...]
    wildcard: bool = False
    min_size: int = 0

    def check_buckets(self, hook: CosHook) -> None:
        """
        Refuse a bucket that does not exist: asked for an object, COS does not say that it is the bucket.

        :raises NotFound: there is no such bucket.
        """
        for bucket in dict.fromkeys(address.bucket for address in self.addresses):
            hook.check_bucket(bucket)

    def look(self, hook: CosHook) -> list[str] | None:
        """
        Ask once.

        :returns: the addresses found, or None as long as something is missing.
        """
        found: dict[str, None] = {}
        for address in self.addresses:
            here = hook.find(str(address), wildcard=self.wildcard, min_size=self.min_size)
            names = [str(CosAddress(address.bucket, entry.key)) for entry in here]
            if not names:
                return None
            found.update(dict.fromkeys(names))
        return list(found)
