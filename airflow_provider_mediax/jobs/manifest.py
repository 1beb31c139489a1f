"""The manifest: what every job operator and job sensor returns."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow_provider_mediax.jobs.ownership import Owner
from airflow_provider_mediax.jobs.service import JobService
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.job import Job

SCHEMA = 1

INLINE_LIMIT = 48 * 1024
"""Bytes of JSON that a result may have inside the manifest."""


def manifest(service: JobService[Any], job: Job, owner: Owner | None, *, reattached: bool) -> JsonObject:
    """
    Describe a job by what the service says of it and what the connection knows.

    :param owner: the task instance that it belongs to; None if nobody told.
    """
    view = service.view(job)
    return {
        "schema": SCHEMA,
        "service": service.name,
        "capability": view.capability,
        "job_id": job.id,
        "marker": job.marker,
        "state": job.state_name,
        "reattached": reattached,
        "owner": asdict(owner) if owner else None,
        "input": view.input,
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "completed_at": _iso(job.completed_at),
        "result": view.result,
        "files": view.files,
    }


def too_large(result: JsonObject) -> bool:
    """Tell whether a result is too large to travel inside the manifest."""
    return len(json.dumps(result, ensure_ascii=False).encode("utf-8", "surrogatepass")) > INLINE_LIMIT


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
