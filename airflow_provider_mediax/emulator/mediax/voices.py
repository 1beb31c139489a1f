"""The voices that trainings have left, and the operation that lists them."""

from __future__ import annotations

from collections import defaultdict

from airflow_provider_mediax.emulator.mediax.capabilities.making import CloningAnswer
from airflow_provider_mediax.emulator.mediax.create_request import descriptor_of
from airflow_provider_mediax.emulator.mediax.errors import Refused
from airflow_provider_mediax.emulator.mediax.jobs import MediaxJob
from airflow_provider_mediax.emulator.shared.accounts import Customer
from airflow_provider_mediax.emulator.shared.settings import FEW
from airflow_provider_mediax.emulator.shared.wire import JsonObject

LIMIT = 100
"""Voices that one call lists."""


class Voices:
    """
    The voices of every account, oldest first; beyond a thousand the oldest is forgotten.

    A second training under the same name replaces the first.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all voices."""
        self._trained: defaultdict[str, dict[tuple[int, str], JsonObject]] = defaultdict(dict)

    def learn(self, job: MediaxJob, now_ms: int) -> None:
        """Keep the voices that a job has trained."""
        for output in job.outputs:
            capability, parameters = descriptor_of(output)
            if isinstance(capability, CloningAnswer) and not capability.writes(parameters):
                name = str(parameters["modelName"])
                voice: JsonObject = {"name": name, "createdAt": str(now_ms)}
                mine = self._trained[job.account.platform_id]
                mine[capability.model_type, name] = voice
                if len(mine) > FEW:
                    del mine[next(iter(mine))]

    def list(self, account: Customer, request: JsonObject) -> JsonObject:
        """
        Answer ``listModelsRequest``.

        :raises Refused: a number is none, or out of its range.
        """
        offset, limit, kind = request.get("offset", 0), request.get("limit", LIMIT), request.get("type")
        if type(offset) is not int or offset < 0:
            raise Refused("listModelsRequest.offset must be an integer from 0")
        if type(limit) is not int or not 1 <= limit <= LIMIT:
            raise Refused(f"listModelsRequest.limit must be an integer from 1 to {LIMIT}")
        if kind is not None and type(kind) is not int:
            raise Refused("listModelsRequest.type must be an integer")
        found = [
            voice for (model_type, _), voice in self._trained[account.platform_id].items() if kind in (None, model_type)
        ]
        return {"total": len(found), "models": found[offset : offset + limit]}
