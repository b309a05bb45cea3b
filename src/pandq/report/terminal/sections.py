"""Sections in a terminal: the first screen, and all the rest where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from pandq.report.terminal.console import as_text
from pandq.report.terminal.grid import grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType
    from rich.table import Table as Grid

    from pandq.report.sections.section import Cell, Section, Table

# Tables show this many lines; the page shows more, the JSON has them all.
SHOWN = 10
MORE = "Tables of classes, groups and rows: --full; all of it as a page: --html FILE."


def text_of(sections: Iterable[Section], *, full: bool, width: int) -> str:
    """A report as plain text."""
    return as_text(lambda some, console: show(some, console, full=full), sections, width)


def show(sections: Iterable[Section], console: Console, *, full: bool) -> None:
    """Print the first screen, or the whole report."""
    some = list(sections)
    for section in some:
        if section.first or full:
            for part in _drawn(section, full=full, width=console.width):
                console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)
    if not full and any(not section.first for section in some):
        console.print(Text(MORE, style="dim"))


def _drawn(section: Section, *, full: bool, width: int) -> Iterator[RenderableType]:
    """One section, with an empty line before what is a block of lines."""
    blocks: list[RenderableType] = [
        Group(*(Text(line, no_wrap=True) for line in chart.text))
        for chart in section.chart
        if chart.text
    ]
    blocks += [_rows(section, width)] if section.rows else []
    sentences = [f"-> {step}" for step in section.steps]
    # what else there is to say of quantities is for those who want it all
    sentences += section.note if full or not section.rows else []
    if section.answer:
        yield from (Text(sentence) for sentence in section.lead)
        yield Text(section.title, style="bold")
    for block in blocks:
        yield Text()
        yield block
    if sentences and not blocks and not section.answer:
        yield Text()
    yield from map(Text, sentences)
    for table in section.table:
        yield Text()
        yield _table(table, width)


def _rows(section: Section, width: int) -> Grid:
    """Quantities: a name, a number, an interval, and what it is."""
    columns = (section.title, section.value_heading, f"{section.level:.0%} interval", "what it is")
    rows = [
        (heading, *row.shown, row.words)
        for heading, row in zip(section.row_headings, section.rows, strict=True)
    ]
    return grid(columns, (False, True, True, False), rows, width)


def _table(table: Table, width: int) -> Grid:
    """A table without what only a page draws."""
    drawn = [i for i in range(len(table.columns)) if not _is_bar(table, i)]
    rows = table.rows[:SHOWN] if table.cut else table.rows
    made = grid(
        [table.columns[i] for i in drawn],
        [False, *(table.numeric(i) for i in drawn[1:])],
        [[_cell(row[i]) for i in drawn] for row in rows],
        width,
    )
    said = [table.caption] if table.caption else []
    if len(table.rows) > SHOWN and table.cut:
        said.append(f"{len(table.rows) - SHOWN:,} more in --json; {table.cut}")
    if said:
        made.caption = "; ".join(said)
    if table.title != table.columns[0]:
        made.title = table.title
    return made


def _is_bar(table: Table, column: int) -> bool:
    return any(row[column].kind == "bar" for row in table.rows)


def _cell(cell: Cell) -> str:
    return cell.shown
