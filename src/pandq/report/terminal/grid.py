"""Tables in a terminal of any width: no number is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from pandq.plain import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

# Names of the data may have any length: what is longer ends in an ellipsis.
LONGEST = 48
BETWEEN = 2
FEW, ROOMY = 6, 20


def grid(
    columns: Sequence[str], numeric: Sequence[bool], rows: Sequence[Sequence[str]], width: int
) -> Table:
    """A table as wide as it needs, or as the terminal is.

    Where it is narrow, words and headings break first, then intervals between their ends, then
    single words; a number is never cut.

    Args:
        columns: the headings; the first column has names.
        numeric: whether a column has numbers.
        rows: what stands in the cells.
        width: of the terminal, in characters.

    Returns:
        What rich prints.
    """
    drawn = Table(
        box=None, pad_edge=False, header_style="bold", caption_justify="left", title_justify="left"
    )
    lines = [[_shortened(visible(row[0])), *map(visible, row[1:])] for row in rows]
    widths = fitting(columns, numeric, lines, width)
    for heading, is_number, wide in zip(columns, numeric, widths, strict=True):
        drawn.add_column(
            heading, justify="right" if is_number else "left", width=wide, overflow="fold"
        )
    for line in lines:
        drawn.add_row(*line)
    return drawn


def fitting(
    columns: Sequence[str], numeric: Sequence[bool], rows: Sequence[Sequence[str]], width: int
) -> list[int]:
    """How wide each column is.

    >>> fitting(["part", "95% interval"], [False, True], [["grouping loss", "[0.1, 0.2]"]], 80)
    [13, 12]
    >>> fitting(["part", "95% interval"], [False, True], [["grouping loss", "[0.1, 0.2]"]], 21)
    [9, 10]
    >>> fitting(["part", "95% interval"], [False, True], [["grouping loss", "[0.1, 0.2]"]], 18)
    [8, 8]
    >>> fitting(["part", "95% interval"], [False, True], [["grouping loss", "[0.1, 0.2]"]], 14)
    [6, 6]
    """
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    told = [_widest(part) for part in cells]
    words = [
        _widest([*_words([name]), *_words(part)]) for name, part in zip(columns, cells, strict=True)
    ]
    widths = [max(cell_len(name), size) for name, size in zip(columns, told, strict=True)]
    # what is said of a name breaks before names do, and both before intervals
    kept = [
        max(size, _widest(_words([name]))) if is_number else least
        for name, size, least, is_number in zip(columns, told, words, numeric, strict=True)
    ]
    named = [
        least if is_number else max(least, ROOMY)
        for least, is_number in zip(kept, numeric, strict=True)
    ]
    named[0] = widths[0]
    room = width - BETWEEN * (len(columns) - 1)
    # at the last a word breaks anywhere, and a number still does not
    last = [
        _widest(_words(part)) if is_number else FEW
        for part, is_number in zip(cells, numeric, strict=True)
    ]
    for least in (named, kept, words, last):
        while sum(widths) > room:
            over = [size - limit for size, limit in zip(widths, least, strict=True)]
            if max(over) <= 0:
                break
            widest = max((i for i, more in enumerate(over) if more > 0), key=widths.__getitem__)
            widths[widest] -= 1
    return widths


def _shortened(name: str) -> str:
    text = Text(name)
    text.truncate(LONGEST, overflow="ellipsis")
    return text.plain


def _words(cells: Sequence[str]) -> list[str]:
    return [word for cell in cells for word in cell.split()]


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)
