"""A service of Airflow's that restarts while jobs are waited for changes nothing."""

from __future__ import annotations

import pytest

from tests.system.runs import Run
from tests.system.stack import Stack

DAGS = ("music_tag", "voice_separation")


@pytest.fixture
def waiting(stack: Stack, copies: int) -> list[Run]:
    """Runs of both services whose tasks are deferred while their jobs go on."""
    stack.emulator.durations("*", 3600)
    runs = [run for dag in DAGS for run in stack.trigger(dag, copies)]
    for run in runs:
        run.wait("deferred")
    return runs


@pytest.mark.parametrize("end", ["kill", pytest.param("stop", marks=pytest.mark.full)])
@pytest.mark.parametrize("name", ["scheduler", "api-server"])
def test_a_restart_in_mid_wait_neither_loses_nor_doubles_a_job(
    stack: Stack, waiting: list[Run], copies: int, name: str, end: str
) -> None:
    service = stack.service(name)
    first = service.pid
    getattr(service, end)()
    service.start()
    assert service.pid != first
    stack.emulator.finish_jobs()
    for run in waiting:
        run.wait("success")
        assert run.tasks["job"].try_number == 1
    stack.verdict(waiting).require_one_job_each()
