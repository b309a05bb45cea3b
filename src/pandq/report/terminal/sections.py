"""Sections in a terminal: the first screen, and all the rest where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from pandq.report.terminal.console import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, RenderableType

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
            for part in _drawn(section, full=full):
                console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)
    if not full and any(not section.first for section in some):
        console.print(Text(MORE, style="dim"))


def _drawn(section: Section, *, full: bool) -> Iterator[RenderableType]:
    """One section, with an empty line before what is a block of lines."""
    blocks: list[RenderableType] = [
        Group(*(Text(line, no_wrap=True) for line in chart.text))
        for chart in section.chart
        if chart.text
    ]
    blocks += [_rows(section)] if section.rows else []
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
        yield _table(table)


def _rows(section: Section) -> Grid:
    """Quantities: a name, a number, an interval, and what it is."""
    grid = _grid(section.title)
    grid.add_column(section.unit, justify="right", no_wrap=True)
    grid.add_column(f"{section.level:.0%} interval", justify="right", no_wrap=True)
    grid.add_column("what it is", overflow="fold")
    for row in section.rows:
        grid.add_row(row.heading, *row.shown, row.words)
    return grid


def _table(table: Table) -> Grid:
    """A table without what only a page draws."""
    drawn = [i for i in range(len(table.columns)) if not _is_bar(table, i)]
    grid = _grid(table.columns[0])
    for i in drawn[1:]:
        numeric = table.numeric(i)
        grid.add_column(table.columns[i], justify="right" if numeric else "left", no_wrap=numeric)
    for row in table.rows[:SHOWN] if table.cut else table.rows:
        grid.add_row(*(_cell(row[i]) for i in drawn))
    said = [table.caption] if table.caption else []
    if len(table.rows) > SHOWN and table.cut:
        said.append(f"{len(table.rows) - SHOWN:,} more in --json; {table.cut}")
    if said:
        grid.caption = "; ".join(said)
    if table.title != table.columns[0]:
        grid.title = table.title
    return grid


def _grid(title: str) -> Grid:
    grid = Grid(
        box=None, pad_edge=False, header_style="bold", caption_justify="left", title_justify="left"
    )
    grid.add_column(title, no_wrap=True, overflow="ellipsis", max_width=48)
    return grid


def _is_bar(table: Table, column: int) -> bool:
    return any(row[column].kind == "bar" for row in table.rows)


def _cell(cell: Cell) -> str:
    return cell.shown
