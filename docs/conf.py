"""
The site: the README, the pages of this folder, and a reference made of docstrings. ``make docs`` builds it.

The source is the whole project, so that links between README, pages and files are the same here and in a code browser.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from airflow_provider_mediax import __version__

ROOT = Path(__file__).resolve().parents[1]

project = "airflow-provider-mediax"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "mutants", "tests"]

html_theme = "sphinx_rtd_theme"
html_title = project
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # links to headings are checked, and they are named as code browsers name them

autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "none"  # types stand in the signatures


def contents() -> str:
    """Return the site's table of contents, as docs/index.md orders it."""
    parts = re.split(r"^## (.+)$", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    trees = ["```{toctree}\n:hidden:\ndocs/index\n```"]
    for caption, text in zip(parts[1::2], parts[2::2], strict=True):
        targets = [f"docs/{target}".replace("docs/../", "") for target in re.findall(r"\]\(([\w./-]+\.md)\)", text)]
        trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", *targets, "```"]))
    return "\n\n".join(trees)


def add_contents(app: object, name: str, source: list[str]) -> None:
    """Give the first page the table of contents, which a code browser would show as text."""
    if name == root_doc:
        source[0] += "\n" + contents()


def setup(app: Any) -> None:
    """Have Sphinx ask for the table of contents when it reads the first page."""
    app.connect("source-read", add_contents)
