"""
Does a job that a service describes contradict what was asked for?

Services echo a request only in part, and not literally: numbers come as text or with the precision of a float32,
zero values are left out, addresses are signed anew. So only what was sent *and* is echoed is compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from airflow_provider_mediax.protocol.urls import unsigned_url

TOLERANCE = 1e-5
"""Share by which an echoed number may differ: a float32 keeps seven digits."""


def contradicts(sent: object, echoed: object) -> bool:
    """Tell whether something that was sent comes back as something else."""
    if _is_absent(sent) or _is_absent(echoed):
        return False  # what was not asked for, or is not echoed, is no contradiction
    if isinstance(sent, Mapping) and isinstance(echoed, Mapping):
        return any(contradicts(value, echoed.get(name)) for name, value in sent.items())
    if isinstance(sent, (list, tuple)) and isinstance(echoed, (list, tuple)):
        return len(sent) != len(echoed) or any(map(contradicts, sent, echoed))
    return _differ(sent, echoed)


def names_another(sent: object, echoed: object) -> bool:
    """Tell whether of an object that has one of several members, another member comes back than was sent."""
    if not (isinstance(sent, Mapping) and isinstance(echoed, Mapping)):
        return False
    names = [{name for name, value in side.items() if value is not None} for side in (sent, echoed)]
    return bool(names[0] and names[1]) and not names[0] & names[1]


def _is_absent(value: object) -> bool:
    """Tell whether a value says nothing; a zero says something, but where it is sent it may be missing in the echo."""
    return value in (None, "") or (isinstance(value, (list, tuple, Mapping)) and not value)


def _differ(sent: object, echoed: object) -> bool:
    numbers = [_number(value) for value in (sent, echoed)]
    if numbers[0] is not None and numbers[1] is not None:
        return not math.isclose(numbers[0], numbers[1], rel_tol=TOLERANCE)
    texts = [unsigned_url(str(value)).strip("/") for value in (sent, echoed)]
    return texts[0] != texts[1]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or str(value).lower() in ("true", "false"):
        return float(str(value).lower() == "true")
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None
