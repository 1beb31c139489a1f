"""Runs a command in this process and keeps what it says; no secret of the connection may be among it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_mediax.cli.__main__ import main

SECRET_EXTRAS = ("gateway_secret_id", "gateway_secret_key", "cos_secret_id", "cos_secret_key", "cos_token")


@dataclass(frozen=True)
class Said:
    """What a command has left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run_command(
    arguments: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    connection: str,
    *,
    stdin: str = "",
    entry: Callable[[Sequence[str]], None] = main,
    may_show_secrets: bool = False,
) -> Said:
    """Run a command with something at its standard input that is no terminal."""
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    with pytest.raises(SystemExit) as ended:
        entry(list(arguments))
    said = capsys.readouterr()
    shown = [secret for secret in secrets_of(json.loads(connection)) if secret in said.out + said.err]
    assert may_show_secrets or shown == []
    return Said(int(ended.value.code or 0), said.out, said.err)


def secrets_of(connection: dict[str, Any]) -> list[str]:
    """Return the secret values of a connection."""
    fields = {**connection["extra"], "login": connection.get("login"), "password": connection.get("password")}
    return [fields[name] for name in ("login", "password", *SECRET_EXTRAS) if fields.get(name)]
