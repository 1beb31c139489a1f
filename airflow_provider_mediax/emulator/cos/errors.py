"""
Every error that the emulated object store answers.

A new one gets a line in :data:`STATUS` and is raised where a request earns it. Faults that a test asks for bring their
own.
"""

from __future__ import annotations

from airflow_provider_mediax.emulator.shared.errors import CodedError

STATUS = {
    "AccessDenied": 403,
    "AppendPositionErr": 409,
    "BadDigest": 400,
    "EmulatorFull": 400,
    "EntityTooSmall": 400,
    "ExpiredToken": 403,
    "FileAlreadyExists": 409,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidDigest": 400,
    "InvalidPart": 400,
    "InvalidPartOrder": 400,
    "InvalidRange": 416,
    "MalformedXML": 400,
    "MethodNotAllowed": 405,
    "MissingContentMD5": 400,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchLifecycleConfiguration": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "ObjectNotAppendable": 409,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
}
"""HTTP status by error code."""


class CosError(CodedError):
    """An error answer of COS."""

    statuses = STATUS
