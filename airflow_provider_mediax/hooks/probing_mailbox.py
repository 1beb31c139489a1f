"""Trying a connection's mailbox: can addresses be made that a service may post to, and can the folder be read."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError
from airflow_provider_mediax.hooks.base import mailbox_of
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.jobs.mailbox import Mailbox
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.service import Finding

PART = "mailbox"


def examine_mailbox(connection: MediaxConnection, patience: Patience = PATIENT) -> Iterator[Finding]:
    """
    Try the folder: an object is appended, listed and deleted.

    :param patience: with each request.
    """
    try:
        mailbox = mailbox_of(connection)
        if mailbox is None:
            yield Finding(PART, "not set up", "the connection has no mailbox, so jobs are asked for by time alone")
            return
        if mailbox.objects.keys.token is not None:
            yield Finding(PART, "wrong", "no address is made with temporary keys; jobs are asked for by time alone")
            return
        with SyncClient(connection.transport, Pacing(1000.0)) as client:
            client.run(_passed_through(mailbox), patience)
        says = (
            f"objects in {mailbox.folder} can be appended, listed and deleted; only a job shows whether a service posts"
        )
        yield Finding(PART, "works", says)
    except AuthenticationFailed as refused:
        rights = f"cos:AppendObject and cos:DeleteObject on {connection.mailbox}*, and cos:GetBucket on the bucket"
        yield Finding(PART, "wrong", f"{refused.sentences} The COS key needs {rights}.")
    except BadRequest as refused:
        about = "" if refused.status is None else " A bucket of several availability zones takes no appended objects."
        yield Finding(PART, "wrong", f"{refused.sentences}{about}")
    except MediaxError as error:
        yield Finding.refused(PART, error)


def _passed_through(mailbox: Mailbox) -> Flow[None]:
    name = f"check-{secrets.token_hex(8)}"
    yield from mailbox.objects.append(f"{mailbox.folder.key}{name}", b"appended by airflow-mediax check")
    yield from mailbox.look(None)
    yield from mailbox.remove(name)
