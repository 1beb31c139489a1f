"""What every trigger of this package keeps to: one event, never too early, never an exception, a net below the wait."""

from __future__ import annotations

import asyncio
import functools
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_mediax.jobs.stored import Unreadable, unreadable_arguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

NET_SECONDS = 600.0
"""How much later than the deadline Airflow's timeout of a deferral is set."""


@functools.cache
def hold_back() -> float:
    """
    Return the seconds after its start in which a trigger yields no event.

    Airflow can fail or retry a task whose trigger fires before its worker's supervisor has noticed that the task
    deferred, which takes up to a heartbeat, and on a busy machine more. Read once, since reading it costs as much as a
    poll.
    """
    heartbeat: float = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return 2 * heartbeat + 1.0


class OneEventTrigger(BaseTrigger):
    """
    Waits for something and yields one event.

    :cvar arguments: the constructor's arguments, and what each must be. They lie in the database as plain JSON: ids,
        addresses and times only.
    :ivar deadline: epoch seconds; unmoved by restarts.
    """

    arguments: ClassVar[Mapping[str, Callable[[Any], object]]]
    deadline: float

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is stored: the class and the arguments."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            name: getattr(self, name) for name in self.arguments
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Yield one event.

        Never raises: the text of an exception would lie in the database. And never yields at once; see
        :func:`hold_back`.
        """
        loop = asyncio.get_running_loop()
        earliest = loop.time() + hold_back()
        try:
            damage = self.damage()
            if damage is None:
                payload = await self.wait()
            else:
                self.log.warning("This trigger says nothing, because its arguments cannot be read: %s", damage.reason)
                payload = self.silence()
        except Exception as error:
            self.log.exception("The wait failed")
            payload = self.failure(error)
        await asyncio.sleep(max(0.0, earliest - loop.time()))
        yield TriggerEvent(payload)

    def damage(self) -> Unreadable | None:
        """Tell why the arguments cannot be read: somebody edited them, or another version stored them."""
        return unreadable_arguments(self.serialize()[1], self.arguments)

    @abstractmethod
    def silence(self) -> dict[str, Any]:
        """Return the payload that says nothing, so that the resumed task goes on waiting."""

    @abstractmethod
    async def wait(self) -> dict[str, Any]:
        """Wait until there is something to say, and return the event's payload."""

    @abstractmethod
    def failure(self, error: Exception) -> dict[str, Any]:
        """Return the payload that tells of an error which the wait did not expect."""


def defer_until(operator: BaseOperator, trigger: OneEventTrigger) -> NoReturn:
    """
    Defer a task to a trigger; it resumes in its method ``resume``.

    Airflow's own timeout is set later than the trigger's deadline: a net that is not meant to be used.
    """
    left = max(0.0, trigger.deadline - time.time())
    operator.defer(trigger=trigger, method_name="resume", timeout=timedelta(seconds=left + NET_SECONDS))
