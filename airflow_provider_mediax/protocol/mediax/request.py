"""A job of the music platform as the user asks for it: input, capability, options (API reference section 5.1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.mediax.capabilities import CAPABILITIES, TRACK_INPUTS, Capability
from airflow_provider_mediax.protocol.names import check, check_json, check_seconds, exactly_one, own_address, refused
from airflow_provider_mediax.protocol.urls import CosAddress, shown_line, shown_url, unsigned_url

PREFIX_MEMBER = "outputPrefix"


def default_destination(marker: str) -> str:
    """Return the directory that a job's files go to when the user names none."""
    return f"/mediax/{marker}/"


INPUTS = ("url", "path", "source_data")
"""Kinds of input; a job has exactly one."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """
    Where the platform reads paths from and writes files to.

    :param content_id: the repository's id, given at registration.
    :param bucket: the COS bucket behind it.
    :param region: of buckets that ``bucket_regions`` does not name.
    :param bucket_regions: regions by bucket.
    :param conn_id: the connection that all this is of; an address that names another one is refused.
    :param presign: makes a passing address of an object in another bucket; None where the keys for that are missing.
    """

    content_id: str | None = None
    bucket: str | None = None
    region: str | None = None
    bucket_regions: Mapping[str, str] = field(default_factory=dict, compare=False)
    conn_id: str | None = field(default=None, compare=False)
    presign: Callable[[CosAddress], str] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class MediaxInput:
    """
    What a job works on: exactly one of the three.

    :param url: ``http(s)://`` address that the platform downloads from, or ``cos://[conn_id@]bucket/key``, also as an
        ``ObjectStoragePath``.
    :param path: path in the repository.
    :param source_data: text, where the capability takes one.
    """

    url: str | None = None
    path: str | None = None
    source_data: str | None = None

    def __post_init__(self) -> None:
        """Refuse none, several, and what nothing could be read from."""
        given = {name: getattr(self, name) for name in INPUTS}
        kind = exactly_one(given if self.source_data else {name: given[name] for name in TRACK_INPUTS})
        if kind == "url" and not isinstance(self.url, str):
            object.__setattr__(self, "url", str(self.url))  # a path's text; os.fspath would name a local file
        check(kind, getattr(self, kind))

    @property
    def kind(self) -> str:
        """Which of :data:`INPUTS` was given."""
        return next(name for name in INPUTS if getattr(self, name))

    def wire(self, repository: Repository) -> JsonObject:
        """
        Return the Input object.

        An object of the repository's own bucket is a path in it; one of another bucket gets a passing address.

        :raises BadRequest: a path lies in no repository, an address names another connection, or there are no keys to
            make an address with.
        """
        path = self.path
        if self.url and (address := own_address("url", self.url, repository.conn_id)):
            if address.bucket != repository.bucket or (repository.presign and not repository.content_id):
                if repository.presign is None:
                    rule = "outside the registered bucket it needs cos_region, cos_secret_id and cos_secret_key."
                    raise refused("url", self.url, rule)
                return {"url": repository.presign(address)}
            path = address.key
        if path:
            return {"source": {"contentId": _required(repository.content_id, "a path input"), "path": path}}
        return {"url": self.url} if self.url else {"sourceData": self.source_data}

    @property
    def shown(self) -> str:
        """The input for a log: an address without anything that may be secret, a path, or the length of a text."""
        if self.url:
            return shown_line(shown_url(self.url))
        return shown_line(self.path) if self.path else f"a text of {len(self.source_data or '')} characters"

    def identity(self) -> JsonObject:
        """Return what says which input it is; a URL without what merely signs it."""
        if self.url:
            return {"url": unsigned_url(self.url)}
        return {"path": self.path} if self.path else {"source_data": self.source_data}


class MediaxRequest(ABC):
    """What the engine needs of a MediaX job, typed or raw."""

    content_id: str | None

    @property
    @abstractmethod
    def capability_name(self) -> str:
        """The capability's name on the wire."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """What is asked of which input, in one line without anything secret."""

    @abstractmethod
    def wire(self, repository: Repository) -> JsonObject:
        """
        Return ``createJobRequest`` but for ``customId`` and what is named after it.

        :param repository: where paths lie and files go: the one of :attr:`content_id`, or the connection's.
        """

    @abstractmethod
    def placed(self, body: JsonObject, marker: str) -> JsonObject:
        """
        Return what :meth:`wire` has made with the default directory of the files.

        :param marker: the job's, after which the directory is named.
        """

    @abstractmethod
    def identity(self) -> JsonObject:
        """
        Return what makes this job another one than the next: the content of the fingerprint.

        Callback, timeout, credentials and connection are no part of it.
        """


