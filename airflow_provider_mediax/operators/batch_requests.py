"""Requests of a batch's items, by the typed operators themselves: one set of arguments, rules and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.batch.items import INPUTS, Item
from airflow_provider_mediax.operators import music
from airflow_provider_mediax.operators.base import JobOperator
from airflow_provider_mediax.operators.music_base import MediaxOperator
from airflow_provider_mediax.operators.voice_separation import VoiceSeparationOperator
from airflow_provider_mediax.protocol.names import refused, suggestion

if TYPE_CHECKING:
    from airflow_provider_mediax.hooks.base import JobHook
    from airflow_provider_mediax.protocol.service import JobRequest

_NO_PARAMETERS = frozenset(
    (
        *inspect.signature(JobOperator.__init__).parameters,
        *INPUTS,
        *("callback", "callback_format", "callback_type", "callback_mq"),
    )
)
"""Arguments of the operators that a batch has itself, or an item, or nobody."""

_ANYWHERE = "batch"
"""In place of the folder of an item's files, while it is held against the rules."""


def operators() -> dict[str, type[JobOperator[Any]]]:
    """Return the operator of each capability, by its name on the wire."""
    from airflow_provider_mediax.protocol.ci.requests import TAG

    typed = {
        kind.computes.name: kind
        for kind in vars(music).values()
        if isinstance(kind, type) and issubclass(kind, MediaxOperator) and "computes" in vars(kind)
    }
    return {**typed, TAG: VoiceSeparationOperator}


