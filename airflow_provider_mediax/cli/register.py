"""The command ``register``: registers a customer with the music platform and keeps the keys as a connection."""

from __future__ import annotations

import json
import os
import sys
import threading
from argparse import Namespace
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_mediax.cli.command import Exit, ask, command, say
from airflow_provider_mediax.cli.connection_fields import clean, connection_of
from airflow_provider_mediax.cli.connections import PLATFORM_NAMES, as_object, write
from airflow_provider_mediax.cli.printing import print_object
from airflow_provider_mediax.client.retry import ONE_TRY
from airflow_provider_mediax.client.sync import SyncClient
from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unreachable,
)
from airflow_provider_mediax.hooks.base import pacing_of
from airflow_provider_mediax.hooks.connection import MediaxConnection
from airflow_provider_mediax.protocol.exchange import JsonObject
from airflow_provider_mediax.protocol.json_body import text
from airflow_provider_mediax.protocol.mediax.gateway import Gateway, PlatformKeys, Registration
from airflow_provider_mediax.protocol.mediax.service import MediaxService
from airflow_provider_mediax.protocol.urls import shown_line

KEY_VARIABLES = {"cos_secret_id": "MEDIAX_COS_SECRET_ID", "cos_secret_key": "MEDIAX_COS_SECRET_KEY"}
"""Where the COS keys are taken from, if they are not in a file."""

SHOWN = {"message": "The platform says", "usageDescription": "Usage", "demoCosPath": "Demo in the bucket"}
"""Members of the platform's answer that are shown, and what each is called."""

PROGRESS_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """
    The connection that is to be made.

    :param source: value of the gateway's ``Source`` header; the platform does not return it.
    """

    conn_id: str
    host: str | None
    register_path: str | None
    source: str

    def connection(self, info: JsonObject, registration: Registration) -> Connection:
        """
        Return the connection that holds what the platform has given.

        :param info: ``registerInfo``; what it lacks stays empty.
        """
        given = {
            "host": self.host,
            "register_path": self.register_path,
            "gateway_source": self.source,
            "cos_secret_id": registration.cos_secret_id,
            "cos_secret_key": registration.cos_secret_key,
            "cos_region": registration.region,
            "cos_bucket": registration.bucket,
        }
        returned = {field: text(info.get(name)) for field, name in PLATFORM_NAMES.items()}
        return connection_of(self.conn_id, clean(given | returned))


@command
def run(args: Namespace) -> Exit:
    """Register once, and keep or print the connection."""
    if args.output == "airflow" and not args.force:
        _refuse_to_overwrite(args.conn_id)
    registration = _registration(args)
    source = args.gateway_source or f"{registration.operate_uin}_{registration.user_name}"
    target = Target(conn_id=args.conn_id, host=args.host, register_path=args.register_path, source=source)
    info = _registered(target, registration)
    connection = target.connection(info, registration)
    for member, words in SHOWN.items():
        if said := text(info.get(member)):
            say(f"{words}: {shown_line(said, _secrets(connection))}")
    missing = [name for name in PLATFORM_NAMES.values() if not text(info.get(name))]
    if missing:
        say(f"The answer holds no {', '.join(missing)}: add them to the connection, from the platform's support.")
    if args.gateway_source is None:
        say(f"gateway_source is {source}, as the platform's samples compose it; --gateway-source gives another one.")
    _keep(connection, args.output)
    return Exit.UNSURE if missing else Exit.FINE


def _refuse_to_overwrite(conn_id: str) -> None:
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return
    raise BadRequest.field("conn-id", conn_id, "it exists; give another one, or --force to overwrite it.")


