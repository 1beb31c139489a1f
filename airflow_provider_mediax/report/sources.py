"""Where a report reads sounds and beats from, and where it is written to."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mediax.exceptions import BadRequest, MediaxError
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.hooks.cos import CosHook
from airflow_provider_mediax.jobs.ownership import Log
from airflow_provider_mediax.protocol.urls import Located, cos_address, shown_url

LARGEST_BEATS = 4 * 1024 * 1024
"""Bytes of a file with the times of beats."""


class Files:
    """
    Files of COS through a connection, and of any other storage that Airflow knows.

    :param conn_id: connection of type ``mediax``.
    :param log: gets a line for each file that could not be read; a report lacks it then.
    """

    def __init__(self, conn_id: str, log: Log) -> None:
        self._conn_id = conn_id
        self._cos = CosHook(conn_id)
        self._log = log

    def read(self, address: str, most: int) -> bytes | None:
        """
        Return a file's content; None if it is larger, or cannot be read.

        :param most: bytes.
        """
        try:
            if cos_address(address) is not None:
                size = self._cos.head(address).size
                return self._cos.read_bytes(address) if size <= most else None
            if address.startswith(("http://", "https://")):
                raise BadRequest("only a file in a storage can be embedded", advice="")
            path = ObjectStoragePath(address)
            return path.read_bytes() if path.stat().st_size <= most else None
        except (MediaxError, OSError, ValueError) as error:
            what = error.what if isinstance(error, MediaxError) else type(error).__name__
            self._log.warning("The report lacks %s, which cannot be read: %s", shown_url(address), what)
            return None

    def write(self, address: str, page: bytes) -> None:
        """
        Write the page.

        :raises MediaxError: COS refused it.
        """
        if cos_address(address) is not None:
            self._cos.write_bytes(address, page, content_type="text/html; charset=utf-8")
            return
        path = ObjectStoragePath(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page)

    def located(self, address: str) -> Located | None:
        """Return an address in COS with its bucket's region; None for any other address."""
        found = cos_address(address)
        if found is None:
            return None
        return Located(found, MediaxConnection.look_up(self._conn_id).cos.region_of(found.bucket))

    def close(self) -> None:
        """Close all connections."""
        self._cos.close()
