"""
What every test needs before Airflow is imported: a home of its own and nothing of the developer's settings.

Airflow reads its configuration once, at import, so all of it is set here at the top of the module, not in a fixture.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if "airflow" in sys.modules:
    raise RuntimeError("Airflow was imported before its test home was set; it would use the developer's own.")

# A shell may point at a real deployment (its database, its connections). None of that may reach a test.
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
    del os.environ[_name]

_HOME = Path(tempfile.mkdtemp(prefix="airflow-mediax-tests-"))
(_HOME / "dags").mkdir()

os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(_HOME / "dags"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS="False",
    # The trigger keeps its first event back for this interval and a second; the default of 5 would slow every test.
    AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="1",
)

from airflow_provider_mediax.jobs import schedule  # noqa: E402 - loads no Airflow

# How long an example takes says how busy the machine is. A test that promises a time says so itself.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

pytest_plugins = ["airflow_provider_mediax.emulator.pytest_plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="every case of each kind, not only one")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave further cases of a kind, which are marked so, to ``make test-full``."""
    if not config.getoption("full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _nothing_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test know how long the jobs of another one took."""
    monkeypatch.setattr(schedule, "_learned", {})


def pytest_configure(config: pytest.Config) -> None:
    """Make the test home again where one process runs pytest several times, as a mutation tool does."""
    (_HOME / "dags").mkdir(parents=True, exist_ok=True)
    if tuple(map(int, version("aiohttp").split(".")[:2])) < (3, 12):  # it leaves the socket of a handshake that failed
        config.addinivalue_line("filterwarnings", "ignore:Exception ignored in. <socket.socket")


def pytest_unconfigure() -> None:
    """Remove the test home at the very end, when nothing reads the database any more."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """
    Create Airflow's tables in a sqlite file of the test home, once per run.

    An empty database is made from the models, not by running every migration: seconds less, the same tables.
    """
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(autouse=True)
def own_pacing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what earlier tests have taught this process about clocks and rates of services."""
    from airflow_provider_mediax.client import pacing

    monkeypatch.setattr(pacing, "_accounts", {})
    monkeypatch.setattr(pacing, "_limits", {})
