"""The harness itself: what ``run_dag`` says about tries, retries and clears is what Airflow does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG, BaseHook, BaseOperator, Context
from packaging.version import Version

from tests.integration.conftest import RunDag

ONE_YEAR = timedelta(days=365)


class Waiting(BaseOperator):
    """
    Defers once, then returns what it saw.

    Fails in its resumed half as long as ``FAILURES`` says so for its task id.
    """

    FAILURES: ClassVar[dict[str, int]] = {}
    RESUMED_AFTER_ERROR = "stopped in the resumed half"

    def execute(self, context: Context) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        context["ti"].xcom_push(key="execute", value=self._seen(context))
        self.defer(trigger=DateTimeTrigger(moment=datetime.now(UTC)), method_name="resume", kwargs={"kept": "yes"})

    def resume(self, context: Context, event: Any = None, kept: str | None = None) -> dict[str, Any]:
        if self.FAILURES.get(self.task_id, 0):
            self.FAILURES[self.task_id] -= 1
            raise RuntimeError(self.RESUMED_AFTER_ERROR)
        return {**self._seen(context), "event": event is not None}

    @staticmethod
    def _seen(context: Context) -> dict[str, Any]:
        ti = context["ti"]
        return {"try_number": ti.try_number, "max_tries": ti.max_tries, "run_id": ti.run_id}


class Host(BaseOperator):
    """Returns the host of the default connection."""

    def execute(self, context: Context) -> str | None:
        return BaseHook.get_connection("mediax_default").host


class Killed(BaseException):
    """Leaves every ``except Exception`` of an operator alone, as the death of its process would."""


class DiesOnce(BaseOperator):
    """Its first try dies in the middle of ``execute``."""

    def execute(self, context: Context) -> int:
        if context["ti"].try_number == 1:
            raise Killed
        return int(context["ti"].try_number)


def waiting_dag(dag_id: str, *, retries: int, retry_delay: timedelta = ONE_YEAR) -> DAG:
    with DAG(dag_id, schedule=None) as dag:
        Waiting(task_id="wait", retries=retries, retry_delay=retry_delay)
    return dag


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    counts: dict[str, int] = {}
    monkeypatch.setattr(Waiting, "FAILURES", counts)
    return counts


def test_a_deferrable_operator_runs_through_its_trigger(run_dag: RunDag) -> None:
    run = run_dag(waiting_dag("h_defer", retries=0))
    assert run.state == "success"
    assert run.states == {"wait": "success"}
    assert run.values["wait"] == {"try_number": 1, "max_tries": 0, "run_id": run.run_id, "event": True}
    assert run.xcom("wait", "execute")["try_number"] == 1


def test_dag_test_itself_works_with_a_dag_made_in_a_test(store_dag: Callable[[DAG], None]) -> None:
    """What users write in their own tests, without the patches of ``run_dag``: the DAG must be stored, no more."""
    dag = waiting_dag("h_plain", retries=0)
    store_dag(dag)
    assert dag.test().state == "success"


def test_a_connection_is_there_for_its_run_only(run_dag: RunDag) -> None:
    with DAG("h_conn", schedule=None) as dag:
        Host(task_id="host")
    run = run_dag(dag, connection='{"conn_type": "mediax", "host": "http://127.0.0.1:1"}')
    assert run.values == {"host": "http://127.0.0.1:1"}
    assert run_dag(dag).states == {"host": "failed"}


def test_without_a_delay_all_tries_run_in_one_call(run_dag: RunDag, failures: dict[str, int]) -> None:
    failures["wait"] = 1
    run = run_dag(waiting_dag("h_no_delay", retries=2, retry_delay=timedelta(0)))
    assert run.states == {"wait": "success"}
    assert run.try_numbers == {"wait": 2}
    assert run.tasks["wait"].max_tries == 2
    (earlier,) = run.earlier_tries("wait")
    assert earlier.try_number == 1
    assert earlier.state in ("failed", "up_for_retry")  # the latter since Airflow 3.4


def test_with_a_delay_the_run_stops_and_the_next_try_is_the_tests_to_start(
    run_dag: RunDag, failures: dict[str, int]
) -> None:
    failures["wait"] = 2
    run = run_dag(waiting_dag("h_delay", retries=2))
    assert (run.state, run.states) == ("running", {"wait": "up_for_retry"})
    assert run.retry().states == {"wait": "up_for_retry"}
    run.retry()
    assert (run.state, run.states, run.try_numbers) == ("success", {"wait": "success"}, {"wait": 3})
    assert run.values["wait"]["try_number"] == 3
    with pytest.raises(AssertionError, match="waits for a retry"):
        run.retry()


def test_max_tries_stays_over_retries_and_moves_with_clears(run_dag: RunDag, failures: dict[str, int]) -> None:
    """The scheduler's own table: a retry keeps ``max_tries``, a clear sets ``try_number + retries``."""
    failures["wait"] = 1
    run = run_dag(waiting_dag("h_table", retries=2))
    seen = [run.retry().values["wait"]]
    seen += [run.clear("wait").values["wait"], run.clear().values["wait"]]
    assert [(it["try_number"], it["max_tries"]) for it in seen] == [(2, 2), (3, 4), (4, 5)]
    assert {it["run_id"] for it in seen} == {run.run_id}
    assert [old.try_number for old in run.earlier_tries("wait")] == [1, 2, 3]


