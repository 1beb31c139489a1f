"""The command ``check``: which parts of a connection work, and what to do about those that do not."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict

from airflow_provider_mediax.cli.command import Exit, command
from airflow_provider_mediax.cli.printing import print_rows
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.probing import examine
from airflow_provider_mediax.protocol.service import Finding


@command
def run(args: Namespace) -> Exit:
    """Try every part, and print a line for each."""
    findings = examine(MediaxConnection.look_up(args.conn_id))
    print_rows([asdict(finding) for finding in findings], args.output)
    return judge(findings)


def judge(findings: Iterable[Finding]) -> Exit:
    """Return the exit code that findings amount to."""
    verdicts = {finding.verdict for finding in findings}
    if "wrong" in verdicts:
        return Exit.FOUND
    return Exit.UNSURE if "unknown" in verdicts else Exit.FINE