class TypedRequests:
    """
    Makes requests of items.

    :param capabilities: names on the wire.
    :param parameters: arguments of their operators, by name.
    :param mediax_conn_id: connection of type ``mediax``.
    :param wait_timeout: seconds.
    :raises BadRequest: a capability or an argument is not known.
    """

    def __init__(
        self,
        capabilities: Sequence[str],
        parameters: Mapping[str, Any],
        *,
        mediax_conn_id: str,
        wait_timeout: float,
    ) -> None:
        known = operators()
        if not capabilities:
            raise refused("capability", list(capabilities), "name at least one.")
        for name in capabilities:
            if name not in known:
                raise refused("capability", name, f"it must be one of {', '.join(known)}.{suggestion(name, known)}")
        if len(set(capabilities)) < len(capabilities):
            raise refused("capability", list(capabilities), "each of them once.")
        self._kinds = {name: known[name] for name in capabilities}
        self._arguments = {name: dict(_defaults(kind)) for name, kind in self._kinds.items()}
        allowed = {name for arguments in self._arguments.values() for name in arguments} - _NO_PARAMETERS
        for name, value in parameters.items():
            if name not in allowed:
                raise _unknown(name, value, allowed)
        common = {"mediax_conn_id": mediax_conn_id, "wait_timeout": wait_timeout, "_stop": None}
        for arguments in self._arguments.values():
            given = {name: value for name, value in parameters.items() if name in arguments}
            arguments.update(given, **common)
        self._templates: dict[str, Any] = {}
        self.hooks: dict[str, JobHook[Any]] = {name: self._hook(name) for name in self._kinds}

    def close(self) -> None:
        """Close the hooks."""
        for hook in self.hooks.values():
            hook.close()

    def makes_new(self, capability: str) -> bool:
        """Tell whether another job of the same request makes something new."""
        computes = getattr(self._kinds[capability], "computes", None)
        return computes is not None and bool(computes.makes_new)

    def check(self, capability: str, item: Item) -> tuple[str, bool]:
        """
        Hold an item against every rule, and return the digest of its request and whether it makes something new.

        :raises BadRequest: an argument breaks a rule.
        """
        from airflow_provider_mediax.jobs.stored import digest

        prepared = self.hooks[capability].service.prepare(self.build(capability, item, None))
        return digest(prepared.identity), self.makes_new(capability)

    def build(self, capability: str, item: Item, folder: str | None) -> JobRequest:
        """Return the request of an item; see :class:`jobs.batch.chunk.Requests`."""
        arguments = self._arguments[capability]
        for name, value in item.parameters.items():
            if name not in arguments or name in _NO_PARAMETERS:
                raise _unknown(name, value, arguments.keys() - _NO_PARAMETERS)
        own = {**item.parameters, **self._inputs(capability, item)}
        destination = item.arguments.get("destination", own.get("destination", arguments.get("destination")))
        if destination is not None and "destination" not in arguments:
            raise refused("destination", destination, f"{capability} writes no files.")
        if "outputs" in arguments:  # the key of each file is part of the request
            if own.get("outputs") is None:
                place = destination or folder or _ANYWHERE
                own["destination"] = f"{str(place).rstrip('/')}/{item.key}" if folder else place
            return self._operator(capability, own).prepare_request(self._templated(capability))
        if "destination" in arguments:
            own["destination"] = destination
        request = self._operator(capability, own).build_request()
        if folder is None or not getattr(request, "writes_files", False):
            return request
        place = (destination or folder).rstrip("/")
        placed: Any = replace(request, destination=f"{place}/{item.key}/")  # type: ignore[type-var]
        return placed  # type: ignore[no-any-return]

    def _inputs(self, capability: str, item: Item) -> dict[str, Any]:
        inputs = {name: item.arguments[name] for name in INPUTS if name in item.arguments}
        arguments = self._arguments[capability]
        if "source" in arguments:
            name, value = next(iter(inputs.items()), ("source", None))
            if value is None or name == "source_data":
                raise refused("source", value, f"{capability} needs an object: give source, path or a cos:// url.")
            if "://" in str(value) and not str(value).startswith("cos://"):
                raise refused(name, value, f"{capability} takes objects in COS alone: cos://bucket/key, or a key.")
            return {"source": value}
        if unfit := [name for name in inputs if name not in arguments]:
            rule = f"{capability} takes {' or '.join(name for name in INPUTS if name in arguments) or 'no input'}."
            raise refused(unfit[0], inputs[unfit[0]], rule)
        return inputs

    def _operator(self, capability: str, own: Mapping[str, Any]) -> JobOperator[Any]:
        """
        Return an operator that can make a request, and do nothing else.

        It is not initialized: Airflow's part of that takes a millisecond, and there are thousands of items.
        """
        kind = self._kinds[capability]
        operator = object.__new__(kind)
        vars(operator).update(self._arguments[capability], **own)
        return operator

    def _hook(self, capability: str) -> JobHook[Any]:
        arguments = self._arguments[capability]
        for name, value in arguments.items():
            if value is inspect.Parameter.empty and name not in INPUTS:
                raise refused(name, None, f"{capability} needs it: give it in parameters.")
        own = {"source": "item"} if "source" in arguments else {}
        hook: JobHook[Any] = self._operator(capability, own).make_hook()
        return hook

    def _templated(self, capability: str) -> Any:
        return _Templates(self.hooks[capability], self._templates)


class _Templates:
    """A hook whose templates are read once."""

    def __init__(self, hook: Any, read: dict[str, Any]) -> None:
        self._hook = hook
        self._read = read

    def template(self, template_id: str) -> Any:
        if template_id not in self._read:
            self._read[template_id] = self._hook.template(template_id)
        return self._read[template_id]


def _defaults(kind: type[JobOperator[Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of an operator and of its bases in this package, with their defaults."""
    for base in reversed(kind.__mro__):
        if issubclass(base, JobOperator) and "__init__" in vars(base):
            for name, parameter in inspect.signature(base.__init__).parameters.items():
                if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                    yield name, parameter.default


def _unknown(name: str, value: object, allowed: Any) -> BadRequest:
    named = sorted(allowed)
    return refused(name, value, f"the parameters are {', '.join(named)}.{suggestion(name, named)}")
