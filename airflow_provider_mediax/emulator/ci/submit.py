"""Reading the body of a submit as strictly as the API reference allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from airflow_provider_mediax.emulator.ci.audio import STEMS, AudioSettings, read_settings
from airflow_provider_mediax.emulator.ci.errors import invalid
from airflow_provider_mediax.emulator.ci.templates import SavedTemplate
from airflow_provider_mediax.emulator.ci.wire import Node, Tree, read_request

TAG = "VoiceSeparate"
"""The only kind of job that the emulator has."""

OUTPUT_NAMES = {"voice": "AuObject", "background": "Object", "bass": "BassObject", "drum": "DrumObject"}
"""Node with the key of each stem."""

USER_DATA_LIMIT = 1024
"""Characters, printable ASCII."""

_REQUEST = ("Tag", "Input", "Operation", "QueueId", "CallBack", "CallBackFormat", "CallBackType", "CallBackMqConfig")
_OPERATION = ("TemplateId", "VoiceSeparate", "Output", "UserData", "JobLevel")
_REGIONS = ("sh", "bj", "gz", "cd", "hk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """
    What a job says about its callback.

    :param url: where to; ``no`` switches the queue's off, None leaves it to the queue.
    :param form: ``XML`` or ``JSON``, None for the queue's.
    :param kind: ``Url`` or ``TDMQ``, None for the queue's.
    """

    url: str | None = None
    form: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """
    A checked submit.

    :param source: key of the input, in the bucket of the host.
    :param template: whose settings are used; None if the job brings its own.
    :param output: nodes of ``Output`` as they were sent.
    """

    source: str
    settings: AudioSettings
    template: SavedTemplate | None
    output: Mapping[str, str]
    user_data: str | None
    level: str | None
    queue_id: str | None
    notification: Notification

    @property
    def marker(self) -> str | None:
        """Return the first word of ``UserData``."""
        words = (self.user_data or "").split()
        return words[0] if words else None

    def key_of(self, stem: str) -> str:
        """Return the key of a stem's file, wildcard replaced."""
        return self.output[OUTPUT_NAMES[stem]].replace("${ext}", self.settings.codec)

    def operation(self) -> Tree:
        """Return the node ``Operation`` as every answer shows it."""
        if self.template is None:
            asked: dict[str, str | Tree] = {"VoiceSeparate": self.settings.as_tree()}
        else:
            asked = {"TemplateId": self.template.id, "TemplateName": self.template.name}
        rest = {"UserData": self.user_data, "JobLevel": self.level or "0"}
        return {**asked, "Output": self.output, **{name: text for name, text in rest.items() if text is not None}}


def read_submission(body: bytes, template_of: Callable[[str], SavedTemplate]) -> Submission:
    """
    Check the body of a submit.

    :param template_of: finds a template by its id, or raises.
    :raises CiError: the request is not one that the service would take.
    """
    request = read_request(body, _REQUEST)
    if request.need("Tag") != TAG:
        raise invalid(f"Request/Tag must be {TAG}; the emulator has no other jobs")
    source = request.need_node("Input", ("Object",)).need("Object")
    operation = request.need_node("Operation", _OPERATION)
    template_id = operation.text("TemplateId")
    template = None if template_id is None else template_of(template_id)
    if template is not None:  # it wins if both are there
        settings = template.settings
    else:
        settings = read_settings(operation.need_node("VoiceSeparate", ("AudioMode", "AudioConfig")))
    user_data = operation.text("UserData")
    if user_data is not None and (len(user_data) > USER_DATA_LIMIT or re.fullmatch("[ -~]*", user_data) is None):
        raise invalid(f"Operation/UserData must be printable ASCII, at most {USER_DATA_LIMIT} characters")
    return Submission(
        source=source,
        settings=settings,
        template=template,
        output=_read_output(operation, settings),
        user_data=user_data,
        level=operation.one_of("JobLevel", ("0", "1", "2")),
        queue_id=request.text("QueueId"),
        notification=_read_notification(request),
    )


def _read_output(operation: Node, settings: AudioSettings) -> dict[str, str]:
    names = ("Region", "Bucket", *OUTPUT_NAMES.values())
    output = operation.need_node("Output", names)
    needed = [OUTPUT_NAMES[stem] for stem in STEMS[settings.mode]]
    for name in ("Region", "Bucket", *needed):
        output.need(name)
    sent = {name: text for name in names if (text := output.text(name)) is not None}
    for name in ("BassObject", "DrumObject"):
        if name in sent and name not in needed:
            raise invalid(f"Output/{name} has no meaning with AudioMode {settings.mode}")
    if len({sent[name] for name in needed}) < len(needed):
        raise invalid("Output: every stem needs a key of its own")
    return sent


def _read_notification(request: Node) -> Notification:
    url = request.text("CallBack")
    if url not in (None, "no") and not url.startswith(("http://", "https://")):
        raise invalid("Request/CallBack must be an address or no")
    kind = request.one_of("CallBackType", ("Url", "TDMQ"))
    queue = request.node("CallBackMqConfig", ("MqRegion", "MqMode", "MqName"))
    if kind == "TDMQ" and queue is None:
        raise invalid("Request/CallBackMqConfig is required with CallBackType TDMQ")
    if queue is not None:
        queue.need("MqName")
        if queue.one_of("MqRegion", _REGIONS) is None or queue.one_of("MqMode", ("Queue", "Topic")) is None:
            raise invalid("Request/CallBackMqConfig needs MqRegion and MqMode")
    return Notification(url=url, form=request.one_of("CallBackFormat", ("XML", "JSON")), kind=kind)
