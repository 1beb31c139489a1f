"""
Every error that the emulated Cloud Infinite answers.

A new one gets a line in :data:`STATUS` and is raised where a request earns it. Faults that a test asks for bring their
own.
"""

from __future__ import annotations

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


class CiError(Exception):
    """
    An error answer.

    :param code: one of :data:`STATUS`.
    :raises KeyError: it is none of them.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.status = STATUS[code]
        self.code = code
        self.message = message


def invalid(message: str) -> CiError:
    """Return the error for a request that is wrong in itself."""
    return CiError("InvalidArgument", message)