@dataclass(frozen=True, kw_only=True)
class CapabilityRequest(MediaxRequest):
    """
    One capability computed from one input.

    :param capability: what to compute: a typed capability, or a descriptor sent as it is,
        ``{"<capability>": <parameters>}``, for capabilities and fields that the reference has not seen.
    :param input: what to compute it from; None where the capability takes no input.
    :param content_id: repository of path inputs and file results, if it is not the connection's.
    :param destination: directory of file results; the default is one of its own per job.
    :param output_prefix: prefix of file names, shorter than 20 characters.
    :param callback: address that the platform posts the finished job to.
    :param job_timeout: seconds after which the platform ends the job in ERROR.
    :param extra_parameters: merged last into the capability's parameters.
    :ivar descriptor: ``smartContentDescriptor``.
    """

    capability: Capability | Mapping[str, Any]
    input: MediaxInput | None = None
    content_id: str | None = None
    destination: str | None = None
    output_prefix: str | None = None
    callback: str | None = None
    job_timeout: int | None = None
    extra_parameters: Mapping[str, Any] = field(default_factory=dict)
    descriptor: JsonObject = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse options that the capability does not have, and texts and objects that could not be sent."""
        if not isinstance(self.capability, Capability):
            _check_descriptor("descriptor", self.capability)
        check_json("extra_parameters", self.extra_parameters)
        name = self.capability_name
        self._check_input()
        if self.output_prefix is not None:
            if isinstance(self.capability, Capability) and not (self.capability.takes_prefix and self.writes_files):
                raise refused("output_prefix", self.output_prefix, f"{name} knows no prefix.")
            check("output_prefix", self.output_prefix)
        if self.destination is not None:
            if isinstance(self.capability, Capability) and not self.writes_files:
                raise refused("destination", self.destination, f"{name} writes no files.")
            check("destination", self.destination)
        if self.content_id is not None:
            check("content_id", self.content_id)
        _check_options(self.callback, self.job_timeout)
        object.__setattr__(self, "descriptor", self._descriptor(name))

    @property
    def capability_name(self) -> str:
        """The capability's name on the wire; of a raw descriptor, its one member besides ``outputPrefix``."""
        if isinstance(self.capability, Capability):
            return self.capability.name
        names = _capability_names(self.capability)
        if len(names) != 1:
            raise refused("descriptor", dict(self.capability), 'it must be one {"<capability>": ...}.')
        return names[0]

    @property
    def summary(self) -> str:
        """The capability and its input."""
        return f"{shown_line(self.capability_name)} of {self.input.shown if self.input else 'no input'}"

    @property
    def writes_files(self) -> bool:
        """Whether the job writes files; a raw descriptor does if it is given a place to write to."""
        return self.capability.has_files() if isinstance(self.capability, Capability) else self.destination is not None

    def wire(self, repository: Repository) -> JsonObject:
        """Return the request with one input and one output, as every documented example has them."""
        output: JsonObject = {"smartContentDescriptor": self.descriptor}
        if self.writes_files:
            output["contentId"] = _required(repository.content_id, "the result files")
            if self.destination is not None:
                output["destination"] = self.destination
        body: JsonObject = {"outputs": [output]}
        if self.input:
            output["inputSelectors"] = [0]
            body["inputs"] = [self.input.wire(repository)]
        return {**body, **_options(self.callback, self.job_timeout)}

    def placed(self, body: JsonObject, marker: str) -> JsonObject:
        """Return the body; of a job that writes files, with a directory of its own unless the user has named one."""
        if self.destination is not None or not self.writes_files:
            return body
        return {**body, "outputs": [{**body["outputs"][0], "destination": default_destination(marker)}]}

    def _descriptor(self, name: str) -> JsonObject:
        if isinstance(self.capability, Capability):
            content: JsonObject = {name: self.capability.sent}
        else:
            content = dict(self.capability)
        if self.extra_parameters:
            if not isinstance(content[name], Mapping):
                rule = f"{name} takes a plain value, so there is nothing to merge into."
                raise refused("extra_parameters", dict(self.extra_parameters), rule)
            content[name] = {**content[name], **self.extra_parameters}
        return content if self.output_prefix is None else {PREFIX_MEMBER: self.output_prefix, **content}

    def _check_input(self) -> None:
        """Refuse no input, one that the capability does not take, and a text that is too long for it."""
        name = self.capability_name
        kind = type(self.capability) if isinstance(self.capability, Capability) else CAPABILITIES.get(name)
        if self.input is None:
            if kind is None or kind.inputs:
                exactly_one(dict.fromkeys(kind.inputs if kind else TRACK_INPUTS))
            return
        if not isinstance(self.input, MediaxInput):
            raise refused("input", self.input, "it must be a MediaxInput.")
        given = self.input.kind
        if isinstance(self.capability, Capability) and given not in self.capability.inputs:
            rule = f"{name} takes {' or '.join(self.capability.inputs) or 'no input'}."
            raise refused(given, getattr(self.input, given), rule)
        limit = kind.text_limit if kind else None
        if limit is not None and len(self.input.source_data or "") > limit:
            raise refused("source_data", self.input.source_data, f"it must have at most {limit} characters.")

    def identity(self) -> JsonObject:
        """Return capability, parameters, input and output as the user gave them."""
        return {
            "capability": self.capability_name,
            "parameters": self.descriptor,
            **(self.input.identity() if self.input else {}),
            "content_id": self.content_id,
            "destination": self.destination,
        }


