"""
What the platform refuses, and how: at the gateway with HTTP 401, behind it with an ``errorResponse`` and HTTP 200.

The texts of the gateway are its own, as observed; those of the platform are the emulator's.
"""

from __future__ import annotations

MISMATCH = "HMAC signature does not match."
UNKNOWN_ID = "HMAC apikey is invalid for API."
NOT_VERIFIABLE = "HMAC signature cannot be verified."
NO_DATE = "HMAC signature cannot be verified, a valid date or x-date header is required."
NO_SOURCE = "HMAC signature cannot be verified, a valid source header is required."
MISSING = "HMAC id or signature missing."
MALFORMED = "HMAC authorization format error."


class GatewayRefusal(Exception):
    """The gateway answers 401; the text is its message."""


class Refused(Exception):
    """The platform answers with an ``errorResponse``; the text is its message."""
