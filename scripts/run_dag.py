"""
Run a DAG once in real Airflow, in this process: ``run_dag.py <DAG file> <conf as JSON> <result file>``.

Part of the demo, which gives it an Airflow home of its own. The result file says what became of each task.
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


def main(dag_file: str, conf: str, result_file: str) -> None:
    """Create the database if there is none yet, run the DAG and write the result."""
    _migrate_once(Path(os.environ["AIRFLOW_HOME"]))
    dag = _dag_in(dag_file)
    run = dag.test(logical_date=AT, run_after=AT, run_conf=json.loads(conf))
    Path(result_file).write_text(json.dumps(_result(run)), encoding="utf-8")


def _migrate_once(home: Path) -> None:
    """Make the tables from the models, in seconds; a mark says that an earlier start was not cut off in the middle."""
    from airflow.utils.db import initdb

    mark = home / "migrated"
    if not mark.exists():
        (home / "airflow.db").unlink(missing_ok=True)
        initdb()
        mark.touch()


def _dag_in(file: str) -> Any:
    """Return the one DAG that a file makes, with what lies beside it within reach, as Airflow has it."""
    from airflow.sdk import DAG

    sys.path.append(str(Path(file).parent))
    (dag,) = [value for value in runpy.run_path(file).values() if isinstance(value, DAG)]
    return dag


def _result(run: Any) -> dict[str, dict[str, Any]]:
    return {
        ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": {
            "run_id": run.run_id,
            "state": str(ti.state),
            "returned": ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index),
        }
        for ti in run.get_task_instances()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
