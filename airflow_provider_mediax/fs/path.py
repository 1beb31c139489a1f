"""How the path library below ``ObjectStoragePath`` knows ``cos://``: an entry point of the package names this class."""

from __future__ import annotations

from upath import UPath


class CosPath(UPath):
    """A path of :class:`~airflow_provider_mediax.fs.cos.CosFileSystem`, which needs nothing that other paths do not."""

    __slots__ = ()
