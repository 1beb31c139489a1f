"""
The system tests run against one :class:`Stack`, made once for the session.

``--copies N`` lets each scenario happen N times: to as many DAG runs at once, where none stands in another's way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_mediax.emulator.process import MediaxEmulator
from tests.system.secrets_scan import in_records
from tests.system.stack import Stack

LONGEST = 3600
"""Seconds that one test may take for each copy, for what goes on moving for ever: every other wait ends by itself."""

_STACK = pytest.StashKey[Stack]()
_FAILED = "what the stack says"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--copies", type=int, default=1, help="how often each scenario happens")
    parser.addoption("--keep-home", action="store_true", help="leave the stack's logs and database on the disk")


@pytest.fixture(scope="session")
def _session_stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    if sys.platform != "linux":
        pytest.skip("finding and killing processes needs /proc")
    with Stack(keep=request.config.getoption("keep_home", False)) as stack:
        if request.config.getoption("keep_home", False):
            print(f"\nthe stack's home: {stack.home}")  # noqa: T201
        yield stack


@pytest.fixture
def stack(request: pytest.FixtureRequest, _session_stack: Stack) -> Iterator[Stack]:
    """The services, all running, none of an earlier test's runs left, and an emulator as new with a track in it."""
    _session_stack.begin_test()
    _session_stack.emulator.put_object("in/track.wav", _session_stack.track)
    request.node.stash[_STACK] = _session_stack
    yield _session_stack
    # Before its triggers are gone from the database.
    _session_stack.exposed += in_records(_session_stack.database, _session_stack.emulator)
    _session_stack.end_test()


@pytest.fixture
def emulator(stack: Stack) -> MediaxEmulator:
    """The stack's emulator."""
    return stack.emulator


@pytest.fixture
def copies(request: pytest.FixtureRequest) -> int:
    """How often a scenario happens: to how many DAG runs of each kind, or how many times in a row."""
    number = int(request.config.getoption("copies", 1))
    assert number > 0, "--copies must be positive, or nothing happens"
    return number


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to do as much as is good, and not only what shows the kind."""
    return bool(request.config.getoption("full"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Look for secrets last, when everything else has had its chance to leak one; give each test its time."""
    items.sort(key=lambda item: item.path.name == "test_secrets.py")
    seconds = LONGEST * int(config.getoption("copies", 1))
    for item in items:
        item.add_marker(pytest.mark.timeout(seconds))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Add logs and ledger to the report of a failed test, before its runs are deleted."""
    report = yield
    stack = item.stash.get(_STACK, None)
    if call.when == "call" and report.failed and stack is not None:
        try:
            report.sections.append((_FAILED, stack.report()))
        except Exception as error:  # noqa: BLE001 - the failure itself must be shown in any case
            report.sections.append((_FAILED, f"nothing: {error!r}"))
    return report
