"""What pandq thinks the columns of a table are, on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.results.inspection import Inspection

# Lines of a screen, of which a prompt takes one, and columns that are shown at least.
SCREEN, LEAST = 23, 3


def inspection(found: Inspection, width: int) -> Iterator[Table | str]:
    """A table of the columns, and what to run next, as parts of a page."""
    told = [*found.advice]
    # a line that is too long for the terminal takes several
    taken = 4 + sum(1 + max(len(line) - 1, 0) // width for line in told)
    shown = max(LEAST, SCREEN - taken)
    hidden = len(found.columns) - shown
    yield found.headline
    yield ""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, share in (("column", 24), ("type", 26), ("first value", 24), ("may be", 8)):
        most = max(len(heading), share * width // 86)
        table.add_column(heading, overflow="ellipsis", no_wrap=True, max_width=most)
    for column in found.columns[:shown] if hidden <= 1 else found.columns[: shown - 1]:
        table.add_row(column.name, column.type, column.first, column.may_be)
    yield table
    if hidden > 1:
        yield f"... and {hidden + 1:,} more columns"
    yield ""
    yield from told
