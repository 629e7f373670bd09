"""Sphinx: `make docs`. Warnings are errors, and nothing is fetched from a network."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "hop"
copyright = "2026, the authors of hop. Apache 2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # links to a heading, as in PAGE.md#its-words

smartquotes = False  # quotes and dashes as they are typed

html_theme = "furo"
html_static_path = ["_static"]
html_title = "hop"
html_show_sphinx = False
html_copy_source = False

# Docstrings are Google style, and write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False  # docstrings give the shapes


def plain_bars(app, what, name, obj, options, lines):
    """Keeps |r| in a docstring from being read as a substitution."""
    lines[:] = [re.sub(r"(`[^`]*`)|\\?\|", lambda m: m[1] or r"\|", line) for line in lines]


def no_aliases(app, what, name, obj, skip, options):
    """Leaves out the fields of a named tuple, which its docstring has said already."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field") else skip


def no_protocol_calls(app, what, name, obj, options, signature, returns):
    """A Protocol is not called."""
    return ("", None) if getattr(obj, "_is_protocol", False) else None


def plain_files(app, path, parent, content):
    """Links between files of the repository, in a page that is included, as their names."""
    content[0] = re.sub(r"\[([\w./]+)\]\(\1\)", r"`\1`", content[0])


def setup(app):
    app.connect("autodoc-skip-member", no_aliases)
    app.connect("autodoc-process-signature", no_protocol_calls)
    app.connect("include-read", plain_files)
    app.connect("autodoc-process-docstring", plain_bars)
