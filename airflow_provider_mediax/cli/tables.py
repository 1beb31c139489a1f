"""
Airflow's tables, as far as their shape depends on its version: one function for each difference.

Up to Airflow 3.3 a second table holds the earlier tries of a task, and a map index tells the task instances of one task
apart. Since 3.4 all tries lie in one table, and a task instance has an index within a region: the run itself, or one
pass of a task group that is looped, or mapped inside another one. XComs belong to a try there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.models.taskinstance import TaskInstance
from sqlalchemy import and_, select

try:
    from airflow.models.taskinstancehistory import TaskInstanceHistory
except ImportError:  # since Airflow 3.4
    TaskInstanceHistory = None  # type: ignore[assignment,misc]

try:
    from airflow.models.task_state_store import TaskStateStoreModel as TaskStateStoreModel
except ImportError:  # before Airflow 3.3
    TaskStateStoreModel = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from sqlalchemy.sql import ColumnElement, Select

HAS_REGIONS = hasattr(TaskInstance, "region_id")

ALL_TRIES = {"include_all_attempts": True}
"""Execution option of a query: without it 3.4 hides replaced tries and their XComs; older versions do not know it."""


def key(of: Any) -> tuple[Any, ...]:
    """
    Return what tells a task instance from every other, whatever its try.

    :param of: a row, for its values, or a model, for its columns.
    :return: DAG, run, task and map index; where Airflow has regions, the index within the region, and the region.
    """
    if HAS_REGIONS:
        return of.dag_id, of.run_id, of.task_id, of.region_index, of.region_id
    return of.dag_id, of.run_id, of.task_id, of.map_index


def replaced_tries() -> tuple[Any, Select[Any]]:
    """Return the model of the tries that a retry or a clear has replaced, and the query for all of them."""
    if TaskInstanceHistory is not None:
        return TaskInstanceHistory, select(TaskInstanceHistory)
    replaced = select(TaskInstance).where(TaskInstance.working_set.is_(None))
    return TaskInstance, replaced.execution_options(**ALL_TRIES)


def same_task_instance(one: Any, other: Any) -> ColumnElement[bool]:
    """Return the condition that XComs of two rows are of one task instance."""
    if HAS_REGIONS:
        same: ColumnElement[bool] = one.task_instance_id == other.task_instance_id
        return same
    return and_(one.dag_run_id == other.dag_run_id, one.task_id == other.task_id, one.map_index == other.map_index)
