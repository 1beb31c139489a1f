"""
The services whose jobs this package runs: the one place that names them all.

A service is one ``protocol.service.JobService``, one hook, and its line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mediax.hooks.base import JobHook

HOOKS = {
    "mediax": "airflow_provider_mediax.hooks.mediax.MediaxHook",
    "cloud_infinite": "airflow_provider_mediax.hooks.cloud_infinite.CloudInfiniteHook",
}
"""The class path of each service's hook, by the name that triggers and manifests have for the service."""


class _Services(Mapping[str, "type[JobHook[Any]]"]):
    """
    The hooks of :data:`HOOKS`, each imported when it is asked for.

    Every ``airflow`` command reads the names, for its help; a hook brings an HTTP client along.
    """

    def __getitem__(self, name: str) -> type[JobHook[Any]]:
        module, _, hook = HOOKS[name].rpartition(".")
        found: type[JobHook[Any]] = getattr(import_module(module), hook)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(HOOKS)

    def __len__(self) -> int:
        return len(HOOKS)


SERVICES: Mapping[str, type[JobHook[Any]]] = _Services()
"""The hook of each service, by the service's name."""
