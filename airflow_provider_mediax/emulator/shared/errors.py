"""Error answers of a service with a table of codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class CodedError(Exception):
    """
    An error answer.

    :param code: one of :attr:`statuses`.
    :cvar statuses: HTTP status by error code.
    :raises KeyError: the code is none of them.
    """

    statuses: ClassVar[Mapping[str, int]]

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.status = self.statuses[code]
        self.code = code
        self.message = message
