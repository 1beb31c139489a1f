"""
What an installed wheel must do where there is nothing but Airflow: be discovered, be imported, make a DAG.

``make package`` runs it with the Python of a clean environment, isolated (``-I``): nothing of the checkout counts.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp()

from airflow.providers_manager import ProvidersManager
from airflow.sdk import DAG, Asset, ObjectStoragePath

from airflow_provider_mediax import operators
from airflow_provider_mediax.provider_info import get_provider_info


def main() -> None:
    """Fail with the first thing that does not work."""
    package = Path(operators.__file__).parents[1]
    assert "site-packages" in package.parts, f"{package} is not what was installed"
    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for group in info[kind]:
            for module in group["python-modules"]:
                importlib.import_module(module)
    for transfer in info["transfers"]:
        importlib.import_module(transfer["python-module"])

    found = ProvidersManager().providers
    assert "airflow-provider-mediax" in found, sorted(found)
    assert Asset("cos://music-1250000000/in/a.wav").uri == "cos://music-1250000000/in/a.wav"
    assert ObjectStoragePath("cos://music-1250000000/in/a.wav", conn_id="mediax_default").protocol == "cos"

    from airflow_provider_mediax.operators.music import MusicTagOperator

    with DAG("first_dag", schedule=None) as dag:
        MusicTagOperator(task_id="tags", path="in/track.wav", deferrable=True)
    dag.validate()

    assert (package / "py.typed").is_file()
    assert "airflow-mediax" in {script.name for script in entry_points(group="console_scripts")}
    command = [str(Path(sys.executable).with_name("airflow-mediax")), "--help"]
    assert "check" in subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    print(f"{package.name} works with Python {sys.version.split()[0]}")  # noqa: T201


if __name__ == "__main__":
    main()
