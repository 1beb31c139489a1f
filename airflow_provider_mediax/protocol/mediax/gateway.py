"""
MediaX, the Smart Music Platform: gateway signature, envelopes and errors (API reference sections 2 to 8).

One JSON endpoint takes every operation as ``POST``; the body's ``action`` selects it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from types import MappingProxyType
from typing import Any

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.protocol.exchange import (
    Call,
    Flow,
    JsonObject,
    Repeat,
    Reply,
    Sign,
    outcome_unknown,
    plain_words,
    redirect_target,
    unsigned,
)
from airflow_provider_mediax.protocol.job import Job, JobList, JobState, from_epoch_ms
from airflow_provider_mediax.protocol.json_body import member, objects, parse_json, text
from airflow_provider_mediax.protocol.urls import shown_line

STATES: Mapping[str, tuple[str, JobState]] = MappingProxyType(
    {
        "1": ("SUBMITTED", JobState.OPEN),
        "2": ("PROCESSING", JobState.OPEN),
        "3": ("COMPLETED", JobState.SUCCEEDED),
        "4": ("ERROR", JobState.FAILED),
        "5": ("CANCELED", JobState.CANCELED),
    }
)
"""Section 7: the numbers on the wire, their names and what they mean."""

REGISTER_TIMEOUT = 180.0
"""Seconds: Register answers after about two minutes (section 4)."""

MODELS_LIMIT = 100
"""Voices that one ListModels may ask for (section 5.4)."""

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

MARKER_LIMIT = 64
"""``customId`` must be shorter than this (section 10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKeys:
    """
    The pair that signs the headers (section 3.1).

    :param source: the ``Source`` string that belongs to the pair.
    :param secret_id: ``apiGateSecretId`` of the registration.
    :param secret_key: ``apiGateSecretKey`` of the registration.
    """

    source: str
    secret_id: str = field(repr=False)
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no header can carry."""
        rule = "a header carries printable ASCII characters only, and no quotes."
        if not _fits_header(self.source):
            raise BadRequest.field("gateway_source", self.source, rule)
        if not _fits_header(self.secret_id):
            raise BadRequest.field("gateway_secret_id", "***", rule)

    def sign(self, now: float) -> Mapping[str, str]:
        """Make the headers of one attempt (section 3.1); ``now`` is the gateway's time in epoch seconds."""
        return _signed(self, int(now))


@functools.lru_cache(maxsize=4)
def _signed(keys: GatewayKeys, second: int) -> Mapping[str, str]:
    """Sign a date, which has whole seconds: one signature serves every call of its second."""
    date = formatdate(second, usegmt=True)
    to_sign = f"date: {date}\nsource: {keys.source}"
    digest = hmac.new(keys.secret_key.encode(), to_sign.encode(), hashlib.sha1).digest()
    signature = base64.b64encode(digest).decode()
    return MappingProxyType(
        {
            "Date": date,
            "Source": keys.source,
            "Authorization": (
                f'hmac id="{keys.secret_id}", algorithm="hmac-sha1", headers="date source", signature="{signature}"'
            ),
        }
    )


@dataclass(frozen=True, slots=True)
class PlatformKeys:
    """The pair that is sent in every job body (section 3): ``tmpSecretId`` and ``tmpSecretKey``."""

    secret_id: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """
    What Register asks for (section 4).

    :param operate_uin: Tencent Cloud account that activated the service.
    :param user_name: letters and digits, at most 19 characters.
    :param cos_secret_id: COS key id of the sub-user that may read and write the bucket.
    :param bucket: bucket name, for example ``music-1250000000``.
    :param region: for example ``ap-guangzhou``.
    :param domain: domain of the bucket, if it has one of its own.
    """

    operate_uin: str
    user_name: str
    cos_secret_id: str = field(repr=False)
    cos_secret_key: str = field(repr=False)
    bucket: str
    region: str
    domain: str | None = None

    def __post_init__(self) -> None:
        """Refuse what section 4 refuses."""
        name = self.user_name
        if not (1 <= len(name) <= 19 and name.isascii() and name.isalnum()):
            raise BadRequest.field("user_name", name, "letters and digits only, at most 19 characters.")
        for required in ("operate_uin", "cos_secret_id", "cos_secret_key", "bucket", "region"):
            if not getattr(self, required):
                raise BadRequest.field(required, "", "it must not be empty.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """
    The MediaX operations as flows.

    :param base_url: scheme and host, for example ``https://api.mediax.tencent.com``.
    :param gateway_keys: None sends no signature headers (section 11, contradiction 9).
    """

    base_url: str
    job_path: str = "/job"
    register_path: str = "/register"
    model_path: str = "/music_model"
    platform_keys: PlatformKeys
    gateway_keys: GatewayKeys | None = None

    def create_job(self, request: JsonObject, marker: str) -> Flow[Job]:
        """
        Create a job (section 5.1).

        :param request: ``inputs``, ``outputs`` and options of ``createJobRequest``.
        :param marker: sent as ``customId``, shorter than 64 characters.
        :raises ProtocolError: the answer is about another ``customId``: what became of this job is not known.
        """
        if not 0 < len(marker) < MARKER_LIMIT:
            raise BadRequest.field("customId", marker, f"it must be shorter than {MARKER_LIMIT} characters.")
        payload = {"customId": marker, **request}
        reply = yield self._call("CreateJob", payload, repeat=Repeat.NEVER)
        job = read_job(member(self._read("CreateJob", reply, "createJobResponse"), "job"), "CreateJob")
        if job.marker not in (None, marker):
            raise ProtocolError(f"The answer to CreateJob is about another job, {job.id}", marker=marker)
        return job

    def get_job(self, job_id: str) -> Flow[Job]:
        """
        Read one job (section 5.2).

        :raises ProtocolError: the answer is about another job.
        """
        reply = yield self._call("GetJob", {"id": job_id})
        job = read_job(member(self._read("GetJob", reply, "getJobResponse"), "job"), "GetJob")
        if job.id != job_id:
            raise ProtocolError(f"The answer to GetJob is about another job, {job.id}", job_id=job_id)
        return job

    def list_jobs(self, marker: str) -> Flow[JobList]:
        """
        List the jobs whose ``customId`` is the marker (section 5.3), newest first.

        Paging is undocumented: when ``total`` exceeds what was listed, the list says that it is not complete.
        """
        reply = yield self._call("ListJobs", {"customId": marker})
        answer = self._read("ListJobs", reply, "listJobsResponse")
        listed = answer.get("jobs")
        jobs = [read_job(raw, "ListJobs") for raw in objects(listed)]
        # The platform promises no filter semantics, so what it lists is compared once more.
        mine = [job for job in jobs if job.marker == marker]
        mine.sort(key=lambda job: job.created_at.timestamp() if job.created_at else 0.0, reverse=True)
        # What cannot be read, or does not say whose it is, may be the job that was paid for.
        unread = listed is not None and not isinstance(listed, dict) and not _all_objects(listed)
        unread = unread or any(job.marker is None for job in jobs)
        return JobList(mine, complete=not unread and _covers(len(jobs), answer.get("total")))

    def register(self, registration: Registration) -> Flow[JsonObject]:
        """
        Register a customer (section 4) and return ``registerInfo``; takes about two minutes, is never repeated.

        The answer holds two secret keys.
        """
        cos = {
            "secretId": registration.cos_secret_id,
            "secretKey": registration.cos_secret_key,
            "bucket": registration.bucket,
            "region": registration.region,
        }
        if registration.domain:
            cos["domain"] = registration.domain
        body = {
            # Shown in the only example of the page, so it is sent; for jobs it is undocumented and left out.
            "requestId": f"register-{registration.user_name}",
            "action": "Register",
            "registerRequest": {
                "operateUin": registration.operate_uin,
                "userName": registration.user_name,
                "cosConfig": cos,
            },
        }
        reply = yield self._post(
            self.register_path,
            "Register",
            body,
            sign=unsigned,
            repeat=Repeat.NEVER,
            read_timeout=REGISTER_TIMEOUT,
        )
        sent = (registration.cos_secret_id, registration.cos_secret_key)
        return self._read("Register", reply, "registerInfo", "registerResponse", secrets=sent)

    def list_models(self, *, kind: int | None = None, offset: int = 0, limit: int = 100) -> Flow[JsonObject]:
        """
        List the trained voices (section 5.4, observed, not documented).

        :param kind: sent as ``type``; 2 is used for singing models.
        :param offset: how many to leave out, 0 or more.
        :param limit: 1 to 100.
        """
        if offset < 0:
            raise BadRequest.field("offset", offset, "it must be 0 or more.")
        if not 1 <= limit <= MODELS_LIMIT:
            raise BadRequest.field("limit", limit, f"it must be from 1 to {MODELS_LIMIT}.")
        query: JsonObject = {"offset": offset, "limit": limit} | ({} if kind is None else {"type": kind})
        body = self._job_body("ListModels", query)
        reply = yield self._post(self.model_path, "ListModels", body, sign=self._sign)
        return self._read("ListModels", reply, "listModelsResponse")

    @property
    def _sign(self) -> Sign:
        return self.gateway_keys.sign if self.gateway_keys else unsigned

    def _job_body(self, action: str, payload: JsonObject) -> JsonObject:
        keys = self.platform_keys
        request = action[0].lower() + action[1:] + "Request"
        return {"action": action, "secretId": keys.secret_id, "secretKey": keys.secret_key, request: payload}

    def _call(self, action: str, payload: JsonObject, repeat: Repeat = Repeat.SAFE) -> Call:
        return self._post(self.job_path, action, self._job_body(action, payload), sign=self._sign, repeat=repeat)

    def _post(self, path: str, action: str, body: JsonObject, **options: Any) -> Call:
        try:
            encoded = _JSON.encode(body).encode()
        except (TypeError, ValueError, RecursionError) as error:
            # The text of the error may hold a part of the body, so only its class is named.
            raise BadRequest(f"{action} cannot be sent, it is no JSON ({type(error).__name__})", advice="") from None
        return Call(
            action=action,
            method="POST",
            url=self.base_url.rstrip("/") + path,
            headers={"Content-Type": "application/json"},
            body=encoded,
            **options,
        )

    def _read(self, action: str, reply: Reply | None, *members: str, secrets: Iterable[str] = ()) -> JsonObject:
        """
        Return the response member of an answer (section 8.2), or raise what the answer says instead.

        :param members: accepted names of the response member, the first one found wins.
        :param secrets: what was sent besides the gateway's keys and must not be repeated.
        """
        if reply is None:
            raise ProtocolError(f"{action} was given no answer")
        try:
            envelope = parse_json(reply.body, f"The answer to {action}")
        except ProtocolError as unreadable:
            unreadable.status = reply.status
            if reply.status < 300:
                raise
            envelope = {"message": plain_words(reply)}
        envelope = envelope if isinstance(envelope, dict) else {}
        # An error outranks everything, whatever the status; by its presence, since an empty one is an error too.
        refused = reply.status >= 300 or "errorResponse" in envelope
        for name in members:
            if not refused and isinstance(found := envelope.get(name), dict):
                return found
        pairs = (self.platform_keys, self.gateway_keys)
        sent = {*secrets, *(key for pair in pairs if pair for key in (pair.secret_id, pair.secret_key))}

        def hide(said: str) -> str:
            return shown_line(said, sent)

        request_id = text(envelope.get("requestId")) or reply.headers.get("x-request-id")
        request_id = request_id and hide(request_id)[:100]
        if refused:
            raise _refusal(action, reply, envelope, request_id, hide)
        found_names = hide(", ".join(sorted(envelope)))[:500] or "none"
        raise ProtocolError(
            f"The answer to {action} holds no {members[0]} (its members: {found_names})",
            status=reply.status,
            request_id=request_id,
        )


def read_job(raw: JsonObject, action: str) -> Job:
    """
    Read a Job object (section 6).

    :raises ProtocolError: it has no id, so nothing could be done with it.
    """
    job_id = text(raw.get("id"))
    if job_id is None:
        raise ProtocolError(f"The answer to {action} holds no job id")
    number = text(raw.get("state")) or "0"
    state_name, state = STATES.get(number, (number, JobState.UNKNOWN))
    timing = member(raw, "timing")
    # Undocumented (contradiction 26); the names that public clients try.
    message = text(raw.get("message")) or text(raw.get("error"))
    return Job(
        id=job_id,
        state=state,
        state_name=state_name,
        marker=text(raw.get("customId")),
        message=message and shown_line(message),
        created_at=from_epoch_ms(timing.get("createdAt")),
        started_at=from_epoch_ms(timing.get("startedAt")),
        completed_at=from_epoch_ms(timing.get("completedAt")),
        # The callback's address comes back too, and may hold a password.
        raw={name: value for name, value in raw.items() if name != "callback"},
    )


def _all_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _covers(listed: int, total: object) -> bool:
    """Tell whether a list is as long as its ``total`` says; one that cannot be read could be any number."""
    if total is None:
        return True
    try:
        return 0 <= float(text(total) or "nan") <= listed
    except ValueError:
        return False


def _fits_header(value: str) -> bool:
    return value.isascii() and value.isprintable() and '"' not in value


def _refusal(
    action: str, reply: Reply, envelope: JsonObject, request_id: str | None, hide: Callable[[str], str]
) -> MediaxError:
    """
    Turn an error answer into a typed error; the class depends on the status alone, never on a text.

    What ``errorResponse`` proves is undocumented, so a job may exist in spite of it.
    """
    status = reply.status
    platform = "errorResponse" in envelope
    stated = member(envelope, "errorResponse") if platform else envelope
    message = text(stated.get("message")) or text(envelope.get("message")) or "no reason given"
    code = text(stated.get("code"))
    facts: dict[str, Any] = {"status": status, "request_id": request_id, "code": code and hide(code)[:100]}
    said = f"{'The platform' if platform else 'The gateway'} answered {action} with: {hide(message)[:500]}"
    kind: type[MediaxError] = BadRequest
    advice = "Check host and job_path of the connection."
    if platform:
        advice = "If the reason is the keys, check login and password of the connection; else correct the request."
    if status in (401, 403):
        kind = AuthenticationFailed
        advice = f"Check {'login and password' if platform else 'the three gateway fields'} of the connection."
    elif status == 429:
        kind, advice = Throttled, Throttled.default_advice
    elif outcome_unknown(status):
        kind, advice = Unavailable, ""
    elif status < 400 and not platform:
        said = f"{action} was not carried out: the answer leads to {redirect_target(reply)}"
    error = kind(said, advice=advice, **facts)
    error.retry_after = reply.retry_after
    error.layer = "platform" if platform else "gateway"
    error.nothing_done = kind.nothing_done and (not platform or status == 429)
    return error
