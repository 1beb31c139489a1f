"""
The services whose jobs this package runs: the one place that names them all.

A service is one ``protocol.service.JobService``, one hook, and its line here.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.mediax import MediaxHook

SERVICES: dict[str, type[JobHook[Any]]] = {hook.service_type.name: hook for hook in (MediaxHook, CloudInfiniteHook)}
"""The hook of each service, by the name that triggers and manifests have for it."""
