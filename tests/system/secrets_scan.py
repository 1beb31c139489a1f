"""
Looks for secrets where none may lie: every log file, every column of the metadata database, every URL and header.

The encrypted columns of the table of connections are read as well: in clear nothing may lie there either.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from airflow_provider_mediax.emulator.process import MediaxEmulator
from airflow_provider_mediax.emulator.shared import accounts
from tests.system.database import Database

SECRETS = (
    accounts.GATEWAY_SECRET_ID,
    accounts.GATEWAY_SECRET_KEY,
    accounts.PLATFORM_SECRET_KEY,
    accounts.COS_SECRET_ID,
    accounts.COS_SECRET_KEY,
)
"""Of the preset account; the platform's id is the login of its connection, which Airflow stores and shows as it is."""

RENEWED = ("emu-gateway-key-", "emu-platform-key-", "emu-cos-key-")
"""What the keys of a rotation begin with."""


def forms(secret: str) -> Iterator[str]:
    """Yield a secret as it stands, quoted for URLs and JSON, and in base64, wherever it begins in what is encoded."""
    yield from dict.fromkeys((secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]))
    for before in range(3):
        encoded = base64.b64encode(b"?" * before + secret.encode() + b"?" * (-(before + len(secret.encode())) % 3))
        # The characters at the ends also depend on what is around the secret.
        yield encoded[2 * before if before < 2 else 3 : -4].decode()


PATTERNS = tuple(
    re.compile(text)
    for text in (
        *(re.escape(form) for secret in (*SECRETS, *RENEWED) for form in forms(secret)),
        r"q-signature=[0-9a-f]",
        r"q-sign-algorithm=sha1",
        r"signature=\\?\"[A-Za-z0-9+/]{20,}=",
        r"x-c[oi]s?-security-token[\"': =]+[^.\"' ]",
    )
)


def findings(text: str, where: str, patterns: Iterable[re.Pattern[str]] = PATTERNS) -> Iterator[str]:
    """Yield a line for each kind of secret in a text, without the secret itself."""
    for pattern in patterns:
        if found := pattern.search(text):
            before = text[max(0, found.start() - 120) : found.start()].replace("\n", " ")
            yield f"{where}: {pattern.pattern!r} after ...{before}"


def logs_in(home: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of each log file of services, tasks and triggers, of which there must be some."""
    files = sorted(file for file in home.rglob("*.log*") if file.is_file())
    assert files, home
    for file in files:
        yield str(file.relative_to(home)), file.read_text(encoding="utf-8", errors="replace")


def in_logs(home: Path) -> list[str]:
    """Return what lies in the log files."""
    return [found for name, text in logs_in(home) for found in findings(text, name)]


def in_records(database: Database, emulator: MediaxEmulator) -> list[str]:
    """Return what lies in the metadata database, and in URLs and headers that the services saw."""
    found: list[str] = []
    for column, text in database.dump():
        found += findings(text, f"column {column}")
    for request in emulator.ledger()["requests"]:
        seen = json.dumps([request["path"], request["query"], request["headers"]])
        found += findings(seen, f"{request['action']} at the emulator")
    return found
