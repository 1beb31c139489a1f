"""What the operators of all music capabilities have in common: input, repository, options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mediax.arguments import (
    as_address,
    as_capability,
    as_object,
    as_seconds,
    as_text,
    as_whole_seconds,
    is_absent,
)
from airflow_provider_mediax.operators.base import JobOperator, shown_name
from airflow_provider_mediax.protocol.mediax.capabilities import Capability
from airflow_provider_mediax.protocol.names import refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_mediax.hooks.mediax import MediaxHook
    from airflow_provider_mediax.protocol.mediax.request import MediaxInput, MediaxRequest


class MediaxOperator(JobOperator["MediaxHook"]):
    """
    Base of the operators of the music platform: what one computes is a typed request (``protocol.capabilities``).

    An operator takes the request's fields as arguments of the same names and keeps them as attributes; they are
    templated, and rendered text gets the field's type.

    :param url: ``http(s)://`` address of the input, or ``cos://[conn_id@]bucket/key``, also as an
        ``ObjectStoragePath``; ``conn_id`` can only be ``mediax_conn_id``.
    :param path: path of the input in the repository. Exactly one of ``url`` and ``path``.
    :param content_id: repository, if it is not the connection's.
    :param job_timeout: seconds after which the platform ends the job in ERROR; below ``wait_timeout``.
    :param callback: address that the platform posts the finished job to.
    :param extra_parameters: merged last into the capability's parameters, for fields that have no argument.
    :cvar computes: the typed request.
    """

    computes: ClassVar[type[Capability]]
    template_fields: Sequence[str] = (
        *JobOperator.template_fields,
        *("url", "path", "content_id", "job_timeout", "callback", "extra_parameters"),
    )

    def __init__(
        self,
        *,
        url: str | ObjectStoragePath | None = None,
        path: str | None = None,
        content_id: str | None = None,
        job_timeout: int | None = None,
        callback: str | None = None,
        extra_parameters: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.url = url
        self.path = path
        self.content_id = content_id
        self.job_timeout = job_timeout
        self.callback = callback
        self.extra_parameters = extra_parameters

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "computes" in vars(cls):
            cls.template_fields = (*cls.template_fields, *cls.computes.fields)

    def capability(self) -> Capability | Mapping[str, Any]:
        """
        Return what to compute, from the rendered arguments.

        :raises BadRequest: an argument breaks a rule.
        """
        return as_capability(self.computes, vars(self))

    def build_request(self) -> MediaxRequest:
        """Return the request: one capability of one input."""
        from airflow_provider_mediax.protocol.mediax.request import CapabilityRequest

        return CapabilityRequest(
            capability=self.capability(),
            input=self._input(),
            content_id=as_text("content_id", self.content_id),
            extra_parameters=self._extra_parameters(),
            **self._options(),
            **self._placement(),
        )

    def make_hook(self) -> MediaxHook:
        """Return the music platform's hook."""
        from airflow_provider_mediax.hooks.mediax import MediaxHook

        return MediaxHook(self.mediax_conn_id, stop=self._stop, cos_bucket=self._cos_bucket())

    @property
    def input_name(self) -> str | None:
        """The rendered ``url`` or ``path``."""
        return next((shown_name(given) for given in (self.url, self.path) if not is_absent(given)), None)

    def _input(self) -> MediaxInput | None:
        from airflow_provider_mediax.protocol.mediax.request import MediaxInput

        url = as_address("url", self.url, self.mediax_conn_id)
        given = {name: as_text(name, getattr(self, name, None)) for name in ("path", "source_data")}
        return MediaxInput(url=url, **given) if url or any(given.values()) else None

    def _extra_parameters(self) -> dict[str, Any]:
        return {} if is_absent(self.extra_parameters) else as_object("extra_parameters", self.extra_parameters)

    def _cos_bucket(self) -> str | None:
        return None

    def _options(self) -> dict[str, Any]:
        job_timeout = as_whole_seconds("job_timeout", self.job_timeout)
        if job_timeout is not None and job_timeout >= as_seconds("wait_timeout", self.wait_timeout):
            rule = f"it must be below wait_timeout={self.wait_timeout}, or the wait ends before the job does."
            raise refused("job_timeout", job_timeout, rule)
        return {"callback": as_text("callback", self.callback), "job_timeout": job_timeout}

    def _placement(self) -> dict[str, Any]:
        return {}


class FileMediaxOperator(MediaxOperator):
    """
    Base of the operators whose results are files.

    :param destination: directory of the files; default ``/mediax/<marker>/``, one for each job.
    :param output_prefix: prefix of the files' names, shorter than 20 characters.
    :param cos_bucket: bucket behind ``content_id``, if that is given.
    """

    template_fields: Sequence[str] = (*MediaxOperator.template_fields, "destination", "output_prefix", "cos_bucket")

    def __init__(
        self,
        *,
        destination: str | None = None,
        output_prefix: str | None = None,
        cos_bucket: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.output_prefix = output_prefix
        self.cos_bucket = cos_bucket

    def _placement(self) -> dict[str, Any]:
        return {
            "destination": as_text("destination", self.destination),
            "output_prefix": as_text("output_prefix", self.output_prefix),
        }

    def _cos_bucket(self) -> str | None:
        return as_text("cos_bucket", self.cos_bucket)


class TextMediaxOperator(FileMediaxOperator):
    """
    Base of the operators that can work on a text.

    :param source_data: the text, in the place of ``url`` and ``path``.
    """

    template_fields: Sequence[str] = (*FileMediaxOperator.template_fields, "source_data")

    def __init__(self, *, source_data: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source_data = source_data
