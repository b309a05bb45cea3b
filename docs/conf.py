"""How the site is built: `make docs`, offline, with warnings as errors."""

import os
import re
import shutil
from pathlib import Path

import pandq

project = "pandq"
author = "The pandq developers"
project_copyright = "The pandq developers"
version = release = pandq.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_llm.txt",
]
exclude_patterns = ["_*"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

# every block of a tutorial runs, in a folder of its own, as a reader would run it
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parents[1] / "build" / "cells")
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_kernel_rgx_aliases = {".*": "python3"}
nb_merge_streams = True
nb_render_text_lexer = "text"

# what a kernel does first, in a profile of its own: the commands of a page, see _ipython
HERE = Path(__file__).parent
IPYTHON = HERE.parent / "build" / "ipython"
PROFILE = IPYTHON / "profile_default"
(PROFILE / "startup").mkdir(parents=True, exist_ok=True)
shutil.copy(HERE / "_ipython" / "commands.py", PROFILE / "startup")
shutil.copy(HERE / "_ipython" / "ipython_kernel_config.py", PROFILE)
os.environ |= {"COLUMNS": "88", "IPYTHONDIR": str(IPYTHON)}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request, count, index"}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
default_role = "code"

llms_txt_description = (
    "pandq splits cross entropy into the floor that no model can pass, what recalibration removes"
    " and what only a better model removes, with intervals; Python library and command line."
)
llms_txt_suppress_unknown_node_warnings = ["abbreviation", "classifier"]

html_theme = "furo"
html_title = "pandq"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_repository": "https://github.com/pandq/pandq/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_copy_source = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def plain(app, what, name, obj, options, lines):  # noqa: ARG001
    """Docstrings are plain text: what reStructuredText would read in them stands for itself."""
    typed = False
    for i, line in enumerate(lines):
        typed = line.lstrip().startswith(">>>") or (typed and bool(line.strip()))
        if not typed:
            lines[i] = meant(line)


def plain_help(app, context, lines):  # noqa: ARG001
    """Help texts are plain text too; click's own lists, and lines that stand alone, have marks."""
    for i, line in enumerate(lines):
        mark = re.match(r"\s*(\.\. |:[^:]*:? ?|\| )?", line)[0]
        directive = mark.strip().startswith("..")
        lines[i] = line if directive else mark + meant(line.removeprefix(mark))


def meant(line):
    """A line in which nothing outside of backticks is markup."""
    pieces = re.split(r"(`[^`]*`)", line)
    pieces[::2] = [re.sub(r"([|*]|_(?=\W|$))", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)


def setup(app):
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", plain, priority=400)
    for part in ("description", "options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", plain_help)
