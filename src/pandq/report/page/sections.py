"""Sections as a page."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from pandq.plain import visible
from pandq.report.page.html import Markup, definitions, framed, grid, report, tag
from pandq.report.page.svg import chart as drawn
from pandq.report.sections.section import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pandq.report.sections.result import Result
    from pandq.report.sections.section import Chart, Section

# Of more classes or groups than this the worst are shown; the JSON inside has them all.
SHOWN = 30
# A page stays below a megabyte: pictures larger than this are left out.
LARGEST_IMAGE = 40_000
MOST_IMAGES_BYTES = 400_000

Images = dict[int, bytes]


def page_of(
    result: Result,
    sections: Iterable[Section],
    *,
    how: Mapping[str, object] | None = None,
    images: Images | None = None,
) -> str:
    """A result as one self-contained file.

    Args:
        result: what was found, which the page has inside as JSON.
        sections: what it says.
        how: how it was computed: command, versions, input.
        images: encoded pictures of rows by their number.

    Returns:
        A page of at most a megabyte that makes no request and needs no script.
    """
    named = f"pandq {result.COMMAND}"
    title = f"{named} of {result.source.get('name', 'arrays')}"
    above = title if "name" in result.source else named
    main = (part for x in sections for part in _section(x, images or {}, how or {}))
    return report(title, _top(above), main, result.within(SHOWN))


def fragment_of(result: Result, sections: Iterable[Section]) -> str:
    """A page for a notebook, which has one of its own around it."""
    return framed(page_of(result, sections), f"pandq {result.COMMAND}")


def _top(named: str) -> Markup:
    """The line above a report, with what a script offers."""
    scheme = tag("button", "light or dark", type="button", id="scheme")
    copy = tag("button", "copy the JSON", type="button", id="copy")
    return tag("header", tag("p", named), tag("div", scheme, copy, class_="tools"), class_="top")


def _section(section: Section, images: Images, how: Mapping[str, object]) -> Iterator[object]:
    for sentence in section.lead:
        yield tag("p", tag("strong", sentence), class_="lead")
    yield tag("h1" if section.answer else "h2", section.title)
    charts = [_figure(x) for x in section.chart]
    if len(charts) > 1:
        yield tag("div", *charts, class_="charts")
    else:
        yield from charts
    if section.rows:
        yield _rows(section)
    if section.steps:
        yield tag("ul", *(tag("li", step) for step in section.steps), class_="next")
    for sentence in section.note:
        yield tag("p", sentence, class_="lead")
    for table in section.table:
        yield from _table(table, images)
    if section.definitions:
        yield definitions({**how, **section.definitions})


def _figure(chart: Chart) -> Markup:
    """A chart with what it shows below it."""
    inside = Markup(drawn(chart.draw(), chart.name, chart.title, chart.told))
    wide = "wide" if chart.wide else None
    return tag("figure", inside, tag("figcaption", chart.told), class_=wide)


def _rows(section: Section) -> Markup:
    """Quantities: a name, a number, an interval, and what it is."""
    columns = ("quantity", section.value_heading, f"{section.level:.0%} interval", "what it is")
    rows = [
        (Cell(heading), *row.cells, Cell(row.words, kind="words"))
        for heading, row in zip(section.row_headings, section.rows, strict=True)
    ]
    return grid(Table(section.title, columns, rows), section.title)


def _table(table: Table, images: Images) -> Iterator[object]:
    """A table, with a field that filters its rows and pictures beside them where it has a name."""
    cut = len(table.rows) > SHOWN and bool(table.cut)
    said = [table.title, table.caption]
    said += [table.cut, f"{len(table.rows) - SHOWN:,} more in the JSON"] if cut else []
    rows = table.rows[:SHOWN] if cut else table.rows
    shown = Table(table.title, table.columns, rows, name=table.name)
    if table.name:
        field = Markup(f'<input type="text" data-filters="{escape(table.name)}">')
        yield tag("div", tag("label", "filter: ", field), class_="tools")
    beside = [_image(images.get(row), what) for row, what in table.pictures] if images else []
    yield grid(shown, "; ".join(filter(None, said)), beside)


def _image(encoded: bytes | None, what: str) -> Markup:
    if encoded is None:
        return Markup("")
    kind = "png" if encoded.startswith(b"\x89PNG") else "gif" if encoded[:4] == b"GIF8" else "jpeg"
    if encoded[8:12] == b"WEBP":
        kind = "webp"
    data = base64.b64encode(encoded).decode("ascii")
    source = f"data:image/{kind};base64,{data}"
    return Markup(f'<img class="thumb" src="{source}" alt="{escape(visible(what))}">')


def little_images(found: Images) -> Images:
    """Those that fit into a page."""
    kept: Images = {}
    total = 0
    for row, encoded in found.items():
        if len(encoded) <= LARGEST_IMAGE and total + len(encoded) <= MOST_IMAGES_BYTES:
            kept[row] = encoded
            total += len(encoded)
    return kept
