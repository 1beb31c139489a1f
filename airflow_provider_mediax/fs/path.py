"""How the path library below ``ObjectStoragePath`` knows ``cos://``: an entry point of the package names this class."""

from __future__ import annotations

from fsspec import get_filesystem_class  # type: ignore[import-untyped]
from upath import UPath

# The library takes addresses apart as a filesystem does that is loaded by then, else by a default that is wrong here.
get_filesystem_class("cos")


class CosPath(UPath):
    """A path of :class:`~airflow_provider_mediax.fs.cos.CosFileSystem`, which needs nothing that other paths do not."""

    __slots__ = ()
