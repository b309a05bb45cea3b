"""A page of HTML from parts that are escaped once, where text becomes markup."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from pandq.plain import json_safe, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pandq.report.sections.section import Cell, Table

# No request to any host, and nothing that runs but the page's own script.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'"
)


# A page stays below a megabyte, a table on it below so many rows, a text in one below so long.
LARGEST = 1_000_000
MOST_ROWS = 300
LONGEST = 200
# How many lines of each table the JSON inside keeps, where all would be too large.
KEPT = (400, 200, 100, 50, 20, 10, 5, 2)
WHOLE = "The whole result is in this file as JSON (id “document”)."


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *inside: object, **attributes: object) -> Markup:
    """An element; what is inside is escaped unless it is Markup.

    Args:
        name: of the element.
        inside: its children, None left out.
        attributes: a trailing underscore is dropped, others become dashes; None is left out.

    Returns:
        The element as markup.

    >>> tag("td", "a < b", class_="n")
    '<td class="n">a &lt; b</td>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(visible(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{joined(inside)}</{name}>")


def joined(parts: Iterable[object]) -> Markup:
    """Parts one after the other."""
    return Markup(
        "".join(
            x if isinstance(x, Markup) else escape(visible(str(x))) for x in parts if x is not None
        )
    )


def grid(table: Table, caption: str, beside: Sequence[object] = ()) -> Markup:
    """A table, in a frame that scrolls by keyboard too where it is wider than the page.

    Args:
        table: what to show.
        caption: what it is.
        beside: pictures of the rows, in a column of their own; empty for none.

    Returns:
        The table as markup, of at most so many rows, which its caption says.
    """
    numeric = [table.numeric(i) for i in range(len(table.columns))]
    heads = [
        tag("th", heading, scope="col", class_="n" if number else None)
        for heading, number in zip(table.columns, numeric, strict=True)
    ]
    body = [
        tag("tr", *(_td(cell) for cell in row), tag("td", beside[i]) if beside else None)
        for i, row in enumerate(table.rows[:MOST_ROWS])
    ]
    if len(body) < len(table.rows):
        caption = f"{caption}; the first {MOST_ROWS} of {len(table.rows):,}"
    inside = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *heads, tag("th", "image", scope="col") if beside else None)),
        tag("tbody", *body),
        class_="sortable",
        id=table.name or None,
    )
    return tag("div", inside, class_="scroll", tabindex="0", role="region", aria_label=caption)


KINDS = {"number": "n", "text": None, "bar": None}


def _td(cell: Cell) -> Markup:
    """A cell: a bar for a share, else its text, cut where it would fill the page."""
    shown: object = bar(cell.value or 0.0) if cell.kind == "bar" else cell.shown
    if not isinstance(shown, Markup) and len(cell.shown) > LONGEST:
        shown = f"{cell.shown[: LONGEST - 1]}…"
    value = None if cell.kind == "bar" else cell.value
    return tag("td", shown, class_=KINDS.get(cell.kind, cell.kind), data_value=value)


def bar(share: float) -> Markup:
    """A small bar beside a number that says the same."""
    length = f"{100 * min(max(share, 0.0), 1.0):.1f}"
    rect = tag("rect", width=length, height="10", rx="1.5")
    return tag("svg", rect, class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none",
               aria_hidden="true", focusable="false")  # fmt: skip


def framed(text: str, title: str) -> str:
    """A page inside a frame, so that a notebook around it keeps its own style."""
    return (
        f'<iframe title="{escape(title)}" srcdoc="{escape(text)}" width="100%" height="720"'
        ' frameborder="0"></iframe>'
    )


def definitions(pairs: Mapping[str, object]) -> Markup:
    """Names and what they stand for."""
    return tag("dl", *(joined((tag("dt", k), tag("dd", v))) for k, v in pairs.items()))


def asset(name: str) -> str:
    """A file of the pages' own style or script."""
    return resources.files("pandq.report").joinpath("assets", name).read_text(encoding="utf-8")


def page(
    title: str,
    parts: Iterable[object],
    document: Mapping[str, Any],
    *,
    style: str | None = None,
    script: str | None = None,
) -> str:
    """A whole page with a document as JSON inside, one file that makes no network requests."""
    head = tag(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        tag("title", title),
        tag("style", Markup(asset("report.css") if style is None else style)),
    )
    body = tag(
        "body",
        *parts,
        tag("script", Markup(_as_json(document)), type="application/json", id="document"),
        tag("script", Markup(asset("report.js") if script is None else script)),
    )
    return f'<!DOCTYPE html>\n<html lang="en">{head}{body}</html>\n'


def report(title: str, top: object, main: Iterable[object], document: Mapping[str, Any]) -> str:
    """A report as a page of at most a megabyte, with its result as JSON inside.

    Where all of the result would be too large its tables are cut, and the last line says so.
    """
    inside = list(main)

    def with_(said: str, some: Mapping[str, Any]) -> str:
        footer = tag("footer", tag("p", said))
        return page(title, (top, tag("main", *inside, footer)), some)

    text = with_(WHOLE, document)
    for lines in KEPT:
        if len(text.encode()) <= LARGEST:
            return text
        said = (
            f"The result is in this file as JSON (id “document”), of each table the first {lines}"
            " lines: --json and to_dict() have them all."
        )
        text = with_(said, _cut(document, lines))
    if len(text.encode()) <= LARGEST:
        return text
    said = "The result as JSON is too large for a page: --json and to_dict() have it."
    return with_(said, {"schema": document.get("schema")})


def _cut(document: Any, lines: int) -> Any:
    """A document whose tables, which are lists of objects, have at most so many lines."""
    if isinstance(document, dict):
        return {name: _cut(value, lines) for name, value in document.items()}
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return [_cut(line, lines) for line in document[:lines]]
    return document


def _as_json(document: Mapping[str, Any]) -> str:
    """JSON in which no text of the data can end its block, or begin another."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    return json_safe(text).replace("<", "\\u003c")
