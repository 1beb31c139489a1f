from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from airflow_provider_mediax.fs.cos import CosFileSystem, get_fs, schemes


def test_a_key_is_not_taken_as_an_option():
    with pytest.raises(TypeError, match="secret_key"):
        CosFileSystem(secret_key="would be pickled")


def test_airflow_finds_it():
    assert schemes == ["cos"]
    assert get_fs("music").conn_id == "music"
    assert get_fs(None).conn_id == "mediax_default"


def test_the_entry_points_name_what_there_is():
    points = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["entry-points"]
    (fs,) = importlib.metadata.EntryPoints(
        [importlib.metadata.EntryPoint(name, value, "fsspec.specs") for name, value in points["fsspec.specs"].items()]
    )
    assert (fs.name, fs.load()) == ("cos", CosFileSystem)


@pytest.mark.parametrize("path", ["", "cos://", "cos://*/a", "cos://music-[12]/a", "?"])
def test_a_bucket_is_named_and_no_pattern(path):
    fs = CosFileSystem(skip_instance_cache=True)
    for ask in (fs.exists, fs.ls, fs.cat_file, fs.rm_file):
        with pytest.raises(ValueError, match="bucket"):
            ask(path)
