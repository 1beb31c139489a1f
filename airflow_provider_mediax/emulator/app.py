"""One emulator: its state, and which of its services answers a request."""

from __future__ import annotations

from aiohttp import web

from airflow_provider_mediax.emulator.ci.service import CiService, place_of
from airflow_provider_mediax.emulator.control import PREFIX, Control
from airflow_provider_mediax.emulator.cos.service import CosService, bucket_of
from airflow_provider_mediax.emulator.mediax.inputs import SIZE_LIMIT, Fetcher
from airflow_provider_mediax.emulator.mediax.service import MediaxService
from airflow_provider_mediax.emulator.shared.accounts import BUCKET, REGION, Accounts
from airflow_provider_mediax.emulator.shared.clock import Clock
from airflow_provider_mediax.emulator.shared.faults import Faults
from airflow_provider_mediax.emulator.shared.ledger import Ledger
from airflow_provider_mediax.emulator.shared.objects import ObjectStore
from airflow_provider_mediax.emulator.shared.plan import Plan
from airflow_provider_mediax.emulator.shared.wire import Undecodable, target_of
from airflow_provider_mediax.emulator.sound.pool import Analysis


class Emulator:
    """
    MediaX, Cloud Infinite, COS and the control interface.

    :param analysis: decodes and listens; closed by whoever made it.
    :ivar url: where it listens, set once that is known.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.url = ""
        self.accounts = Accounts()
        self.store = ObjectStore()
        self.clock = Clock()
        self.faults = Faults()
        self.ledger = Ledger()
        self.plan = Plan()
        self.cos = CosService(self.accounts, self.store, self.faults, self.clock)
        self.mediax = MediaxService(
            self.accounts,
            self.store,
            Fetcher(self.cos, self.store),
            analysis,
            self.faults,
            self.ledger,
            self.clock,
            self.plan,
        )
        self.ci = CiService(self.accounts, self.store, analysis, self.faults, self.ledger, self.clock, self.plan)
        self._control = Control(self)
        self.store.create(BUCKET, REGION)

    async def reset(self) -> None:
        """Return to the state of the start."""
        await self.mediax.jobs.reset()
        self.mediax.voices.reset()
        await self.ci.reset()
        self.plan.reset()
        self.mediax.register_delay = 0.0
        self.faults.reset()
        self.ledger.reset()
        self.accounts.reset()
        self.store.reset()
        self.store.create(BUCKET, REGION)
        self.clock.offset, self.clock.gateway_tolerance = 0.0, None

    def application(self) -> web.Application:
        """Return the aiohttp application, made anew."""
        application = web.Application(client_max_size=SIZE_LIMIT)
        application.router.add_route("*", "/{path:(?s:.*)}", self._handle)
        application.on_response_prepare.append(self._date)
        application.on_shutdown.append(self._stop_jobs)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            target = target_of(request)
            target.query  # noqa: B018 - decoded here, so that no service has to expect that it cannot be
        except Undecodable:
            return web.Response(status=400, text="The address is not UTF-8")
        name, service = self._service_at(target.host)
        if target.path.startswith(PREFIX) and service is self.mediax:
            return await self._control.handle(request, target)
        record = self.ledger.open(target, name, self.clock.now())
        response = await service.handle(request, target, record)
        if request.transport is not None and not request.transport.is_closing():
            record.status = response.status
        return response

    def _service_at(self, host: str) -> tuple[str, CosService | CiService | MediaxService]:
        if bucket_of(host) is not None:
            return "cos", self.cos
        if place_of(host) is not None:
            return "ci", self.ci
        return "mediax", self.mediax

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = self.clock.http_date()

    async def _stop_jobs(self, _: web.Application) -> None:
        await self.mediax.jobs.reset()
        await self.ci.jobs.reset()
