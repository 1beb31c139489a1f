"""The type of what a job's operator returns; it loads nothing, since DAG files name it in annotations."""

from __future__ import annotations

from typing import Any, TypedDict


class Owner(TypedDict):
    """The task instance that a job belongs to."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


class Place(TypedDict):
    """Where a job's files lie; ``content_id`` is the repository of MediaX."""

    content_id: str | None
    bucket: str | None
    region: str | None


class Manifest(TypedDict):
    """
    What every job operator and job sensor returns.

    ``state`` is the service's own word. ``result`` is the typed view where the form is known, the raw object where
    not, or ``{"uri": address}`` of one that is too large for XCom. Times are UTC, ``2026-11-21T03:04:05Z``.
    ``files`` and every file in ``result`` are ``cos://bucket/key``.
    """

    schema: int
    service: str
    capability: str
    job_id: str
    marker: str | None
    state: str
    reattached: bool
    owner: Owner | None
    input: str | None
    created_at: str | None
    started_at: str | None
    completed_at: str | None
    place: Place
    result: dict[str, Any]
    files: list[str]
