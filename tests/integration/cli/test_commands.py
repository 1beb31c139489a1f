"""``register``, ``check`` and ``jobs`` against the emulator."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, select
from sqlalchemy.exc import OperationalError

from airflow_provider_mediax.cli import command as commands
from airflow_provider_mediax.cli import connections, register
from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.protocol.mediax.capabilities.listening import MusicTag
from airflow_provider_mediax.protocol.mediax.gateway import Registration
from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest, MediaxInput
from tests.audio import click_track
from tests.unit.cli.said import Said, run_command, secrets_of

KEYS = {"cos_secret_id": "AKIDofTheRegistration", "cos_secret_key": "key-of-the-registration"}


@pytest.fixture
def emulator(
    airflow_db: None, mediax_emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MediaxEmulator]:
    monkeypatch.setenv("AIRFLOW_CONN_MEDIAX_DEFAULT", mediax_emulator.connection_json())
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # so that what a command sets is taken back
    mediax_emulator.put_object("a.wav", click_track(seconds=1))
    mediax_emulator.durations("*", 0.2)
    yield mediax_emulator
    with create_session() as session:
        session.execute(delete(Connection))


@pytest.fixture
def cli(
    emulator: MediaxEmulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    return lambda *arguments, **how: run_command(arguments, capsys, monkeypatch, emulator.connection_json(), **how)


@pytest.fixture
def registering(
    emulator: MediaxEmulator, cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    """Return a function that registers a customer, all but its keys given as options."""
    for field, variable in register.KEY_VARIABLES.items():
        monkeypatch.setenv(variable, KEYS[field])
    given = {"operate-uin": "1000000001", "user-name": "demo", "bucket": "other-1250000000", "region": "ap-guangzhou"}

    def run(*more: str, **changed: str | None) -> Said:
        options = {**given, "conn-id": "made", "host": emulator.url, **changed}
        arguments = [part for name, value in options.items() if value is not None for part in (f"--{name}", value)]
        show = "json" in more or "uri" in more
        said = cli("register", *arguments, *more, may_show_secrets=show)
        assert show or [key for key in KEYS.values() if key in said.out + said.err] == []
        return said

    return run


def stored(conn_id: str = "made") -> Connection | None:
    with create_session() as session:
        found = session.scalar(select(Connection).where(Connection.conn_id == conn_id))
        if found is not None:
            session.expunge(found)
        return found


def written(conn_id: str = "made") -> Connection:
    """Return a connection that must be there."""
    found = stored(conn_id)
    assert found is not None, conn_id
    return found


def registrations(emulator: MediaxEmulator) -> int:
    return sum(request["action"] == "Register" for request in emulator.ledger()["requests"])


def test_register_makes_a_connection_that_works(
    emulator: MediaxEmulator, registering: Callable[..., Said], cli: Callable[..., Said]
) -> None:
    said = registering()
    assert (said.code, said.out) == (0, "")
    assert "Registration successful" in said.err
    assert "1000000001_demo/run_musicBeat.py" in said.err
    made = written()
    assert made.conn_type == "mediax"
    extra = made.extra_dejson
    assert extra["gateway_source"] == "1000000001_demo"
    assert extra["cos_bucket"] == "other-1250000000"
    assert {name: extra[name] for name in KEYS} == KEYS
    shown = said.out + said.err
    secrets = secrets_of({"login": made.login, "password": made.password, "extra": extra})
    assert len(secrets) == 6
    assert [secret for secret in secrets if secret in shown] == []
    found = {line["part"]: line["verdict"] for line in cli("check", "--conn-id", "made", "-o", "json").json}
    assert (found["gateway"], found["platform keys"], found["repository"]) == ("works", "works", "not tried")


def test_register_keeps_no_default_and_no_white_space() -> None:
    target = register.Target(
        conn_id="made", host="https://api.mediax.tencent.com", register_path="/register", source=" 1000000001_demo "
    )
    registration = Registration(
        operate_uin="1000000001",
        user_name="demo",
        cos_secret_id="id\n",
        cos_secret_key=" key",
        bucket="music-1250000000",
        region="ap-guangzhou",
    )
    made = target.connection({"tmpSecretId": " login ", "tmpSecretKey": "password", "tmpContentId": ""}, registration)
    assert (made.host, made.login, made.password) == (None, "login", "password")
    assert made.extra_dejson == {
        "gateway_source": "1000000001_demo",
        "cos_secret_id": "id",
        "cos_secret_key": "key",
        "cos_region": "ap-guangzhou",
        "cos_bucket": "music-1250000000",
    }


@pytest.mark.parametrize("where", ["environment", "database"])
def test_register_does_not_overwrite_a_connection_and_sends_nothing(
    emulator: MediaxEmulator, registering: Callable[..., Said], where: str
) -> None:
    conn_id = "mediax_default"
    if where == "database":
        registering()
        conn_id = "made"
    before = registrations(emulator)
    said = registering(**{"conn-id": conn_id})
    assert said.code == 2
    assert "--force" in said.err
    assert registrations(emulator) == before


def test_register_overwrites_when_forced(emulator: MediaxEmulator, registering: Callable[..., Said]) -> None:
    registering()
    first = written().login
    assert registering("--force").code == 0
    assert written().login != first


@pytest.mark.parametrize("fault", ["500", "drop_after", "html_after"])
def test_register_is_sent_once_and_a_lost_answer_is_said_to_be_lost(
    emulator: MediaxEmulator, registering: Callable[..., Said], fault: str
) -> None:
    emulator.fail_next("Register", fault)
    said = registering()
    assert said.code == 3
    assert "not known" in said.err
    assert registrations(emulator) == 1
    assert stored() is None


def test_register_is_not_repeated_even_where_nothing_was_registered(
    emulator: MediaxEmulator, registering: Callable[..., Said]
) -> None:
    emulator.fail_next("Register", "429", retry_after=0.1)
    said = registering()
    assert said.code == 3
    assert "Nothing is registered" in said.err
    assert registrations(emulator) == 1


def test_register_says_that_it_waits(
    emulator: MediaxEmulator, registering: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "PROGRESS_SECONDS", 0.2)
    emulator.register_delay(1)
    said = registering()
    assert said.code == 0
    assert said.err.count(" s\n") >= 2


@pytest.mark.parametrize("output", ["json", "uri"])
def test_register_prints_the_connection_only_if_asked_to(
    emulator: MediaxEmulator, registering: Callable[..., Said], output: str
) -> None:
    said = registering("--output", output)
    read = Connection.from_json(said.out, conn_id="x") if output == "json" else Connection(uri=said.out.strip())
    assert read.conn_type == "mediax"
    assert read.password
    assert {name: read.extra_dejson[name] for name in KEYS} == KEYS
    assert stored() is None


@pytest.mark.parametrize("option", ["operate-uin", "user-name", "bucket", "region"])
def test_register_asks_nobody_where_nobody_is(
    emulator: MediaxEmulator, registering: Callable[..., Said], option: str
) -> None:
    said = registering(**{option: None})
    assert said.code == 2
    assert f"--{option}" in said.err
    assert registrations(emulator) == 0


def test_register_says_where_keys_come_from(
    emulator: MediaxEmulator, registering: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDIAX_COS_SECRET_KEY")
    said = registering()
    assert said.code == 2
    assert "MEDIAX_COS_SECRET_KEY" in said.err


def test_register_takes_keys_from_a_file(
    emulator: MediaxEmulator, registering: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in register.KEY_VARIABLES.values():
        monkeypatch.delenv(variable)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(KEYS))
    assert registering("--keys-file", str(file)).code == 0
    assert written().extra_dejson["cos_secret_key"] == KEYS["cos_secret_key"]
    file.write_text("{}")
    assert registering("--keys-file", str(file), "--force").code == 2


def test_register_prompts_a_person_and_does_not_show_the_keys(
    emulator: MediaxEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def typed(words: str, stream: TextIO) -> str:
        asked.append(words)
        return "typed"

    monkeypatch.setattr(commands, "getpass", typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert register._ask("COS secret key", "MEDIAX_COS_SECRET_KEY", secret=True) == "typed"
    assert asked == ["COS secret key: "]


@pytest.mark.parametrize("name", ["with space", "x" * 20, "a-b"])
def test_register_refuses_a_wrong_user_name_before_it_sends(
    emulator: MediaxEmulator, registering: Callable[..., Said], name: str
) -> None:
    assert registering(**{"user-name": name}).code == 2
    assert registrations(emulator) == 0


def test_keys_are_not_lost_when_the_connection_cannot_be_written(
    registering: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> None:
        raise OperationalError("insert", {}, Exception("disk full"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connections, "create_session", broken)
    said = registering()
    assert said.code == 3
    (file,) = tmp_path.iterdir()
    assert str(file) in said.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["made"]["extra"]["cos_secret_key"] == KEYS["cos_secret_key"]


TRIED = ["gateway", "platform keys", "voice separation", "COS"]


def test_check_finds_that_all_works(cli: Callable[..., Said]) -> None:
    said = cli("check", "-o", "json")
    verdicts = {line["part"]: line["verdict"] for line in said.json}
    assert verdicts == {
        **dict.fromkeys(TRIED, "works"),
        "repository": "not tried",
        "claims": "not set up",
        "mailbox": "not set up",
    }
    assert said.code == 0


@pytest.mark.parametrize(
    ("field", "part", "advice"),
    [
        ("password", "platform keys", "login and password"),
        ("gateway_secret_key", "gateway", "gateway fields"),
        ("cos_secret_key", "COS", "cos_secret_key"),
        ("cos_secret_key", "voice separation", "cos_secret_key"),
    ],
)
def test_check_names_the_part_that_is_wrong_and_what_to_do(
    emulator: MediaxEmulator,
    cli: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    part: str,
    advice: str,
) -> None:
    connection = json.loads(emulator.connection_json())
    (connection if field == "password" else connection["extra"])[field] = "mistyped"
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
    said = cli("check", "--conn-id", "wrong", "-o", "json")
    found = {line["part"]: line for line in said.json}
    assert said.code == 1
    assert found[part]["verdict"] == "wrong"
    assert advice in found[part]["says"]
    assert "mistyped" not in said.out


def test_check_tells_that_smart_audio_is_not_activated(emulator: MediaxEmulator, cli: Callable[..., Said]) -> None:
    emulator.precondition("smart_audio", False)
    said = cli("check")
    assert said.code == 1
    told = " ".join(said.out.split())
    assert "Smart Audio is not activated" in told
    assert "activate Smart Audio" in told


def test_check_tells_what_may_pass_from_what_is_wrong(emulator: MediaxEmulator, cli: Callable[..., Said]) -> None:
    emulator.fail_next("ListJobs", "503", times=50)
    said = cli("check", "-o", "json")
    assert said.code == 3
    assert said.json[0]["verdict"] == "unknown"


def test_check_says_works_of_nothing_that_it_did_not_ask(
    emulator: MediaxEmulator, cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(emulator.connection_json())
    connection["host"] = "http://127.0.0.1:9"
    connection["extra"]["content_id"] = "any text"
    connection["extra"]["bucket_regions"] = {"nobody-1250000000": "ap-beijing"}
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
    said = cli("check", "--conn-id", "wrong", "-o", "json")
    assert {line["part"]: line["verdict"] for line in said.json} == {
        "gateway": "unknown",
        "platform keys": "not tried",
        "repository": "not tried",
        "voice separation": "works",
        "COS": "works",
        "COS bucket nobody-1250000000": "wrong",
        "claims": "not set up",
        "mailbox": "not set up",
    }
    assert said.code == 1


def test_check_of_an_empty_connection_finds_nothing_set_up(
    emulator: MediaxEmulator, cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "mediax"}')
    said = cli("check", "--conn-id", "empty", "-o", "json")
    assert {line["verdict"] for line in said.json} == {"not set up"}


@pytest.fixture
def job(emulator: MediaxEmulator) -> Callable[..., str]:
    """Return a function that submits a job and returns its id."""

    def submit(marker: str = "mx1-of-a-test") -> str:
        hook = MediaxHook()
        job = hook.submit(CapabilityRequest(capability=MusicTag(), input=MediaxInput(path="a.wav")), marker)
        hook.close()
        return job.id

    return submit


def test_jobs_wait_ends_with_the_job_and_get_shows_its_manifest(
    cli: Callable[..., Said], job: Callable[..., str]
) -> None:
    job_id = job()
    waited = cli("jobs", "wait", job_id, "--poll-interval", "0.3", "--timeout", "30", "-o", "json")
    assert (waited.code, waited.json["state"]) == (0, "COMPLETED")
    assert waited.json["result"]
    assert "COMPLETED" in waited.err
    assert cli("jobs", "get", job_id, "-o", "json").json == waited.json
    assert job_id in cli("jobs", "get", job_id).out


def test_jobs_wait_asks_nothing_more_about_a_job_that_is_final(
    emulator: MediaxEmulator, cli: Callable[..., Said], job: Callable[..., str]
) -> None:
    job_id = job()
    assert cli("jobs", "wait", job_id, "--poll-interval", "0.3", "-o", "json").json["state"] == "COMPLETED"
    described = [request["action"] for request in emulator.ledger()["requests"]].count("GetJob")
    assert cli("jobs", "wait", job_id, "-o", "json").json["state"] == "COMPLETED"
    assert [request["action"] for request in emulator.ledger()["requests"]].count("GetJob") == described + 1


def test_jobs_wait_tells_how_the_job_ended(
    emulator: MediaxEmulator, cli: Callable[..., Said], job: Callable[..., str]
) -> None:
    emulator.outcome("musicTagV2", "ERROR")
    assert cli("jobs", "wait", job(), "--poll-interval", "0.3").code == 1
    emulator.outcome("musicTagV2", "NEVER")
    said = cli("jobs", "wait", job(), "--poll-interval", "0.3", "--timeout", "1")
    assert said.code == 3
    assert "goes on" in said.err


def test_jobs_list_finds_what_carries_a_marker(
    emulator: MediaxEmulator, cli: Callable[..., Said], job: Callable[..., str]
) -> None:
    ids = {job("mx1-twice"), job("mx1-twice")}
    job("mx1-another")
    assert {line["job_id"] for line in cli("jobs", "list", "mx1-twice", "-o", "json").json} == ids
    assert cli("jobs", "list", "mx1-twice", "--service", "cloud_infinite", "--since", "1h", "-o", "json").json == []


@pytest.mark.parametrize("service", ["mediax", "cloud_infinite"])
def test_a_job_that_is_not_known_ends_with_2(cli: Callable[..., Said], service: str) -> None:
    for command in ("get", "wait"):
        assert cli("jobs", command, "no-such-job", "--service", service).code == 2
