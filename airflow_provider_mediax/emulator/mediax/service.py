"""The MediaX endpoint: gateway layer, platform layer, and the operations behind them."""

from __future__ import annotations

import asyncio
import hmac
import json
import uuid
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from airflow_provider_mediax.emulator.mediax.capabilities.base import Folder
from airflow_provider_mediax.emulator.mediax.create_request import check_create, descriptor_of
from airflow_provider_mediax.emulator.mediax.errors import GatewayRefusal, Refused
from airflow_provider_mediax.emulator.mediax.gateway_signature import check_gateway
from airflow_provider_mediax.emulator.mediax.inputs import NO_INPUT, Fetcher
from airflow_provider_mediax.emulator.mediax.jobs import LIFECYCLE, MediaxJob
from airflow_provider_mediax.emulator.mediax.register import register
from airflow_provider_mediax.emulator.mediax.voices import Voices
from airflow_provider_mediax.emulator.shared.accounts import Customer
from airflow_provider_mediax.emulator.shared.callbacks import call_back
from airflow_provider_mediax.emulator.shared.faults import Refusal
from airflow_provider_mediax.emulator.shared.jobs import JobBoard, WorkFailed
from airflow_provider_mediax.emulator.shared.ledger import RequestRecord
from airflow_provider_mediax.emulator.shared.objects import StoreFull
from airflow_provider_mediax.emulator.shared.wire import JsonObject, RequestTarget
from airflow_provider_mediax.emulator.shared.world import World
from airflow_provider_mediax.emulator.sound.pool import Analysis, CannedAnalysis

JOB_PATHS = ("/job", "/release/job")
REGISTER_PATHS = ("/register", "/release/register")
MODEL_PATHS = ("/music_model",)

_ACTIONS = {
    **dict.fromkeys(JOB_PATHS, ("CreateJob", "GetJob", "ListJobs")),
    **dict.fromkeys(MODEL_PATHS, ("ListModels",)),
}


