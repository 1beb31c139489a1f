"""Templates of voice separation: mode and file parameters under a name."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from airflow_provider_mediax.emulator.ci.audio import AudioSettings, read_settings
from airflow_provider_mediax.emulator.ci.errors import CiError, invalid
from airflow_provider_mediax.emulator.ci.wire import Tree, Value, page_of, read_request, time_text
from airflow_provider_mediax.emulator.shared.settings import FEW

_REQUEST = ("Tag", "Name", "AudioMode", "AudioConfig")
_NAME = re.compile(r"[A-Za-z0-9_*\-\u4e00-\u9fff]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedTemplate:
    """
    One template of a bucket. Times are epoch seconds.

    :param settings: in force for jobs that name the template from now on.
    """

    id: str
    bucket: str
    name: str
    settings: AudioSettings
    created: float
    updated: float

    def as_tree(self) -> Tree:
        """Return the node ``Template``; unlike in the request, mode and parameters lie one level deeper."""
        return {
            "Tag": "VoiceSeparate",
            "TemplateId": self.id,
            "Name": self.name,
            "BucketId": self.bucket,
            "Category": "Custom",
            "VoiceSeparate": self.settings.as_tree(),
            "CreateTime": time_text(self.created),
            "UpdateTime": time_text(self.updated),
        }


class Templates:
    """All templates of one emulator, oldest first."""

    def __init__(self) -> None:
        self._templates: dict[str, SavedTemplate] = {}

    def reset(self) -> None:
        """Forget every template."""
        self._templates.clear()

    def get(self, bucket: str, template_id: str) -> SavedTemplate:
        """
        Find a template of the bucket.

        :raises CiError: there is none.
        """
        found = self._templates.get(template_id)
        if found is None or found.bucket != bucket:
            raise CiError("TemplateNotFound", f"The template {template_id} does not exist.")
        return found

    def save(self, bucket: str, body: bytes, now: float, template_id: str | None = None) -> SavedTemplate:
        """
        Create a template, or change the one with that id.

        :raises CiError: the request is wrong, the name is taken or the id unknown, or there are enough templates.
        """
        old = None if template_id is None else self.get(bucket, template_id)
        request = read_request(body, _REQUEST)
        if request.need("Tag") != "VoiceSeparate":
            raise invalid("Request/Tag must be VoiceSeparate; the emulator has no other templates")
        name = request.need("Name")
        if _NAME.fullmatch(name) is None:
            raise invalid("Request/Name takes Chinese and Latin letters, digits, _, - and *, at most 64")
        settings = read_settings(request)
        if any(each.name == name and each != old for each in self._of(bucket)):
            raise CiError("TemplateNameDuplicate", f"There is a template with the name {name}.")
        if old is None and len(self._templates) >= FEW:
            raise invalid(f"The emulator keeps at most {FEW} templates.")
        template = SavedTemplate(
            id=old.id if old else f"t{uuid.uuid4().hex}",
            bucket=bucket,
            name=name,
            settings=settings,
            created=old.created if old else now,
            updated=now,
        )
        self._templates[template.id] = template
        return template

    def delete(self, bucket: str, template_id: str) -> None:
        """
        Remove a template.

        :raises CiError: there is none.
        """
        del self._templates[self.get(bucket, template_id).id]

    def page(self, bucket: str, query: dict[str, str]) -> Tree:
        """
        Return one page of the bucket's templates.

        :param query: ``tag``, ``category``, ``ids``, ``name`` (a prefix), ``pageNumber``, ``pageSize``.
        :raises CiError: a value is not one that they may have.
        """
        if query.get("category", "Custom") not in ("Custom", "Official"):
            raise invalid("category must be Custom or Official")
        ids = [each for each in query.get("ids", "").split(",") if each]
        mine = {each.id: each for each in self._of(bucket) if query.get("category") != "Official"}
        wanted = [
            each
            for each in mine.values()
            if each.name.startswith(query.get("name", ""))
            and (not ids or each.id in ids)
            and query.get("tag", "All") in ("All", "VoiceSeparate")
        ]
        shown, counts = page_of(wanted, query)
        missing = [each for each in ids if each not in mine]
        tree: dict[str, Value] = {**counts, "TemplateList": [each.as_tree() for each in shown]}
        if missing:
            tree["NonExistTIDs"] = {"TemplateId": missing}
        return tree

    def _of(self, bucket: str) -> list[SavedTemplate]:
        return [each for each in self._templates.values() if each.bucket == bucket]
