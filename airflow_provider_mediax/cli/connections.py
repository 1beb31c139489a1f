"""Connections as the commands know them: their fields, their form as JSON, and the one place that writes them."""

from __future__ import annotations

import os
from typing import Any

from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_mediax.cli.command import say

PLATFORM_NAMES = {
    "login": "tmpSecretId",
    "password": "tmpSecretKey",
    "gateway_secret_id": "apiGateSecretId",
    "gateway_secret_key": "apiGateSecretKey",
    "content_id": "tmpContentId",
}
"""Fields of a connection, and what the platform's registration calls them."""


def variable_of(conn_id: str) -> str:
    """Return the environment variable in which Airflow looks for a connection before it asks its database."""
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def stored_type(conn_id: str) -> str | None:
    """
    Return the type of the connection that lies in the metadata database under this id, None if there is none.

    :raises SQLAlchemyError: the database cannot be read.
    """
    with create_session() as session:
        return session.scalar(select(Connection.conn_type).where(Connection.conn_id == conn_id))


def write(connection: Connection) -> None:
    """
    Write a connection to the metadata database, in the place of the one that has its id, and say so.

    :raises SQLAlchemyError: the database cannot be written.
    """
    conn_id, encrypted = connection.conn_id, connection.is_encrypted or connection.is_extra_encrypted
    with create_session() as session:
        for old in session.scalars(select(Connection).where(Connection.conn_id == conn_id)):
            session.delete(old)
        session.flush()
        session.add(connection)
    say(f"Connection {conn_id} is written. Try it with `airflow-mediax check --conn-id {conn_id}`.")
    if not encrypted:
        say("Its keys are NOT encrypted in the database, because Airflow has no [core] fernet_key: set one.")
    if variable_of(conn_id) in os.environ:
        say(f"Airflow goes on taking the connection in {variable_of(conn_id)}, which is set in this environment.")


def as_object(connection: Connection) -> dict[str, Any]:
    """Return the form that Airflow's environment variables and ``connections import`` take."""
    fields = {name: getattr(connection, name) for name in ("conn_type", "host", "login", "password")}
    return {name: value for name, value in fields.items() if value} | {"extra": connection.extra_dejson}
