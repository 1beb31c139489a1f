"""
Trying a connection: every part that is set, with nothing bought. For commands and the test button.

Nothing is written but one small object each in the folders of claims and of the mailbox, if the connection has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from airflow_provider_mediax.client.retry import Patience
from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.hooks.base import JobHook
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.hooks.probing_claims import examine_claims
from airflow_provider_mediax.hooks.probing_mailbox import examine_mailbox
from airflow_provider_mediax.hooks.registry import SERVICES
from airflow_provider_mediax.protocol.service import NOBODYS_MARKER, Finding

QUICK = Patience(attempts=2, throttle_wait=5.0)
"""A person waits for the answer, and Airflow for a minute at most."""


def examine(connection: MediaxConnection) -> list[Finding]:
    """Try every part of a connection, which need not be stored anywhere; a bucket before what works in one."""
    first, *others = (_service(connection, kind) for kind in SERVICES.values())
    services = (finding for found in others for finding in found)
    return [*first, *_buckets(connection), *services, *_folders(connection)]


def _folders(connection: MediaxConnection) -> Iterator[Finding]:
    yield from examine_claims(connection, QUICK)
    yield from examine_mailbox(connection, QUICK)


def summary(findings: Sequence[Finding]) -> tuple[bool, str]:
    """
    Put what was found into words.

    :return: whether all that is set works, and which parts do or what is wrong with them.
    """
    tried = [finding for finding in findings if finding.verdict in ("works", "wrong", "unknown")]
    said = ""
    for place, finding in enumerate(tried):
        words = finding.says
        if words in (earlier.says for earlier in tried[:place]):  # of a field that every part needs, once is enough
            continue
        if finding.verdict == "works":
            words = f"{finding.part} accepted"
        elif said and not words.startswith(finding.part):
            words = f"{finding.part}: {words}"
        if words.startswith(finding.part) and (not said or said.endswith(".")):
            words = words[:1].upper() + words[1:]
        said += f"{' ' if said.endswith('.') else '; ' if said else ''}{words}"
    if not tried:
        return False, "Nothing is set up: give login and password, or the keys of COS."
    return all(finding.verdict == "works" for finding in tried), said.rstrip(".") + "."


def _service(connection: MediaxConnection, kind: type[JobHook[Any]]) -> Sequence[Finding]:
    title = kind.service_type.title
    if not kind.is_set_up(connection):
        return [Finding(title, "not set up", f"the connection has no {kind.keys}")]
    with closing(kind.opened(connection)) as hook:
        try:
            found: Sequence[Finding] = hook.run(hook.service.probe(), QUICK)
        except MediaxError as error:
            return [Finding.refused(title, error)]
        return found


def _buckets(connection: MediaxConnection) -> Iterator[Finding]:
    """Try the connection's bucket, and those that it names the regions of."""
    cos = connection.cos
    if not (cos.secret_id or cos.secret_key):
        yield Finding("COS", "not set up", "the connection has no cos_secret_id and cos_secret_key")
        return
    yield _bucket(connection, "COS", None)
    for bucket in cos.bucket_regions:
        if bucket != cos.bucket:
            yield _bucket(connection, f"COS bucket {bucket}", bucket)


def _bucket(connection: MediaxConnection, part: str, bucket: str | None) -> Finding:
    try:
        with closing(CosHook.opened(connection, bucket, patience=QUICK)) as hook:
            hook.check_bucket()
            hook.has_prefix(f"{NOBODYS_MARKER}/")
            says = f"the objects of {hook.bucket} can be listed; only a job shows whether they can be written"
            return Finding(part, "works", says)
    except MediaxError as error:
        return Finding.refused(part, error)
