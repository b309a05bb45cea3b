"""Make the tables of benchmarks/README.md anew: `make bench`.

    python benchmarks/tables.py            # all of them
    python benchmarks/tables.py updates    # those whose command has this text

A table stands between a comment that is the command which prints it and a comment that ends it.
What the command says of its machine is printed with it, so that tables of several machines can
stand in one page. The page is written after each command, so that nothing is lost when one fails.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).parent.parent
PAGE = Path(__file__).parent / "README.md"
MADE = re.compile(r"<!-- (python benchmarks/[^\n]+) -->\n.*?<!-- end -->", re.DOTALL)


def commands(page: str) -> list[str]:
    """What makes the tables of a page, in their order."""
    return MADE.findall(page)


def with_table(page: str, command: str, printed: str) -> str:
    """The page with what a command printed in the place of what it printed before.

    >>> page = "<!-- python benchmarks/start.py -->\\nold\\n<!-- end -->\\n"
    >>> print(with_table(page, "python benchmarks/start.py", "a machine\\n"), end="")
    <!-- python benchmarks/start.py -->
    <BLANKLINE>
    a machine
    <BLANKLINE>
    <!-- end -->
    """
    made = f"<!-- {command} -->\n\n{printed.strip()}\n\n<!-- end -->"
    return MADE.sub(lambda found: made if found[1] == command else found[0], page)


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for command in commands(PAGE.read_text(encoding="utf-8")):
        if wanted not in command:
            continue
        print(command, flush=True)
        words = [sys.executable, *shlex.split(command)[1:]]
        done = subprocess.run(words, cwd=HOUSE, stdout=subprocess.PIPE, text=True, check=True)
        # an editor may have been at the page meanwhile
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_table(page, command, done.stdout), encoding="utf-8")


if __name__ == "__main__":
    main()
