"""The command ``mailbox clean``: removes old objects of the folders that the connection names."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_mediax.cli.command import Exit, command, say
from airflow_provider_mediax.cli.moments import moment
from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.probing_claims import LEAST_DAYS
from airflow_provider_mediax.protocol.cos_objects import CosObjects
from airflow_provider_mediax.protocol.exchange import Flow
from airflow_provider_mediax.protocol.service import MARKER_PREFIX
from airflow_provider_mediax.protocol.urls import CosAddress

DAY = 86400.0


@command
def clean(args: Namespace) -> Exit:
    """Delete what is older than the given age, and say how much that was."""
    connection = MediaxConnection.look_up(args.conn_id)
    before, now = moment("older_than", args.older_than), moment("now", "0s")
    if before is None or now is None or (now - before).total_seconds() < LEAST_DAYS * DAY - 1:
        raise BadRequest.field("older_than", args.older_than, f"it must be {LEAST_DAYS}d or more.")
    folders = [folder for folder in (connection.mailbox, connection.claims) if folder is not None]
    if not folders:
        raise BadRequest(f"Connection {args.conn_id} has neither mailbox nor claims", advice="")
    with SyncClient(connection.transport, Pacing(1000.0)) as client:
        for folder in folders:
            deleted = client.run(_cleaned(connection.cos_objects(folder.bucket), folder, before.timestamp()))
            say(f"{deleted} objects deleted from {folder}.")
    return Exit.FINE


def _cleaned(objects: CosObjects, folder: CosAddress, before: float) -> Flow[int]:
    """Delete the old objects of jobs; whatever else lies there is somebody's own."""
    deleted = 0
    for found in (yield from objects.every(f"{folder.key}{MARKER_PREFIX}")):
        if found.written_at < before:
            yield from objects.delete(found.key)
            deleted += 1
    return deleted
