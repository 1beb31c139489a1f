"""A name is never a pattern unless the user wrote one: how paths are expanded and paired, in COS and on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from itertools import compress
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import has_magic
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import other_paths


class NamesFirst(AbstractFileSystem):  # type: ignore[misc]  # fsspec is not typed
    """
    A filesystem in which a path under which something exists is that one, also with ``*``, ``?`` or ``[`` in it.

    Any other path with these characters is a pattern.
    """

    def expand_path(
        self,
        path: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        assume_literal: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """
        Return the files and folders that paths stand for, sorted.

        :param recursive: also everything below them.
        :param maxdepth: levels below them, at least 1.
        :param assume_literal: take no path for a pattern.
        :raises FileNotFoundError: there is nothing; without ``recursive``, a path that is no pattern is not looked up.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        found: set[str] = set()
        for name in map(self._strip_protocol, [path] if isinstance(path, (str, os.PathLike)) else path):
            if not assume_literal and self.is_pattern(name):
                with contextlib.suppress(FileNotFoundError):
                    found.update(super().expand_path([name], recursive, maxdepth, **kwargs))
                continue
            if recursive:
                found.update(self.find(name, maxdepth=maxdepth, withdirs=True, **kwargs))
            if name not in found and (not recursive or self.exists(name)):
                found.add(name)
        if not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return sorted(found)

    def is_pattern(self, path: str) -> bool:
        """Tell whether a path looks like a pattern by more than the names of folders and files that exist."""
        if not has_magic(path) or self.exists(path):
            return False
        *folders, last = path.split("/")
        if has_magic(last):
            return True
        tops = ["/".join(folders[: depth + 1]) for depth, part in enumerate(folders) if has_magic(part)]
        return not all(self.isdir(top) for top in tops)

    def pairs(
        self,
        path: str | list[str],
        target: str,
        *,
        inside: bool,
        recursive: bool = False,
        maxdepth: int | None = None,
        assume_literal: bool = False,
    ) -> tuple[list[str], list[str]]:
        """
        Pair what paths stand for with where it goes, as fsspec does.

        What several paths stand for goes below the target without the folders that it lies in.

        :param target: a path on the other side.
        :param inside: whether the target is a folder to put it in.
        """
        sources = self.expand_path(path, recursive=recursive, maxdepth=maxdepth, assume_literal=assume_literal)
        if not isinstance(path, str):
            return sources, other_paths(sources, target, flatten=True)
        whole = recursive and maxdepth is None
        if not assume_literal and self.is_pattern(path):
            if not whole:
                sources = [name for name in sources if not self.isdir(name)]
            return sources, other_paths(sources, target, exists=len(sources) == 1) if sources else []
        targets = other_paths(sources, target, exists=inside and not path.endswith("/"))
        if whole:
            return sources, targets
        kept = [not self.isdir(name) for name in sources]
        return list(compress(sources, kept)), list(compress(targets, kept))


class LocalNames(NamesFirst, LocalFileSystem):  # type: ignore[misc]  # fsspec is not typed
    """The files of this machine."""


def check_inside(root: str, paths: Iterable[str]) -> None:
    """
    Refuse paths that lead out of a local folder, which a key with ``..`` does; fsspec looks only since 2026.

    :raises ValueError: one of them does.
    """
    top = os.path.abspath(root)
    for path in paths:
        if os.path.commonpath([top, os.path.abspath(path)]) != top:
            raise ValueError(f"{path!r} is outside of {root!r}")
