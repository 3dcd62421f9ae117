"""How Sphinx builds the documentation: MyST pages, and a reference drawn from the code."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Thalweg"
author = "The Thalweg developers"
copyright = "2026, The Thalweg developers"
release = version_of("thalweg")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "from_the_code",
    "mathml",
]
exclude_patterns = ["_build", "_templates", "_extensions"]
templates_path = ["_templates"]
default_role = "literal"  # docstrings write `name` as one does in Markdown

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "exclude-members": "metadata, registry",  # SQLAlchemy's, with references into its own documentation
}
autodoc_preserve_defaults = True
suppress_warnings = ["ref.python"]  # two rooms may each have a class of one name

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"Thalweg {release}"
html_static_path = ["_static"]
html_css_files = ["mathml.css"]
html_show_sourcelink = False


def separate_endings(*arguments: object) -> None:
    """Docstrings write "`Scalar`s" as one does in Markdown; reStructuredText wants a mark between the two."""
    lines = cast("list[str]", arguments[-1])
    lines[:] = [re.sub(r"(`[^`]+`)(?=\w)", r"\1\\ ", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", separate_endings)