def _registration(args: Namespace) -> Registration:
    """Take what the platform asks for from options, a file, the environment or a prompt, in this order."""
    keys = _keys_of(args.keys_file)
    asked = {
        "operate_uin": args.operate_uin or _ask("Account that activated the service (operateUin)", "operate-uin"),
        "user_name": args.user_name or _ask("User name (letters and digits, at most 19)", "user-name"),
        "bucket": args.bucket or _ask("Bucket, with the account's number at its end", "bucket"),
        "region": args.region or _ask("Region of the bucket, such as ap-guangzhou", "region"),
    }
    for field, variable in KEY_VARIABLES.items():
        given = keys.get(field) or os.environ.get(variable)
        asked[field] = given or _ask(field.replace("_", " ").replace("cos", "COS"), variable, secret=True)
    return Registration(**asked, domain=args.domain)


def _keys_of(file: str | None) -> dict[str, str]:
    if file is None:
        return {}
    rule = f"it must be a JSON file with {' and '.join(KEY_VARIABLES)}."
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadRequest.field("keys-file", file, rule) from None
    keys = {name: text(content.get(name)) for name in KEY_VARIABLES} if isinstance(content, dict) else {}
    if not keys or not all(keys.values()):
        raise BadRequest.field("keys-file", file, rule)
    return {name: value or "" for name, value in keys.items()}


def _ask(words: str, source: str, *, secret: bool = False) -> str:
    """Prompt a person; a program that has left something out is refused by name."""
    if not sys.stdin.isatty():
        rule = f"set {source} in the environment or give --keys-file." if secret else f"give --{source}."
        raise BadRequest.field(source, "", rule)
    return ask(words, hidden=secret)


def _registered(target: Target, registration: Registration) -> JsonObject:
    """
    Register, once, and show meanwhile that something happens.

    :raises MediaxError: with a word on whether it may have happened all the same.
    """
    bare = Connection(conn_id=target.conn_id, conn_type="mediax", host=target.host)
    place: dict[str, Any] = {"register_path": target.register_path} if target.register_path else {}
    settings = MediaxConnection.read(target.conn_id, bare, place)
    gateway = Gateway(
        base_url=settings.base_url, register_path=settings.register_path, platform_keys=PlatformKeys("", "")
    )
    pacing = pacing_of(MediaxService(gateway, settings.repository), settings)
    answer: Future[JsonObject] = Future()

    def carry_out() -> None:
        try:
            with SyncClient(settings.transport, pacing) as client:
                answer.set_result(client.run(gateway.register(registration), ONE_TRY))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            answer.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    say("Registering; this takes about two minutes. Do not interrupt it.")
    seconds = 0.0
    while not wait((answer,), PROGRESS_SECONDS).done:
        seconds += PROGRESS_SECONDS
        say(f"{seconds:.0f} s")
    try:
        return answer.result()
    except (Throttled, Unreachable) as error:
        error.advice = "Nothing is registered; try again later."
        raise
    except (AuthenticationFailed, BadRequest):
        raise
    except MediaxError as error:
        error.advice = (
            "Whether the customer is registered is not known. Do not simply repeat it: look for a new demo in the "
            "bucket, and ask the platform's support."
        )
        raise


def _secrets(connection: Connection) -> list[str | None]:
    extra = connection.extra_dejson
    return [connection.login, connection.password, *(extra.get(name) for name in extra if "secret" in name)]


def _keep(connection: Connection, output: str) -> None:
    """Write the connection where it was asked for; the keys are shown only once, so they must not be lost."""
    if output == "uri":
        sys.stdout.write(f"{connection.get_uri()}\n")
    elif output == "json":
        print_object(as_object(connection), "json")
    else:
        try:
            write(connection)
        except SQLAlchemyError as error:
            file = _saved(connection)
            raise ProtocolError(
                f"The connection could not be written ({type(error).__name__}), so its keys are in {file}",
                advice="Add it with `airflow connections import`, then remove the file.",
            ) from None


def _saved(connection: Connection) -> Path:
    """Write the connection to a file that only its owner can read."""
    file = Path(f"{connection.conn_id}.{os.getpid()}.json").absolute()
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        json.dump({connection.conn_id: as_object(connection)}, opened)
    return file
