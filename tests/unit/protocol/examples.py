"""The documented bodies of the music platform, as plain data."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from airflow_provider_mediax.protocol.exchange import Reply
from airflow_provider_mediax.protocol.job import Job
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, GatewayKeys, PlatformKeys
from airflow_provider_mediax.protocol.mediax.request import Repository

_DOCUMENTED: dict[str, Any] = json.loads(Path(__file__).with_name("documented.json").read_text(encoding="utf-8"))

REPOSITORY = Repository(content_id="tmpContentId", bucket="music-1250000000")
MARKER = "mx1-" + "0" * 40

PLATFORM_KEYS = PlatformKeys("{secretId}", "{secretKey}")
GATEWAY_KEYS = GatewayKeys(source="uin_userName", secret_id="apiSecretId", secret_key="apiSecretKey")
GATEWAY = Gateway(base_url="https://api.mediax.tencent.com", platform_keys=PLATFORM_KEYS, gateway_keys=GATEWAY_KEYS)


def example(*path: str) -> Any:
    """Return a copy of a documented body, for example ``example("musicASR", "get_response")``."""
    found = _DOCUMENTED
    for name in path:
        found = found[name]
    return copy.deepcopy(found)


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    """Return an answer: bytes as they are, anything else as JSON."""
    encoded = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, encoded)


def finished(*outputs: dict[str, Any], inputs: list[Any] | None = None) -> Job:
    """Return a finished job with these outputs."""
    from airflow_provider_mediax.protocol.mediax.gateway import read_job

    raw = {"id": "job-1", "state": 3, "inputs": inputs or [], "outputs": list(outputs)}
    return read_job(raw, "GetJob")


def output(capability: str, result: object, **members: object) -> dict[str, Any]:
    """Return one output of a finished job."""
    return {"smartContentDescriptor": {capability: {}}, "smartContentResult": result, **members}
