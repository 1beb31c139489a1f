"""When to ask a service whether a job exists: its lists may lag, and what was sent may still be on its way."""

from __future__ import annotations

import math

PATIENCE = (0.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds from the begin of a look-up at which the service is asked: its lists may lag."""

LIST_LAG = PATIENCE[-1]
"""Seconds by which a list may lag behind a submit that the service has carried out."""

PERSISTENCE = (8.0, 8.0)
"""Seconds before each further question, if the last one brought no complete list."""


def patience_to(last: float) -> list[float]:
    """Return when to ask, in seconds from now, so that the last question comes ``last`` seconds from now."""
    last = max(LIST_LAG, last)
    return [*PATIENCE[:-1], *(LIST_LAG * times for times in range(1, math.ceil(last / LIST_LAG))), last]


def patience_after(seconds: float) -> list[float]:
    """Return when to ask if a submit may still arrive for so many seconds: until then, and then with patience."""
    before = [moment for moment in patience_to(seconds) if moment < seconds]
    return [*before, *(seconds + moment for moment in PATIENCE)]
