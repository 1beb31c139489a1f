"""Reading ``createJobRequest`` as strictly as the API reference allows."""

from __future__ import annotations

from airflow_provider_mediax.emulator.mediax.capabilities import ANSWERS
from airflow_provider_mediax.emulator.mediax.capabilities.base import Answer
from airflow_provider_mediax.emulator.mediax.errors import Refused
from airflow_provider_mediax.emulator.shared.accounts import Customer
from airflow_provider_mediax.emulator.shared.wire import JsonObject

CUSTOM_ID_LIMIT = 64
"""``customId`` must be shorter than this."""

PREFIX_LIMIT = 20
"""``outputPrefix`` must be shorter than this."""

INPUT_KINDS = ("url", "source", "sourceData")
"""Members of an Input, of which it has exactly one."""


def check_create(account: Customer, request: JsonObject) -> str:
    """
    Check a ``createJobRequest`` and return the capability of its first output.

    :raises Refused: it is not one that the platform would take.
    """
    custom_id = _optional_text(request, "customId")
    if len(custom_id) >= CUSTOM_ID_LIMIT:
        raise Refused(f"customId must be shorter than {CUSTOM_ID_LIMIT} characters")
    _optional_text(request, "callback")
    timeout = request.get("timeout", 1)
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout < 1:
        raise Refused("timeout must be a positive integer")
    outputs = _object_list(request, "outputs")
    needed = any(descriptor_of(output)[0].inputs for output in outputs)
    if not needed and "inputs" in request:
        raise Refused("inputs must be left out, nothing takes any")
    inputs = _object_list(request, "inputs") if needed else []
    for wanted in inputs:
        _check_input(account, wanted)
    names = [_check_output(account, output, inputs) for output in outputs]
    return names[0]


def descriptor_of(output: JsonObject) -> tuple[Answer, JsonObject]:
    """
    Return the capability of an output and its parameters.

    :raises Refused: there is not exactly one that the emulator has, or a parameter is wrong.
    """
    descriptor = output.get("smartContentDescriptor")
    if not isinstance(descriptor, dict):
        raise Refused("outputs.smartContentDescriptor must be an object")
    members = [name for name in descriptor if name != "outputPrefix"]
    if len(members) != 1:
        raise Refused("smartContentDescriptor must hold exactly one capability")
    name = members[0]
    capability = ANSWERS.get(name)
    if capability is None:
        raise Refused(f"smartContentDescriptor: {name} is not a capability that the emulator has")
    return capability, capability.check(descriptor[name])


def _check_input(account: Customer, wanted: JsonObject) -> None:
    kinds = [kind for kind in INPUT_KINDS if kind in wanted]
    if len(kinds) != 1:
        raise Refused(f"inputs: exactly one of {', '.join(INPUT_KINDS)} must be given")
    (kind,) = kinds
    if kind != "source":
        if not isinstance(wanted[kind], str) or not wanted[kind]:
            raise Refused(f"inputs.{kind} must be a string")
        return
    source = wanted["source"]
    if not isinstance(source, dict) or not isinstance(source.get("path"), str) or not source["path"]:
        raise Refused("inputs.source must be an object with contentId and path")
    _check_repository(account, source.get("contentId"), "inputs.source.contentId")


def _check_output(account: Customer, output: JsonObject, inputs: list[JsonObject]) -> str:
    capability, parameters = descriptor_of(output)
    _check_selectors(capability, output, inputs)
    descriptor = output["smartContentDescriptor"]
    prefix = descriptor.get("outputPrefix") if isinstance(descriptor, dict) else None
    if prefix is not None and not (capability.takes_prefix and capability.writes(parameters)):
        raise Refused(f"{capability.name} takes no outputPrefix")
    if prefix is not None and (not isinstance(prefix, str) or len(prefix) >= PREFIX_LIMIT):
        raise Refused(f"outputPrefix must be a string shorter than {PREFIX_LIMIT} characters")
    if capability.writes(parameters):
        _check_repository(account, output.get("contentId"), "outputs.contentId")
        _optional_text(output, "destination")
    return capability.name


def _check_selectors(capability: Answer, output: JsonObject, inputs: list[JsonObject]) -> None:
    selectors = output.get("inputSelectors")
    if not capability.inputs:
        if selectors is not None:
            raise Refused(f"{capability.name} takes no input, so outputs.inputSelectors must be left out")
        return
    # Several inputs for one output are undocumented, so they are not taken.
    if not isinstance(selectors, list) or len(selectors) != 1:
        raise Refused("outputs.inputSelectors must be a list of one index")
    index = selectors[0]
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(inputs):
        raise Refused("outputs.inputSelectors must be an index into inputs")
    chosen = inputs[index]
    if not any(kind in chosen for kind in capability.inputs):
        raise Refused(f"the input of {capability.name} must be {' or '.join(capability.inputs)}")
    limit = capability.text_limit
    if limit is not None and len(str(chosen.get("sourceData", ""))) > limit:
        raise Refused(f"inputs.sourceData must have at most {limit} characters")


def _check_repository(account: Customer, content_id: object, field: str) -> None:
    if not isinstance(content_id, str) or not content_id:
        raise Refused(f"{field} is required")
    if content_id != account.content_id:
        raise Refused(f"{field} is not a repository of this account")


def _optional_text(holder: JsonObject, name: str) -> str:
    value = holder.get(name, "")
    if not isinstance(value, str):
        raise Refused(f"{name} must be a string")
    return value


def _object_list(request: JsonObject, name: str) -> list[JsonObject]:
    value = request.get(name)
    if not isinstance(value, list) or not value:
        raise Refused(f"{name} must be a list that is not empty")
    for item in value:
        if not isinstance(item, dict):
            raise Refused(f"{name} must hold objects")
    return value
