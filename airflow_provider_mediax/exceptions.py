"""
The error taxonomy: what went wrong, with which job, what happens next and what the user can do.

Permanent errors derive from ``AirflowFailException`` (no retry of the task could help); all others are
retryable, and a retry adopts the job that exists instead of buying it again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

try:
    from airflow.sdk import ExceptionRetryPolicy, RetryRule
    from airflow.sdk.exceptions import AirflowTaskTimeout
except ImportError:  # before Airflow 3.3
    ExceptionRetryPolicy = RetryRule = AirflowTaskTimeout = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy


class MediaxError(AirflowException):
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
    """

    layer: str | None = None
    next_attempt: ClassVar[str] = "The next attempt of the task looks the job up and adopts it."
    advice: ClassVar[str] = ""

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
        self.own_advice = advice
        self.job_id = job_id
        self.marker = marker
        self.request_id = request_id
        self.status = status
        self.code = code

    def __str__(self) -> str:
        details = {
            "job": self.job_id,
            "marker": self.marker,
            "request": self.request_id,
            "HTTP status": self.status,
            "code": self.code,
        }
        named = ", ".join(f"{name} {value}" for name, value in details.items() if value is not None)
        advice = self.advice if self.own_advice is None else self.own_advice
        parts = (self.what.rstrip(".") + (f" ({named})" if named else "") + ".", self.next_attempt, advice)
        return " ".join(part for part in parts if part)

    def __reduce__(self) -> tuple[Callable[..., MediaxError], tuple[Any, ...], dict[str, Any]]:
        """Keep every member through pickling, which by default passes ``args`` alone."""
        return _rebuild, (type(self), self.what), self.__dict__

    def facts(self) -> dict[str, Any]:
        """Return the ids, status and code: what may travel in a trigger's event."""
        return {name: getattr(self, name) for name in ("job_id", "marker", "request_id", "status", "code")}

    def about(self, *, job_id: str | None = None, marker: str | None = None) -> MediaxError:
        """Fill in which job the error is about, where that is known only further out, and return the error."""
        self.job_id = self.job_id or job_id
        self.marker = self.marker or marker
        return self


def _rebuild(kind: type[MediaxError], what: str) -> MediaxError:
    return kind(what)


class BadRequest(MediaxError, AirflowFailException):
    """The request breaks a rule of the API, or the service refused it; nothing was bought."""

    next_attempt = "The task fails without a retry, because the same request would be refused again."

    @classmethod
    def field(cls, name: str, value: object, rule: str) -> BadRequest:
        """
        Describe a refused argument.

        :param name: the argument's name.
        :param value: the value as the user gave it; never pass a secret.
        :param rule: what the value must be.
        """
        shown = repr(value)
        return cls(f"{name}={shown if len(shown) <= 200 else shown[:197] + '...'} is refused: {rule}", advice="")


class AuthenticationFailed(MediaxError, AirflowFailException):
    """The service did not accept the credentials or their signature."""

    next_attempt = "The task fails without a retry; a job that exists already is left as it is."
    advice = "Check the keys of the connection with `airflow connections test`, then clear the task."


class RequestChanged(MediaxError, AirflowFailException):
    """Between two tries of one task the rendered request changed, so its job would not be the one asked for."""

    next_attempt = "The task fails without a retry and without a new job."
    advice = "Make the template render the same on every try, or clear the task to submit the new request."


class JobFailed(MediaxError, AirflowFailException):
    """The service ended the job in failure."""

    next_attempt = "The task fails without a retry, because the same job would have to be paid for again."
    advice = "Mend the input and clear the task, or set retry_failed_jobs=True to let retries submit it anew."


class RetryableJobFailed(MediaxError):
    """The service ended the job in failure, and ``retry_failed_jobs=True`` asks for another one."""

    next_attempt = "The next attempt of the task submits a new job."


class JobCanceled(MediaxError):
    """The job was canceled at the service."""

    next_attempt = "The next attempt of the task submits a new job."


class WaitTimeout(MediaxError):
    """The job was not final when ``wait_timeout`` (or the task's ``execution_timeout``) had passed."""

    next_attempt = "The job is left running at the service; the next attempt of the task adopts it and waits anew."
    advice = "Raise wait_timeout if such jobs take longer."


class Throttled(MediaxError):
    """
    The service refused for its rate limit, and asked for a longer pause than the caller can wait.

    :ivar retry_after: seconds that the service asked for, None if it did not say.
    """

    advice = "Lower requests_per_second of the connection, or the number of tasks that run at once."
    retry_after: float | None = None


class Unavailable(MediaxError):
    """The service did not answer, or answered with a passing fault: what became of the request is not known."""


class Unreachable(Unavailable):
    """No connection came about, so nothing was sent."""

    advice = "Check host and proxy of the connection and the worker's way to the service."


class ProtocolError(MediaxError):
    """The answer could not be read."""

    advice = "If it lasts, check host and job_path of the connection; a proxy may be answering in the service's place."


class OutcomeUnknown(MediaxError):
    """A submit was sent twice and neither answer arrived, nor did the service list a job for it."""

    advice = "If the service stays silent, look for the marker among its jobs before you clear the task."


class Stopped(MediaxError):
    """The task was killed while it had something to send or to wait for; that was not sent."""


class LookupFailed(MediaxError):
    """A job may exist, and the service could not say whether it does; nothing was submitted."""

    next_attempt = "The next attempt of the task asks the service again before it submits anything."


_RETRY_SECONDS: tuple[tuple[type[MediaxError], float], ...] = (
    (WaitTimeout, 1.0),  # the job is there; every second is lost to the wait
    (JobCanceled, 60.0),
    (RetryableJobFailed, 60.0),
    (Stopped, 60.0),
    (LookupFailed, 120.0),  # lists may lag, and a service that cannot say needs time
    (OutcomeUnknown, 300.0),
    (Throttled, 300.0),
    (MediaxError, 60.0),
)
"""Seconds from a failed attempt to the next, by what failed; the first class that fits counts."""


def _retry_policy() -> RetryPolicy | None:
    if ExceptionRetryPolicy is None:
        return None
    rules = [
        # Airflow's own execution_timeout, when it strikes in a worker before ours does.
        RetryRule(exception=AirflowTaskTimeout, retry_delay=timedelta(seconds=1), reason=WaitTimeout.next_attempt)
    ]
    rules += [
        RetryRule(exception=kind, retry_delay=timedelta(seconds=seconds), reason=kind.next_attempt)
        for kind, seconds in _RETRY_SECONDS
    ]
    return ExceptionRetryPolicy(rules=rules)


RETRY_POLICY: RetryPolicy | None = _retry_policy()
"""
For the argument ``retry_policy`` of a task: a delay for each kind of error, in place of the one ``retry_delay``.

How often a task is retried stays with its ``retries``. None on Airflow before 3.3, which has no such policies.
"""
