"""What both drivers make of the bytes of an answer: one :class:`Reply`, bounded in size however it is packed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

from airflow_provider_mediax.client.retry import TransportFailure
from airflow_provider_mediax.protocol.exchange import Reply

ACCEPT_ENCODING = "gzip"
"""The one packing that :func:`reply_of` undoes."""

_GZIP = 16 + zlib.MAX_WBITS


class Body:
    """
    Collects a body as it came.

    :param limit: bytes, packed and unpacked.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts = bytearray()

    def add(self, part: bytes) -> None:
        """
        Take the next part in.

        :raises TransportFailure: the body is above the limit.
        """
        self._parts += part
        if len(self._parts) > self.limit:
            raise self._too_large()

    def reply(self, status: int, headers: Iterable[tuple[str, str]]) -> Reply:
        """
        Return the whole answer.

        :raises TransportFailure: it cannot be used.
        """
        if status < 200:
            raise TransportFailure(f"an interim answer (HTTP status {status}) and no other", sent=True, readable=False)
        named = {name.lower(): value for name, value in headers}
        return Reply(status, named, self._unpacked(named))

    def _unpacked(self, headers: Mapping[str, str]) -> bytes:
        packing = headers.get("content-encoding", "").strip().lower()
        if packing in ("", "identity") or not self._parts:
            return bytes(self._parts)
        if packing not in ("gzip", "x-gzip"):
            raise TransportFailure("an answer packed in a way that was not asked for", sent=True, readable=False)
        unpacker = zlib.decompressobj(_GZIP)
        try:
            # Never the whole of it blindly: a kilobyte can unpack to a megabyte.
            body = unpacker.decompress(bytes(self._parts), self.limit + 1)
        except zlib.error:
            raise TransportFailure("an answer that cannot be unpacked", sent=True) from None
        if len(body) > self.limit:
            raise self._too_large()
        if not unpacker.eof or unpacker.unused_data:
            raise TransportFailure("an answer that was not packed whole", sent=True)
        return body

    def _too_large(self) -> TransportFailure:
        return TransportFailure(f"more than {self.limit} bytes", sent=True, readable=False, too_large=True)
