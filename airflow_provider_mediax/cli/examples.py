"""The example DAGs in a dags folder: copied for the quickstart, and taken away again if nobody has changed them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from airflow_provider_mediax.exceptions import BadRequest

FOLDER = "mediax_quickstart"
"""Folder of the copies below the dags folder, and id of the connection that they use."""

LIST = "quickstart.json"
"""File in the folder that names what the quickstart has made."""

_CONNECTION = "mediax_default"


@dataclass(frozen=True, slots=True)
class Made:
    """
    What a quickstart has made.

    :param files: digest of each copy by its name.
    :param connection: digest of the connection.
    """

    files: Mapping[str, str]
    connection: str | None

    @classmethod
    def read(cls, folder: Path) -> Made:
        """
        Read the list of a folder; without one nothing was made.

        :raises BadRequest: somebody has damaged it.
        """
        try:
            said = json.loads((folder / LIST).read_text(encoding="utf-8"))
            connection = said["connection"]
            return cls({str(name): str(value) for name, value in said["files"].items()}, connection)
        except FileNotFoundError:
            return cls({}, None)
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            raise BadRequest(
                f"{folder / LIST} cannot be read ({type(error).__name__}), so nothing is touched",
                advice="It names what the quickstart has made. Delete the folder yourself.",
            ) from None

    def write(self, folder: Path) -> None:
        """Write the list, or remove it if it names nothing."""
        if not self.files and self.connection is None:
            (folder / LIST).unlink(missing_ok=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        said = {"schema": 1, "files": dict(self.files), "connection": self.connection}
        (folder / LIST).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def digest(content: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return sha256(content.encode()).hexdigest()


def connection_digest(fields: Mapping[str, Any]) -> str:
    """Return the digest of a connection's fields, whatever their order."""
    return digest(json.dumps(fields, sort_keys=True))


def copies() -> dict[str, str]:
    """Return the examples by their names, with the connection and the imports of a quickstart."""
    found = {file.name: file.read_text(encoding="utf-8") for file in _folder().iterdir() if file.name.endswith(".py")}
    found = {name: source for name, source in sorted(found.items()) if not name.startswith("_")}
    modules = "|".join(re.escape(name.removesuffix(".py")) for name in found)
    return {
        name: re.sub(rf"^from ({modules}) import", rf"from {FOLDER}.\1 import", source, flags=re.MULTILINE).replace(
            _CONNECTION, FOLDER
        )
        for name, source in found.items()
    }


def place(folder: Path, made: Made) -> tuple[Made, list[str]]:
    """
    Copy the examples, but over nothing that somebody else wrote.

    :return: what is made by now, and the names that were left as they are.
    """
    kept, left = dict(made.files), []
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in copies().items():
        file = folder / name
        if file.exists() and not is_ours(file, made):
            left.append(name)
            continue
        file.write_text(source, encoding="utf-8")
        kept[name] = digest(source)
    return Made(kept, made.connection), left


def take_away(folder: Path, made: Made) -> list[str]:
    """Remove the copies that nobody has changed, and the folder if nothing else is left; return what stays."""
    left = []
    for name in made.files:
        file = folder / name
        if file.exists() and not is_ours(file, made):
            left.append(name)
            continue
        file.unlink(missing_ok=True)
        for compiled in (folder / "__pycache__").glob(f"{name.removesuffix('.py')}.*.pyc"):
            compiled.unlink()
    for leftover in (folder / "__pycache__", folder):
        if leftover.is_dir() and not any(entry.name != LIST for entry in leftover.iterdir()):
            (leftover / LIST).unlink(missing_ok=True)
            leftover.rmdir()
    return left


def is_ours(file: Path, made: Made) -> bool:
    """Tell whether a file is as the quickstart wrote it."""
    try:
        return digest(file.read_text(encoding="utf-8")) == made.files.get(file.name)
    except (OSError, UnicodeDecodeError):
        return False


def _folder() -> Traversable:
    """Return where the examples are: in the wheel, or beside the package in its repository."""
    package = files("airflow_provider_mediax")
    installed = package.joinpath("example_dags")
    return installed if installed.is_dir() else package.joinpath("..", "dags")
