"""
Run DAGs one after the other in real Airflow, in this process: ``run_dag.py <plan as JSON> <result file>``.

Part of the demo, which gives it an Airflow home of its own. The plan is a list of DAG files, each with the ``conf`` of
its run. The result file says what became of each task; a DAG stands in it, without tasks, as soon as it begins.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

AT = datetime(2026, 1, 1, tzinfo=UTC)
"""Every demo is a re-run of this one run, so that its rows replace those of the demo before."""


def main(plan: str, result_file: str) -> None:
    """Create the database if there is none yet, run the DAGs and write the results, until one fails."""
    _migrate_once(Path(os.environ["AIRFLOW_HOME"]))
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for dag_file, conf in json.loads(plan):
        dag = _dag_in(dag_file)
        _write(result_file, {**results, dag.dag_id: {}})
        run = dag.test(logical_date=AT, run_after=AT, run_conf=conf)
        results[dag.dag_id] = _tasks(run)
        _write(result_file, results)
        if run.state != "success":
            break


def _migrate_once(home: Path) -> None:
    """Make the tables from the models, in seconds; a mark says that an earlier start was not cut off in the middle."""
    from airflow.utils.db import initdb

    mark = home / "migrated"
    if not mark.exists():
        (home / "airflow.db").unlink(missing_ok=True)
        initdb()
        mark.touch()


def _dag_in(file: str) -> Any:
    """Return the one DAG that a file makes."""
    from airflow.sdk import DAG

    (dag,) = [value for value in runpy.run_path(file).values() if isinstance(value, DAG)]
    return dag


def _write(file: str, results: dict[str, Any]) -> None:
    """Write the results so that no reader finds half of them."""
    half = Path(f"{file}.new")
    half.write_text(json.dumps(results), encoding="utf-8")
    half.replace(file)


def _tasks(run: Any) -> dict[str, dict[str, Any]]:
    return {
        ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": {
            "state": str(ti.state),
            "returned": ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index),
        }
        for ti in run.get_task_instances()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
