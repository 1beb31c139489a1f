"""What Cloud Infinite answers: jobs, results, templates, queues and errors (CI API reference sections 4 to 10)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.protocol.ci.requests import ROLES, TAG, AudioConfig, is_id
from airflow_provider_mediax.protocol.ci.xml import read_xml
from airflow_provider_mediax.protocol.exchange import (
    JsonObject,
    Reply,
    outcome_unknown,
    plain_words,
    redirect_target,
)
from airflow_provider_mediax.protocol.job import Job, JobState
from airflow_provider_mediax.protocol.json_body import member, objects, text
from airflow_provider_mediax.protocol.rows import Place, ResultView
from airflow_provider_mediax.protocol.urls import CosAddress, shown_line

STATES: Mapping[str, JobState] = MappingProxyType(
    {
        "Submitted": JobState.OPEN,
        "Running": JobState.OPEN,
        "Pause": JobState.OPEN,
        "Success": JobState.SUCCEEDED,
        "Failed": JobState.FAILED,
        "Cancel": JobState.CANCELED,
    }
)
"""Section 5.1: the service's words and what they mean."""

SERVICE_ZONE = timezone(timedelta(hours=8))
"""The offset of every time in the reference."""

QUEUE_WANTED = frozenset(("QueueNotFound", "InvalidArgument"))
"""Codes with which a deployment may insist on a queue's id (section 11)."""