@dataclass(frozen=True, kw_only=True)
class RawRequest(MediaxRequest):
    """
    ``inputs`` and ``outputs`` sent as they are, for jobs with several of them.

    :param inputs: Input objects of section 5.1.
    :param outputs: Output objects of section 5.1.
    """

    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    callback: str | None = None
    job_timeout: int | None = None
    content_id: None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse what names no capability, what could not be sent, and options that no job can have."""
        for name, array in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not isinstance(array, (list, tuple)) or not all(isinstance(item, Mapping) for item in array):
                raise refused(name, array, "it must be a list of objects.")
        for given in self.inputs:
            _check_raw_input(given)
        for output in self.outputs:
            _check_raw_output(output)
        if not self.outputs or not all(_descriptor_names(output) for output in self.outputs):
            rule = "each output needs a smartContentDescriptor with a capability."
            raise refused("outputs", self.outputs, rule)
        _check_options(self.callback, self.job_timeout)

    @property
    def capability_name(self) -> str:
        """The names of all capabilities asked for, in order."""
        return ",".join(dict.fromkeys(name for output in self.outputs for name in _descriptor_names(output)))

    @property
    def summary(self) -> str:
        """The capabilities and the number of inputs, whose form nobody checks."""
        return f"{shown_line(self.capability_name)} of {len(self.inputs)} inputs"

    def wire(self, repository: Repository) -> JsonObject:
        """Return both arrays untouched; no ``inputs`` where there are none, as for ``musicCompose``."""
        arrays = {"inputs": list(self.inputs)} if self.inputs else {}
        return {**arrays, "outputs": list(self.outputs), **_options(self.callback, self.job_timeout)}

    def placed(self, body: JsonObject, marker: str) -> JsonObject:
        """Return the body as it is."""
        return body

    def identity(self) -> JsonObject:
        """Return both arrays, with URLs reduced to what they point to."""
        inputs = [
            {**given, "url": unsigned_url(given["url"])} if isinstance(given.get("url"), str) else dict(given)
            for given in self.inputs
        ]
        return {"capability": self.capability_name, "inputs": inputs, "outputs": list(self.outputs)}


def _capability_names(descriptor: Mapping[str, Any]) -> list[str]:
    return [name for name in descriptor if name != PREFIX_MEMBER]


def _descriptor_names(output: Mapping[str, Any]) -> list[str]:
    descriptor = output.get("smartContentDescriptor")
    return _capability_names(descriptor) if isinstance(descriptor, Mapping) else []


def _check_descriptor(name: str, descriptor: object) -> None:
    """Refuse a descriptor that could not be sent, or whose prefix is no prefix."""
    if not isinstance(descriptor, Mapping):
        raise refused(name, descriptor, "it must be an object.")
    check_json(name, descriptor)
    if "" in descriptor:
        raise refused(name, dict(descriptor), "a capability has a name.")
    if PREFIX_MEMBER in descriptor:
        check(f"{name}.{PREFIX_MEMBER}", descriptor[PREFIX_MEMBER], "output_prefix")


def _check_raw_input(given: Mapping[str, Any]) -> None:
    """Hold the members that the reference names against the rules of the arguments of that meaning."""
    check_json("inputs", given)
    if given.get("url") is not None:
        check("inputs.url", given["url"])
    source = given.get("source")
    if isinstance(source, Mapping) and "path" in source:
        check("inputs.source.path", source["path"], "path")


def _check_raw_output(output: Mapping[str, Any]) -> None:
    """Likewise of an output."""
    check_json("outputs", output)
    if output.get("destination") is not None:
        check("outputs.destination", output["destination"], "destination")
    if isinstance(output.get("smartContentDescriptor"), Mapping):
        _check_descriptor("outputs.smartContentDescriptor", output["smartContentDescriptor"])


def _check_options(callback: str | None, job_timeout: int | None) -> None:
    if callback is not None:
        check("callback", callback)
    if job_timeout is not None:
        check_seconds("job_timeout", job_timeout)


def _options(callback: str | None, job_timeout: int | None) -> JsonObject:
    options = {"callback": callback, "timeout": job_timeout}
    return {name: value for name, value in options.items() if value is not None}


def _required(content_id: str | None, purpose: str) -> str:
    if not content_id:
        rule = f"{purpose} need a repository: set content_id here or in the connection's extra."
        raise BadRequest.field("content_id", content_id, rule)
    return content_id
