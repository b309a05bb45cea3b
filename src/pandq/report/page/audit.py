"""The report as a page: the answer first, then what it is made of, then how it was computed."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

from pandq.plain import visible
from pandq.report import figures
from pandq.report.page.elements import Cell, Grid, Markup, bar, definitions, framed, report, tag
from pandq.report.page.svg import chart
from pandq.report.terminal import ensemble as members
from pandq.report.terminal.tables import interval
from pandq.report.words import (
    class_word,
    definition,
    divergence_of,
    entropy_of,
    group_columns,
    headline,
    map_words,
    next_steps,
    of_rows,
    plug_in,
    row_words,
    said_after,
    said_first,
    stacked,
    told,
    told_kl,
)
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.results.audit import Audit
    from pandq.results.decomposition import Decomposition
    from pandq.results.estimate import Estimate
    from pandq.results.uncertainty import Uncertainty

# Of more classes or groups than this the worst are shown; the JSON inside has them all.
SHOWN = 30
# A page stays below a megabyte: pictures larger than this are left out.
LARGEST_IMAGE = 40_000
MOST_IMAGES_BYTES = 400_000

Images = dict[int, bytes]


def audit_page(
    audit: Audit, *, how: Mapping[str, object] | None = None, images: Images | None = None
) -> str:
    """An audit as one self-contained file.

    Args:
        audit: what to show.
        how: how it was computed: command, versions, input.
        images: encoded pictures of rows by their number, to stand beside the worst.

    Returns:
        A page of at most a megabyte that makes no request and needs no script.
    """
    title = f"pandq audit of {audit.source.get('name', 'arrays')}"
    main = (*_audit(audit, images or {}), *_how(audit, how or {}))
    return report(title, top(audit.source, "audit"), main, audit.to_dict())


def audit_fragment(audit: Audit) -> str:
    """An audit for a notebook."""
    return framed(audit_page(audit), "pandq audit")


def top(source: Mapping[str, Any], what: str) -> Markup:
    """The line above a report, with what a script offers."""
    named = f"pandq {what}"
    if "name" in source:
        named += f" of {source['name']}"
    scheme = tag("button", "light or dark", type="button", id="scheme")
    copy = tag("button", "copy the JSON", type="button", id="copy")
    return tag("header", tag("p", named), tag("div", scheme, copy, class_="tools"), class_="top")


def _audit(audit: Audit, images: Images) -> Iterator[object]:
    parts = audit.decomposition
    for sentence in said_first(audit):
        yield tag("p", tag("strong", sentence), class_="lead")
    yield tag("h1", headline(audit))
    yield tag(
        "p",
        f"{audit.n:,} rows, {audit.n_classes:,} classes; P is {audit.p_kind}, Q is {audit.q_kind};"
        f" intervals at {audit.level:.0%}.",
        class_="lead",
    )
    for note in said_after(audit):
        yield tag("p", f"Note: {note.rstrip('.')}.", class_="lead")
    yield figure(
        chart(figures.decomposition(audit), "loss", "What the loss is made of", _in_words(audit)),
        _in_words(audit),
        wide=True,
    )
    if parts is not None:
        yield _parts_table(parts, audit.unit)
        yield tag("p", definition(parts), class_="lead")
        yield tag("h2", "What to do next")
        yield tag("ul", *(tag("li", step) for step in next_steps(audit)), class_="next")
    yield tag("h2", "Where the divergence is")
    yield tag("div", *_charts(audit), class_="charts")
    yield tag("h2", "Averages")
    yield _averages(audit)
    if audit.infinite_rows:
        ids = ", ".join(str(row["id"]) for row in audit.infinite)
        more = ", ..." if audit.infinite_rows > len(audit.infinite) else ""
        yield tag(
            "p",
            f"KL(P||Q) is infinite in {audit.infinite_rows:,} rows, where q = 0 < p: {ids}{more}."
            " Nothing was clipped; the finite rows are reported apart.",
        )
    if audit.uncertainty is not None:
        yield from _uncertainty(audit, audit.uncertainty)
    yield tag("h2", "Classes and groups")
    for name, lines in {"class of P": audit.classes, **audit.groups}.items():
        yield tag("h3", name)
        yield _groups(name, lines, audit.unit)
    if audit.worst:
        yield tag("h2", "Worst rows")
        yield from _worst(audit, images)


def figure(drawn: str, caption: str, *, wide: bool = False) -> Markup:
    """A chart with what it shows below it."""
    return tag("figure", Markup(drawn), tag("figcaption", caption), class_="wide" if wide else None)


def _in_words(audit: Audit) -> str:
    if audit.decomposition is None:
        return f"Cross entropy {figures.summary_of(audit.cross_entropy)} {audit.unit}."
    found = ", ".join(f"{name} {number(size)}" for name, size in stacked(audit.decomposition))
    if audit.infinite_rows:
        after = number(audit.decomposition.refinement_loss.value)
        return f"An infinite loss; of the {after} {audit.unit} after recalibration: {found}."
    total = audit.decomposition.cross_entropy.value
    return f"Of {number(total)} {audit.unit} per row: {found}."


def _charts(audit: Audit) -> Iterator[Markup]:
    quantiles = audit.kl_quantiles
    told = (
        f"{of_rows(audit)} of single rows on a log axis: median {number(quantiles.get('0.5'))},"
        f" 99% below {number(quantiles.get('0.99'))}, largest {number(quantiles.get('1'))}"
        f" {audit.unit}."
    )
    drawn = figures.kl_distribution(audit)
    yield figure(chart(drawn, "spread", f"{of_rows(audit)} of single rows", told), told)
    if audit.decomposition is not None and audit.decomposition.reliability:
        told = (
            "Reliability: P at Q's top class in bins of Q's confidence, with intervals; a"
            " calibrated model lies on the dashed line. Calibration error"
            f" {number(audit.decomposition.calibration_error)}."
        )
        drawn = figures.reliability(audit)
        yield figure(chart(drawn, "reliability", "Reliability of Q's confidence", told), told)
    if any(divergence_of(x)["value"] is not None for x in audit.classes):
        worst = "; ".join(f"{x['name']}: {told_kl(x)}" for x in audit.classes[:3])
        worst += "; ..." if len(audit.classes) > 3 else ""
        told = f"{of_rows(audit)} by class of P with intervals, largest total first: {worst}."
        drawn = figures.classes(audit)
        yield figure(chart(drawn, "classes", f"{of_rows(audit)} by class of P", told), told)


def _parts_table(parts: Decomposition, unit: str) -> Markup:
    said = {
        "floor": "H(P): no model can pass it",
        "grouping_loss": "KL(P||c(Q)): the model",
        "calibration_loss": map_words(parts),
        "refinement_loss": "floor + rest: the loss after recalibration",
    }
    grid = Grid(
        "H(P,Q) = floor + grouping loss + calibration loss",
        ("part", f"{unit}#", "interval#", "what it is"),
    )
    for name, what in said.items():
        estimate: Estimate = getattr(parts, name)
        grid.rows.append([Cell(name), *numbers(estimate), Cell(what, kind="words")])
    return grid.markup()


def numbers(estimate: Estimate | Mapping[str, Any]) -> list[Cell]:
    """A value and its interval."""
    value = estimate["value"] if not hasattr(estimate, "value") else estimate.value
    return [Cell(number(value), value, "n"), Cell(interval(estimate), kind="n")]


def _averages(audit: Audit) -> Markup:
    grid = Grid("means over rows", ("measure", f"{audit.unit}#", "interval#"))
    rows: list[tuple[str, Estimate]] = [
        ("cross entropy H(P,Q)", audit.cross_entropy),
        (entropy_of(audit), audit.entropy),
        ("divergence KL(P||Q)", audit.kl),
        *plug_in(audit),
        *((f"finite rows only: {name}", x) for name, x in audit.finite_part.items()),
        ("accuracy", audit.accuracy),
        ("expected accuracy: P at Q's top class", audit.expected_accuracy),
        ("mean confidence of Q", audit.confidence),
        ("Brier score", audit.brier),
    ]
    grid.rows.extend([[Cell(name), *numbers(estimate)] for name, estimate in rows])
    return grid.markup()


def _uncertainty(audit: Audit, found: Uncertainty) -> Iterator[object]:
    """What an ensemble does not know, apart from what cannot be known."""
    unit = audit.unit
    yield tag("h2", "What Q does not know, and what cannot be known")
    grid = Grid("total = aleatoric + epistemic", ("part", f"{unit}#", "interval#", "what it is"))
    for name, estimate, what in members.averages(found):
        grid.rows.append([Cell(name), *numbers(estimate), Cell(what, kind="words")])
    yield grid.markup()
    for sentence in members.sentences(found, unit):
        yield tag("p", sentence)
    if found.curve and found.distance is not None:
        measured = members.MEASURED[found.distance]
        told = f"{measured} in bins of what Q claims not to know, with intervals."
        drawn = figures.ignorance(audit)
        yield figure(chart(drawn, "ignorance", "What the claim is worth", told), told)
        headings = ("claimed ignorance", "rows#", f"mean, {unit}#", f"{measured}#", "interval#")
        grid = Grid("does Q err more where it claims to know less?", headings)
        for line in found.curve:
            claimed = line["claimed"]["value"]
            rows = Cell(f"{line['n']:,}", line["n"], "n")
            mean = Cell(number(claimed), claimed, "n")
            grid.rows.append([Cell(line["bin"]), rows, mean, *numbers(line["measured"])])
        yield grid.markup()
    for title, lines in (
        ("rows that Q knows least of: more data would help", found.unknown),
        ("rows that its members agree are disputed: it would not", found.disputed),
    ):
        headings = ("id", "row#", f"epistemic, {unit}#", f"aleatoric, {unit}#", "Q's class")
        grid = Grid(title, headings)
        for line in lines:
            cells = [Cell(number(line[x]), line[x], "n") for x in ("epistemic", "aleatoric")]
            row = Cell(line["row"], line["row"], "n")
            grid.rows.append(
                [Cell(str(line["id"])), row, *cells, Cell(class_word(line["q_class"]))]
            )
        if lines:
            yield grid.markup()


def _groups(name: str, lines: Sequence[Mapping[str, Any]], unit: str) -> Markup:
    """A table of groups with small bars; the largest total divergence first."""
    more = f"; {len(lines) - SHOWN:,} more in the JSON" if len(lines) > SHOWN else ""
    _, divergence = group_columns(lines)
    grid = Grid(
        f"by {name}, largest total KL first{more}",
        (
            name,
            "rows#",
            f"H(P,Q), {unit}#",
            f"{divergence}, {unit}#",
            "interval#",
            "of the largest",
            "accuracy#",
        ),
    )
    largest = (
        max((divergence_of(line)["value"] or 0.0 for line in lines[:SHOWN]), default=0.0) or 1.0
    )
    for line in lines[:SHOWN]:
        loss, accuracy = (line[key]["value"] for key in ("cross_entropy", "accuracy"))
        kl = divergence_of(line)
        grid.rows.append([
            Cell(line["name"]),
            Cell(f"{line['n']:,}", line["n"], "n"),
            Cell(told(line, "cross_entropy"), loss, "n"),
            *([Cell("inf", kind="n"), Cell("-")] if line["infinite_rows"] else numbers(kl)),
            Cell(bar((kl["value"] or 0.0) / largest)),
            Cell(number(accuracy, 3), accuracy, "n"),
        ])  # fmt: skip
    return grid.markup()


def _worst(audit: Audit, images: Images) -> Iterator[object]:
    yield input_label("worst")
    pictured = bool(images)
    headings = ["id", "row#", f"KL, {audit.unit}#", "P's class", "Q's class", "confidence#"]
    grid = Grid(
        f"rows of largest {of_rows(audit)}",
        (["image"] if pictured else []) + headings,
        name="worst",
    )
    for row in audit.worst:
        cells = [
            Cell(str(row["id"])),
            Cell(row["row"], row["row"], "n"),
            Cell(number(row["kl"]), row["kl"], "n"),
            Cell(class_word(row["p_class"])),
            Cell(class_word(row["q_class"])),
            Cell(number(row["confidence"]), row["confidence"], "n"),
        ]
        grid.rows.append(([Cell(_image(images.get(row["row"]), row))] if pictured else []) + cells)
    yield grid.markup()


def _image(encoded: bytes | None, row: Mapping[str, Any]) -> Markup:
    if encoded is None:
        return Markup("")
    kind = "png" if encoded.startswith(b"\x89PNG") else "gif" if encoded[:4] == b"GIF8" else "jpeg"
    if encoded[8:12] == b"WEBP":
        kind = "webp"
    data = base64.b64encode(encoded).decode("ascii")
    what = f"row {row['row']}: {row_words(row)}"
    source = f"data:image/{kind};base64,{data}"
    return Markup(f'<img class="thumb" src="{source}" alt="{escape(visible(what))}">')


def input_label(table: str) -> Markup:
    """A field that filters a table's rows, where scripts are allowed."""
    label = tag("label", "filter: ", Markup(f'<input type="text" data-filters="{escape(table)}">'))
    return tag("div", label, class_="tools")


def _how(audit: Audit, how: Mapping[str, object]) -> Iterator[object]:
    yield tag("h2", "How it was computed")
    p, q = audit.source.get("p", audit.p_kind), audit.source.get("q", audit.q_kind)
    pairs = {
        **how,
        "P and Q": f"{p} and {q}",
        "options": ", ".join(f"{name} {value}" for name, value in audit.options.items()),
        "cross entropy": audit.cross_entropy.method,
        "quantiles of KL": f"within {audit.kl_quantile_accuracy:.1%}",
    }
    if audit.decomposition is not None:
        for name in ("floor", "grouping_loss", "calibration_loss"):
            pairs[name] = getattr(audit.decomposition, name).method
    yield definitions(pairs)


def little_images(found: Images) -> Images:
    """Those that fit into a page."""
    kept: Images = {}
    total = 0
    for row, encoded in found.items():
        if len(encoded) <= LARGEST_IMAGE and total + len(encoded) <= MOST_IMAGES_BYTES:
            kept[row] = encoded
            total += len(encoded)
    return kept
