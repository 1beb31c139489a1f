"""One emulator: its services, and which of them answers a request."""

from __future__ import annotations

from aiohttp import web

from airflow_provider_mediax.emulator.ci.service import CiEndpoint, place_of
from airflow_provider_mediax.emulator.control import PREFIX, Control
from airflow_provider_mediax.emulator.cos.service import CosEndpoint, bucket_of
from airflow_provider_mediax.emulator.mediax.inputs import SIZE_LIMIT, Fetcher
from airflow_provider_mediax.emulator.mediax.service import MediaxEndpoint
from airflow_provider_mediax.emulator.shared.browsers import is_foreign
from airflow_provider_mediax.emulator.shared.wire import Undecodable, target_of
from airflow_provider_mediax.emulator.shared.world import World
from airflow_provider_mediax.emulator.sound.pool import Analysis


class Emulator:
    """
    MediaX, Cloud Infinite, COS and the control interface.

    :param analysis: decodes and listens; closed by its maker.
    """

    def __init__(self, world: World, analysis: Analysis) -> None:
        self._world = world
        self._cos = CosEndpoint(world)
        self._mediax = MediaxEndpoint(world, Fetcher(self._cos, world.store, world.outgoing), analysis)
        self._ci = CiEndpoint(world, analysis)
        self._control = Control(world, self._mediax, self._ci)

    def application(self) -> web.Application:
        """Return the aiohttp application, made anew."""
        application = web.Application(client_max_size=SIZE_LIMIT)
        application.router.add_route("*", "/{path:(?s:.*)}", self._handle)
        application.on_response_prepare.append(self._complete)
        application.on_shutdown.append(self._stop_jobs)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            target = target_of(request)
            target.query  # noqa: B018 - decoded here, so that no service has to expect that it cannot be
        except Undecodable:
            return web.Response(status=400, text="The address is not UTF-8")
        if is_foreign(target.headers):
            return web.json_response({"message": "The emulator does not answer pages of other sites."}, status=403)
        name, service = self._service_at(target.host)
        if target.path.startswith(PREFIX) and service is self._mediax:
            return await self._control.handle(request, target)
        record = self._world.ledger.open(target, name, self._world.clock.now())
        response = await service.handle(request, target, record)
        if request.transport is not None and not request.transport.is_closing():
            record.status = response.status
        return response

    def _service_at(self, host: str) -> tuple[str, CosEndpoint | CiEndpoint | MediaxEndpoint]:
        if bucket_of(host) is not None:
            return "cos", self._cos
        if place_of(host) is not None:
            return "ci", self._ci
        return "mediax", self._mediax

    async def _complete(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = self._world.clock.http_date()
        response.headers["X-Content-Type-Options"] = "nosniff"

    async def _stop_jobs(self, _: web.Application) -> None:
        await self._mediax.jobs.reset()
        await self._ci.jobs.reset()
