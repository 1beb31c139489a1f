"""Says at the end of a test run how many schedules were carried out."""

from __future__ import annotations

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    schedules: Counter[str] = Counter()
    excluded: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == "schedules":
                    kind, number, left_out = value
                    schedules[kind] += number
                    excluded.update(left_out)
    if schedules:
        terminalreporter.section("schedules of the model checker")
        for kind, number in schedules.items():
            terminalreporter.line(f"{number:8} {kind}")
        for reason, number in excluded.items():
            terminalreporter.line(f"{number:8} of these bought twice or lost a job, as no client can prevent: {reason}")
