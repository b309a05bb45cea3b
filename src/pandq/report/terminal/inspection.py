"""What pandq thinks the columns of a table are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.results.inspection import Inspection


def inspection(found: Inspection) -> Iterator[Table | str]:
    """A table of the columns, and what to run next, as parts of a page."""
    yield found.headline
    yield ""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("column", "type", "first value", "may be"):
        table.add_column(heading, overflow="fold")
    for column in found.columns:
        table.add_row(column.name, column.type, column.first, column.may_be)
    yield table
    yield ""
    yield from found.advice
