"""``connect``: a connection is made, and no secret of it is shown, logged or kept anywhere but in the connection."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from airflow.version import version
from sqlalchemy import delete, inspect, text

from airflow_provider_mediax.cli import connection_fields
from airflow_provider_mediax.cli.connect import SECTIONS
from airflow_provider_mediax.cli.connection_fields import FIELDS
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks.connection import SECRET_EXTRAS
from tests.integration.cli.test_commands import stored, written
from tests.unit.cli.said import Said, run_command, secrets_of
from tests.unit.cli.terminal import Terminal

ROOT = Path(__file__).resolve().parents[3]
MORE = [name for name in FIELDS if name not in ("port", "description") and name not in sum(SECTIONS.values(), ())]
TYPED = {name: name for names in SECTIONS.values() for name in names}


@pytest.fixture
def emulator(
    airflow_db: None, mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MediaxEmulator]:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # so that what a command sets is taken back
    monkeypatch.delenv("AIRFLOW_CONN_MEDIAX_DEFAULT", raising=False)
    yield mediax_emulator
    with create_session() as session:
        session.execute(delete(Connection))


@pytest.fixture
def connection(emulator: MediaxEmulator) -> dict[str, Any]:
    """The emulator's connection, as Airflow's environment variables take it."""
    made: dict[str, Any] = json.loads(emulator.connection_json())
    return made


@pytest.fixture
def connect(
    connection: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    """Return a function that connects without a terminal."""

    def run(*arguments: str, given: object = "", **how: Any) -> Said:
        stdin = given if isinstance(given, str) else json.dumps(given)
        return run_command(["connect", *arguments], capsys, monkeypatch, json.dumps(connection), stdin=stdin, **how)

    return run


def fields_of(connection: Connection) -> dict[str, Any]:
    standard = {name: getattr(connection, name) for name in ("host", "login", "password") if getattr(connection, name)}
    return {**standard, **connection.extra_dejson}


def flat(connection: dict[str, Any]) -> dict[str, Any]:
    standard = {name: value for name, value in connection.items() if name not in ("conn_type", "extra")}
    return {**standard, **connection["extra"]}


def exported(connection: dict[str, Any], conn_id: str = "mediax_default") -> dict[str, Any]:
    """What ``airflow connections export`` writes, beside another connection."""
    empty = dict.fromkeys(("description", "login", "password", "host", "port", "schema", "extra"))
    other = empty | {"conn_type": "http", "host": "example.com"}
    return {"other": other, conn_id: empty | connection | {"extra": json.dumps(connection["extra"])}}


def asked_fields(terminal: Terminal, answers: Mapping[str, str], names: Iterable[str] = TYPED) -> None:
    for name in names:
        label = FIELDS[name].label.partition(" (")[0]
        terminal.answer(label, answers.get(name, ""))


def everything_stored() -> Iterator[tuple[str, str]]:
    """Yield each table's name with its rows as text, but for the connections' encrypted fields."""
    with create_session() as session:
        for table in inspect(session.get_bind()).get_table_names():
            for row in session.execute(text(f'SELECT * FROM "{table}"')).mappings():
                left_out = ("password", "extra") if table == "connection" else ()
                yield table, repr({name: value for name, value in row.items() if name not in left_out})


def clear_log() -> None:
    with create_session() as session:
        session.execute(text("DELETE FROM log"))


def test_a_person_is_asked_and_secrets_are_not_shown(emulator: MediaxEmulator, connection: dict[str, Any]) -> None:
    given = {
        **flat(connection),
        "namespace": "  staging  ",
        "gateway_secret_key": f" {flat(connection)['gateway_secret_key']} ",
    }
    for name in ("cos_secret_id", "cos_secret_key"):
        del given[name]
    with Terminal(["connect"]) as terminal:
        asked_fields(terminal, given)
        terminal.answer("[y/N]", "y")
        asked_fields(terminal, {"job_path": "/job", "read_timeout": "7", "proxy": "", "verify": "true"}, MORE)
        assert terminal.end() == 0, terminal.shown
    secrets = [given[name] for name in ("login", "password", "gateway_secret_id", "gateway_secret_key")]
    assert [secret for secret in secrets if secret.strip() in terminal.shown] == []
    for name in ("host", "gateway_source", "content_id", "cos_region", "namespace"):
        assert given[name] in terminal.shown
    del given["cos_endpoint"]
    assert fields_of(written("mediax_default")) == {name: value.strip() for name, value in given.items()} | {
        "read_timeout": 7
    }
    assert "platform keys: works" in terminal.shown
    assert "Connection mediax_default is written" in terminal.shown


def test_every_secret_field_is_hidden() -> None:
    assert {name for name, field in FIELDS.items() if field.hidden} == {"login", "password", *SECRET_EXTRAS}
    assert {*TYPED, *MORE, "port", "description"} == set(FIELDS)


def test_fields_that_break_a_rule_are_asked_again(connect: Callable[..., Said], connection: dict[str, Any]) -> None:
    given = flat(connection)
    assert connect("--no-check", "--file", "-", given={"namespace": "old"}).code == 0
    with Terminal(["connect", "--no-check"]) as terminal:
        terminal.answer("Overwrite it? [y/N]", "y")
        names = SECTIONS["MediaX, the music platform"]
        asked_fields(terminal, {**given, "gateway_secret_id": ""}, names)
        asked_fields(terminal, given, names)
        asked_fields(terminal, {}, [name for name in TYPED if name not in names])
        terminal.answer("[y/N]", "")
        assert terminal.end() == 0, terminal.shown
    assert "Give these fields again" in terminal.shown
    extra = written("mediax_default").extra_dejson
    assert extra["gateway_secret_id"] == given["gateway_secret_id"]
    assert "namespace" not in extra


def test_a_connection_that_exists_is_kept_without_a_yes(connect: Callable[..., Said]) -> None:
    assert connect("--no-check", "--file", "-", given={"namespace": "old"}).code == 0
    with Terminal(["connect"]) as terminal:
        terminal.answer("Overwrite it? [y/N]", "")
        assert terminal.end() == 2
    assert "Nothing is written" in terminal.shown
    assert written("mediax_default").extra_dejson == {"namespace": "old"}


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_a_person_decides_whether_wrong_fields_are_written(
    emulator: MediaxEmulator, connection: dict[str, Any], tmp_path: Path, answer: str, code: int
) -> None:
    connection["password"] = "mistyped"
    file = tmp_path / "connection.json"
    file.write_text(json.dumps(connection))
    with Terminal(["connect", "--file", str(file)]) as terminal:
        terminal.answer("all the same? [y/N]", answer)
        assert terminal.end() == code
    assert "platform keys: wrong" in terminal.shown
    assert [secret for secret in secrets_of(connection) if secret in terminal.shown] == []
    assert (stored("mediax_default") is None) is (code == 1)


@pytest.mark.parametrize(
    ("label", "keys"), [("Gateway address", "\x04"), ("Platform secret id", "\x03")], ids=["Ctrl-D", "Ctrl-C"]
)
def test_who_stops_in_the_middle_has_written_nothing(emulator: MediaxEmulator, label: str, keys: str) -> None:
    with Terminal(["connect"]) as terminal:
        if label != "Gateway address":
            terminal.answer("Gateway address", "")
        terminal.press(label, keys)
        assert terminal.end() == 2
    assert "Nothing is written." in terminal.shown
    assert "Traceback" not in terminal.shown
    assert stored("mediax_default") is None


def test_nobody_is_asked_where_there_is_no_terminal(connect: Callable[..., Said]) -> None:
    said = connect()
    assert (said.code, said.out) == (2, "")
    assert "--file" in said.err
    assert stored("mediax_default") is None


@pytest.mark.parametrize("form", [dict, flat, exported], ids=["variable", "flat", "export"])
@pytest.mark.parametrize("where", ["file", "stdin"])
def test_every_form_of_a_connection_is_read(
    connect: Callable[..., Said],
    connection: dict[str, Any],
    tmp_path: Path,
    form: Callable[[dict[str, Any]], dict[str, Any]],
    where: str,
) -> None:
    file = tmp_path / "connection.json"
    file.write_text("\ufeff" + json.dumps(form(connection)))
    said = connect("--file", "-", given=form(connection)) if where == "stdin" else connect("--file", str(file))
    assert (said.code, said.out) == (0, ""), said.err
    assert said.err.count("works") == 4
    made = written("mediax_default")
    assert (made.conn_type, made.port, made.schema) == ("mediax", None, None)
    assert fields_of(made) == flat(connection)


def test_no_white_space_and_no_default_is_stored(connect: Callable[..., Said]) -> None:
    given = {
        "host": " https://api.mediax.tencent.com ",
        "port": 0,
        "login": "\tid\n",
        "password": 12345,
        "job_path": "/job",
        "cos_token": " ",
        "requests_per_second": "10",
        "connect_timeout": 5.0,
        "read_timeout": " 7.5 ",
        "verify": "True",
        "namespace": None,
        "description": " of the nightly runs ",
    }
    assert connect("own", "--no-check", "--file", "-", given=given).code == 0
    made = written("own")
    assert (made.host, made.port, made.login, made.password) == (None, None, "id", "12345")
    assert made.description == "of the nightly runs"
    assert made.extra_dejson == {"read_timeout": 7.5}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tmpSecretId": "AKIDx"}, "Did you mean login?"),
        ({"extra": {"cos_secretid": "AKIDx"}}, "Did you mean cos_secret_id?"),
        ({"conn_type": "mediax", "apigatesecretkey": "AKIDx"}, "Did you mean gateway_secret_key?"),
        ({"login": "AKIDx", "zzzz": 1}, "Its fields are host"),
        ({"login": "AKIDx", "schema": "x"}, "no field 'schema'"),
        ({"conn_type": "postgres", "login": "AKIDx"}, "it must be mediax"),
        ({"other": {"login": "AKIDx"}, "more": {}}, "only more, other"),
        ({"login": ["AKIDx"]}, "must be text"),
        ({"extra": "AKIDx"}, "no JSON object"),
        ({"extra": ["AKIDx"]}, "no JSON object"),
        ({}, "No field is given"),
        ({"namespace": " "}, "No field is given"),
        (["AKIDx"], "a JSON object"),
        ("AKIDx", "a JSON object"),
        ("", "a JSON object"),
        ({"read_timeout": "long", "login": "AKIDx"}, "read_timeout"),
        ({"gateway_secret_id": "AKIDx"}, "gateway_source"),
        ({"host": "https://[AKIDx", "login": "AKIDx"}, "host"),
        ({"host": "https://h:AKIDx", "port": 80, "login": "AKIDx"}, "host"),
        ({"port": "eighty", "login": "AKIDx"}, "port"),
        ({"port": 1e400, "login": "AKIDx"}, "port"),
        ({"port": 70000, "login": "AKIDx"}, "port"),
        ({"login": float("nan"), "password": "AKIDx"}, "login"),
        ({"password": True, "login": "AKIDx"}, "password"),
        ({"cos_secret_id": 1.5, "login": "AKIDx"}, "cos_secret_id"),
        ({"verify": "maybe", "login": "AKIDx"}, "verify"),
        ({"host": "https://api.example.com/AKIDx"}, "host"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(
    connect: Callable[..., Said], given: dict[str, Any] | list[str] | str, told: str
) -> None:
    said = connect("--no-check", "--file", "-", given=given)
    assert said.code == 2
    assert told in said.err
    assert "AKIDx" not in said.err
    assert stored("mediax_default") is None


@pytest.mark.parametrize("conn_id", ["two words", "", "x" * 251, "a\nb"])
def test_an_id_that_airflow_does_not_take_is_refused_before_anything_is_read(
    connect: Callable[..., Said], conn_id: str
) -> None:
    said = connect(conn_id, "--no-check", "--file", "nothing.json")
    assert said.code == 2
    assert "conn_id=" in said.err


def test_a_file_that_is_not_there_is_named(connect: Callable[..., Said], tmp_path: Path) -> None:
    said = connect("--file", str(tmp_path / "nothing.json"))
    assert said.code == 2
    assert "nothing.json" in said.err


def test_fields_that_do_not_work_are_not_written(connect: Callable[..., Said], connection: dict[str, Any]) -> None:
    connection["extra"]["gateway_secret_key"] = "mistyped"
    said = connect("--file", "-", given=connection)
    assert said.code == 1
    assert "gateway: wrong" in said.err
    assert "Nothing is written" in said.err
    assert stored("mediax_default") is None
    assert connect("--no-check", "--file", "-", given=connection).code == 0
    assert written("mediax_default").extra_dejson["gateway_secret_key"] == "mistyped"


def test_what_cannot_be_tried_now_is_not_written(
    emulator: MediaxEmulator, connect: Callable[..., Said], connection: dict[str, Any]
) -> None:
    emulator.fail_next("ListJobs", "503", times=50)
    assert connect("--file", "-", given=connection).code == 3
    assert stored("mediax_default") is None


def test_a_connection_that_exists_is_written_over_only_if_asked_to(
    connect: Callable[..., Said], connection: dict[str, Any]
) -> None:
    assert connect("--file", "-", given=connection).code == 0
    said = connect("--file", "-", given={"namespace": "new"})
    assert said.code == 2
    assert "--overwrite" in said.err
    assert fields_of(written("mediax_default")) == flat(connection)
    assert connect("--file", "-", "--overwrite", "--no-check", given={"namespace": "new"}).code == 0
    assert fields_of(written("mediax_default")) == {"namespace": "new"}


def test_a_variable_that_hides_the_connection_is_named(
    connect: Callable[..., Said], connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", "{}")
    said = connect("--file", "-", given=connection)
    assert said.code == 0
    assert "AIRFLOW_CONN_MEDIAX_DEFAULT" in said.err


def test_typing_into_a_file_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(Exception, match="would be shown"):
        connection_fields.read_fields("-", "x")


def test_without_a_database_the_variable_is_explained_without_secrets(
    emulator: MediaxEmulator, connection: dict[str, Any], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_mediax.cli", "connect", "music", "--file", "-"],
        input=json.dumps(connection),
        env={**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none.db"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "database cannot be reached" in done.stderr
    (line,) = re.findall(r"^AIRFLOW_CONN_MUSIC=(.*)$", done.stderr, re.MULTILINE)
    assert Connection.from_json(line).login == "<tmpSecretId>"
    assert [secret for secret in secrets_of(connection) if secret in done.stderr] == []


ENTRIES = {"console script": ["airflow_provider_mediax.cli"], "airflow": ["airflow", "mediax"]}


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_database_holds_the_secrets_only_encrypted_in_the_connection(
    emulator: MediaxEmulator, connection: dict[str, Any], entry: str
) -> None:
    if entry == "airflow" and version < "3.2":
        pytest.skip("Airflow has provider commands from 3.2 on")
    clear_log()
    done = subprocess.run(
        [sys.executable, "-m", *ENTRIES[entry], "connect", "--file", "-"],
        input=json.dumps(connection),
        env={**os.environ, "AIRFLOW__CORE__FERNET_KEY": "c3lzdGVtLXRlc3RzLWZlcm5ldC1rZXktMzItYnl0ZXM="},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "NOT encrypted" not in done.stderr
    secrets = [secret for secret in secrets_of(connection) if secret != connection["login"]]
    rows = list(everything_stored())
    assert [table for table, row in rows if any(secret in row for secret in secrets)] == []
    assert [row for table, row in rows if table == "log"] == []
    with create_session() as session:
        password, extra = session.execute(text("SELECT password, extra FROM connection")).one()
    assert [secret for secret in secrets if secret in password + extra] == []


def test_keys_that_the_database_holds_in_clear_are_announced(connect: Callable[..., Said]) -> None:
    assert "NOT encrypted" in connect("--no-check", "--file", "-", given={"password": "x"}).err
    assert not written("mediax_default").is_encrypted


def test_the_documented_statement_removes_what_the_old_instructions_left(
    airflow_db: None, connect: Callable[..., Said], emulator: MediaxEmulator
) -> None:
    clear_log()
    old = {"conn_type": "mediax", "login": "AKIDold", "extra": {"gateway_secret_key": "old-gateway-key"}}
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "connections", "add", "old", "--conn-json", json.dumps(old)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    left = [table for table, row in everything_stored() if "old-gateway-key" in row]
    assert left == (["log"] if version < "3.4" else [])  # since 3.4 Airflow stars what it knows to be secret
    page = (ROOT / "docs" / "connection.md").read_text(encoding="utf-8")
    look, remove = re.findall(r"^ *((?:SELECT|DELETE) .*;)$", page, re.MULTILINE)
    with create_session() as session:
        assert len(session.execute(text(look)).all()) == 1
        session.execute(text(remove))
    assert [table for table, row in everything_stored() if "old-gateway-key" in row] == []
