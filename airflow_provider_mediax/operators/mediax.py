"""What the operators of all music capabilities have in common: input, repository, options."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_mediax.exceptions import BadRequest
from airflow_provider_mediax.jobs.arguments import as_object, as_optional_int, as_seconds, as_text
from airflow_provider_mediax.operators.base import JobOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mediax.hooks.mediax import MediaxHook
    from airflow_provider_mediax.protocol.capabilities import Capability
    from airflow_provider_mediax.protocol.request import MediaxInput, MediaxRequest


class MediaxOperator(JobOperator):
    """
    Base of the operators of the music platform. Takes the arguments of :class:`JobOperator`, and:

    :param url: ``http(s)://`` address of the input, or ``cos://bucket/key`` in the registered bucket.
    :param path: path of the input in the repository. Exactly one of ``url`` and ``path``.
    :param content_id: repository, if it is not the connection's.
    :param job_timeout: seconds after which the platform ends the job in ERROR; below ``wait_timeout``.
    :param callback: address that the platform posts the finished job to.
    :param extra_parameters: merged last into the capability's parameters, for fields that have no argument.
    """

    template_fields: Sequence[str] = (
        *JobOperator.template_fields,
        *("url", "path", "content_id", "job_timeout", "callback", "extra_parameters"),
    )

    def __init__(
        self,
        *,
        url: str | None = None,
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

    @abstractmethod
    def capability(self) -> Capability | Mapping[str, Any]:
        """
        Return what to compute, from the rendered arguments.

        :raises BadRequest: an argument breaks a rule.
        """

    def build_request(self) -> MediaxRequest:
        """Return the request: one capability of one input."""
        from airflow_provider_mediax.protocol.request import CapabilityRequest

        return CapabilityRequest(
            capability=self.capability(),
            input=self._input(),
            content_id=as_text("content_id", self.content_id),
            extra_parameters=as_object("extra_parameters", self.extra_parameters or {}),
            **self._options(),
            **self._placement(),
        )

    def make_hook(self) -> MediaxHook:
        """Return the music platform's hook."""
        from airflow_provider_mediax.hooks.mediax import MediaxHook

        return MediaxHook(self.mediax_conn_id, stop=self._stop)

    def on_kill(self) -> None:
        """Send nothing more; the platform has no call to cancel what was sent."""
        super().on_kill()
        self.log.warning("The platform cannot cancel jobs: one that was submitted goes on, and is paid for")

    def _input(self) -> MediaxInput | None:
        from airflow_provider_mediax.protocol.request import MediaxInput

        return MediaxInput(url=as_text("url", self.url), path=as_text("path", self.path))

    def _options(self) -> dict[str, Any]:
        job_timeout = as_optional_int("job_timeout", self.job_timeout)
        if job_timeout is not None and job_timeout >= as_seconds("wait_timeout", self.wait_timeout):
            rule = f"it must be below wait_timeout={self.wait_timeout}, or the wait ends before the job does."
            raise BadRequest.field("job_timeout", job_timeout, rule)
        return {"callback": as_text("callback", self.callback), "job_timeout": job_timeout}

    def _placement(self) -> dict[str, Any]:
        return {}


class FileMediaxOperator(MediaxOperator):
    """
    Base of the operators whose results are files. Takes the arguments of :class:`MediaxOperator`, and:

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
            "bucket": as_text("cos_bucket", self.cos_bucket),
        }
