"""The command ``check``: which parts of a connection work, and what to do about those that do not."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, TypeAlias

from airflow_provider_mediax.cli.command import Exit, command, told_error
from airflow_provider_mediax.cli.printing import print_rows
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError
from airflow_provider_mediax.hooks.cloud_infinite import CloudInfiniteHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.mediax import MediaxHook
from airflow_provider_mediax.protocol.ci.service import CloudInfiniteService

NOBODYS_MARKER = "mx1-connection-test"

Verdict: TypeAlias = Literal["works", "wrong", "unknown", "not set up"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What one part of the connection is like.

    :param told: what was seen, or what to do.
    """

    part: str
    verdict: Verdict
    told: str


@command
def run(args: Namespace) -> Exit:
    """Try every part, and print a line for each."""
    findings = examine(MediaxConnection.look_up(args.conn_id))
    print_rows(
        [{"part": finding.part, "verdict": finding.verdict, "told": finding.told} for finding in findings], args.output
    )
    return judge(findings)


def examine(connection: MediaxConnection) -> list[Finding]:
    """Try every part of a connection, which need not be stored anywhere; nothing is bought or written."""
    return [*_platform(connection), *_cos(connection)]


def judge(findings: Iterable[Finding]) -> Exit:
    """Return the exit code that findings amount to."""
    verdicts = {finding.verdict for finding in findings}
    if "wrong" in verdicts:
        return Exit.FOUND
    return Exit.UNSURE if "unknown" in verdicts else Exit.FINE


def _platform(connection: MediaxConnection) -> Iterator[Finding]:
    if not (connection.secret_id or connection.secret_key):
        for part in ("gateway", "platform keys", "repository"):
            yield Finding(part, "not set up", "the connection has no login and password, which registration returns")
        return
    signed = "signed" if connection.gateway_keys else "without a gateway signature"
    with closing(MediaxHook.opened(connection)) as hook:
        try:
            hook.list(NOBODYS_MARKER)
        except MediaxError as error:
            if error.layer == "platform":
                yield Finding("gateway", "works", f"{connection.base_url} ({signed})")
                yield Finding("platform keys", _verdict(error), told_error(error))
            else:
                yield Finding("gateway", _verdict(error), told_error(error))
                yield Finding("platform keys", "unknown", "the gateway must work first")
        else:
            yield Finding("gateway", "works", f"{connection.base_url} ({signed})")
            yield Finding("platform keys", "works", "the platform accepts login and password")
    if content_id := connection.repository.content_id:
        yield Finding("repository", "works", f"content_id is {content_id}; only a job shows if it is the right one")
    else:
        yield Finding("repository", "not set up", "set content_id (tmpContentId) for inputs by path and for files")


def _cos(connection: MediaxConnection) -> Iterator[Finding]:
    if not (connection.cos.secret_id or connection.cos.secret_key):
        for part in ("bucket", "voice separation"):
            yield Finding(part, "not set up", "the connection has no cos_secret_id and cos_secret_key")
        return
    with closing(CosHook.opened(connection, retries=3)) as bucket:
        yield _tried("bucket", lambda: _list_bucket(bucket))
    with closing(CloudInfiniteHook.opened(connection)) as separations:
        yield _tried("voice separation", lambda: _ask_separations(separations))


def _tried(part: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(part, "works", attempt())
    except MediaxError as error:
        return Finding(part, _verdict(error), told_error(error))


def _verdict(error: MediaxError) -> Verdict:
    """Tell what is wrong by itself from what may pass."""
    return "wrong" if isinstance(error, (AuthenticationFailed, BadRequest)) else "unknown"


def _list_bucket(hook: CosHook) -> str:
    hook.check_bucket()
    hook.has_prefix(f"{NOBODYS_MARKER}/")
    return f"the objects of {hook.bucket} can be listed; only a job shows whether they can be written"


def _ask_separations(hook: CloudInfiniteHook) -> str:
    service = hook.service
    if isinstance(service, CloudInfiniteService) and not hook.run(service.bucket.activation()):
        raise BadRequest(
            "Smart Audio is not activated on the bucket",
            advice="Bind the bucket to Cloud Infinite and activate Smart Audio on it, in the console.",
        )
    hook.list(size=1)
    return "Smart Audio is activated, and its jobs can be listed"
