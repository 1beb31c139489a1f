"""
Cloud Infinite: voice separation jobs, templates and queues as flows (CI API reference sections 2 to 8).

Everything but the host is one table of paths; bodies are built in ``requests``, answers read in ``answers``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_mediax.exceptions import AuthenticationFailed, BadRequest, MediaxError, ProtocolError
from airflow_provider_mediax.protocol.ci.answers import (
    QUEUE_WANTED,
    SERVICE_ZONE,
    STATES,
    JobPage,
    Queue,
    Template,
    count,
    read_jobs,
    read_queues,
    read_template,
    refusal,
    request_id_of,
    slowed_down,
    texts,
)
from airflow_provider_mediax.protocol.ci.requests import (
    TAG,
    AudioConfig,
    template_body,
)
from airflow_provider_mediax.protocol.ci.xml import read_xml, write_xml
from airflow_provider_mediax.protocol.cos_host import BucketAccess, CosHost
from airflow_provider_mediax.protocol.cos_signature import NOTHING
from airflow_provider_mediax.protocol.exchange import Call, Flow, JsonObject, Repeat, Reply
from airflow_provider_mediax.protocol.job import Job, JobList
from airflow_provider_mediax.protocol.json_body import objects, text
from airflow_provider_mediax.protocol.names import check, check_choice

IDS_PER_CALL = 10
"""Ids that one describe or cancel takes (section 14)."""

PAGE_SIZE = 100
"""Largest page of a list of jobs (section 14)."""

MOST_PAGES = 50
"""Pages that are read of one list, before it counts as endless."""

LIST_MARGIN = 120
"""Seconds by which a look-up begins earlier than asked: clocks may differ by a minute before anybody notices."""

SMART_AUDIO_QUEUE = "queue-smart-audio-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudInfinite(BucketAccess):
    """The operations on one bucket."""

    @property
    def host(self) -> str:
        """The service's own name of the bucket's host (section 2)."""
        return f"{self.bucket}.ci.{self.region}.myqcloud.com"

    @property
    def base_url(self) -> str:
        """Where requests are sent to."""
        return self._place(self.host).base_url

    def submit(self, body: JsonObject, marker: str) -> Flow[Job]:
        """
        Create a job (section 4). Never repeated after an unknown outcome.

        Where the service insists on a queue, which it does by a refusal, the request is sent once more with its id.

        :param body: content of ``Request``.
        :param marker: first word of its ``UserData``.
        """
        try:
            return (yield from self._submit(body, marker))
        except BadRequest as refused:
            if body.get("QueueId") is not None or refused.code not in QUEUE_WANTED:
                raise
            queue_id = yield from self._queue_id(refused)
        return (yield from self._submit({**body, "QueueId": queue_id}, marker))

    def describe(self, ids: Sequence[str]) -> Flow[Mapping[str, Job]]:
        """
        Read 1 to 10 jobs (section 5.2); an id that the service does not know is absent.

        :raises BadRequest: too many ids, or one that could not be sent.
        """
        action = "DescribeJobs"
        reply = yield self._call(action, "GET", f"/jobs/{_joined(ids)}")
        content = self._read(action, reply)
        found, all_read = read_jobs(content, f"The answer to {action}")
        jobs = {job.id: job for job in found if job.id in ids}
        missing = set(ids) - set(jobs) - set(texts(content.get("NonExistJobIds")))
        if missing and not all_read:
            raise ProtocolError(f"The answer to {action} holds a job that cannot be read")
        if missing and (others := [job.id for job in found if job.id not in ids]):
            raise ProtocolError(f"The answer to {action} is about another job, {others[0]}")
        return jobs

    def list_jobs(
        self,
        *,
        queue_id: str | None = None,
        states: str | Collection[str] = "All",
        start: float | None = None,
        end: float | None = None,
        input_object: str | None = None,
        size: int = PAGE_SIZE,
        next_token: str | None = None,
        order: str = "Desc",
    ) -> Flow[JobPage]:
        """
        List one page of voice separation jobs (section 5.3).

        :param queue_id: required by every page of the reference, by no SDK.
        :param states: ``All``, or some of :data:`STATES`, with commas between or as a collection.
        :param start: epoch seconds in the service's clock; jobs created from then on.
        :param end: epoch seconds in the service's clock; jobs created up to then.
        :param input_object: key of the source, matched exactly.
        :param size: jobs per page, 1 to 100.
        :param next_token: from the page before.
        :param order: by time: ``Desc`` or ``Asc``.
        """
        if not 1 <= size <= PAGE_SIZE:
            raise BadRequest.field("size", size, f"it must be from 1 to {PAGE_SIZE}.")
        check_choice("order", order, ("Desc", "Asc"))
        named = states.split(",") if isinstance(states, str) else list(states)
        if named != ["All"]:
            for state in named:
                check_choice("states", state, tuple(STATES))
        if queue_id is not None:
            check("queue_id", queue_id)
        if input_object is not None:
            check("input_object", input_object)
        query = {
            "queueId": queue_id,
            "tag": TAG,
            "orderByTime": order,
            "states": ",".join(named),
            "startCreationTime": _time("start", start),
            "endCreationTime": _time("end", end),
            "inputObject": input_object,
            "size": str(size),
            "nextToken": next_token,
        }
        action = "ListJobs"
        reply = yield self._call(action, "GET", "/jobs", {name: said for name, said in query.items() if said})
        content = self._read(action, reply)
        jobs, all_read = read_jobs(content, f"The answer to {action}")
        # How a last page looks is undocumented: no token, an empty one, or a page without jobs.
        empty = not jobs and all_read
        return JobPage(jobs, None if empty else text(content.get("NextToken")), all_read)

    def list_all(
        self,
        wanted: Callable[[Job], bool],
        *,
        start: float | None = None,
        end: float | None = None,
        input_object: str | None = None,
    ) -> Flow[JobList]:
        """
        List the jobs of a time from all pages, newest first.

        Asked without a queue first, and with the smart-audio queue's id if the service insists on one (section 11).

        :param wanted: which of them are kept.
        :param start: epoch seconds in the service's clock; ``end`` likewise.
        :param input_object: key of the source, to have less to read.
        :return: not complete if the list had no end, or held something that cannot be read.
        """
        queue_id: str | None = None
        token: str | None = None
        found: dict[str, Job] = {}
        tokens: set[str] = set()
        complete = True
        for _ in range(MOST_PAGES):
            try:
                page = yield from self.list_jobs(
                    queue_id=queue_id, start=start, end=end, input_object=input_object, next_token=token
                )
            except BadRequest as refused:
                if queue_id is not None or token is not None or refused.code not in QUEUE_WANTED:
                    raise
                queue_id = yield from self._queue_id(refused)
                continue
            found |= {job.id: job for job in page.jobs if wanted(job)}
            complete = complete and page.complete
            token = page.next_token
            if token is None or token in tokens:
                break
            tokens.add(token)
        jobs = sorted(found.values(), key=lambda job: job.created_at.timestamp() if job.created_at else 0.0)
        # What was not read may be a job that was paid for, so it never proves that there is none.
        return JobList(jobs[::-1], complete=complete and token is None)

    def cancel(self, ids: Sequence[str]) -> Flow[None]:
        """
        Cancel 1 to 10 jobs that have not started (section 5.4).

        What the service answers for one that runs is undocumented: describe it afterwards, and take any final state.
        """
        action = "CancelJobs"
        reply = yield self._call(action, "PUT", f"/jobs/{_joined(ids)}", {"cancel": ""})
        self._done(action, reply)

    def create_template(self, name: str, mode: str, audio: AudioConfig) -> Flow[Template]:
        """
        Create a template (section 7). Never repeated after an unknown outcome.

        :param name: 1 to 64 Chinese or Latin letters, digits, ``_``, ``-``, ``*``; no two templates share one.
        """
        body = template_body(name, mode, audio)
        reply = yield self._call("CreateTemplate", "POST", "/template", body=body, repeat=Repeat.NEVER)
        return self._template("CreateTemplate", reply)

    def ensure_template(self, name: str, mode: str, audio: AudioConfig) -> Flow[Template]:
        """
        Return the template of that name, created if there is none.

        :raises BadRequest: a template of that name does something else.
        """
        found = yield from self._template_named(name, mode, audio)
        if found is not None:
            return found
        try:
            return (yield from self.create_template(name, mode, audio))
        except MediaxError:  # another task was faster, or the answer was lost: look once more
            found = yield from self._template_named(name, mode, audio)
            if found is None:
                raise
            return found

    def get_templates(
        self, *, ids: Sequence[str] = (), name: str | None = None, category: str = "Custom"
    ) -> Flow[list[Template]]:
        """
        List the voice separation templates, all pages of them (section 7); an unknown id is absent.

        :param ids: only these.
        :param name: only those whose name begins so.
        :param category: ``Custom`` or ``Official``.
        :raises ProtocolError: the list has no end.
        """
        check_choice("category", category, ("Custom", "Official"))
        for template_id in ids:
            check("template_id", template_id)
        query = {"tag": TAG, "category": category, "ids": ",".join(ids), "name": name or ""}
        query = {parameter: said for parameter, said in query.items() if said}
        action = "ListTemplates"
        found: dict[str, Template] = {}
        seen = 0
        for number in range(1, MOST_PAGES + 1):
            page = {"pageNumber": str(number), "pageSize": str(PAGE_SIZE)}
            reply = yield self._call(action, "GET", "/template", {**query, **page})
            content = self._read(action, reply)
            listed = objects(content.get("TemplateList"))
            read = [template for raw in listed if (template := read_template(raw)) is not None]
            fresh = [template for template in read if template.id not in found]
            found |= {template.id: template for template in fresh}
            seen += len(listed)
            total = count(content.get("TotalCount"))
            # Without a total, the list ends with a page that says nothing new; so it does where paging is ignored.
            if ids or not fresh or (total is not None and seen >= total):
                return [template for template in found.values() if text(template.raw.get("Tag")) in (None, TAG)]
        raise ProtocolError(f"The service lists more than {MOST_PAGES} pages of templates")

    def queues(self) -> Flow[list[Queue]]:
        """List the smart-audio queues (section 8); there can be only one."""
        query = {"state": "All", "pageNumber": "1", "pageSize": "10"}
        reply = yield self._call("ListQueues", "GET", "/asrqueue", query)
        return read_queues(self._read("ListQueues", reply))

    def activation(self) -> Flow[bool]:
        """
        Tell whether Smart Audio is activated on the bucket (section 1).

        The call is asked of the region, not of the bucket, as the official SDK does it.
        """
        query = {"regions": self.region, "bucketNames": self.bucket, "pageNumber": "1", "pageSize": "10"}
        host = f"ci.{self.region}.myqcloud.com"
        reply = yield self._call("DescribeActivation", "GET", "/asrbucket", query, host=host)
        listed = objects(self._read("DescribeActivation", reply).get("AsrBucketList"))
        return any(self.bucket in (text(raw.get("BucketId")), text(raw.get("Name"))) for raw in listed)

    def _submit(self, body: JsonObject, marker: str) -> Flow[Job]:
        action = "SubmitJob"
        reply = yield self._call(action, "POST", "/jobs", body=write_xml("Request", body), repeat=Repeat.NEVER)
        jobs, _ = read_jobs(self._read(action, reply), f"The answer to {action}")
        if not jobs:
            raise ProtocolError(f"The answer to {action} holds no job id", status=reply.status if reply else None)
        if jobs[0].marker not in (None, marker):
            raise ProtocolError(f"The answer to {action} is about another job, {jobs[0].id}", marker=marker)
        return jobs[0]

    def _template_named(self, name: str, mode: str, audio: AudioConfig) -> Flow[Template | None]:
        listed = yield from self.get_templates(name=name)
        found = next((template for template in listed if template.name == name), None)
        if found is not None and not found.is_like(mode, audio):
            rule = f"template {found.id} has this name and another mode or encoding."
            raise BadRequest.field("name", name, rule)
        return found

    def _queue_id(self, refused: BadRequest) -> Flow[str]:
        """Return the smart-audio queue's id, or raise the refusal that made somebody ask for it."""
        try:
            queues = yield from self.queues()
        except (BadRequest, AuthenticationFailed):
            raise refused from None
        if not queues:
            raise refused
        return next((queue.id for queue in queues if queue.name == SMART_AUDIO_QUEUE), queues[0].id)

    def _call(
        self,
        action: str,
        method: str,
        path: str,
        query: Mapping[str, str] = NOTHING,
        *,
        body: bytes = b"",
        repeat: Repeat = Repeat.SAFE,
        host: str | None = None,
    ) -> Call:
        headers = {"Content-Type": "application/xml"} if body else NOTHING
        place = self._place(host or self.host)
        return place.call(action, method, path, query, headers=headers, body=body, repeat=repeat)

    def _place(self, host: str) -> CosHost:
        return CosHost(
            name=host,
            keys=self.keys,
            token_header="x-ci-security-token",  # noqa: S106 - the name of a header
            throttled=slowed_down,
            endpoint=self.endpoint,
        )

    def _read(self, action: str, reply: Reply | None) -> JsonObject:
        """
        Return the content of ``Response``, or raise what the answer says instead.

        An error envelope outranks the status, and the status outranks everything else.
        """
        if reply is None:
            raise ProtocolError(f"{action} was given no answer")
        try:
            root, content = read_xml(reply.body, f"The answer to {action}")
        except ProtocolError as unreadable:
            unreadable.status = reply.status
            unreadable.request_id = reply.headers.get("x-ci-request-id")
            if reply.status < 300:
                raise
            root, content = "", {}
        if root == "Error" or reply.status >= 300:
            raise refusal(action, reply, content if root == "Error" else {}, self.keys.hide)
        if root != "Response":
            request_id = request_id_of(reply, {})
            raise ProtocolError(f"The answer to {action} is no Response", status=reply.status, request_id=request_id)
        return content

    def _done(self, action: str, reply: Reply | None) -> None:
        """Accept an answer without a body, or one that says nothing bad."""
        if reply is None or reply.body.strip() or not 200 <= reply.status < 300:
            self._read(action, reply)

    def _template(self, action: str, reply: Reply | None) -> Template:
        content = self._read(action, reply)
        template = next((read for raw in objects(content.get("Template")) if (read := read_template(raw))), None)
        if template is None:
            raise ProtocolError(f"The answer to {action} holds no template id", status=reply.status if reply else None)
        return template


def _joined(ids: Sequence[str]) -> str:
    if not 1 <= len(ids) <= IDS_PER_CALL:
        raise BadRequest.field("ids", list(ids), f"one call takes 1 to {IDS_PER_CALL} ids.")
    for job_id in ids:
        check("job_id", job_id)
    return ",".join(ids)


def _time(name: str, moment: float | None) -> str | None:
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, SERVICE_ZONE).strftime("%Y-%m-%dT%H:%M:%S%z")
    except (ValueError, OverflowError, OSError):
        raise BadRequest.field(name, moment, "it must be a time in epoch seconds.") from None
