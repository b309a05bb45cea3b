"""What a cell of commands runs in: a shell whose output is a file's, not a terminal's."""

import os
import subprocess
import sys

from IPython.core.magic import register_cell_magic

PRETENDED = ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "PAGER", "GIT_PAGER")


@register_cell_magic
def sh(_, cell):
    """Run the lines as a shell does, and show what they wrote in the order of its writing."""
    plain = {name: value for name, value in os.environ.items() if name not in PRETENDED}
    ran = subprocess.run(
        ["sh", "-e", "-c", cell],
        env=plain,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    sys.stdout.write(ran.stdout)
    if ran.returncode:
        raise SystemExit(ran.returncode)
