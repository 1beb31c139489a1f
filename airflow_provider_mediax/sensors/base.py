"""What the sensors of this package have in common: look once, then wait in the triggerer or poke in the worker."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_mediax.arguments import describe_inherited
from airflow_provider_mediax.exceptions import MediaxError
from airflow_provider_mediax.operators.failures import explained

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mediax.triggers.base import OneEventTrigger

T = TypeVar("T")

LOOKS_AGAIN = "The next try of this task looks again."
"""What follows an error that may pass: sensors submit nothing."""


class WaitingSensor(BaseSensorOperator):
    """
    Base of the sensors.

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

    def prepare(self) -> None:
        """Refuse, before the first look, what no waiting can change."""

    def execute(self, context: Context) -> Any:
        """Wait in the triggerer, or poke in the worker."""
        self._tried(self.prepare)
        if not self.deferrable:
            return super().execute(context)
        found = self._tried(self.look)
        return self._defer(context) if found is None else found

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once."""
        with explained(self.log, next_try=LOOKS_AGAIN):
            found = self.look()
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def resume(self, context: Context, event: object = None) -> Any:
        """Go on after the trigger's event, which is a hint: what was waited for is looked for again."""
        found = self._tried(self.look)
        if found is not None:
            return found
        status = self._tried(lambda: self._status(event))
        if status == "timeout" or time.time() >= self._deadline(context):
            raise AirflowSensorTimeout(f"What {self.task_id} waits for is not there after {self.timeout:g} s.")
        return self._defer(context)

    def _status(self, event: object) -> str:
        """Return what a trigger's event says, or raise the error that it tells of."""
        status, error = self.read_event(event)
        if error is not None:
            raise error
        return status

    def _tried(self, step: Callable[[], T]) -> T | None:
        """Take a step as Airflow takes a poke: None if it failed and ``silent_fail`` bears that."""
        try:
            with explained(self.log, next_try=LOOKS_AGAIN):
                return step()
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped by soft_fail or never_fail: {error}") from error
            raise
        except MediaxError as error:
            if self.silent_fail:
                return None
            if self.never_fail:
                raise AirflowSkipException(f"Skipped by never_fail: {error}") from error
            raise

    def _deadline(self, context: Context) -> float:
        """Return when the wait ends: counted from the start of this try, which a deferral does not move."""
        return float(context["ti"].start_date.timestamp()) + self.timeout

    def _defer(self, context: Context) -> NoReturn:
        from airflow_provider_mediax.triggers.base import defer_until

        defer_until(self, self.make_trigger(self._deadline(context)))
