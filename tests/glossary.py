"""The table of docs/reference/glossary.md, made from the quantities: `python -m tests.glossary`."""

import math
from pathlib import Path

from pandq.quantities import QUANTITIES

FILE = Path(__file__).parents[1] / "docs" / "reference" / "glossary.md"
MARK = "<!-- the table below is written by `python -m tests.glossary` -->\n"


def end(x):
    """A limit of what a quantity can be."""
    return {math.inf: "∞", -math.inf: "-∞"}.get(x, f"{x:g}")


def cell(text):
    """Text within a table."""
    return text.replace("|", "\\|")


def table():
    """Every quantity, in the order in which reports show them."""
    lines = ["| key | term | symbol | what it is | unit | range | source |", "|---" * 7 + "|"]
    for x in QUANTITIES.values():
        cells = (f"`{x.key}`", x.label, x.symbol and f"`{x.symbol}`", x.meaning, x.unit,
                 f"{end(x.low)} to {end(x.high)}", x.source)  # fmt: skip
        lines.append(f"| {' | '.join(cell(text) for text in cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    head = FILE.read_text(encoding="utf-8").partition(MARK)[0]
    FILE.write_text(head + MARK + "\n" + table(), encoding="utf-8")
