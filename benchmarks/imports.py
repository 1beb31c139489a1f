"""What a DAG file pays for importing the operators, on top of what every DAG file imports."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from typing import Any

import harness  # noqa: F401 - the Airflow home of the processes below

OURS = "airflow_provider_mediax.operators.music"
PEERS = (
    "airflow.providers.standard.sensors.external_task",
    "airflow.providers.common.io.operators.file_transfer",
)
CLIENTS = ("requests", "aiohttp", "httpx", "httpx2", "urllib3", "qcloud_cos", "librosa", "pandas", "pyarrow")
SAMPLES = {OURS: 7} | dict.fromkeys(PEERS, 3)  # five seconds each, nearly all of them Airflow's own
TARGET = "at most 15 ms and 30 modules, no HTTP client"

_CODE = """
import json, sys, time
from airflow.sdk import DAG, BaseOperator
before, started = set(sys.modules), time.process_time()
import {module}
spent = time.process_time() - started
new = set(sys.modules) - before
print(json.dumps([1000 * spent, len(new), sorted(set({clients}) & new)]))
"""


def sample(module: str) -> tuple[float, int, list[str]] | None:
    """Import a module in a fresh process: CPU ms, new modules, new HTTP clients; None if it is not installed."""
    code = _CODE.format(module=module, clients=CLIENTS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return tuple(json.loads(done.stdout.splitlines()[-1])) if done.returncode == 0 else None


def main() -> None:
    samples: dict[str, list[Any]] = {module: [] for module in SAMPLES}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a scheduler compiles a module once, not at every parse
    for module in SAMPLES:
        sample(module)
    for turn in range(max(SAMPLES.values())):  # so that a slow moment of the machine hits all alike
        for module, found in samples.items():
            if turn < SAMPLES[module]:
                found.append(sample(module))
    print(f"median of {SAMPLES[OURS]} fresh processes (peers: 3), after 'from airflow.sdk import DAG, BaseOperator'")
    print(f"ours: {TARGET}\n")
    print(f"{'module':<54}{'CPU ms':>8}{'min':>7}{'modules':>9}  HTTP clients")
    for module, found in samples.items():
        if None in found:
            print(f"{module:<54}  not installed")
            continue
        spent, modules, clients = zip(*found, strict=True)
        listed = ", ".join(clients[0]) or "none"
        print(f"{module:<54}{statistics.median(spent):>8.1f}{min(spent):>7.1f}{modules[0]:>9}  {listed}")


if __name__ == "__main__":
    main()
