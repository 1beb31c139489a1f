"""What every capability of the emulator has: rules for its parameters, and an answer. One class is one capability."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, TypeVar

from airflow_provider_mediax.emulator.mediax.errors import Refused
from airflow_provider_mediax.emulator.mediax.inputs import Input
from airflow_provider_mediax.emulator.shared.jobs import WorkFailed
from airflow_provider_mediax.emulator.shared.objects import Bucket
from airflow_provider_mediax.emulator.shared.spoiling import Writer
from airflow_provider_mediax.emulator.shared.wire import JsonObject
from airflow_provider_mediax.emulator.sound.analysis import NotAudio
from airflow_provider_mediax.emulator.sound.pool import Analysis, AnalysisBroke


class Folder:
    """
    Where a files capability writes.

    :param files: writes the files of the job.
    :param destination: directory in the bucket, ``/`` is its root.
    :param prefix: ``outputPrefix`` of the file names.
    """

    def __init__(self, bucket: Bucket, files: Writer, destination: str, prefix: str) -> None:
        self._bucket = bucket
        self._files = files
        self._directory = destination.strip("/")
        self._prefix = prefix

    def write(self, name: str, data: bytes, content_type: str) -> str:
        """Write a file and return its name, relative to the destination."""
        full_name = self._prefix + name
        key = f"{self._directory}/{full_name}" if self._directory else full_name
        self._files.put(self._bucket, key, data, content_type)
        return full_name


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What a parameter must be.

    :param says: completes the sentence "<parameter> must be ...".
    """

    allows: Callable[[object], bool]
    says: str
    required: bool = False


def required(rule: Rule) -> Rule:
    """Return the rule for a parameter that may not be missing."""
    return replace(rule, required=True)


def one_of(*values: object) -> Rule:
    """Only these values; ``true`` is no 1."""
    return Rule(
        lambda value: any(value == known and type(value) is type(known) for known in values), f"one of {values}"
    )


def whole(least: int, most: float = math.inf) -> Rule:
    """A whole number within its range."""
    return Rule(lambda value: type(value) is int and least <= value <= most, f"an integer from {least} to {most}")


def real(least: float, most: float = math.inf) -> Rule:
    """A number within its range."""
    return Rule(
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most,
        f"a number from {least} to {most}",
    )


ANY_NUMBER = Rule(lambda value: type(value) is int, "an integer")
"""For enums whose table is documented nowhere."""

ANY_TEXT = Rule(lambda value: isinstance(value, str) and value != "", "text that is not empty")

SWITCH = one_of(1, 2)
"""SwitchOption: off and on."""


def checks(**rules: Rule) -> Mapping[str, Rule]:
    """Return the rules of a capability by its parameters."""
    return MappingProxyType(rules)


class Answer(ABC):
    """
    What the emulator does about one member of ``smartContentDescriptor``.

    :cvar name: of the member.
    :cvar inputs: members of an Input that it takes; empty for no input at all.
    :cvar text_limit: characters of ``sourceData``.
    :cvar rules: its parameters; others are not looked at.
    :cvar writes_files: whether the output needs a repository to write to.
    :cvar takes_prefix: whether there is an ``outputPrefix``.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("url", "source")
    text_limit: ClassVar[int | None] = None
    rules: ClassVar[Mapping[str, Rule]] = checks()
    writes_files: ClassVar[bool] = False
    takes_prefix: ClassVar[bool] = False

    def check(self, value: object) -> JsonObject:
        """
        Check what the descriptor holds under the capability's name, and return it as parameters.

        :raises Refused: a parameter is missing, of the wrong type or out of range.
        """
        if not isinstance(value, dict):
            raise Refused(f"{self.name} must be an object")
        for parameter, rule in self.rules.items():
            if parameter not in value and rule.required:
                raise Refused(f"{self.name}.{parameter} is required")
            if parameter in value and not rule.allows(value[parameter]):
                raise Refused(f"{self.name}.{parameter} must be {rule.says}")
        return value

    def writes(self, parameters: JsonObject) -> bool:
        """Tell whether a request leads to files."""
        return self.writes_files

    @abstractmethod
    async def compute(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """
        Produce ``smartContentResult``.

        :param track: the input; empty where the capability takes none.
        :raises NotAudio: the input cannot be decoded.
        """

    async def run(self, parameters: JsonObject, track: Input, analysis: Analysis, folder: Folder) -> JsonObject:
        """
        Produce ``smartContentResult``.

        :raises WorkFailed: the input is not what the capability can work with.
        """
        try:
            return await self.compute(parameters, track, analysis, folder)
        except (NotAudio, AnalysisBroke) as error:
            raise WorkFailed(str(error)) from None


ANSWERS: dict[str, Answer] = {}
"""Every capability that the emulator has, by descriptor name."""

A = TypeVar("A", bound=Answer)


def emulated(kind: type[A]) -> type[A]:
    """
    Let the emulator have the capability that a class answers.

    :raises TypeError: another class answers under this name.
    """
    if kind.name in ANSWERS:
        raise TypeError(f"{kind.__name__} and {type(ANSWERS[kind.name]).__name__} both answer {kind.name}")
    ANSWERS[kind.name] = kind()
    return kind


class SwitchedOn(Answer):
    """A capability without parameters: the descriptor holds the SwitchOption for on in the place of an object."""

    def check(self, value: object) -> JsonObject:
        """Check that it is switched on."""
        if value != 2 or type(value) is not int:
            raise Refused(f"{self.name} must be 2")
        return {}


def count(parameters: JsonObject, name: str, otherwise: int) -> int:
    """Return an integer parameter that has been checked."""
    value = parameters.get(name, otherwise)
    return value if isinstance(value, int) else otherwise
