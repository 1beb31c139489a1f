"""How the path library below ``ObjectStoragePath`` knows ``cos://``: an entry point of the package names this class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fsspec import get_filesystem_class
from upath import UPath

# The library takes addresses apart as a filesystem does that is loaded by then, else by a default that is wrong here.
get_filesystem_class("cos")


class CosPath(UPath):
    """A path of :class:`~airflow_provider_mediax.fs.cos.CosFileSystem`: itself a name, whatever characters it has."""

    __slots__ = ()

    def glob(self, pattern: str, **options: Any) -> Iterator[CosPath]:
        """
        Yield what a pattern names below this path.

        :param pattern: relative to this path, which is no part of it, also if nothing exists there.
        :param options: those of ``UPath.glob``, which have no effect here either.
        """
        for name in self.fs.glob_below(self.path, pattern):
            yield self.joinpath(name.removeprefix(f"{self.fs._strip_protocol(self.path)}/"))

    def rglob(self, pattern: str, **options: Any) -> Iterator[CosPath]:
        """Yield what a pattern names at any depth below this path."""
        return self.glob(f"**/{pattern}", **options)
