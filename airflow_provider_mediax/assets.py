"""
Objects in COS as Airflow assets: ``Asset("cos://bucket-appid/key")``, and what the events of a job's outlets carry.

Airflow cuts a fragment off every asset's URI and rewrites its query, partly before anybody is asked. So an object with
``#`` or ``?`` in its key cannot be an asset; :func:`create_asset` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.jobs.manifest import Manifest
    from airflow_provider_mediax.jobs.ownership import Log


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check the URI of an asset, and leave the id of a connection out: it is no part of an object's name.

    Airflow also asks for each ``ObjectStoragePath`` that a task reads or writes while OpenLineage is on; such a path
    always names its connection.

    :raises ValueError: it names no bucket or no key, or could not keep the key.
    """
    _, conn_id, bucket = uri.netloc.rpartition("@")
    if conn_id and not bucket:  # a path on Airflow 3.1, whose library knows no bucket in a foreign scheme
        bucket, _, key = uri.path.lstrip("/").partition("/")
        uri = uri._replace(path=f"/{key}")
    uri = uri._replace(netloc=bucket)
    if not uri.netloc:
        raise ValueError("An asset in COS is cos://bucket-appid/key, with a bucket")
    if not uri.path.strip("/"):
        raise ValueError("An asset in COS is cos://bucket-appid/key, with a key")
    if uri.query or uri.fragment:
        raise ValueError("The key of an asset in COS may hold neither ? nor #: Airflow would change it")
    return uri


def create_asset(*, bucket: str, key: str, extra: dict[str, Any] | None = None) -> Asset:
    """
    Return the asset of an object.

    :raises ValueError: Airflow's URIs cannot hold the key.
    """
    if "#" in key or "?" in key:
        raise ValueError("The key of an asset in COS may hold neither ? nor #: Airflow would change it")
    return Asset(uri=str(CosAddress(bucket, key.lstrip("/"))), extra=extra or {})


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Dataset:
    """Return the OpenLineage dataset of an asset, named as ``ObjectStoragePath`` names it."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    address = cos_address(asset.uri)
    if address is None:
        raise ValueError(f"{asset.uri} is no asset in COS")
    return Dataset(namespace=f"cos://{address.bucket}", name=address.key)


def announce(outlets: Sequence[object], context: Context, manifest: Manifest, log: Log) -> None:
    """
    Let the events of a task's outlets say which job they come from.

    An asset's event carries ``job_id`` and ``capability`` in its ``extra``; of an alias, each file of the job is an
    event that does. Airflow keeps assets by ASCII addresses alone and would fail the task for others, so a file with
    another address is left out, with a warning.
    """
    extra: dict[str, Any] = {"job_id": manifest["job_id"], "capability": manifest["capability"]}
    for outlet in outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(extra)
        elif isinstance(outlet, AssetAlias):
            _add_files(context["outlet_events"][outlet], manifest["files"], extra, log)


def _add_files(event: Any, files: Sequence[str], extra: Mapping[str, Any], log: Log) -> None:
    for file in files:
        if file.isascii() and not {"#", "?"} & set(file):
            event.add(Asset(file), extra={**extra})
        else:
            log.warning("There is no asset event of %s: an asset's address is ASCII, without # and ?", file)
