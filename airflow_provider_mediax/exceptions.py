"""
What can go wrong with a service: plain errors that carry facts.

They know nothing of Airflow and of tasks: what an error means to a task, and whether a retry can help, is said in
``operators.failures``.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, ClassVar

LONGEST_SENTENCE = 200
"""Characters of ``str(error)`` at most; :attr:`MediaxError.what` has all that is known."""

LONGEST_VALUE = 80
"""Characters of a refused value that are shown, of its begin and its end, so that the rule is read as well."""


class MediaxError(Exception):
    """
    Base of every error of this provider.

    :param what: what happened, one sentence without a final full stop.
    :param advice: what the user can do, one sentence; the class's own advice if absent.
    :param job_id: the service's id of the job concerned.
    :param marker: the job's idempotency key (``customId`` of MediaX, first word of ``UserData`` of CI).
    :param request_id: the service's id of the request that failed.
    :param status: HTTP status of the answer.
    :param code: the service's own error code.
    :ivar layer: which part of the service refused, ``gateway`` or ``platform``, where that is known.
    :ivar nothing_done: whether it is certain that the service did nothing, so that a submit created no job.
    :ivar retry_after: seconds that the service asked to be left alone for, None if it did not say.
    :ivar sent_at: when the request's last sending began, by the clock of ``client.clock``; None if that is not known.
    """

    nothing_done: bool = False
    layer: str | None = None
    retry_after: float | None = None
    sent_at: float | None = None
    default_advice: ClassVar[str] = ""

    def __init__(
        self,
        what: str,
        *,
        advice: str | None = None,
        job_id: str | None = None,
        marker: str | None = None,
        request_id: str | None = None,
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.advice = self.default_advice if advice is None else advice
        self.job_id = job_id
        self.marker = marker
        self.request_id = request_id
        self.status = status
        self.code = code

    def __str__(self) -> str:
        """Return one sentence, short enough for a list of failures, with the job or its marker."""
        named = f"job {self.job_id}" if self.job_id else f"marker {self.marker}" if self.marker else ""
        end = f" ({_cut(named, LONGEST_SENTENCE // 2)})." if named else "."
        return _cut(self.what.rstrip("."), LONGEST_SENTENCE - len(end)) + end

    def __reduce__(self) -> tuple[Callable[..., MediaxError], tuple[Any, ...], dict[str, Any]]:
        """Keep every member through pickling, which by default passes ``args`` alone."""
        return _rebuild, (type(self), self.what), self.__dict__

    @property
    def reason(self) -> str:
        """Everything that is known of what happened: one sentence, of any length."""
        details = {
            "job": self.job_id,
            "marker": self.marker,
            "request": self.request_id,
            "HTTP status": self.status,
            "code": self.code,
        }
        named = ", ".join(f"{name} {value}" for name, value in details.items() if value is not None)
        return self.what.rstrip(".") + (f" ({named})." if named else ".")

    @property
    def sentences(self) -> str:
        """What happened and what to do about it, for a person at a command line."""
        return " ".join(part for part in (self.what.rstrip(".") + ".", self.advice) if part)

    def facts(self) -> dict[str, Any]:
        """Return the ids, status and code: what may travel in a trigger's event."""
        return {name: getattr(self, name) for name in ("job_id", "marker", "request_id", "status", "code")}

    def about(self, *, job_id: str | None = None, marker: str | None = None) -> MediaxError:
        """Fill in which job the error is about, where that is known only further out, and return the error."""
        self.job_id = self.job_id or job_id
        self.marker = self.marker or marker
        return self


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 3] + "..."


def _rebuild(kind: type[MediaxError], what: str) -> MediaxError:
    return kind(what)


class BadRequest(MediaxError):
    """The request breaks a rule of the API, or the service refused it; nothing was bought."""

    nothing_done = True

    @classmethod
    def field(cls, name: str, value: object, rule: str) -> BadRequest:
        """
        Describe a refused argument.

        :param name: the argument's name.
        :param value: the value as the user gave it; never pass a secret.
        :param rule: what the value must be.
        """
        shown = repr(value)
        if len(shown) > LONGEST_VALUE:
            half = LONGEST_VALUE // 2
            shown = f"{shown[: half - 3]}...{shown[-half:]}"
        return cls(f"{name}={shown} is refused: {rule}", advice="")


class NotFound(BadRequest, FileNotFoundError):
    """
    There is no such object or bucket.

    :param filename: its address.
    """

    def __init__(self, what: str, *, filename: str | None = None, **facts: Any) -> None:
        super().__init__(what, **facts)
        self.errno = errno.ENOENT
        self.filename = filename

    def __reduce__(self) -> tuple[Callable[..., MediaxError], tuple[Any, ...], dict[str, Any]]:
        """Keep what a file error holds outside its ``__dict__``."""
        rebuild, arguments, members = super().__reduce__()
        return rebuild, arguments, {**members, "errno": self.errno, "filename": self.filename}


class AuthenticationFailed(MediaxError):
    """The service did not accept the credentials or their signature."""

    nothing_done = True
    default_advice = "Check the keys of the connection with `airflow-mediax check`."


class RequestChanged(MediaxError):
    """The job that exists for this work was asked for something else, so it would not be the one wanted."""


class JobFailed(MediaxError):
    """The service ended the job in failure."""


class JobCanceled(MediaxError):
    """The job was canceled at the service, and not by the one who waits for it."""


class ResultMissing(MediaxError):
    """The job succeeded, and a file that it promises is missing or empty."""


class WaitTimeout(MediaxError):
    """The job was not final when the time to wait for it had passed."""


class Throttled(MediaxError):
    """The service refused for its rate limit, and asked for a longer pause than the caller can wait."""

    nothing_done = True
    default_advice = "Lower requests_per_second of the connection, or the number of tasks that run at once."


class Unavailable(MediaxError):
    """The service did not answer, or answered with a passing fault: what became of the request is not known."""


class Unreachable(Unavailable):
    """No connection came about, so nothing was sent."""

    nothing_done = True
    default_advice = (
        "Check host, cos_endpoint and proxy of the connection, and the network between this machine and the service."
    )


class ProtocolError(MediaxError):
    """The answer could not be read, or is about something else than was asked."""

    default_advice = "If it lasts, check the host in the connection; a proxy may be answering in the service's place."


class AnswerTooLarge(ProtocolError):
    """The answer is larger than this process reads; a worker reads more than a triggerer."""


class OutcomeUnknown(MediaxError):
    """A submit was sent twice and neither answer arrived, nor did the service list a job for it."""


class LookupFailed(MediaxError):
    """A job may exist, and the service could not say whether it does; nothing was submitted."""


class LoadFailed(MediaxError):
    """The database refused a load or broke it off; nothing of the load is in the table."""


class Stopped(MediaxError):
    """The task was killed before a request was sent, or while it waited."""
