"""
Objects in COS as Airflow assets: ``Asset("cos://bucket-appid/key")``.

Airflow cuts a fragment off every asset's URI and rewrites its query, partly before anybody is asked. So an object with
``#`` or ``?`` in its key cannot be an asset; :func:`create_asset` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_mediax.protocol.urls import CosAddress, cos_address

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check the URI of an asset.

    :raises ValueError: it names no bucket or no key, or could not keep the key.
    """
    if not uri.netloc or "@" in uri.netloc:
        raise ValueError("An asset in COS is cos://bucket-appid/key, with a bucket and without a connection id")
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
