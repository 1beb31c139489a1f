"""Print the other Pythons from 3.11 to 3.13 that this machine has, as ``3.12=/path/to/it``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

VERSIONS = [(3, 11), (3, 12), (3, 13)]

#: Where uv and pyenv keep theirs, which need not be on the path.
KEPT = {
    "UV_PYTHON_INSTALL_DIR": (".local/share/uv/python", "cpython-{version}.*/bin/python3"),
    "PYENV_ROOT": (".pyenv", "versions/{version}.*/bin/python3"),
}


def candidates(version: str) -> Iterator[str]:
    """Yield what may be a Python of a version."""
    if named := shutil.which(f"python{version}"):
        yield named
    for variable, (usual, pattern) in KEPT.items():
        root = Path(os.environ.get(variable) or Path.home() / usual)
        yield from map(str, sorted(root.glob(pattern.format(version=version)), reverse=True))


def runs(python: str, version: tuple[int, int]) -> bool:
    """Tell whether it is a Python of this version that starts; a shim of pyenv may only say that it is not chosen."""
    code = f"import sys, venv; sys.exit(sys.version_info[:2] != {version})"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0  # noqa: S603


def main() -> None:
    """Print one Python of each version, and on standard error which versions there are none of."""
    for version in VERSIONS:
        name = ".".join(map(str, version))
        if version == sys.version_info[:2]:
            continue
        python = next((found for found in candidates(name) if runs(found, version)), None)
        print(f"{name}={python}" if python else f"No Python {name} here.", file=sys.stdout if python else sys.stderr)


if __name__ == "__main__":
    main()
