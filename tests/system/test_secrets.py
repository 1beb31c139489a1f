"""Nothing that opens an account lies in logs, in the metadata database, in URLs or headers. Runs after all others."""

from __future__ import annotations

from tests.system.dag_source import SERVICES
from tests.system.secrets_scan import PATTERNS, findings, in_logs, in_records
from tests.system.stack import Stack

WRONG = "a-password-that-opens-nothing"

SOURCE = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow_provider_mediax.operators.music import MusicTagOperator

# An input in a bucket of somebody else's travels as an address that opens it for a day.
with DAG("presigned", schedule=None):
    MusicTagOperator(task_id="job", url="cos://elsewhere-1250000000/in/track.wav", deferrable=True, poll_interval=0.5)
with DAG("refused", schedule=None):
    MusicTagOperator(task_id="job", mediax_conn_id="wrong", path="in/track.wav", deferrable=True)
"""


def test_the_scan_finds_what_it_looks_for():
    for text in ('"q-signature=0a1b"', "emu-cos-key-not-a-secret", "emu-platform-key-0123", "q-sign-algorithm=sha1&"):
        assert list(findings(text, "here"))
    assert not list(findings("a cos:// address, mx1-0123, Authorization: ...", "here"))
    assert PATTERNS


def test_no_secret_lies_anywhere_after_all_of_this(stack: Stack):
    stack.put_connection("wrong", password=WRONG)
    stack.emulator.durations("*", 3600)
    for dag_id in SERVICES:  # so that triggers lie in the database when it is read
        stack.trigger(dag_id)[0].wait("deferred")
    stack.emulator.durations("*", 1)
    for dag_id in stack.write_dag("exposed", SOURCE):
        (run,) = stack.trigger(dag_id)
        run.wait("failed")
        assert len(run.log("job")) > 500
    assert stack.ledger().seen("CreateJob"), "the presigned address was to be sent"
    exposed = stack.exposed + in_logs(stack.home) + in_records(stack.database, stack.emulator)
    for log in stack.home.rglob("*.log*"):
        assert WRONG not in log.read_text(encoding="utf-8", errors="replace"), log
    assert not exposed, "\n".join(sorted(set(exposed)))