def test_max_tries_stays_when_retries_is_edited_between_two_tries(run_dag: RunDag, failures: dict[str, int]) -> None:
    failures["wait"] = 1
    run = run_dag(waiting_dag("h_edit", retries=2)).retry(waiting_dag("h_edit", retries=4))
    assert run.values["wait"]["max_tries"] == 2
    assert run.states == {"wait": "success"}


def test_a_failed_run_can_be_cleared(run_dag: RunDag, failures: dict[str, int]) -> None:
    failures["wait"] = 1
    run = run_dag(waiting_dag("h_failed", retries=0))
    assert (run.state, run.states) == ("failed", {"wait": "failed"})
    run.clear()
    assert (run.state, run.states, run.try_numbers) == ("success", {"wait": "success"}, {"wait": 2})


@pytest.mark.skipif(Version(version("apache-airflow")).release >= (3, 4), reason="each try has XComs of its own there")
def test_a_clear_deletes_the_xcoms_of_the_try_before(run_dag: RunDag, failures: dict[str, int]) -> None:
    run = run_dag(waiting_dag("h_xcom", retries=0))
    failures["wait"] = 1
    run.clear()
    assert run.states == {"wait": "failed"}
    assert run.xcom("wait") is None


def test_a_try_that_dies_is_followed_by_a_retry(run_dag: RunDag) -> None:
    with DAG("h_dies", schedule=None) as dag:
        DiesOnce(task_id="dies", retries=1, retry_delay=timedelta(0))
    assert run_dag(dag).values == {"dies": 2}


def test_mapped_tasks_have_names_of_their_own(run_dag: RunDag, failures: dict[str, int]) -> None:
    with DAG("h_mapped", schedule=None) as dag:
        Waiting.partial(task_id="wait").expand(doc=["a", "b"])
    run = run_dag(dag)
    assert run.states == {"wait[0]": "success", "wait[1]": "success"}
    run.clear("wait[1]")
    assert run.try_numbers == {"wait[0]": 1, "wait[1]": 2}


def test_what_a_task_stores_is_there_in_later_tries_and_after_a_clear(run_dag: RunDag) -> None:
    from airflow.sdk.execution_time import context as sdk_context

    if not hasattr(sdk_context, "TaskStateStoreAccessor"):
        pytest.skip("the task state store came with Airflow 3.3")

    class Counting(BaseOperator):
        def execute(self, context: Context) -> int:
            store = context["task_state_store"]
            before = store.get("count")
            count = before + 1 if isinstance(before, int) else 1
            store.set("count", count)
            if count == 1:
                raise RuntimeError("first try")
            return count

    with DAG("h_store", schedule=None) as dag:
        Counting(task_id="count", retries=1, retry_delay=timedelta(0))
    run = run_dag(dag)
    assert run.values == {"count": 2}
    assert run.clear().values == {"count": 3}