_KEYS = "Check cos_secret_id, cos_secret_key and cos_token of the connection."
_ACTIVATE = (
    "Bind the bucket to Cloud Infinite and activate Smart Audio on it, in the console; "
    "media processing alone is not enough."
)
_INPUT = "Check that the source is an object of the bucket, and that the role CI_QCSRole may read it."
_CODES: Mapping[str, tuple[type[MediaxError], str]] = MappingProxyType(
    {
        "SlowDown": (Throttled, Throttled.default_advice),
        "MissingAuthorization": (AuthenticationFailed, _KEYS),
        "InvalidAuthorization": (AuthenticationFailed, _KEYS),
        "SecretidNotExist": (AuthenticationFailed, _KEYS),
        "AccessDenied": (
            AuthenticationFailed,
            "Check the keys and the rights of their user: a submit needs ci:CreateMediaJobs and cam:PassRole.",
        ),
        "SignatureExpired": (
            AuthenticationFailed,
            "Check the clock of this machine, and whether temporary keys ended.",
        ),
        "InternalError": (Unavailable, ""),
        "RequestTimeout": (Unavailable, ""),
        "TemporaryRedirect": (Unavailable, ""),
        "PermanentRedirect": (BadRequest, "Check the bucket's region."),
        "InvalidHost": (BadRequest, "Check bucket and region."),
        "NoSuchBucket": (BadRequest, "Check bucket, with its APPID, and region."),
        "MediaBucketUnBinded": (BadRequest, _ACTIVATE),
        "CIRoleNotExist": (BadRequest, "Authorize Cloud Infinite in its console, which makes the role CI_QCSRole."),
        "QueueNotFound": (
            BadRequest,
            "Leave queue_id out, or give the smart-audio queue's; a media queue's does not do.",
        ),
        "TemplateNotFound": (BadRequest, "Check template_id: a template belongs to one bucket."),
        "TemplateNameDuplicate": (BadRequest, "Take the template that has the name, or another name."),
        "CreatedTemplateNumLimit": (BadRequest, "Delete templates that nothing uses."),
        "ResourceNotFound": (BadRequest, _INPUT),
        "ResourceAccessDenied": (BadRequest, _INPUT),
        "ResourceDownloadFailed": (BadRequest, _INPUT),
        "WriteTargetBucketDenied": (BadRequest, "Check that the role CI_QCSRole may write to the output bucket."),
        "InvalidArgument": (BadRequest, "Correct the request."),
        "InvalidContent": (BadRequest, "Correct the request."),
        "MissingContent": (BadRequest, "Correct the request."),
        "InvalidContentType": (BadRequest, "Correct the request."),
        "InvalidUrl": (BadRequest, "Correct the request."),
    }
)
_WILDCARD = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class JobPage:
    """
    One page of a list.

    :param next_token: None on the last page.
    :param complete: False when the page holds something that cannot be read.
    """

    jobs: list[Job]
    next_token: str | None
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """
    A voice separation template (section 7).

    :param mode: its ``AudioMode``, None if the service did not say.
    :param audio: its ``AudioConfig`` as the service sent it: text by node name.
    :param raw: everything the service sent about it.
    """

    id: str
    name: str | None = None
    mode: str | None = None
    audio: Mapping[str, str] = field(default_factory=dict)
    category: str | None = None
    bucket: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)

    def is_like(self, mode: str, audio: AudioConfig) -> bool:
        """Tell whether it does what is asked for; what ``audio`` leaves open may be anything."""
        wanted = {name: str(value) for name, value in audio.wire().items() if value is not None}
        return self.mode == mode and all(self.audio.get(name) == value for name, value in wanted.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """
    A queue (section 8). The address of its callback is left out: it may hold a password.

    :param state: ``Active`` or ``Paused``.
    :param max_size: jobs that may wait; None if the service did not say.
    :param max_concurrent: jobs that run at once; likewise.
    """

    id: str
    name: str | None = None
    state: str | None = None
    max_size: int | None = None
    max_concurrent: int | None = None


def read_job(raw: JsonObject, where: str) -> Job:
    """
    Read a ``JobsDetail`` (section 4.5). ``State`` decides; ``Code`` means something on failed jobs only.

    :raises ProtocolError: it has no usable id, so nothing could be done with it.
    """
    job_id = text(raw.get("JobId"))
    if job_id is None or not is_id(job_id):
        raise ProtocolError(f"{where} holds no job id")
    state_name = text(raw.get("State")) or "(no state)"
    state = STATES.get(state_name, JobState.UNKNOWN)
    message = None
    if state is JobState.FAILED:
        said = [part for part in (text(raw.get("Code")), text(raw.get("Message"))) if part]
        message = shown_line(": ".join(said)) or None
    words = (text(member(raw, "Operation").get("UserData")) or "").split(maxsplit=1)
    return Job(
        id=job_id,
        state=state,
        state_name=state_name,
        marker=words[0] if words else None,
        message=message,
        created_at=read_time(raw.get("CreationTime")),
        started_at=read_time(raw.get("StartTime")),
        completed_at=read_time(raw.get("EndTime")) if state.final else None,
        # The callback's address comes back too, and may hold a password.
        raw={name: value for name, value in raw.items() if not name.startswith("CallBack")},
    )


def read_jobs(content: JsonObject, where: str) -> tuple[list[Job], bool]:
    """Read every ``JobsDetail`` of an answer, and tell whether all of them could be read."""
    details = content.get("JobsDetail")
    jobs: list[Job] = []
    unread = len(details) - len(objects(details)) if isinstance(details, list) else 0
    for raw in objects(details):
        try:
            jobs.append(read_job(raw, where))
        except ProtocolError:
            unread += 1
    return jobs, unread == 0


def read_time(value: object) -> datetime | None:
    """
    Read ``2022-06-27T15:23:10+0800``; ``-``, empty, missing and unreadable mean "not yet" (section 4.5).

    :return: in UTC, so that it can be shown in any zone.
    """
    return _moment(text(value) or "-")


@functools.lru_cache(maxsize=4096)
def _moment(said: str) -> datetime | None:
    """Read one moment; every poll of a job says the same again."""
    try:
        moment = datetime.fromisoformat(said)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=SERVICE_ZONE)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1970 else None


