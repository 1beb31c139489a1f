"""The stack itself: what the scenarios rely on."""

from __future__ import annotations

from string import Template

import psutil
import pytest

from tests.system.guardian import processes_of
from tests.system.stack import Stack

DAGS = ("music_tag", "voice_separation")
EDITED = Template("""
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("edited", schedule=None):
    EmptyOperator(task_id="job", retries=$retries)
""")


@pytest.mark.parametrize("way", ["", "_in_worker"])
def test_a_run_of_each_service_costs_one_job(stack: Stack, copies: int, way: str) -> None:
    stack.emulator.durations("*", 2)
    runs = [run for dag in DAGS for run in stack.trigger(dag + way, copies)]
    for run in runs:
        run.wait("success")
    stack.verdict(runs).require_one_job_each()
    for run in runs:
        assert run.marker("job") == run.xcom("job")["marker"]
        assert "job" in run.log("job")


def test_every_process_of_a_service_is_known_as_the_stacks_own(stack: Stack) -> None:
    trees = {service.name: service.tree() for service in stack.services}
    known = set(processes_of(str(stack.home)))
    assert trees
    for name, tree in trees.items():
        assert tree, name
        assert not [process for process in tree if process.pid not in known and alive(process)], name


def alive(process: psutil.Process) -> bool:
    """Tell whether it has not ended meanwhile, as processes that parse a file or run a task do at any time."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_an_edited_dag_file_counts_at_once(stack: Stack) -> None:
    for retries in (2, 4, 1):
        assert stack.write_dag("edited", EDITED.substitute(retries=retries)) == ["edited"]
        assert stack.rest.call("GET", "dags/edited/tasks/job")["retries"] == retries
        (run,) = stack.trigger("edited")
        assert run.wait("success").tasks["job"].max_tries == retries
    with pytest.raises(AssertionError, match="nothing_such"):
        stack.write_dag("edited", EDITED.substitute(retries="nothing_such"))
