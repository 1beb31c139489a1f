"""Writes what jobs have found as an HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_mediax.arguments import as_address, as_text, is_absent, parsed_literal
from airflow_provider_mediax.links.console import ReportLink
from airflow_provider_mediax.operators.failures import explained
from airflow_provider_mediax.protocol.names import refused

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath, XComArg

    from airflow_provider_mediax.protocol.urls import Located


class MusicReportOperator(BaseOperator):
    """
    Writes one self-contained HTML page of what jobs have found, and returns its address.

    Manifests of one track give a page to look at and to listen to: waveform, beats, sections, choruses and lyrics on
    one time line, players, tags, jobs. Those of many tracks give an overview. The waveform needs the extra ``report``.

    :param manifests: what operators and sensors of jobs returned; empty members, which skipped or failed tasks leave,
        do not count. A member may have ``error``, a text or an object with ``message``, which says why a job failed.
    :param output: address of the page on any storage that Airflow knows: ``cos://bucket/key``, ``file:///path``.
    :param audio: address of the sound of a single track; default: the input, if that lies in COS.
    :param title: default: the name of the track, or the number of tracks.
    :param mediax_conn_id: connection of type ``mediax`` that reads and writes files in COS.
    :param kwargs: arguments of Airflow's ``BaseOperator``, such as ``task_id`` and ``trigger_rule``.
    """

    template_fields: Sequence[str] = ("manifests", "page", "audio", "title", "mediax_conn_id")
    ui_color = "#d6ecf3"
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        manifests: Mapping[str, Any] | Sequence[Mapping[str, Any] | XComArg | None] | XComArg | str,
        output: str | ObjectStoragePath,
        audio: str | ObjectStoragePath | None = None,
        title: str | None = None,
        mediax_conn_id: str = "mediax_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifests = manifests
        self.page = output  # Airflow's operators have an ``output`` of their own: what they return
        self.audio = audio
        self.title = title
        self.mediax_conn_id = mediax_conn_id
        self.located: Mapping[str, Located] = {}

    def execute(self, context: Context) -> str:
        """
        Write the page and return its address.

        :raises BadRequest: there is no manifest, or something else among them.
        :raises MediaxError: COS refuses the page, or a result that lies there.
        """
        from airflow_provider_mediax.report.pages import report_page
        from airflow_provider_mediax.report.sources import Files

        with explained(self.log, if_retried="The next try of this task writes the page."):
            output = as_address("output", self.page, self.mediax_conn_id)
            if output is None or "://" not in output:
                raise refused("output", self.page, "it must be an address, such as cos://bucket/report.html.")
            page = report_page(
                self._given(),
                self.mediax_conn_id,
                audio=as_address("audio", self.audio, self.mediax_conn_id),
                title=as_text("title", self.title),
                log=self.log,
            )
            files = Files(self.mediax_conn_id, self.log)
            try:
                files.write(output, page.encode())
                place = files.located(output)
                self.located = {"report": place} if place is not None else {}
            finally:
                files.close()
        self.log.info("The report of %d bytes is at %s", len(page), output)
        return output

    def _given(self) -> list[Any]:
        """Return the manifests; a mapped task upstream gives a sequence of Airflow's own."""
        given = parsed_literal(self.manifests)
        if is_absent(given):
            return []
        if isinstance(given, Mapping):
            return [given]
        if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
            raise refused("manifests", given, "it must be a manifest or a list of them.")
        return [manifest for manifest in given if manifest]
