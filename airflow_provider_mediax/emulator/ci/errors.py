"""
Every error that the emulated Cloud Infinite answers.

A new one gets a line in :data:`STATUS` and is raised where a request earns it. Faults that a test asks for bring their
own.
"""

from __future__ import annotations

from airflow_provider_mediax.emulator.shared.errors import CodedError

STATUS = {
    "AccessDenied": 403,
    "CIRoleNotExist": 400,
    "InvalidArgument": 400,
    "InvalidAuthorization": 401,
    "InvalidContent": 400,
    "InvalidHost": 400,
    "MediaBucketUnBinded": 400,
    "MissingAuthorization": 401,
    "MissingContent": 400,
    "NoSuchBucket": 404,
    "NotImplemented": 501,
    "QueueNotFound": 400,
    "SecretidNotExist": 401,
    "SignatureExpired": 401,
    "TemplateNameDuplicate": 400,
    "TemplateNotFound": 400,
}
"""HTTP status by error code."""


class CiError(CodedError):
    """An error answer of Cloud Infinite."""

    statuses = STATUS


def invalid(message: str) -> CiError:
    """Return the error for a request that is wrong in itself."""
    return CiError("InvalidArgument", message)