def read_separation(job: Job, bucket: str, region: str) -> ResultView:
    """
    Read what a finished job wrote (section 6): ``{"stems": {role: address}}`` and the files.

    Which file is which stem follows from the names that were asked for, never from their order. A file that fits none
    is ``unknown``, the next one ``unknown_2``. A job that is not finished, or whose answer names no files,
    has no stems; :func:`expected_stems` says which ones it should have.

    :param bucket: bucket of the host, where the job names none.
    :param region: of the host.
    """
    place = Place(bucket=bucket, region=region)
    tag = text(job.raw.get("Tag")) or TAG
    source = member(job.raw, "Input")
    key = text(source.get("Object"))
    view_input = str(CosAddress(text(source.get("BucketId")) or bucket, key.lstrip("/"))) if key else None
    if job.state is not JobState.SUCCEEDED:
        return ResultView(tag, {}, [], [], view_input, place)
    names = _asked(job)
    stems: dict[str, str] = {}
    strangers: list[str] = []
    files = list(dict.fromkeys(_written(job, bucket)))
    keys = [address.key for address in files]
    for address in files:
        role = _role_of(address.key, keys, names)
        if role is None or role in stems:
            strangers.append(str(address))
        else:
            stems[role] = str(address)
    stems |= {f"unknown_{place}" if place > 1 else "unknown": name for place, name in enumerate(strangers, 1)}
    return ResultView(tag, {"stems": stems}, [str(address) for address in files], [], view_input, place)


def expected_stems(job: Job, bucket: str) -> dict[str, str]:
    """
    Return the address of each stem that was asked for under a concrete name, whether or not it was written.

    For a finished job whose answer names no files: whether they are there is for the object store to say.
    """
    output = text(member(member(job.raw, "Operation"), "Output").get("Bucket")) or bucket
    return {role: str(CosAddress(output, key)) for role, key in _asked(job).items() if not _WILDCARD.search(key)}


def read_template(raw: JsonObject) -> Template | None:
    """Read a ``Template``; the mode sits in ``VoiceSeparate`` here, other than in a request (section 7)."""
    template_id = text(raw.get("TemplateId"))
    if template_id is None or not is_id(template_id):
        return None
    separation = member(raw, TAG)
    audio = member(separation, "AudioConfig") or member(raw, "AudioConfig")
    return Template(
        id=template_id,
        name=text(raw.get("Name")),
        mode=text(separation.get("AudioMode")) or text(raw.get("AudioMode")),
        audio={name: said for name, value in audio.items() if (said := text(value))},
        category=text(raw.get("Category")),
        bucket=text(raw.get("BucketId")),
        created_at=read_time(raw.get("CreateTime")),
        updated_at=read_time(raw.get("UpdateTime")),
        raw=raw,
    )


def read_queues(content: JsonObject) -> list[Queue]:
    """Read every queue of an answer, under either spelling of its id (section 8)."""
    found = []
    for raw in objects(content.get("QueueList")):
        queue_id = text(raw.get("QueueId")) or text(raw.get("QueueID"))
        if queue_id is not None and is_id(queue_id):
            queue = Queue(
                id=queue_id,
                name=text(raw.get("Name")),
                state=text(raw.get("State")),
                max_size=count(raw.get("MaxSize")),
                max_concurrent=count(raw.get("MaxConcurrent")),
            )
            found.append(queue)
    return found


def texts(value: object) -> list[str]:
    """Return the texts of a node that may occur once, several times or with commas between (section 5.2)."""
    items = value if isinstance(value, list) else [value]
    return [part.strip() for item in items for part in (text(item) or "").split(",") if part.strip()]


def count(value: object) -> int | None:
    """Read a whole number that is not negative; anything else is None."""
    said = text(value) or ""
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else None


def error_code(reply: Reply) -> str | None:
    """Return the code of an error envelope; None if the answer is none."""
    try:
        root, content = read_xml(reply.body, "The answer")
    except ProtocolError:
        return None
    return text(content.get("Code")) if root == "Error" else None


