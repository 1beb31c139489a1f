"""The Register operation: a further account with keys of its own."""

from __future__ import annotations

import re

from airflow_provider_mediax.emulator.mediax.errors import Refused
from airflow_provider_mediax.emulator.shared.accounts import Accounts, RegistrationRefused
from airflow_provider_mediax.emulator.shared.clock import Clock
from airflow_provider_mediax.emulator.shared.objects import ObjectStore
from airflow_provider_mediax.emulator.shared.wire import JsonObject

_USER_NAME = re.compile(r"[A-Za-z0-9]{1,19}")
_COS_FIELDS = ("secretId", "secretKey", "bucket", "region")

DEMO = b"# The platform writes a Python demo of musicBeat here.\n"


def register(body: JsonObject, accounts: Accounts, store: ObjectStore, clock: Clock) -> JsonObject:
    """
    Add the account and return ``registerInfo``.

    :param body: the whole request.
    :raises Refused: a field is missing, or the COS pair cannot write to the bucket.
    """
    request = _object(body.get("registerRequest"), "registerRequest")
    uin, user = request.get("operateUin"), request.get("userName")
    if not isinstance(uin, str) or not uin:
        raise Refused("registerRequest.operateUin must be a string")
    if not isinstance(user, str) or _USER_NAME.fullmatch(user) is None:
        raise Refused("registerRequest.userName must be letters and digits, at most 19")
    cos = _object(request.get("cosConfig"), "registerRequest.cosConfig")
    secret_id, secret_key, bucket, region = (_text(cos, name) for name in _COS_FIELDS)
    try:
        account = accounts.register(
            source=f"{uin}_{user}", cos_secret_id=secret_id, cos_secret_key=secret_key, bucket=bucket, region=region
        )
    except RegistrationRefused as error:
        raise Refused(str(error)) from None
    demo = f"{uin}_demo/run_musicBeat.py"
    store.create(bucket, region).put(demo, DEMO, clock.now(), "text/x-python")
    now = str(clock.now_ms())
    return {
        "tmpContentId": account.content_id,
        "tmpSecretId": account.platform_id,
        "tmpSecretKey": account.platform_key,
        "apiGateSecretId": account.gateway_secret_id,
        "apiGateSecretKey": account.gateway_secret_key,
        "demoCosPath": demo,
        "usageDescription": f"Please download the Python version demo file [{demo}] from the COS bucket [{bucket}], "
        "replace the input file in the demo, then execute python run_musicBeat.py",
        "message": "Registration successful, thank you for registering",
        "createdAt": now,
        "updatedAt": now,
    }


def _object(value: object, field: str) -> JsonObject:
    if not isinstance(value, dict):
        raise Refused(f"{field} must be an object")
    return value


def _text(holder: JsonObject, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(f"registerRequest.cosConfig.{name} must be a string")
    return value
