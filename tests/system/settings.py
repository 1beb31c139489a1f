"""Airflow's settings in a stack: as in production, but kills become visible in seconds instead of minutes."""

from __future__ import annotations

import os
from pathlib import Path

from tests.system.guardian import MARK

TRIGGERER_THRESHOLD = 30.0
"""
Seconds without a heartbeat after which a triggerer's triggers go to another.

The first look-up of a connection in a new triggerer builds an API application inside of it, and the heartbeat waits for
that, up to 11 s on a quiet machine. With a small threshold two triggerers take the triggers away from each other.
"""

HEARTBEAT_TIMEOUT = 40
"""
Seconds without a heartbeat after which Airflow gives a running task up (default 300).

A supervisor sends one every 5 s: a busy machine may delay several, and nothing but a kill may end a try here.
"""


def environment(
    home: Path, databases: tuple[str, str], port: int, heartbeat: float | None, triggerer_threshold: float
) -> dict[str, str]:
    """
    Return the environment of every process of a stack; nothing of the developer's own settings is in it.

    :param databases: addresses for both drivers.
    :param port: of the API server.
    :param heartbeat: ``[workers] min_heartbeat_interval``; None leaves Airflow's default of 5 s.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    settings = {
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": 1,
        "API__SECRET_KEY": "system-tests-api-secret",
        "API_AUTH__JWT_SECRET": "system-tests-jwt-secret-of-sufficient-length-for-hs512-which-wants-64-bytes",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__DAGS_FOLDER": home / "dags",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__EXECUTOR": "LocalExecutor",
        # The same in every process, also after a restart: connections are in the database.
        "CORE__FERNET_KEY": "c3lzdGVtLXRlc3RzLWZlcm5ldC1rZXktMzItYnl0ZXM=",
        "CORE__LOAD_EXAMPLES": False,
        # With the default of 30 s a file that changes twice is read, but the second change is not taken in.
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 0,
        "CORE__PARALLELISM": 6,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 1,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 1,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 1,
        "DATABASE__LOAD_DEFAULT_CONNECTIONS": False,
        "DATABASE__SQL_ALCHEMY_CONN": databases[0],
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": databases[1],
        "LOGGING__COLORED_CONSOLE_LOG": False,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.3,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_DETECTION_INTERVAL": 2,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": HEARTBEAT_TIMEOUT,
        "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": 1,
        "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": triggerer_threshold,
        "USAGE_DATA_COLLECTION__ENABLED": False,
        "WORKERS__EXECUTION_API_TIMEOUT": 60,  # the default of 5 s is short for an API server that must share its core
    }
    if heartbeat is not None:
        settings["WORKERS__MIN_HEARTBEAT_INTERVAL"] = heartbeat
    return inherited | {
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
        "AIRFLOW_HOME": str(home),
        MARK: str(home),
        "SPT_NOENV": "1",  # else the titles that Airflow gives its processes overwrite the mark
        "NO_COLOR": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
