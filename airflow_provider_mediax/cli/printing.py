"""How results are printed: as Airflow's own commands print theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow.cli.simple_table import AirflowConsole

from airflow_provider_mediax.cli.owners import Orphan
from airflow_provider_mediax.jobs.stored import Owner


def print_object(value: object, output: str) -> None:
    """
    Print an object for programs.

    :param output: ``json`` or ``yaml``.
    """
    plain = json.loads(json.dumps(value))
    console = _console()
    (console.print_as_yaml if output == "yaml" else console.print_as_json)(plain)


def print_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """
    Print rows as Airflow's commands do; texts are shown as they are.

    :param output: ``table`` or ``plain`` for people, ``json`` or ``yaml`` for programs, which get numbers as numbers.
    """
    if output in ("json", "yaml"):
        print_object(list(rows), output)
    else:
        shown = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
        _console().print_as(shown, output)


def utc(moment: datetime | None) -> str | None:
    """Return a time for people and programs, in UTC and to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else None


def print_orphans(orphans: Sequence[Orphan], output: str) -> None:
    """Print what was found, as :func:`print_rows` does."""
    shown = _as_object if output in ("json", "yaml") else _as_row
    print_rows([shown(orphan) for orphan in orphans], output)


def named_task(owner: Owner | None) -> str:
    """Return a task instance's name for a person."""
    if owner is None:
        return "(unknown)"
    index = "" if owner.map_index < 0 else f"[{owner.map_index}]"
    return f"{owner.dag_id} / {owner.run_id} / {owner.task_id}{index}"


def _console() -> AirflowConsole:
    return AirflowConsole(markup=False, highlight=False, emoji=False)


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
