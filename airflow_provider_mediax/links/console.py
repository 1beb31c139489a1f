"""
Links from a task to the console of COS: the folder of its input, the folder of its results.

Airflow asks for them in the worker when an ``execute`` or a ``resume`` ends, also one that defers or fails, and keeps
the answers as XComs. They hold no signature: who follows one signs in to the console.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlencode

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_mediax.protocol.urls import Located

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

MAINLAND = ("beijing", "shanghai", "guangzhou", "shenzhen", "nanjing", "chengdu", "chongqing")
"""Places of the regions whose console is the one of mainland China; the others have the international one."""


def console_url(place: Located) -> str:
    """Return the console's page of the folder that an object lies in; empty if its region is not known."""
    address, region = place
    if region is None:
        return ""
    parts = region.split("-")
    host = "console.cloud.tencent.com" if len(parts) > 1 and parts[1] in MAINLAND else "console.tencentcloud.com"
    folder = address.key.rpartition("/")[0]
    # The console decodes the path twice.
    path = {"path": quote(f"/{folder}/", safe="")} if folder else {}
    return f"https://{host}/cos/bucket?{urlencode({'bucket': address.bucket, 'region': region, **path})}"


class ConsoleLink(BaseOperatorLink):
    """Base of the links to the console; ``shows`` is what the operator's ``located`` calls the place."""

    shows: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address; empty as long as nothing is known to lie there."""
        located: Mapping[str, Located] = getattr(operator, "located", {})
        place = located.get(self.shows)
        return console_url(place) if place is not None else ""


class InputLink(ConsoleLink):
    """The folder of the job's input, if that lies in COS."""

    name = "Input"
    shows = "input"


class ResultsLink(ConsoleLink):
    """The folder of the job's files."""

    name = "Results"
    shows = "files"


class ReportLink(ConsoleLink):
    """The folder of a report that was written to COS."""

    name = "Report"
    shows = "report"
