"""
Addresses that a service can post to when a job has ended: each drops one object into a bucket.

Who has an address can write that one object, up to its expiry, and nothing else.
"""

from __future__ import annotations

from airflow_provider_mediax.protocol.cos_objects import CosObjects
from airflow_provider_mediax.protocol.cos_signature import presigned_query
from airflow_provider_mediax.protocol.urls import CosAddress, object_url

FROM_THE_START = {"append": "", "position": "0"}
"""What makes a POST create an object; a second one is refused, since the object has a length then."""


def append_address(objects: CosObjects, key: str, *, now: float, ahead: int) -> str | None:
    """
    Return the address whose first POST creates an object of its body (COS API: APPEND Object).

    It names the bucket's own host, whatever the connection's endpoint: the service must reach it.

    :param now: COS's time in epoch seconds.
    :param ahead: seconds that the address holds.
    :return: None for temporary keys, whose token would make the address long and end it with the token.
    """
    if objects.keys.token is not None:
        return None
    address = CosAddress(objects.bucket, key)
    host = object_url(address, objects.region).partition("://")[2].partition("/")[0]
    query = presigned_query(
        objects.keys, "POST", f"/{key}", query=FROM_THE_START, headers={"host": host}, now=now, ahead=ahead
    )
    return object_url(address, objects.region, query)
