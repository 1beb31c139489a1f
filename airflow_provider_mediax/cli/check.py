"""The command ``check``: which parts of a connection work, and what to do about those that do not."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict

from airflow_provider_mediax.cli.check_claims import examine_claims
from airflow_provider_mediax.cli.command import Exit, command
from airflow_provider_mediax.cli.printing import print_rows
from airflow_provider_mediax.client.retry import PATIENT
from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.registry import SERVICES
from airflow_provider_mediax.protocol.service import NOBODYS_MARKER, Finding


@command
def run(args: Namespace) -> Exit:
    """Try every part, and print a line for each."""
    findings = examine(MediaxConnection.look_up(args.conn_id))
    print_rows([asdict(finding) for finding in findings], args.output)
    return judge(findings)


def examine(connection: MediaxConnection) -> list[Finding]:
    """Try every part of a connection, which need not be stored anywhere; nothing is bought."""
    return [*_services(connection), _bucket(connection), *examine_claims(connection)]


def judge(findings: Iterable[Finding]) -> Exit:
    """Return the exit code that findings amount to."""
    verdicts = {finding.verdict for finding in findings}
    if "wrong" in verdicts:
        return Exit.FOUND
    return Exit.UNSURE if "unknown" in verdicts else Exit.FINE


def _services(connection: MediaxConnection) -> Iterator[Finding]:
    for kind in SERVICES.values():
        title = kind.service_type.title
        if not kind.is_set_up(connection):
            yield Finding(title, "not set up", f"the connection has no {kind.keys}")
            continue
        with closing(kind.opened(connection)) as hook:
            found: Sequence[Finding]
            try:
                found = hook.run(hook.service.probe())
            except MediaxError as error:
                found = [Finding.refused(title, error)]
            yield from found


def _bucket(connection: MediaxConnection) -> Finding:
    part = "bucket"
    if not (connection.cos.secret_id or connection.cos.secret_key):
        return Finding(part, "not set up", "the connection has no cos_secret_id and cos_secret_key")
    try:
        with closing(CosHook.opened(connection, patience=PATIENT)) as hook:
            hook.check_bucket()
            hook.has_prefix(f"{NOBODYS_MARKER}/")
            says = f"the objects of {hook.bucket} can be listed; only a job shows whether they can be written"
            return Finding(part, "works", says)
    except MediaxError as error:
        return Finding.refused(part, error)