def slowed_down(reply: Reply) -> bool:
    """Tell whether an answer proves that the request was refused for the rate limit, whatever its status."""
    return reply.status == 429 or (reply.status >= 400 and error_code(reply) == "SlowDown")


def refusal(action: str, reply: Reply, envelope: JsonObject, hide: Callable[[str], str]) -> MediaxError:
    """
    Turn an error answer into a typed error (section 10), by its code and status, never by a text.

    :param envelope: content of ``Error``, empty if the body was none.
    :param hide: blanks what must not be repeated.
    """
    code = text(envelope.get("Code"))
    said = text(envelope.get("Message")) or (not envelope and plain_words(reply)) or "no reason given"
    status = reply.status
    kind, advice = _CODES.get(code or "", (None, ""))
    if status == 429:
        kind, advice = Throttled, Throttled.default_advice
    elif outcome_unknown(status) and kind is not Throttled:
        # Whatever it says of the request: what became of it is not known.
        kind, advice = Unavailable, ""
    elif kind is None and status in (401, 403):
        kind, advice = AuthenticationFailed, _KEYS
    elif kind is None:
        kind = BadRequest if status >= 300 else ProtocolError
        advice = "" if envelope else "Check cos_endpoint, cos_region and proxy of the connection."
    what = f"Cloud Infinite answered {action} with: {hide(said)[:500]}"
    if 300 <= status < 400 and ("location" in reply.headers or not envelope):
        own_words = f" ({hide(said)[:500]})" if envelope else ""
        what = f"{action} was not carried out: the answer leads to {redirect_target(reply)}{own_words}"
    request_id = request_id_of(reply, envelope)
    error = kind(
        what,
        advice=advice,
        status=status,
        code=code and hide(code)[:100],
        request_id=request_id and hide(request_id)[:100],
    )
    error.retry_after = reply.retry_after
    # A redirect was not carried out, whatever code it bears.
    error.nothing_done = kind.nothing_done or 300 <= status < 400
    return error


def request_id_of(reply: Reply, content: JsonObject) -> str | None:
    """Return the id under which the service knows the request."""
    return text(content.get("RequestId")) or reply.headers.get("x-ci-request-id") or None


def _asked(job: Job) -> dict[str, str]:
    """Return the keys that the job was asked to write, by role."""
    output = member(member(job.raw, "Operation"), "Output")
    return {role: key.lstrip("/") for role, node in ROLES.items() if (key := text(output.get(node)))}


def _written(job: Job, bucket: str) -> Iterator[CosAddress]:
    """Yield the files that the job wrote; full key is prefix and name."""
    result = member(member(job.raw, "Operation"), "MediaResult")
    for file in objects(result.get("OutputFile")):
        prefix = text(file.get("ObjectPrefix")) or ""
        named = file.get("ObjectName")
        names = [text(name) for name in (named if isinstance(named, list) else [named])]
        names += [text(checked.get("ObjectName")) for checked in objects(file.get("Md5Info"))]
        for name in names:
            if name and (key := f"{prefix}{name}".lstrip("/")):
                yield CosAddress(text(file.get("Bucket")) or bucket, key)


def _role_of(key: str, written: list[str], asked: Mapping[str, str]) -> str | None:
    """Return the one stem that was asked for under this name; in doubt None."""
    exact = [role for role, name in asked.items() if name == key]
    if exact:
        return exact[0] if len(exact) == 1 else None
    # Whether the answer replaces wildcards in the names asked for is undocumented.
    likely = [role for role, name in asked.items() if _fits(key, name)]
    if len(likely) != 1:
        return None
    name = asked[likely[0]]
    return likely[0] if name not in written and sum(_fits(other, name) for other in written) == 1 else None


def _fits(key: str, name: str) -> bool:
    if not _WILDCARD.search(name):
        return False
    literal = [re.escape(part) for part in _WILDCARD.split(name)]
    return re.fullmatch("[^/.]+".join(literal), key) is not None
