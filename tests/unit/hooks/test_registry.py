"""The registry names each service once, and loads a hook only when somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

from airflow_provider_mediax.hooks.registry import HOOKS, SERVICES
from airflow_provider_mediax.provider_info import get_provider_info

NAMES_ALONE = """
import sys
from airflow_provider_mediax.hooks.registry import SERVICES
assert list(SERVICES) and "mediax" in list(SERVICES) and len(SERVICES) == len(list(SERVICES))
print(*(name for name in sys.modules if name.partition(".")[0] in ("airflow", "requests")))
"""


def test_a_hook_is_found_under_its_services_own_name() -> None:
    assert SERVICES
    assert {name: hook.service_type.name for name, hook in SERVICES.items()} == {name: name for name in HOOKS}


def test_airflow_is_given_the_module_of_every_hook() -> None:
    given = [module for entry in get_provider_info()["hooks"] for module in entry["python-modules"]]
    assert {hook.__module__ for hook in SERVICES.values()} <= set(given)


def test_the_names_alone_load_neither_airflow_nor_a_client() -> None:
    done = subprocess.run([sys.executable, "-c", NAMES_ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
