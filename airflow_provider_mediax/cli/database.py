"""
What Airflow's metadata database knows of jobs: records, XComs, and what became of their tasks.

The only module that reads it. It reads tables, as Airflow's own commands do: there is no API for records of many runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import Text, cast, or_, select, tuple_
from sqlalchemy.orm import aliased

from airflow_provider_mediax.cli import tables
from airflow_provider_mediax.cli.owners import REMOVED, Trace
from airflow_provider_mediax.jobs.stored import JOB_ID_KEY, RECORD_KEY, WAIT_KEY, Owner, Pending, Record

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from sqlalchemy.sql import Select

RETURN_KEY = "return_value"

_Key: TypeAlias = tuple[Any, ...]
"""Of a task instance, see :func:`tables.key`."""

AT_ONCE = 100
"""Values that one query names."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """
    Which task instances to read about.

    :param since: only what was written from then on.
    """

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    since: datetime | None = None


def read(scope: Scope) -> list[Trace]:
    """Return what is known of every task instance of the scope that has, or had, a job."""
    with create_session() as session:
        return _traces(session, scope, None)


def read_naming(names: Iterable[str]) -> list[Trace]:
    """Return what is known of every task instance, of whatever run, that names one of these jobs or markers."""
    found: dict[_Key, Trace] = {}
    with create_session() as session:
        for some in _parts(list(names)):
            found |= {(trace.owner, trace.region): trace for trace in _traces(session, Scope(), some)}
    return list(found.values())


def has_tasks(scope: Scope) -> bool:
    """Tell whether Airflow knows any task instance of the scope."""
    asked = select(TaskInstance.task_id).where(*_within(TaskInstance, scope)).limit(1)
    with create_session() as session:
        return session.scalar(asked) is not None


def _traces(session: Session, scope: Scope, names: Sequence[str] | None) -> list[Trace]:
    records = dict(_records(session, scope, names))
    xcoms = _xcoms(session, scope, names)
    keys = list(dict.fromkeys((*records, *xcoms)))
    tasks = {tables.key(row): row for row in _rows_of(session, TaskInstance, select(TaskInstance), keys)}
    begun = _run_dates(session, keys)
    succeeded: dict[_Key, dict[int, datetime | None]] = {key: {} for key in keys}
    for row in (*_rows_of(session, *tables.replaced_tries(), keys), *tasks.values()):
        if row.state == "success" and row.max_tries is not None:
            succeeded[tables.key(row)][row.max_tries] = row.end_date
    traces = []
    for key in keys:
        task = tasks.get(key)
        values = xcoms.get(key, {})
        record = records.get(key) or _of_xcoms(values, task.max_tries if task is not None else 0)
        if record is None:  # another operator's XCom of the same key
            continue
        dag_id, run_id, task_id, map_index, *region = key
        traces.append(
            Trace(
                owner=Owner(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index),
                region=str(*region),
                state=task.state if task is not None else REMOVED,
                record=record,
                stored=key in records,
                succeeded=succeeded[key],
                returned=_returned(values),
                run_after=begun.get((dag_id, run_id)),
            )
        )
    return traces


def _records(session: Session, scope: Scope, names: Sequence[str] | None) -> Iterator[tuple[_Key, Record]]:
    """Yield the records of the task state store, as far as it lies in this database."""
    model = tables.TaskStateStoreModel
    if model is None:
        return
    conditions = [model.key == RECORD_KEY, *_within(model, scope)]
    if scope.since is not None:
        conditions.append(model.updated_at >= scope.since)
    if names is not None:
        conditions.append(or_(*(model.value.contains(name, autoescape=True) for name in names)))
    for row in session.scalars(select(model).where(*conditions)):
        with suppress(ValueError):
            if isinstance(record := Record.read(json.loads(row.value)), Record):
                yield tables.key(row), record


def _xcoms(session: Session, scope: Scope, names: Sequence[str] | None) -> dict[_Key, dict[str, Any]]:
    """Return what the task instances that pushed a job's id have pushed about it."""
    pushed = aliased(XComModel)
    conditions = [pushed.key == JOB_ID_KEY, *_within(pushed, scope)]
    if scope.since is not None:
        conditions.append(pushed.timestamp >= scope.since)
    if names is not None:
        conditions.append(or_(*(cast(pushed.value, Text).contains(name, autoescape=True) for name in names)))
    same = tables.same_task_instance(pushed, XComModel)
    asked = select(XComModel).join(pushed, same).where(XComModel.key.in_((WAIT_KEY, RETURN_KEY)), *conditions)
    found: dict[_Key, dict[str, Any]] = {}
    for row in session.scalars(asked.order_by(XComModel.timestamp).execution_options(**tables.ALL_TRIES)):
        found.setdefault(tables.key(row), {})[row.key] = XComModel.deserialize_value(row)
    return found


def _of_xcoms(values: Mapping[str, Any], generation: int) -> Record | None:
    """Return what XComs say of the job, in the form of a record."""
    said: Any = Pending.read(values.get(WAIT_KEY))
    job_id, marker = (said.job_id, said.marker) if isinstance(said, Pending) else _named(values.get(RETURN_KEY))
    if job_id is None or marker is None:
        return None
    return Record(generation=generation, marker=marker, fields={}, at=0.0, job_id=job_id)


def _returned(values: Mapping[str, Any]) -> frozenset[str]:
    job_id, _ = _named(values.get(RETURN_KEY))
    return frozenset(filter(None, (job_id,)))


def _named(manifest: object) -> tuple[str | None, str | None]:
    """Return a manifest's job and marker; of anything else, nothing."""
    if not isinstance(manifest, Mapping) or not {"service", "job_id", "marker"} <= set(manifest):
        return None, None
    return str(manifest["job_id"]), str(manifest["marker"])


def _run_dates(session: Session, keys: Iterable[_Key]) -> dict[tuple[str, str], datetime]:
    runs = list({(dag_id, run_id) for dag_id, run_id, *_ in keys})
    found: dict[tuple[str, str], datetime] = {}
    for some in _parts(runs):
        asked = select(DagRun.dag_id, DagRun.run_id, DagRun.run_after)
        rows = session.execute(asked.where(tuple_(DagRun.dag_id, DagRun.run_id).in_(some)))
        found |= {(dag_id, run_id): run_after for dag_id, run_id, run_after in rows}
    return found


def _rows_of(session: Session, model: Any, query: Select[Any], keys: Sequence[_Key]) -> Iterator[Any]:
    """Yield those rows of a query for task instances that have one of the keys."""
    columns = tuple_(*tables.key(model))
    for some in _parts(keys):
        yield from session.scalars(query.where(columns.in_(some)))


def _within(model: Any, scope: Scope) -> list[Any]:
    """Return the conditions that a scope puts on a table of task instances."""
    return [
        getattr(model, name) == value
        for name in ("dag_id", "run_id", "task_id")
        if (value := getattr(scope, name)) is not None
    ]


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
