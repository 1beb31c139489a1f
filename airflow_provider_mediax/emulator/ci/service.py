"""The Cloud Infinite hosts: jobs, templates and queues of voice separation."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from airflow_provider_mediax.emulator.ci.audio import STEMS
from airflow_provider_mediax.emulator.ci.callbacks import notify
from airflow_provider_mediax.emulator.ci.errors import CiError, invalid
from airflow_provider_mediax.emulator.ci.jobs import LIFECYCLE, CiJob, StemFile
from airflow_provider_mediax.emulator.ci.queues import Queues, SmartAudioQueue, queue_page, unknown_queue
from airflow_provider_mediax.emulator.ci.submit import TAG, read_submission
from airflow_provider_mediax.emulator.ci.templates import Templates
from airflow_provider_mediax.emulator.ci.views import job_tree, list_page
from airflow_provider_mediax.emulator.ci.wire import Tree, Value, as_xml, page_of, time_text
from airflow_provider_mediax.emulator.shared.accounts import Customer
from airflow_provider_mediax.emulator.shared.faults import Refusal
from airflow_provider_mediax.emulator.shared.jobs import JobBoard, WorkFailed
from airflow_provider_mediax.emulator.shared.ledger import CancelRecord, RequestRecord
from airflow_provider_mediax.emulator.shared.objects import NoSuchKey
from airflow_provider_mediax.emulator.shared.q_sign import SignatureRefusal, signer_of
from airflow_provider_mediax.emulator.shared.wire import RequestTarget, request_id
from airflow_provider_mediax.emulator.shared.world import World
from airflow_provider_mediax.emulator.sound.analysis import NotAudio
from airflow_provider_mediax.emulator.sound.pool import Analysis, AnalysisBroke

TOKEN = "x-ci-security-token"  # noqa: S105 - the name of a header
IDS_LIMIT = 10
"""Ids in one describe or cancel."""

PRECONDITIONS = ("bucket_bound", "smart_audio", "role", "queue_id_optional")
"""What must hold at the account before its calls work."""

_HOST = re.compile(r"(?:(?P<bucket>[a-z0-9][a-z0-9-]*)\.)?ci\.(?P<region>[a-z0-9-]+)\.myqcloud\.com")
_PATH = re.compile(r"/(jobs|template|asrqueue|asrbucket)(?:/([^/]+))?", re.DOTALL)
_ACTIONS = {
    ("POST", "jobs", False): "SubmitCiJob",
    ("GET", "jobs", False): "ListCiJobs",
    ("GET", "jobs", True): "DescribeCiJobs",
    ("PUT", "jobs", True): "CancelCiJobs",
    ("POST", "template", False): "CreateCiTemplate",
    ("GET", "template", False): "ListCiTemplates",
    ("PUT", "template", True): "UpdateCiTemplate",
    ("DELETE", "template", True): "DeleteCiTemplate",
    ("GET", "asrqueue", False): "ListCiQueues",
    ("PUT", "asrqueue", True): "UpdateCiQueue",
    ("GET", "asrbucket", False): "ListCiBuckets",
    ("POST", "asrbucket", False): "OpenCiBucket",
}
_CONTENT_TYPES = {"mp3": "audio/mpeg", "flac": "audio/flac"}


@dataclass(slots=True)
class _Asked:
    """One request on its way: who asks for what."""

    body: bytes
    record: RequestRecord
    bucket: str
    region: str
    cos_id: str
    account: Customer
    argument: str
    query: dict[str, str]


def place_of(host: str) -> tuple[str, str] | None:
    """Return bucket (empty for the host of the region itself) and region, None for any other host."""
    found = _HOST.fullmatch(host)
    return (found["bucket"] or "", found["region"]) if found else None


class CiEndpoint:
    """
    Answers requests to ``<bucket>.ci.<region>.myqcloud.com``.

    :param world: accounts, buckets, time, and what tests decided.
    :param analysis: separates.
    :ivar missing: preconditions that do not hold.
    """

    def __init__(self, world: World, analysis: Analysis) -> None:
        self._world = world
        self._analysis = analysis
        self.missing: set[str] = set()
        self.templates = Templates()
        self.queues = Queues()
        self.jobs: JobBoard[CiJob] = JobBoard(
            world.clock, world.plan, world.settings.max_records, LIFECYCLE, self._separate, self._notify
        )
        self._answers: dict[str, Callable[[_Asked], Tree | None]] = {
            "SubmitCiJob": self._submit,
            "ListCiJobs": self._list,
            "DescribeCiJobs": self._describe,
            "CancelCiJobs": self._cancel,
            "CreateCiTemplate": self._save_template,
            "ListCiTemplates": self._list_templates,
            "UpdateCiTemplate": self._save_template,
            "DeleteCiTemplate": self._delete_template,
            "ListCiQueues": self._list_queues,
            "UpdateCiQueue": self._update_queue,
            "ListCiBuckets": self._list_buckets,
            "OpenCiBucket": self._open_bucket,
        }

    async def reset(self) -> None:
        """Stop and forget all jobs, templates and queues; every precondition holds again."""
        await self.jobs.reset()
        self.templates.reset()
        self.queues.reset()
        self.missing.clear()

    def queue_of(self, bucket: str) -> SmartAudioQueue:
        """Return the smart-audio queue of a bucket."""
        return self.queues.of(bucket, self._world.clock.now())

    async def handle(self, request: web.Request, target: RequestTarget, record: RequestRecord) -> web.StreamResponse:
        """Answer one request."""
        record.action = action_of(target)
        body = await request.read()

        async def act() -> web.Response:
            try:
                return self._act(target, body, record)
            except CiError as error:
                return _error(error.status, error.code, str(error))

        def refuse(refusal: Refusal) -> web.Response:
            # Cloud Infinite has no error in a 200.
            status = HTTPStatus.BAD_REQUEST if refusal.status == HTTPStatus.OK else refusal.status
            return _error(status, refusal.code, refusal.message)

        response = await self._world.faults.answer(request, record, act, refuse)
        if not response.prepared:
            response.headers.setdefault("x-ci-request-id", request_id())
        return response

    def _act(self, target: RequestTarget, body: bytes, record: RequestRecord) -> web.Response:
        asked = self._admit(target, body, record)
        answer = self._answers.get(record.action)
        if answer is None:
            raise CiError("NotImplemented", "The emulator does not have this operation.")
        identity = request_id()
        tree = answer(asked)
        if tree is None:
            return web.Response(headers={"x-ci-request-id": identity})
        if record.action not in _WITHOUT_REQUEST_ID:
            tree = {"RequestId": identity, **tree}
        return _xml(as_xml("Response", tree), 200, identity)

    def _admit(self, target: RequestTarget, body: bytes, record: RequestRecord) -> _Asked:
        bucket, region = place_of(target.host) or ("", "")
        if bucket and self._world.store.find(bucket, region) is None:
            raise CiError("NoSuchBucket", "The specified bucket does not exist.")
        try:
            cos_id = signer_of(target, self._world.accounts, self._world.clock.now(), TOKEN)
        except SignatureRefusal as refusal:
            raise CiError(refusal.ci_code, refusal.message) from None
        if not bucket and record.action != "ListCiBuckets":
            raise CiError("InvalidHost", "The host must begin with a bucket.")
        owned = self._world.accounts.buckets_of(cos_id)
        account = next((account for account in owned if bucket in ("", account.bucket)), None)
        if account is None:
            raise CiError("AccessDenied", "Access Denied.")
        if record.action != "ListCiBuckets" and "bucket_bound" in self.missing:
            raise CiError("MediaBucketUnBinded", "The bucket is not bound to Cloud Infinite.")
        if record.action not in _BEFORE_ACTIVATION and "smart_audio" in self.missing:
            raise CiError("MediaBucketUnBinded", "Smart audio is not activated for the bucket.")
        found = _PATH.fullmatch(target.path)
        # A signature in the address is none of the operation's parameters.
        query = {name: text for name, text in target.query.items() if not name.startswith("q-") and name != TOKEN}
        argument = found[2] or "" if found else ""
        return _Asked(body, record, bucket, region, cos_id, account, argument, query)

    def _submit(self, asked: _Asked) -> Tree:
        submission = read_submission(asked.body, lambda wanted: self.templates.get(asked.bucket, wanted))
        queue = self.queue_of(asked.bucket)
        self._check_queue(queue, submission.queue_id)
        if "role" in self.missing:
            raise CiError("CIRoleNotExist", "The role CI_QCSRole does not exist.")
        job = self.jobs.start(
            CiJob(
                account=asked.account,
                capability=TAG,
                owner=asked.bucket,
                marker=submission.marker,
                region=asked.region,
                cos_id=asked.cos_id,
                submission=submission,
                queue=queue,
            )
        )
        asked.record.job_id, asked.record.marker = job.id, job.marker
        return {"JobsDetail": job_tree(job)}

    def _check_queue(self, queue: SmartAudioQueue, named: str | None) -> None:
        if named not in (None, queue.id) or (named is None and "queue_id_optional" in self.missing):
            raise unknown_queue(named)

    def _list(self, asked: _Asked) -> Tree:
        self._check_queue(self.queue_of(asked.bucket), asked.query.get("queueId") or None)
        given = {name: text for name, text in asked.query.items() if text}
        jobs, token = list_page(self.jobs.listed(asked.bucket), given)
        return {"JobsDetail": [job_tree(job) for job in jobs], "NextToken": token}

    def _ids(self, asked: _Asked) -> list[str]:
        ids = asked.argument.split(",")
        asked.record.job_id = asked.argument
        if len(ids) > IDS_LIMIT or "" in ids:
            raise invalid(f"1 to {IDS_LIMIT} job ids must be given, separated by commas")
        return list(dict.fromkeys(ids))

    def _describe(self, asked: _Asked) -> Tree:
        ids = self._ids(asked)
        found = [job for each in ids if (job := self.jobs.get(asked.bucket, each))]
        unknown = [each for each in ids if each not in {job.id for job in found}]
        if len(found) == 1:
            asked.record.marker = found[0].marker
        tree: dict[str, Value] = {"JobsDetail": [job_tree(job) for job in found], "NonExistJobIds": unknown}
        return {name: each for name, each in tree.items() if each}

    def _cancel(self, asked: _Asked) -> None:
        ids, now = self._ids(asked), self._world.clock.now()
        jobs = {each: self.jobs.get(asked.bucket, each) for each in ids}
        states = {each: job.state.value if job else None for each, job in jobs.items()}
        # Whether the service cancels the others is undocumented; here one wrong id spares all.
        wrong = [each for each, state in states.items() if state not in ("Submitted", "Pause")]
        for each, job in jobs.items():
            accepted = not wrong and job is not None and self.jobs.cancel(job)
            self._world.ledger.cancel(CancelRecord(now, each, states[each], accepted))
        if wrong:
            raise invalid(f"The job {wrong[0]} cannot be canceled: {states[wrong[0]] or 'it does not exist'}.")

    def _save_template(self, asked: _Asked) -> Tree:
        now = self._world.clock.now()
        return {"Template": self.templates.save(asked.bucket, asked.body, now, asked.argument or None).as_tree()}

    def _list_templates(self, asked: _Asked) -> Tree:
        return self.templates.page(asked.bucket, asked.query)

    def _delete_template(self, asked: _Asked) -> Tree:
        self.templates.delete(asked.bucket, asked.argument)
        return {"TemplateId": asked.argument}

    def _list_queues(self, asked: _Asked) -> Tree:
        # The queue is made by the activation.
        return queue_page([] if "smart_audio" in self.missing else [self.queue_of(asked.bucket)], asked.query)

    def _update_queue(self, asked: _Asked) -> Tree:
        now = self._world.clock.now()
        return {"Queue": self.queues.update(asked.bucket, asked.argument, asked.body, now).as_tree()}

    def _list_buckets(self, asked: _Asked) -> Tree:
        prefix, names = asked.query.get("bucketName", ""), asked.query.get("bucketNames", "")
        open_ones = (
            [] if {"smart_audio", "bucket_bound"} & self.missing else self._world.accounts.buckets_of(asked.cos_id)
        )
        wanted = [
            self._bucket_tree(account.bucket, account.region)
            for account in open_ones
            if account.bucket.startswith(prefix) and (not names or account.bucket in names.split(","))
            if account.region == asked.region
        ]
        shown, counts = page_of(wanted, asked.query)
        return {**counts, "AsrBucketList": shown}

    def _open_bucket(self, asked: _Asked) -> Tree:
        self.missing.discard("smart_audio")
        return {"AsrBucket": self._bucket_tree(asked.bucket, asked.region)}

    def _bucket_tree(self, bucket: str, region: str) -> Tree:
        created = time_text(self.queue_of(bucket).created)
        return {"Name": bucket, "BucketId": bucket, "Region": region, "CreateTime": created}

    async def _separate(self, job: CiJob) -> None:
        submission, settings = job.submission, job.submission.settings
        source = self._world.store.find(job.owner, job.region)
        try:
            if source is None:
                raise NoSuchKey(submission.source)
            data = source.get(submission.source).data
        except NoSuchKey:
            raise WorkFailed(f"the bucket has no {submission.source!r}", "ResourceNotFound") from None
        goal = submission.output["Bucket"]
        output = self._world.store.find(goal, submission.output["Region"])
        if output is None or not self._world.accounts.may_use(job.cos_id, goal):
            raise WorkFailed(f"the bucket {goal} cannot be written to", "WriteTargetBucketDenied")
        try:
            stems = await self._analysis.separate(
                data, STEMS[settings.mode], settings.codec, settings.rate, settings.channels
            )
        except (NotAudio, AnalysisBroke) as error:
            raise WorkFailed(str(error), "InvalidContent") from None
        for stem in stems:
            key = submission.key_of(stem.name)
            job.files.put(output, key, stem.data, _CONTENT_TYPES.get(stem.facts.form, "audio/wav"))
            md5 = hashlib.md5(stem.data, usedforsecurity=False).hexdigest()
            job.stems.append(StemFile(key, md5, len(stem.data), stem.facts))

    async def _notify(self, job: CiJob) -> None:
        await notify(job, self._world)


_WITHOUT_REQUEST_ID = ("SubmitCiJob", "ListCiJobs", "DescribeCiJobs")
_BEFORE_ACTIVATION = ("ListCiQueues", "ListCiBuckets", "OpenCiBucket")


def action_of(target: RequestTarget) -> str:
    """Name the operation of a request, ``Unknown`` if the emulator does not have it."""
    found = _PATH.fullmatch(target.path)
    if found is None:
        return "Unknown"
    action = _ACTIONS.get((target.method, found[1], found[2] is not None), "Unknown")
    return "Unknown" if (action == "CancelCiJobs") != ("cancel" in target.query) else action


def _error(status: int, code: str, message: str) -> web.Response:
    identity = request_id()
    trace = base64.b64encode(identity.encode()).decode()
    members = {"Code": code, "Message": message, "RequestId": identity, "TraceId": trace}
    return _xml(as_xml("Error", members), status, identity)


def _xml(body: bytes, status: int, identity: str) -> web.Response:
    headers = {"x-ci-request-id": identity}
    return web.Response(status=status, body=body, content_type="application/xml", headers=headers)
