"""Reading ``createJobRequest`` as strictly as the API reference allows."""

from __future__ import annotations

from airflow_provider_mediax.emulator.accounts import Account
from airflow_provider_mediax.emulator.capabilities import CAPABILITIES, Capability, Refused
from airflow_provider_mediax.emulator.wire import JsonObject

CUSTOM_ID_LIMIT = 64
"""``customId`` must be shorter than this."""

PREFIX_LIMIT = 20
"""``outputPrefix`` must be shorter than this."""


def check_create(account: Account, request: JsonObject) -> str:
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
    inputs = _object_list(request, "inputs")
    for wanted in inputs:
        _check_input(account, wanted)
    names = [_check_output(account, output, len(inputs)) for output in _object_list(request, "outputs")]
    return names[0]


def descriptor_of(output: JsonObject) -> tuple[Capability, JsonObject]:
    """
    Return the capability of an output and its parameters.

    :raises Refused: there is not exactly one that the emulator has.
    """
    descriptor = output.get("smartContentDescriptor")
    if not isinstance(descriptor, dict):
        raise Refused("outputs.smartContentDescriptor must be an object")
    members = [name for name in descriptor if name != "outputPrefix"]
    if len(members) != 1:
        raise Refused("smartContentDescriptor must hold exactly one capability")
    name = members[0]
    capability, parameters = CAPABILITIES.get(name), descriptor[name]
    if capability is None:
        raise Refused(f"smartContentDescriptor: {name} is not a capability that the emulator has")
    if not isinstance(parameters, dict):
        raise Refused(f"{name} must be an object")
    return capability, parameters


def _check_input(account: Account, wanted: JsonObject) -> None:
    if ("url" in wanted) == ("source" in wanted):
        raise Refused("inputs: exactly one of url and source must be given")
    if "url" in wanted:
        if not isinstance(wanted["url"], str) or not wanted["url"]:
            raise Refused("inputs.url must be a string")
        return
    source = wanted["source"]
    if not isinstance(source, dict) or not isinstance(source.get("path"), str) or not source["path"]:
        raise Refused("inputs.source must be an object with contentId and path")
    _check_repository(account, source.get("contentId"), "inputs.source.contentId")


def _check_output(account: Account, output: JsonObject, inputs: int) -> str:
    selectors = output.get("inputSelectors")
    # Several inputs for one output are undocumented, so they are not taken.
    if not isinstance(selectors, list) or len(selectors) != 1:
        raise Refused("outputs.inputSelectors must be a list of one index")
    index = selectors[0]
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < inputs:
        raise Refused("outputs.inputSelectors must be an index into inputs")
    capability, parameters = descriptor_of(output)
    capability.check(parameters)
    descriptor = output["smartContentDescriptor"]
    if capability.writes_files:
        _check_repository(account, output.get("contentId"), "outputs.contentId")
        _optional_text(output, "destination")
        prefix = _optional_text(descriptor if isinstance(descriptor, dict) else {}, "outputPrefix")
        if len(prefix) >= PREFIX_LIMIT:
            raise Refused(f"outputPrefix must be shorter than {PREFIX_LIMIT} characters")
    elif isinstance(descriptor, dict) and "outputPrefix" in descriptor:
        raise Refused(f"{capability.name} writes no files, so outputPrefix means nothing")
    return capability.name


def _check_repository(account: Account, content_id: object, field: str) -> None:
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
