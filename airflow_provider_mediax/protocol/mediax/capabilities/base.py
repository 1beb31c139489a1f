"""What every typed request of the music platform is made of: the base, its enums and its rules."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

from airflow_provider_mediax.protocol.names import MOST_WHOLE, check, refused, suggestion
from airflow_provider_mediax.protocol.rows import Result

if TYPE_CHECKING:
    from airflow_provider_mediax.protocol.exchange import JsonObject

R = TypeVar("R")

TRACK_INPUTS = ("url", "path")
"""Kinds of input that every capability takes unless it says otherwise (section 9)."""


REQUIRED = object()
"""The default of a field that has none."""

FIELD_TYPES = frozenset(
    (
        *("int", "int | None", "float", "float | None", "bool | None"),
        *("str", "str | None", "str | int", "str | int | None", "str | Sequence[str]"),
    )
)
"""Annotations of fields; ``arguments`` has a reader of rendered text for each."""

CAPABILITIES: dict[str, type[Capability]] = {}
"""Every typed capability by its name on the wire."""


class Field(NamedTuple):
    """A field of a capability, which is also an argument of its operator."""

    type: str
    default: object


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Capability(Result, ABC):
    """
    What is to be computed from an input, and how the answer is read: all that is known of one capability.

    Annotated members are the fields of the request; the class is frozen. A request that breaks a rule is refused when
    it is made, by the same :meth:`parameters` whose result is sent later. No code is generated for a class, because
    that takes 2 ms of every parse of a DAG file.

    :cvar name: the member's name in ``smartContentDescriptor``.
    :cvar spellings: other names of it in answers.
    :cvar inputs: which members of an Input it takes, exactly one of them; empty for no input at all.
    :cvar text_limit: characters that ``source_data`` may have, where the reference names a limit.
    :cvar writes_files: whether results are files in the repository, which then must be named.
    :cvar takes_prefix: whether the API knows an ``outputPrefix`` for it.
    :cvar makes_new: whether two jobs of one request make different things, so that a batch buys both.
    :cvar fields: fields by their names.
    """

    name: ClassVar[str]
    spellings: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[str, ...]] = TRACK_INPUTS
    text_limit: ClassVar[int | None] = None
    writes_files: ClassVar[bool] = False
    takes_prefix: ClassVar[bool] = False
    makes_new: ClassVar[bool] = False
    fields: ClassVar[Mapping[str, Field]] = MappingProxyType({})

    def __init__(self, **given: Any) -> None:
        """
        Take the fields by their names.

        :raises BadRequest: a field breaks a rule of the reference.
        """
        if unknown := given.keys() - self.fields.keys():
            raise TypeError(f"{type(self).__name__} has no field {min(unknown)}")
        for name, field in self.fields.items():
            value = given.get(name, field.default)
            if value is REQUIRED:
                raise TypeError(f"{type(self).__name__} needs {name}")
            self.__dict__[name] = value
        self.__dict__["_sent"] = self.parameters()

    @property
    def sent(self) -> Any:
        """What goes under :attr:`name`; made once."""
        return self.__dict__["_sent"]

    @abstractmethod
    def parameters(self) -> Any:
        """
        Return the value that goes under :attr:`name`.

        :raises BadRequest: a field breaks a rule of the reference.
        """

    def has_files(self) -> bool:
        """Tell whether this very request leads to files; a capability with several tasks may write some in one only."""
        return self.writes_files

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: what was checked stays as it is."""
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        """Compare class and fields."""
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        """Hash class and fields."""
        return hash((type(self), repr(self)))

    def __repr__(self) -> str:
        """Show the fields."""
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.fields)})"


K = TypeVar("K", bound=type[Capability])


def capability(kind: K) -> K:
    """
    Complete a capability's class and register it by its name on the wire.

    :raises TypeError: a field has an annotation that no rendered text can be read as, or the name is taken.
    """
    fields: dict[str, Field] = {}
    for base in reversed(kind.__mro__):
        for name, annotation in vars(base).get("__annotations__", {}).items():
            if annotation.startswith("ClassVar"):
                continue
            if annotation not in FIELD_TYPES:
                raise TypeError(f"{kind.__name__}.{name}: nothing reads an argument as {annotation}")
            fields[name] = Field(annotation, vars(base).get(name, REQUIRED))
    kind.fields = MappingProxyType(fields)
    if (other := CAPABILITIES.get(kind.name)) is not None:
        raise TypeError(f"{kind.__name__} and {other.__name__} are both called {kind.name}")
    CAPABILITIES[kind.name] = kind
    return kind


class Table(IntEnum):
    """An enum whose whole table of values the reference has seen: any other value is refused."""


class PartlySeenTable(Table):
    """An enum of which the reference has seen some values or none: any number passes."""


class SwitchOption(Table):
    """On and off, where the API takes numbers for them (section 9)."""

    OFF = 1
    ON = 2


def sent(**fields: Any) -> JsonObject:
    """Return the fields that were given: None leaves one out."""
    return {name: value for name, value in fields.items() if value is not None}


def optional(check: Callable[..., R], name: str, value: object, *rule: object) -> R | None:
    """Return what ``check`` makes of a value, or None for None."""
    return None if value is None else check(name, value, *rule)


def whole(name: str, value: int, least: int = -MOST_WHOLE, most: int = MOST_WHOLE) -> int:
    """Return a whole number within its range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise refused(name, value, f"it must be a whole number{_range(least, most)}.")
    return value


def number(name: str, value: float, least: float, most: float = MOST_WHOLE) -> float:
    """Return a finite number within its range; NaN is outside."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise refused(name, value, f"it must be a finite number{_range(least, most)}.")
    return value


def choice(name: str, value: str | int, table: type[Table]) -> int:
    """Return the number of an enum's value, which may be given by name, by number, or by number as text."""
    is_open = issubclass(table, PartlySeenTable)
    said = value.strip() if isinstance(value, str) else value
    if isinstance(said, str):
        if said in table.__members__:
            return int(table[said])
        if re.fullmatch(r"-?[0-9]{1,10}", said):
            said = int(said)
    is_number = isinstance(said, int) and not isinstance(said, bool) and abs(said) <= MOST_WHOLE
    if is_number and (is_open or said in table.__members__.values()):
        return int(said)
    names = ", ".join(table.__members__)
    rule = f"it must be one of {names}, or a number." if names else "no names of its values are known: give a number."
    rule = rule if is_open else f"it must be one of {names}, or the number of one."
    raise refused(name, value, rule + suggestion(value, table.__members__))


def switch(name: str, value: bool) -> int:
    """Return the number of on or off."""
    if not isinstance(value, bool):
        raise refused(name, value, "it must be true or false.")
    return int(SwitchOption.ON if value else SwitchOption.OFF)


def word(name: str, value: str) -> str:
    """Return text that its field allows; a new field needs its line in ``names.FIELDS``."""
    check(name, value)
    return value


def _range(least: float, most: float) -> str:
    if most < MOST_WHOLE:
        return f" from {least} to {most}"
    return f" from {least} up" if least > -MOST_WHOLE else ""
