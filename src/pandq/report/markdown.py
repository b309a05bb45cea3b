"""A Markdown summary, appended where a pipeline shows it (GITHUB_STEP_SUMMARY)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pandq.errors import InputError
from pandq.plain import markdown_safe
from pandq.report.sections.result import sections_of
from pandq.store import append_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandq.report.sections.result import Result
    from pandq.report.sections.section import Section, Table
    from pandq.results.gates import Gate

VARIABLE = "GITHUB_STEP_SUMMARY"
# Lines of a table of which not all are shown.
SHOWN = 10


def append_summary(result: Result, gates: Sequence[Gate]) -> None:
    """Append what was found to the file that GITHUB_STEP_SUMMARY names, if it names one.

    Raises:
        InputError: the file cannot be written.
    """
    place = summary_file()
    if place is None:
        return
    try:
        append_text(markdown(sections_of(result), gates), place)
    except InputError as error:
        what = f"{VARIABLE} {error.what}"
        raise InputError(what, where=place, got=error.got) from None


def summary_file() -> str | None:
    """Where a pipeline wants a summary, if it wants one."""
    return os.environ.get(VARIABLE) or None


def markdown(sections: Iterator[Section], gates: Sequence[Gate]) -> str:
    """The answer, every quantity and the limits as Markdown."""
    marks = {True: "✅", False: "❌"}
    limits = [f"- {marks[gate.passed]} {markdown_safe(str(gate))}" for gate in gates]
    parts = ["## pandq", *(part for section in sections for part in _drawn(section))]
    return "\n\n".join([*parts, *(["\n".join(limits)] if limits else [])]) + "\n\n"


def _drawn(section: Section) -> Iterator[str]:
    """What a section says in sentences and quantities; tables are what a page is for."""
    if section.answer:
        yield from map(markdown_safe, [*section.lead, section.title, *section.note])
    if section.rows:
        columns = (
            markdown_safe(section.title),
            section.value_heading,
            f"{section.level:.0%} interval",
        )
        rows = [
            f"| {markdown_safe(heading)} | {' | '.join(row.shown)} |"
            for heading, row in zip(section.row_headings, section.rows, strict=True)
        ]
        yield "\n".join([f"| {' | '.join(columns)} |", "|---|---|---|", *rows])
    yield from (f"- {markdown_safe(step)}" for step in section.steps)
    if section.first and section.table:
        yield from map(_table, section.table)


def _table(table: Table) -> str:
    columns = table.columns
    rows = table.rows[:SHOWN] if table.cut else table.rows
    lines = [columns, *([cell.shown for cell in row] for row in rows)]
    drawn = [f"| {' | '.join(map(markdown_safe, line))} |" for line in lines]
    found = "\n".join([drawn[0], "|---" * len(columns) + "|", *drawn[1:]])
    left = len(table.rows) - len(rows)
    return f"{found}\n\n{left:,} more in --json; {table.cut}" if left else found
