"""
What an error of a service means to a task: whether a retry can help, what happens next, what the user can do.

Errors of hooks and protocols are plain. Operators and sensors let them pass :func:`explained`: permanent ones leave
as a subclass that Airflow does not retry, retryable ones as they are, and each is explained once in the task's log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mediax import exceptions
from airflow_provider_mediax.exceptions import MediaxError

if TYPE_CHECKING:
    from airflow_provider_mediax.jobs.ownership import Log


class BadRequest(exceptions.BadRequest, AirflowFailException):
    """:class:`exceptions.BadRequest` that fails a task without a retry."""


class NotFound(exceptions.NotFound, AirflowFailException):
    """:class:`exceptions.NotFound` that fails a task without a retry."""


class AuthenticationFailed(exceptions.AuthenticationFailed, AirflowFailException):
    """:class:`exceptions.AuthenticationFailed` that fails a task without a retry."""


class RequestChanged(exceptions.RequestChanged, AirflowFailException):
    """:class:`exceptions.RequestChanged` that fails a task without a retry."""


class JobFailed(exceptions.JobFailed, AirflowFailException):
    """:class:`exceptions.JobFailed` that fails a task without a retry."""


class JobCanceled(exceptions.JobCanceled, AirflowFailException):
    """:class:`exceptions.JobCanceled` that fails a task without a retry."""


class ResultMissing(exceptions.ResultMissing, AirflowFailException):
    """:class:`exceptions.ResultMissing` that fails a task without a retry."""


class Meaning(NamedTuple):
    """
    What an error means to the task that meets it.

    :param consequence: what happens next.
    :param remedy: what the user can do, where the error itself does not say.
    :param permanent: the class that it leaves the task as, if no retry can help.
    """

    consequence: str
    remedy: str = ""
    permanent: type[MediaxError] | None = None


_FAILS = "The task fails and is not retried"
_GOES_ON = "The next try of this task takes over the job that exists, and submits one only if there is none."
_BUYS_ANEW = "The next try of this task submits a new job, because retry_failed_jobs is set."

MEANINGS: dict[type[MediaxError], Meaning] = {
    exceptions.NotFound: Meaning(
        f"{_FAILS}: an object that it needs is not there.", "Check the address.", permanent=NotFound
    ),
    exceptions.BadRequest: Meaning(
        f"{_FAILS}, because the same request would be refused again.",
        "Correct the argument or the connection, then clear the task.",
        permanent=BadRequest,
    ),
    exceptions.AuthenticationFailed: Meaning(
        f"{_FAILS}, because the same keys would be refused again. A job that exists is left as it is.",
        "Correct the keys in the connection, then clear the task.",
        permanent=AuthenticationFailed,
    ),
    exceptions.RequestChanged: Meaning(
        f"{_FAILS}, and no new job is submitted.",
        "Make the templates render the same on every try; clear the task to submit the new request. With an "
        "idempotency_key, give each request a key of its own.",
        permanent=RequestChanged,
    ),
    exceptions.JobFailed: Meaning(
        f"{_FAILS}, because the same job would have to be paid for again.",
        "Correct the input and clear the task, or set retry_failed_jobs=True to let retries submit a new job.",
        permanent=JobFailed,
    ),
    exceptions.JobCanceled: Meaning(
        f"{_FAILS}, because somebody canceled the job on purpose.",
        "Clear the task to submit a new job, or set retry_failed_jobs=True to let retries do it.",
        permanent=JobCanceled,
    ),
    exceptions.ResultMissing: Meaning(
        f"{_FAILS}: the job succeeded, and a new one would have to be paid for.",
        "The manifest is in the XCom `manifest`. Look into the bucket; set verify_outputs=False to accept the job as "
        "it is, or retry_failed_jobs=True to let retries submit a new job.",
        permanent=ResultMissing,
    ),
    exceptions.WaitTimeout: Meaning(
        "The next try of this task takes the job over and waits again; one that was canceled before it started is "
        "replaced by a new one.",
        "Raise wait_timeout (and execution_timeout, if it is set) if such jobs take longer.",
    ),
    exceptions.LookupFailed: Meaning(
        "Nothing was submitted. The next try of this task asks the service again before it submits anything."
    ),
    exceptions.OutcomeUnknown: Meaning(
        _GOES_ON, "If the service stays silent, look for the marker among its jobs before you clear the task."
    ),
    exceptions.Stopped: Meaning(_GOES_ON),
    exceptions.MediaxError: Meaning(_GOES_ON),
}
"""By class; of an error's own classes the first one that is listed counts, so each error has a meaning."""

_PAID = (exceptions.JobFailed, exceptions.JobCanceled, exceptions.ResultMissing)
"""Ends of a job after which only a new purchase brings a result: retryable if the user allows that."""


def meaning_of(error: MediaxError, *, retry_failed: bool = False) -> Meaning:
    """
    Return what an error means to a task.

    :param retry_failed: the task's ``retry_failed_jobs``: retries may pay for a new job.
    """
    if retry_failed and isinstance(error, _PAID):
        return Meaning(_BUYS_ANEW)
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)


def as_failure(error: MediaxError, *, retry_failed: bool = False) -> MediaxError:
    """Return the error as it leaves a task: one that Airflow does not retry, or the error itself."""
    permanent = meaning_of(error, retry_failed=retry_failed).permanent
    if permanent is None or isinstance(error, AirflowFailException):
        return error
    failure = permanent(error.what)
    failure.__dict__.update(error.__dict__)
    if isinstance(failure, exceptions.NotFound) and isinstance(error, exceptions.NotFound):
        failure.filename = error.filename
    failure.__cause__ = error.__cause__
    failure.__suppress_context__ = error.__suppress_context__
    return failure.with_traceback(error.__traceback__)


@contextlib.contextmanager
def explained(
    log: Log, *, retry_failed: bool = False, collect: str = "", if_permanent: str = "", if_retried: str = ""
) -> Iterator[None]:
    """
    Explain an error in the task's log (reason, consequence, remedy) and let it leave as Airflow should take it.

    :param retry_failed: the task's ``retry_failed_jobs``.
    :param collect: how the result of a job that is bought can still be had; ends the remedy of a permanent error that
        names a job which may have one.
    :param if_permanent: what happens after an error that no retry can help, in a task that takes it in its own way.
    :param if_retried: what happens after any other error, likewise.
    """
    try:
        yield
    except MediaxError as error:
        meaning = meaning_of(error, retry_failed=retry_failed)
        remedy = [error.advice, meaning.remedy]
        if meaning.permanent and error.job_id and not isinstance(error, (exceptions.JobFailed, exceptions.JobCanceled)):
            remedy.append(collect)
        consequence = (if_permanent if meaning.permanent else if_retried) or meaning.consequence
        _explain(log, error.reason, consequence, " ".join(filter(None, remedy)))
        failure = as_failure(error, retry_failed=retry_failed)
        if failure is error:
            raise
        raise failure from error.__cause__


def _explain(log: Any, reason: str, consequence: str, remedy: str) -> None:
    log.error("What happened: %s", reason)
    log.error("What happens next: %s", consequence)
    log.error("What you can do: %s", remedy or "Nothing needs to be done unless it lasts.")
