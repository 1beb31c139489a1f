"""Airflow's REST API, through which tests do what users do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from tests.system.waiting import wait_until

_TIMEOUT = 120.0


class Refused(AssertionError):
    """The API said no."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:2000]}")
        self.status = answer.status_code


@dataclass(frozen=True)
class Task:
    """A task instance, in its present try or in an earlier one."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    max_tries: int
    pid: int | None
    started: float | None
    ended: float | None
    triggerer: int | None

    @classmethod
    def read(cls, item: dict[str, Any]) -> Task:
        return cls(
            task_id=item["task_id"],
            map_index=item["map_index"],
            state=item["state"],
            try_number=item["try_number"],
            max_tries=item["max_tries"],
            pid=item["pid"],
            started=_epoch(item["start_date"]),
            ended=_epoch(item["end_date"]),
            triggerer=(item.get("trigger") or {}).get("triggerer_id"),
        )

    @property
    def name(self) -> str:
        """Task id, and in brackets the map index of a mapped one."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class Rest:
    """
    Calls of the REST API as an administrator.

    Reading survives an API server that restarts meanwhile; whatever changes something is sent once.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """
        Call ``/api/v2/<path>`` and return what it answers.

        :raises Refused: it answers with an error.
        """
        if "Authorization" not in self._session.headers:
            token = self._send("GET", "/auth/token", None, {}).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
        answer = self._send(method, f"/api/v2/{path}", body, query)
        return answer.json() if answer.content else None

    def find(self, path: str, **query: Any) -> Any:
        """Read ``/api/v2/<path>``; None if there is no such thing."""
        try:
            return self.call("GET", path, **query)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def answers(self) -> bool:
        """Tell whether an API server is there."""
        try:
            return self._session.get(f"{self.url}/api/v2/version", timeout=_TIMEOUT).ok
        except requests.RequestException:
            return False

    def health(self) -> dict[str, str | None]:
        """Return the status of each service, ``healthy`` for those that live."""
        return {name: part["status"] for name, part in self.call("GET", "monitor/health").items()}

    def put_connection(self, conn_id: str, connection: dict[str, Any]) -> None:
        """
        Make a connection, or change the one that there is, for everything that looks it up from now on.

        :param connection: in the form of ``MediaxEmulator.connection_json``.
        """
        body = {**connection, "connection_id": conn_id, "extra": json.dumps(connection.get("extra", {}))}
        if self.find(f"connections/{conn_id}") is None:
            self.call("POST", "connections", body)
        else:
            self.call("PATCH", f"connections/{conn_id}", body)

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause a DAG or let it go on."""
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": paused})

    def _send(self, method: str, path: str, body: Any, query: dict[str, Any]) -> requests.Response:
        def attempt() -> requests.Response | None:
            try:
                return self._session.request(method, self.url + path, json=body, params=query, timeout=_TIMEOUT)
            except (requests.ConnectionError, requests.Timeout):
                if method != "GET":
                    raise
                return None

        # An answer with an error is an answer too, although it is false.
        answers = wait_until("the API server to answer", lambda: [found for found in [attempt()] if found is not None])
        if not answers[0].ok:
            raise Refused(answers[0])
        return answers[0]


def _epoch(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
