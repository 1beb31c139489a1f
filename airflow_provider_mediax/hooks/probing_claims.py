"""Trying a connection's claims: does the bucket keep what it is asked to keep, and for long enough."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_mediax.client.pacing import Pacing
from airflow_provider_mediax.client.retry import PATIENT, Patience
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.exceptions import AuthenticationFailed, MediaxError
from airflow_provider_mediax.hooks.base import claims_of
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.jobs.claims import Claims
from airflow_provider_mediax.protocol.cos_objects import CosObjects, Expiration
from airflow_provider_mediax.protocol.service import Finding

LEAST_DAYS = 7
"""Days that a claim must be kept: longer than any attempt of a task takes to submit its job."""

KEEPS = "claims"
LASTS = "lifetime of claims"


def examine_claims(connection: MediaxConnection, patience: Patience = PATIENT) -> Iterator[Finding]:
    """
    Try the folder of claims; one small object is written there, if there is none yet.

    :param patience: with each request.
    """
    try:
        claims = claims_of(connection)
        if claims is None:
            yield Finding(
                KEEPS, "not set up", "the connection has no claims, so attempts that overlap may buy two jobs"
            )
            return
        with SyncClient(connection.transport, Pacing(1000.0)) as client:
            yield _keeps(claims, client, patience)
            yield _lasts(claims, connection.cos_objects(claims.folder.bucket), client, patience)
    except MediaxError as error:
        yield Finding.refused(KEEPS, error)


def _keeps(claims: Claims, client: SyncClient, patience: Patience) -> Finding:
    folder = claims.folder
    rights = f"cos:PutObject and cos:GetObject on {folder}*"
    try:
        keeps = client.run(claims.probe(), patience)
    except AuthenticationFailed as refused:
        return Finding(KEEPS, "wrong", f"{refused.sentences} The COS key needs {rights}.")
    if keeps:
        says = f"objects in {folder} are created only if absent; the COS key needs {rights}, and nothing to delete them"
        return Finding(KEEPS, "works", says)
    says = f"the bucket of {folder} replaces objects that it is asked to keep: it has, or once had, versioning."
    return Finding(KEEPS, "wrong", f"{says} Name a bucket that never had it.")


def _lasts(claims: Claims, bucket: CosObjects, client: SyncClient, patience: Patience) -> Finding:
    try:
        rules = client.run(bucket.expirations(), patience)
    except AuthenticationFailed:
        says = f"the COS key may not read the lifecycle rules; none may delete claims before {LEAST_DAYS} days"
        return Finding(LASTS, "not tried", says)
    except MediaxError as error:
        return Finding.refused(LASTS, error)
    early = [rule for rule in rules if rule.days < LEAST_DAYS and _meets(rule, claims.folder.key)]
    if early:
        says = (
            f"the lifecycle rule {early[0].name!r} deletes claims before {LEAST_DAYS} days; a job could be bought twice"
        )
        return Finding(LASTS, "wrong", says)
    return Finding(LASTS, "works", f"no lifecycle rule deletes claims before {LEAST_DAYS} days")


def _meets(rule: Expiration, folder: str) -> bool:
    return folder.startswith(rule.prefix) or rule.prefix.startswith(folder)
