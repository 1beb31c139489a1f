"""
The control interface under ``/_emulator/``: what tests set and read, without authentication.

It is open to programs of this machine and closed to pages of other sites: ``Host`` must be a loopback name, since a
page could have a name that points here, and a POST must say that it is JSON, which no form can.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from airflow_provider_mediax.emulator.ci.service import PRECONDITIONS, CiEndpoint
from airflow_provider_mediax.emulator.ci.submit import TAG
from airflow_provider_mediax.emulator.mediax.capabilities import ANSWERS
from airflow_provider_mediax.emulator.mediax.service import MediaxEndpoint
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, PRESET, Customer
from airflow_provider_mediax.emulator.shared.browsers import is_loopback
from airflow_provider_mediax.emulator.shared.faults import ACTIONS, JOB_ACTIONS, KINDS, Fault, Storm
from airflow_provider_mediax.emulator.shared.jobs import EmulatedJob
from airflow_provider_mediax.emulator.shared.objects import LifecycleRule, NoSuchKey, StoreFull, Versioning
from airflow_provider_mediax.emulator.shared.plan import (
    CALLBACKS,
    ORDERS,
    OUTCOMES,
    SYNONYMS,
    TOTALS,
    CallbackFate,
    Lists,
)
from airflow_provider_mediax.emulator.shared.spoiling import HOW, Spoiling
from airflow_provider_mediax.emulator.shared.wire import JsonObject, RequestTarget
from airflow_provider_mediax.emulator.shared.world import World

PREFIX = "/_emulator/"

_OBJECTS = "objects/"
_MOST = 100_000  # times that one request decides about


class BadControl(Exception):
    """The control request is wrong; HTTP 400 with this text."""


def connection_of(url: str, account: Customer = PRESET) -> JsonObject:
    """
    Return the Airflow connection that reaches the emulator.

    :param url: of the emulator.
    :param account: whose keys it holds.
    """
    return {
        "conn_type": "mediax",
        "host": url,
        "login": account.platform_id,
        "password": account.platform_key,
        "extra": {
            "gateway_source": account.gateway_source,
            "gateway_secret_id": account.gateway_secret_id,
            "gateway_secret_key": account.gateway_secret_key,
            "content_id": account.content_id,
            "cos_secret_id": account.cos_secret_id,
            "cos_secret_key": account.cos_secret_key,
            "cos_region": account.region,
            "cos_bucket": account.bucket,
            "cos_endpoint": url,
        },
    }


class Control:
    """
    Answers control requests.

    :param world: what the services share.
    :param mediax: whose jobs and voices are controlled.
    :param ci: whose jobs, queue and preconditions are controlled.
    :ivar routes: what answers, by method and path.
    """

    def __init__(self, world: World, mediax: MediaxEndpoint, ci: CiEndpoint) -> None:
        self._world = world
        self._mediax = mediax
        self._ci = ci
        self.routes: dict[tuple[str, str], Callable[[JsonObject], Awaitable[object]]] = {
            ("GET", "health"): self._health,
            ("GET", "connection"): self._connection,
            ("GET", "ledger"): self._ledger,
            ("GET", "objects"): self._keys,
            ("POST", "reset"): self._reset,
            ("POST", "faults"): self._add_fault,
            ("POST", "durations"): self._set_duration,
            ("POST", "finish"): self._finish,
            ("POST", "outcomes"): self._set_outcome,
            ("POST", "spoil"): self._spoil,
            ("POST", "list_lag"): self._set_list_lag,
            ("POST", "lists"): self._set_lists,
            ("POST", "canned"): self._set_canned,
            ("POST", "clock"): self._set_clock,
            ("POST", "register_delay"): self._set_register_delay,
            ("POST", "bucket"): self._set_bucket,
            ("POST", "callbacks"): self._spoil_callbacks,
            ("POST", "queue"): self._set_queue,
            ("POST", "preconditions"): self._set_precondition,
            ("POST", "temporary_key"): self._set_temporary_key,
            ("POST", "rotate_keys"): self._rotate_keys,
            ("POST", "storm"): self._set_storm,
        }

    async def handle(self, request: web.Request, target: RequestTarget) -> web.Response:
        """Answer one request."""
        name = target.path.removeprefix(PREFIX)
        if not is_loopback(target.host):
            return _error(403, "the Host must be a loopback address or localhost")
        if request.method == "POST" and request.content_type != "application/json":
            return _error(415, "the Content-Type must be application/json")
        try:
            if name.startswith(_OBJECTS) and len(name) > len(_OBJECTS):
                return await self._object(request, name.removeprefix(_OBJECTS))
            route = self.routes.get((request.method, name))
            if route is None:
                known = ", ".join(sorted(f"{method} {path}" for method, path in self.routes))
                return _error(404, f"there is no {request.method} {name}; there are {known}, objects/{{key}}")
            return web.json_response(await route(await _body(request)))
        except BadControl as error:
            return _error(400, str(error))
        except StoreFull as error:
            return _error(507, str(error))

    async def _health(self, _: JsonObject) -> object:
        return {"status": "ok"}

    async def _connection(self, _: JsonObject) -> object:
        return connection_of(self._world.url, self._world.accounts.preset)

    async def _ledger(self, _: JsonObject) -> object:
        both: list[EmulatedJob] = [*self._mediax.jobs.all(), *self._ci.jobs.all()]
        oldest_first = sorted(both, key=lambda job: job.born)
        return {"jobs": [job.for_ledger() for job in oldest_first], **self._world.ledger.as_json()}

    async def _keys(self, _: JsonObject) -> object:
        return {"keys": self._world.bucket.keys()}

    async def _reset(self, _: JsonObject) -> object:
        await self._mediax.reset()
        await self._ci.reset()
        self._world.reset()
        return {}

    async def _add_fault(self, body: JsonObject) -> object:
        action, kind = _one_of(body, "action", ACTIONS), _one_of(body, "kind", KINDS)
        if kind == "other_job" and action not in (*JOB_ACTIONS, "*"):
            raise BadControl(f"other_job goes with {', '.join(JOB_ACTIONS)}")
        retry_after = body.get("retry_after", 1 if kind == "429" else None)
        fault = Fault(
            action=action,
            kind=kind,
            times=_count(body, "times"),
            retry_after=None if retry_after is None else _seconds({"retry_after": retry_after}, "retry_after"),
            seconds=_seconds(body, "seconds", 1),
        )
        self._world.faults.add(fault)
        return {}

    async def _set_storm(self, body: JsonObject) -> object:
        shares = body.get("shares")
        if not isinstance(shares, dict) or any(kind not in KINDS for kind in shares):
            raise BadControl(f"shares must be an object of shares by kind, the kinds being {', '.join(KINDS)}")
        numbers = {kind: _seconds(shares, kind) for kind in shares}
        if sum(numbers.values()) > 1:
            raise BadControl("the shares must add up to at most 1")
        seed = body.get("seed", 0)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise BadControl("seed must be an integer")
        self._world.faults.storm = (
            Storm(seed, numbers, _seconds(body, "retry_after", 1), _seconds(body, "seconds", 1)) if numbers else None
        )
        return {}

    async def _rotate_keys(self, _: JsonObject) -> object:
        self._world.accounts.rotate_keys()
        return await self._connection({})

    async def _set_duration(self, body: JsonObject) -> object:
        waiting = None if body.get("waiting") is None else _seconds(body, "waiting")
        self._world.plan.set_duration(_capability(body), _seconds(body, "seconds"), waiting)
        return {}

    async def _finish(self, _: JsonObject) -> object:
        self._world.plan.finish()
        return {}

    async def _set_outcome(self, body: JsonObject) -> object:
        outcome = _one_of(body, "state", (*OUTCOMES, *SYNONYMS))
        self._world.plan.expect(_capability(body), SYNONYMS.get(outcome, outcome), _count(body, "times"))
        return {}

    async def _spoil(self, body: JsonObject) -> object:
        spoiling = Spoiling(_one_of(body, "how", HOW), _seconds(body, "seconds", 2))
        self._world.plan.spoil(_capability(body), spoiling, _count(body, "times"))
        return {}

    async def _set_list_lag(self, body: JsonObject) -> object:
        self._world.plan.list_lag = _seconds(body, "seconds")
        return {}

    async def _set_lists(self, body: JsonObject) -> object:
        page, finished = body.get("page"), body.get("finished", True)
        if page is not None and (isinstance(page, bool) or not isinstance(page, int) or not 0 <= page <= _MOST):
            raise BadControl(f"page must be an integer from 0 to {_MOST}, or null for all")
        if not isinstance(finished, bool):
            raise BadControl("finished must be true or false")
        self._world.plan.lists = Lists(
            page=page,
            total=_one_of({"total": "all", **body}, "total", TOTALS),
            order=_one_of({"order": "newest", **body}, "order", ORDERS),
            finished=finished,
        )
        return {}

    async def _set_canned(self, body: JsonObject) -> object:
        self._world.plan.canned = None if body.get("seconds") is None else _seconds(body, "seconds")
        return {}

    async def _set_clock(self, body: JsonObject) -> object:
        offset = _number(body, "offset_seconds", None)
        given = body.get("gateway_tolerance")
        self._world.clock.gateway_tolerance = None if given is None else _seconds(body, "gateway_tolerance")
        self._world.clock.offset = offset
        return {}

    async def _set_register_delay(self, body: JsonObject) -> object:
        self._mediax.register_delay = _seconds(body, "seconds")
        return {}

    async def _spoil_callbacks(self, body: JsonObject) -> object:
        fate = CallbackFate(_one_of(body, "how", CALLBACKS), _seconds(body, "seconds", 2))
        self._world.plan.spoil_callbacks(fate, _count(body, "times"))
        return {}

    async def _set_bucket(self, body: JsonObject) -> object:
        bucket = self._world.bucket
        if "versioning" in body:
            bucket.versioning = Versioning(_one_of(body, "versioning", [*Versioning]))
        if "many_zones" in body:
            bucket.many_zones = _yes_or_no(body, "many_zones")
        if "lifecycle" in body:
            bucket.lifecycle = _rules(body["lifecycle"])
        return {}

    async def _set_queue(self, body: JsonObject) -> object:
        state = _one_of(body, "state", ("Active", "Paused"))
        self._ci.queue_of(BUCKET).set_paused(state == "Paused")
        return {}

    async def _set_precondition(self, body: JsonObject) -> object:
        name, holds = _one_of(body, "name", PRECONDITIONS), _yes_or_no(body, "holds")
        missing = self._ci.missing
        missing.discard(name) if holds else missing.add(name)
        return {}

    async def _set_temporary_key(self, body: JsonObject) -> object:
        seconds = _number(body, "expires_in", None)
        self._world.accounts.temporary_until = self._world.clock.now() + seconds
        return {}

    async def _object(self, request: web.Request, key: str) -> web.Response:
        match request.method:
            case "PUT":
                now = self._world.clock.now()
                content_type = request.headers.get("Content-Type", "")
                stored = self._world.bucket.put(key, await request.read(), now, content_type)
                return web.json_response({"key": key, "etag": stored.etag})
            case "GET" | "HEAD":
                try:
                    stored = self._world.bucket.get(key)
                except NoSuchKey:
                    return _error(404, f"there is no object {key}")
                # Whatever it was uploaded as: no browser shows it, and it has the origin of this interface.
                headers = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
                return web.Response(body=stored.data, headers=headers)
            case "DELETE":
                self._world.bucket.delete(key)
                return web.json_response({})
        return _error(405, "objects can be PUT, GET and DELETEd")


async def _body(request: web.Request) -> JsonObject:
    raw = await request.read()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise BadControl("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadControl("the body must be a JSON object")
    return body


def _one_of(body: JsonObject, name: str, allowed: Collection[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise BadControl(f"{name} must be one of {', '.join(allowed)}")
    return value


def _rules(given: object) -> list[LifecycleRule]:
    try:
        return [LifecycleRule(str(rule["name"]), str(rule["prefix"]), int(rule["days"])) for rule in given]  # type: ignore[attr-defined]
    except (KeyError, TypeError, ValueError):
        raise BadControl("lifecycle must be a list of rules with name, prefix and days") from None


def _yes_or_no(body: JsonObject, name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise BadControl(f"{name} must be true or false")
    return value


def _capability(body: JsonObject) -> str:
    return _one_of(body, "capability", (*ANSWERS, TAG, "*"))


def _number(body: JsonObject, name: str, default: float | None) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadControl(f"{name} must be a number of seconds")
    return value


def _seconds(body: JsonObject, name: str, default: float | None = None) -> float:
    value = _number(body, name, default)
    if value < 0:
        raise BadControl(f"{name} must not be negative")
    return value


def _count(body: JsonObject, name: str) -> int:
    value = body.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise BadControl(f"{name} must be an integer from 1 to {_MOST}")
    return value


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
