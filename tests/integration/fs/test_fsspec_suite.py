"""
fsspec's own tests of a filesystem, all of them, against the emulator.

``fsspec.tests.abstract.mv`` is left out: it holds no test of a given filesystem, only tests of fsspec's
``LocalFileSystem``, which expect that a folder can be closed to the user who runs them, so not to root. What ``mv`` of
``cos://`` does stands in ``test_names``.
"""

from __future__ import annotations

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests import abstract

from airflow_provider_mediax.fs.cos import CosFileSystem

BUCKET = "music-1250000000"


class CosFixtures(abstract.AbstractFixtures):  # type: ignore[misc]  # fsspec is not typed
    """What the tests need to know; ``fs`` is the fixture of this folder."""

    @pytest.fixture
    def fs(self, fs: CosFileSystem) -> CosFileSystem:
        return fs

    @pytest.fixture
    def local_fs(self) -> LocalFileSystem:
        """As in the suite, which up to 2025 had it in a form that pytest warns of."""
        return LocalFileSystem(auto_mkdir=True)

    @pytest.fixture
    def fs_path(self) -> str:
        return f"{BUCKET}/tests"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(abstract.AbstractCopyTests, CosFixtures):  # type: ignore[misc]  # fsspec is not typed
    """Copies inside COS."""


class TestGet(abstract.AbstractGetTests, CosFixtures):  # type: ignore[misc]  # fsspec is not typed
    """Downloads."""


class TestPut(abstract.AbstractPutTests, CosFixtures):  # type: ignore[misc]  # fsspec is not typed
    """Uploads."""


class TestPipe(abstract.AbstractPipeTests, CosFixtures):  # type: ignore[misc]  # fsspec is not typed
    """Objects that are written with one call."""


class TestOpen(abstract.AbstractOpenTests, CosFixtures):  # type: ignore[misc]  # fsspec is not typed
    """Objects that are written as files."""


def test_every_part_of_the_suite_is_run() -> None:
    suite = {found for name, found in vars(abstract).items() if name.startswith("Abstract") and name.endswith("Tests")}
    assert suite == {base for case in CosFixtures.__subclasses__() for base in case.__bases__} - {CosFixtures}
