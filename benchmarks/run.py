"""The benchmarks: ``run.py`` runs all of them, ``run.py imports`` one. They print figures and judge nothing."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
TITLES = {
    "imports": "Import cost",
    "requests_per_wait": "Requests per wait",
    "cpu_per_poll": "CPU per poll",
    "waiting_triggers": "A thousand waiting triggers",
    "batched_polls": "A thousand waiting triggers of the service that describes ten jobs in a call",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(TITLES)}; default: all")
    names = parser.parse_args().names or list(TITLES)
    if unknown := sorted(set(names) - set(TITLES)):
        parser.error(f"there is no {', '.join(unknown)}")
    print(f"Airflow {version('apache-airflow')}, Python {platform.python_version()}, {platform.machine()}")
    started = time.monotonic()
    failed = 0
    for name in names:
        print(f"\n== {TITLES[name]}: python benchmarks/{name}.py\n", flush=True)
        failed += subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False).returncode != 0
    print(f"\n{time.monotonic() - started:.0f} s in all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
