"""
The benchmarks: ``run.py`` runs all of them, ``run.py simulation`` one. They print figures and judge nothing.

``--quick`` takes three minutes, ``--full`` runs all rows; ``--write`` makes docs/performance.md of what was printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
TITLES = {
    "simulation": "When the end of a job is seen, in virtual time",
    "waiting": "What waiting triggers cost",
    "cpu_per_poll": "What one question costs",
    "submitting": "What submitting costs",
    "requests_per_wait": "Requests per wait against the emulator",
    "imports": "What a DAG file pays for importing the operators",
    "catalogue": "What a catalogue in one task costs",
    "warehouse_load": "What loading rows into a table costs",
}
SIZED = ("simulation", "waiting", "catalogue", "warehouse_load")
"""Those that know ``--quick`` and ``--full``."""

INTRODUCTION = """# Performance

This page is what `make bench ARGS=--write` printed on one machine. Absolute times belong to that machine; the ratios
within one run are what can be compared. To repeat it, run `make bench` (half an hour; `ARGS=--quick` three minutes,
`ARGS=--full` every row) on a machine that does nothing else.

What it does not show: the real services and the network to them (the server answers at once, on loopback), the
triggerer's own work for a trigger (its database, its supervisor), and answers larger than those of the fake server.

How to read the first table: *delay* is the time from a job's end to the question that found it, or, for a job that
ended before its trigger may yield an event, from that moment. *cold* is a process that has seen no job end, *warm* one
that has seen 500. *oracle* knows when each job ends and asks once. *blind* knows no more than a limiter can: it asks
without a moment lost for the job that was asked for longest ago.

How to read the second: *turn* is the CPU time of the event loop's dearest turn. With Airflow imported, Python's full
garbage collection alone takes most of it, whatever the triggers do; it walks over everything that is loaded.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(TITLES)}; default: all")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true", help="make docs/performance.md of the output")
    given = parser.parse_args()
    names = given.names or list(TITLES)
    if unknown := sorted(set(names) - set(TITLES)):
        parser.error(f"there is no {', '.join(unknown)}")
    os.environ["PYTHONPATH"] = str(HERE.parent)
    size = ["--quick"] if given.quick else ["--full"] if given.full else []
    machine = (
        f"Airflow {version('apache-airflow')}, aiohttp {version('aiohttp')}, Python {platform.python_version()}, "
        f"{platform.machine()}, {os.cpu_count()} cores"
    )
    print(machine)
    started = time.monotonic()
    page, failed = [INTRODUCTION, f"{machine}.\n"], 0
    for name in names:
        print(f"\n== {TITLES[name]}: python benchmarks/{name}.py\n", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *(size if name in SIZED else ())]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line)
        failed += process.returncode != 0
        page.append(f"## {TITLES[name]}\n\n```text\n{''.join(lines).strip()}\n```\n")
    print(f"\n{time.monotonic() - started:.0f} s in all")
    if given.write and not failed:
        PAGE.write_text("\n".join(page), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
