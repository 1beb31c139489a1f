"""What the sensors of this package have in common: look once, then wait in the triggerer or poke in the worker."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

try:
    from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralError, TaskDeferralTimeout  # type: ignore[no-redef]

from airflow_provider_mediax.arguments import as_bool, describe_inherited
from airflow_provider_mediax.exceptions import AnswerTooLarge, MediaxError, ProtocolError
from airflow_provider_mediax.operators.failures import explained, meaning_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.triggers.base import OneEventTrigger

T = TypeVar("T")

LAST_LOOK_SECONDS = 60.0
"""How long it is looked again after a deferral, as long as looks fail: what was waited for may be there already."""

FIRST_PAUSE = 1.0
"""Seconds after the first of these failures; each pause is twice as long as the one before."""


class WaitingSensor(BaseSensorOperator):
    """
    Base of the sensors.

    Whether a sensor pokes, is rescheduled or waits in the triggerer, the same follows a failure: a timeout and what no
    retry can change end the task, or skip it with ``soft_fail`` or ``never_fail``; any other error fails the try, or
    skips the task with ``never_fail``, or is passed over with ``silent_fail``.

    :param mediax_conn_id: connection of type ``mediax``.
    :param deferrable: wait in the triggerer, without a worker slot. Not templated.
    :param kwargs: arguments of Airflow's ``BaseSensorOperator``, such as ``task_id``, ``poke_interval``, ``timeout``,
        ``soft_fail`` and ``mode``.
    """

    template_fields: Sequence[str] = ("mediax_conn_id",)
    ui_color = "#d6ecf3"

    def __init__(
        self,
        *,
        mediax_conn_id: str = "mediax_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mediax_conn_id = mediax_conn_id
        self.deferrable = deferrable

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        describe_inherited(cls, WaitingSensor)

    @abstractmethod
    def look(self) -> Any:
        """Return what was waited for, None as long as it is not there."""

    @abstractmethod
    def make_trigger(self, deadline: float) -> OneEventTrigger:
        """Return the trigger that waits until ``deadline``, in epoch seconds."""

    @abstractmethod
    def read_event(self, event: object) -> tuple[str, MediaxError | None]:
        """Return status and error of a trigger's event."""

    def execute(self, context: Context) -> Any:
        """Wait in the triggerer, or poke in the worker."""
        if self._taken(self._waits_in_the_triggerer):
            found = self._taken(self.look)
            return self._defer(context) if found is None else found
        return self._poke_on(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once."""
        found = self._taken(self.look)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def resume(self, context: Context, event: object = None) -> Any:
        """Go on after the trigger's event, which is a hint: what was waited for is looked for again."""
        return self._go_on(context, lambda: self.read_event(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take a deferral that Airflow itself has ended like a trigger's event, so that the last look is made."""
        try:
            # Not BaseSensorOperator's own, which lets soft_fail skip errors that a poke raises.
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            return self._go_on(context, lambda: ("timeout", None))
        except TaskDeferralError as error:
            failure = ProtocolError(f"The wait in the triggerer failed: {error}")
            return self._go_on(context, lambda: ("error", failure))

    def _go_on(self, context: Context, event: Callable[[], tuple[str, MediaxError | None]]) -> Any:
        found = self._taken(self._last_look)
        if found is not None:
            return found
        status, error = self._taken(event) or ("unreadable", None)
        if isinstance(error, AnswerTooLarge):
            return self._poke_on(context)  # a worker reads more than a triggerer
        if error is not None:
            self._taken(lambda: _give_up(error))
        if status == "timeout" or time.time() >= self._deadline(context):
            self._end(AirflowSensorTimeout(f"What {self.task_id} waits for is not there after {self.timeout:g} s."))
        return self._defer(context)

    def _last_look(self) -> Any:
        """Look, and bear passing failures for a minute: one of them must not lose what is there."""
        pause, end = FIRST_PAUSE, time.monotonic() + LAST_LOOK_SECONDS
        while True:
            try:
                return self.look()
            except MediaxError as error:
                lasting = meaning_of(error).permanent or isinstance(error, AnswerTooLarge)
                if lasting or time.monotonic() + pause > end:
                    raise
                self.log.warning("Looking failed, trying again in %g s: %s", pause, error.what)
            Event().wait(pause)
            pause *= 2

    def _poke_on(self, context: Context) -> Any:
        """Poke as Airflow does, whose own timeout forgets ``never_fail``."""
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            self._end(error)

    def _waits_in_the_triggerer(self) -> bool:
        default = conf.getboolean("operators", "default_deferrable", fallback=False)
        return as_bool("deferrable", self.deferrable, default)

    def _taken(self, step: Callable[[], T]) -> T | None:
        """Take a step as Airflow takes a poke: None if it failed and ``silent_fail`` passes that over."""
        skips = "The task is skipped, because soft_fail or never_fail is set."
        retried = "The next try of this task looks again."
        if self.silent_fail:
            retried = "The wait goes on, because silent_fail is set."
        elif self.never_fail:
            retried = skips
        try:
            with explained(
                self.log, if_permanent=skips if self.soft_fail or self.never_fail else "", if_retried=retried
            ):
                return step()
        except AirflowSkipException:
            raise
        except (AirflowFailException, AirflowTaskTimeout) as error:
            self._end(error)
        except Exception as error:
            if self.silent_fail:
                if not isinstance(error, MediaxError):  # which is explained already
                    self.log.exception("Looking failed; the wait goes on, because silent_fail is set")
                return None
            if self.never_fail:
                raise AirflowSkipException(f"Skipped by never_fail: {error}") from error
            raise

    def _end(self, error: BaseException) -> NoReturn:
        """Raise what ends the wait for good, as a skip if the task is to be skipped then."""
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(f"Skipped by soft_fail or never_fail: {error}") from error
        raise error

    def _deadline(self, context: Context) -> float:
        """Return when the wait ends: counted from the start of this try, which a deferral does not move."""
        return float(context["ti"].start_date.timestamp()) + self.timeout

    def _defer(self, context: Context) -> NoReturn:
        from airflow_provider_mediax.triggers.base import defer_until

        defer_until(self, self.make_trigger(self._deadline(context)))


def _give_up(error: MediaxError) -> NoReturn:
    """Raise what the triggerer gave up for, as an error that can pass: here the look has worked."""
    from airflow_provider_mediax.jobs.ending import given_up

    raise given_up(error)