class MediaxEndpoint:
    """
    Answers requests to the gateway.

    :param world: accounts, repositories, time, and what tests decided.
    :param fetcher: gets the inputs of jobs.
    :param analysis: decodes and listens.
    :ivar register_delay: seconds that Register takes; the real one needs about two minutes.
    """

    def __init__(self, world: World, fetcher: Fetcher, analysis: Analysis) -> None:
        self._world = world
        self._fetcher = fetcher
        self._analysis = analysis
        self.register_delay = 0.0
        self.voices = Voices()
        self.jobs: JobBoard[MediaxJob] = JobBoard(
            world.clock, world.plan, world.settings.max_records, LIFECYCLE, self._compute, self._notify
        )

    async def reset(self) -> None:
        """Stop and forget all jobs and voices."""
        await self.jobs.reset()
        self.voices.reset()
        self.register_delay = 0.0

    async def handle(self, request: web.Request, target: RequestTarget, record: RequestRecord) -> web.StreamResponse:
        """Answer one request."""
        raw = await request.read()
        body = _parse(raw)
        action = body.get("action") if body else None
        record.action = action if isinstance(action, str) else ""

        async def act() -> web.Response:
            return await self._act(target, body, record)

        def refuse(refusal: Refusal) -> web.Response:
            if refusal.status == HTTPStatus.OK:
                return _refused(refusal.message, body)
            return _gateway_error(refusal.status, refusal.message)

        return await self._world.faults.answer(request, record, act, refuse)

    async def _act(self, target: RequestTarget, body: JsonObject | None, record: RequestRecord) -> web.Response:
        if target.method != "POST" or target.path not in (*_ACTIONS, *REGISTER_PATHS):
            return _gateway_error(404, f"There is no api match {target.method} {target.path}")
        try:
            if target.path in REGISTER_PATHS:
                return await self._register(body)
            signer = check_gateway(target.headers, self._world.accounts, self._world.clock)
            return self._call(signer, _ACTIONS[target.path], body, record)
        except GatewayRefusal as refusal:
            return _gateway_error(401, str(refusal))
        except (Refused, StoreFull) as refusal:
            return _refused(str(refusal), body)

    async def _register(self, body: JsonObject | None) -> web.Response:
        if body is None or body.get("action") != "Register":
            raise Refused("the body must be a JSON object with the action Register")
        await asyncio.sleep(self.register_delay)
        info = register(body, self._world.accounts, self._world.store, self._world.clock)
        return web.json_response({"requestId": _request_id(body), "registerInfo": info})

    def _call(
        self, signer: Customer, actions: Sequence[str], body: JsonObject | None, record: RequestRecord
    ) -> web.Response:
        if body is None:
            raise Refused("the body must be a JSON object")
        account = self._caller(body)
        if account != signer:
            raise Refused("secretId does not belong to the caller")
        action = record.action
        if action not in actions:
            raise Refused(f"unknown action {action!r}")
        member = action[0].lower() + action[1:]
        request = body.get(f"{member}Request")
        if not isinstance(request, dict):
            raise Refused(f"{member}Request must be an object")
        match action:
            case "CreateJob":
                answer = self._create(account, request, record)
            case "GetJob":
                answer = self._get(account, request, record)
            case "ListJobs":
                answer = self._list(account, request, record)
            case _:
                answer = self.voices.list(account, request)
        return web.json_response({"requestId": _request_id(body), f"{member}Response": answer})

    def _caller(self, body: JsonObject) -> Customer:
        given_id, given_key = body.get("secretId"), body.get("secretKey")
        if not isinstance(given_id, str) or not isinstance(given_key, str):
            raise Refused("secretId and secretKey are required")
        account = self._world.accounts.by_platform_id(given_id)
        if account is None or not hmac.compare_digest(account.platform_key.encode(), given_key.encode()):
            raise Refused("secretId or secretKey is wrong")
        return account

    def _create(self, account: Customer, request: JsonObject, record: RequestRecord) -> JsonObject:
        capability, custom_id, timeout = check_create(account, request), request.get("customId"), request.get("timeout")
        job = self.jobs.start(
            MediaxJob(
                account=account,
                capability=capability,
                owner=account.platform_id,
                marker=custom_id if isinstance(custom_id, str) else None,
                timeout=timeout if isinstance(timeout, int) else None,
                request=request,
            )
        )
        record.job_id, record.custom_id, record.marker = job.id, job.custom_id, job.custom_id
        return {"job": job.as_created()}

    def _get(self, account: Customer, request: JsonObject, record: RequestRecord) -> JsonObject:
        job_id = request.get("id")
        if not isinstance(job_id, str) or not job_id:
            raise Refused("getJobRequest.id must be a string")
        record.job_id = job_id
        job = self.jobs.get(account.platform_id, job_id)
        if job is None:
            raise Refused("the job does not exist")
        record.custom_id = record.marker = job.custom_id
        return {"job": job.as_read()}

    def _list(self, account: Customer, request: JsonObject, record: RequestRecord) -> JsonObject:
        custom_id = request.get("customId")
        if not isinstance(custom_id, str) or not custom_id:
            raise Refused("listJobsRequest.customId must be a string")
        record.custom_id = record.marker = custom_id
        lists = self._world.plan.lists
        found = self.jobs.listed(account.platform_id, custom_id)
        if lists.order == "newest":
            found.reverse()
        if not lists.finished:
            found = [job for job in found if job.phase not in LIFECYCLE.ends]
        shown = [job.as_read() for job in found[: lists.page]]
        totals = {"all": {"total": len(found)}, "page": {"total": len(shown)}, "none": {}}
        return {"jobs": shown, **totals[lists.total]}

    async def _compute(self, job: MediaxJob) -> None:
        account = job.account
        bucket = self._world.store.find(account.bucket, account.region)
        if bucket is None:
            raise WorkFailed("the repository's bucket is gone")
        canned = self._world.plan.canned
        analysis = self._analysis if canned is None else CannedAnalysis(canned)
        for output in job.outputs:
            capability, parameters = descriptor_of(output)
            track = NO_INPUT
            if capability.inputs and canned is None:
                track = await self._fetcher.fetch(account, job.inputs[_selected(output)])
            folder = Folder(bucket, job.files, str(output.get("destination", "/")), _prefix(output))
            job.results.append(await capability.run(parameters, track, analysis, folder))
        self.voices.learn(job, self._world.clock.now_ms())

    async def _notify(self, job: MediaxJob) -> None:
        url = job.request.get("callback")
        if isinstance(url, str) and url:
            body = json.dumps(job.as_read()).encode()
            await call_back(url, body, "application/json", job.id, self._world)


def _parse(raw: bytes) -> JsonObject | None:
    try:
        body = json.loads(raw, parse_constant=_no_constant)
        # Escapes can smuggle in what is no UTF-8, which then could not be stored or listed.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _request_id(body: JsonObject | None) -> str:
    given = (body or {}).get("requestId")
    return given if isinstance(given, str) and given else str(uuid.uuid4())


def _refused(message: str, body: JsonObject | None) -> web.Response:
    return web.json_response({"requestId": _request_id(body), "errorResponse": {"message": message}})


def _gateway_error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _selected(output: JsonObject) -> int:
    selectors = output["inputSelectors"]
    return int(selectors[0]) if isinstance(selectors, list) else 0


def _prefix(output: JsonObject) -> str:
    descriptor = output["smartContentDescriptor"]
    return str(descriptor.get("outputPrefix", "")) if isinstance(descriptor, dict) else ""
