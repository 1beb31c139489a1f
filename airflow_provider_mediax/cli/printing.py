"""How results are printed: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow.cli.simple_table import AirflowConsole

from airflow_provider_mediax.cli.owners import Orphan
from airflow_provider_mediax.jobs.stored import Owner


def print_json(value: object) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table; their texts are shown as they are."""
    shown = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    AirflowConsole(markup=False, highlight=False, emoji=False).print_as_table(shown)


def print_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print rows in the form that was asked for."""
    if output == "json":
        print_json(list(rows))
    else:
        print_table(rows)


def utc(moment: datetime | None) -> str | None:
    """Return a time for people and programs, in UTC and to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else None


def print_orphans(orphans: Sequence[Orphan], output: str) -> None:
    """Print what was found."""
    if output == "json":
        print_json([_as_object(orphan) for orphan in orphans])
    elif orphans:
        print_table([_as_row(orphan) for orphan in orphans])
    else:
        sys.stdout.write("No orphans.\n")


def named_task(owner: Owner | None) -> str:
    """Return a task instance's name for a person."""
    if owner is None:
        return "(unknown)"
    index = "" if owner.map_index < 0 else f"[{owner.map_index}]"
    return f"{owner.dag_id} / {owner.run_id} / {owner.task_id}{index}"


def _as_object(orphan: Orphan) -> dict[str, Any]:
    job = orphan.listed.job
    return {
        "job_id": job.id,
        "service": orphan.listed.service,
        "state": job.state_name,
        "created_at": utc(job.created_at),
        "marker": job.marker,
        "owner": asdict(orphan.owner) if orphan.owner else None,
        "reason": orphan.reason,
        "todo": list(orphan.todo),
    }


def _as_row(orphan: Orphan) -> dict[str, str]:
    job = orphan.listed.job
    return {
        "job": f"{job.id}\n{job.marker or ''}".rstrip(),
        "state": f"{orphan.listed.service}\n{job.state_name}\n{utc(job.created_at) or ''}".rstrip(),
        "task": named_task(orphan.owner),
        "why": orphan.reason,
        "what can be done": "\n".join(orphan.todo),
    }
