"""Nothing that opens an account lies in logs, in the metadata database, in URLs or headers. Runs after all others."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from pathlib import Path

from tests.system.dag_source import SERVICES
from tests.system.secrets_scan import SECRETS, findings, forms, in_logs, in_records, logs_in
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


def test_the_scan_finds_what_it_looks_for() -> None:
    for text in ('"q-signature=0a1b"', "emu-cos-key-not-a-secret", "emu-platform-key-0123", "q-sign-algorithm=sha1&"):
        assert list(findings(text, "here"))
    assert not list(findings("a cos:// address, mx1-0123, Authorization: ...", "here"))
    for secret in SECRETS:
        for before in ("", "a", "ab", '{"password": "'):
            assert list(findings(b64encode(f'{before}{secret}"}}'.encode()).decode(), "here"))
    assert "a%2Fb%3D" in forms("a/b=")
    assert r"a\"b" in forms('a"b')


def test_no_secret_lies_anywhere_after_all_of_this(stack: Stack) -> None:
    said = stack.connect("mediax_default", json.loads(stack.emulator.connection_json()))
    assert not list(findings(said, "what connect says"))
    stack.put_connection("wrong", password=WRONG)
    stack.emulator.durations("*", 3600)
    for dag_id in SERVICES:  # so that triggers lie in the database when it is read
        stack.trigger(dag_id)[0].wait("deferred")
    stack.emulator.durations("*", 1)
    dags = stack.write_dag("exposed", SOURCE)
    assert dags == ["presigned", "refused"]
    for dag_id in dags:
        (run,) = stack.trigger(dag_id)
        run.wait("failed")
        assert len(run.log("job")) > 500
    assert stack.ledger().seen("CreateJob"), "the presigned address was to be sent"
    exposed = stack.exposed + in_logs(stack.home) + in_records(stack.database, stack.emulator)
    assert [name for name, text in logs_in(stack.home) if WRONG in text] == []
    assert not exposed, "\n".join(sorted(set(exposed)))


def test_the_old_instructions_are_found_out_and_what_they_left_is_removed(stack: Stack) -> None:
    """Else the scan would not see what it is there for, and the documented statement might remove nothing."""
    old = {"conn_type": "mediax", "password": "old-key-1", "extra": {"gateway_secret_key": "old/key-2"}}
    patterns = [re.compile(re.escape(form)) for form in forms("old/key-2")]

    def found() -> set[str]:
        return {column for column, text in stack.database.dump() if list(findings(text, column, patterns))}

    stack.run_airflow("airflow", "connections", "add", "old", "--conn-json", json.dumps(old))
    assert found() == {"log.extra"}
    page = (Path(__file__).parents[2] / "docs" / "connection.md").read_text(encoding="utf-8")
    look, remove = re.findall(r"^ *((?:SELECT|DELETE) .*;)$", page, re.MULTILINE)
    assert stack.database.query(look)
    stack.database.query(remove)
    assert found() == set()
    stack.run_airflow("airflow", "connections", "delete", "old")
