"""Times on the command line: as Airflow's own commands take them, or as an age."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from airflow.sdk.timezone import parse

from airflow_provider_mediax.exceptions import BadRequest

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(name: str, given: str | None) -> datetime | None:
    """
    Read a time, or an age such as ``24h``; None if none is given.

    :param name: of the option.
    :raises BadRequest: it is neither.
    """
    if given is None:
        return None
    try:
        if age := re.fullmatch(r"(\d+)([smhd])", given):
            return datetime.now(UTC) - timedelta(**{UNITS[age[2]]: int(age[1])})
        read: datetime = parse(given)
    except (ValueError, OverflowError):
        raise BadRequest.field(name, given, "it must be a time like 2026-11-20T00:00, or an age like 24h.") from None
    return read
