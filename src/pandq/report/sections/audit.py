"""What an audit says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pandq.quantities import keys
from pandq.report import figures, words
from pandq.report.bar import AT_LEAST, UNDECIDED, stacked
from pandq.report.few import beside, ends_of_tables, over_whom, who_gave
from pandq.report.sections.ensemble import ensemble_sections
from pandq.report.sections.judged import judged_section
from pandq.report.sections.oftext import text_row
from pandq.report.sections.ordered import in_order, ordered_section, told_of_score
from pandq.report.sections.section import (
    Cell,
    Chart,
    Row,
    Section,
    Table,
    estimated,
    figure_of,
    interval,
    whole,
)
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.results.audit import Audit
    from pandq.results.decomposition import Decomposition
    from pandq.results.estimate import Estimate

PARTS = ("floor", "grouping_loss", "calibration_loss", "refinement_loss")
LARGEST = "largest total KL first"
BAR = 60
MARKS = {"floor": "#", UNDECIDED: "?", "grouping loss": "+", "calibration loss": "."}
# A longer line of torch is left to the JSON.
TORCH = 400


def audit_sections(audit: Audit) -> Iterator[Section]:
    """All that an audit says, the answer first."""
    parts = audit.decomposition
    order = "" if audit.order is None else f", {in_order(audit.order)}"
    about = (
        f"{audit.n:,} rows, {audit.n_classes:,} classes{order}; P is {audit.p_kind}, Q is"
        f" {audit.q_kind}; {over_whom(audit.cross_entropy, audit.source.get('annotators', 0))}"
    )
    yield Section(
        words.headline(audit),
        lead=words.said_first(audit),
        note=[
            about,
            *told_of_score(audit),
            *(f"Note: {note.rstrip('.')}." for note in words.said_after(audit)),
        ],
        first=True,
        answer=True,
    )
    yield _loss(audit)
    if steps := words.next_steps(audit):
        yield Section("What to do next", steps=steps, first=True)
    yield _averages(audit)
    if audit.rps is not None:
        yield ordered_section(audit, audit.rps)
    if audit.judged is not None:
        yield judged_section(audit.judged, audit.unit)
    yield _guessing(audit)
    if audit.uncertainty is not None:
        yield from ensemble_sections(audit, audit.uncertainty)
    yield _spread(audit)
    yield _groups(audit)
    if parts is not None:
        yield from _of_parts(parts, audit)
    if audit.worst:
        yield Section("Worst rows", table=[_worst(audit)])
    yield Section("How it was computed", definitions=_method(audit))


def _loss(audit: Audit) -> Section:
    """What the loss is made of; without a decomposition, what can be said without one."""
    chart = Chart(
        "loss",
        "What the loss is made of",
        words.in_words(audit),
        partial(figures.decomposition, audit),
        text=_bar(audit),
        wide=True,
    )
    parts = audit.decomposition
    if parts is None:
        some = [Row(name, getattr(audit, name)) for name in ("cross_entropy", "kl")]
        return Section("The loss", rows=some, unit=audit.unit, level=audit.level, chart=[chart],
                       first=True)  # fmt: skip
    rows = [Row.part(name, getattr(parts, name)) for name in PARTS]
    rows[2] = Row.part("calibration_loss", parts.calibration_loss, words.map_words(parts))
    return Section(
        "The loss, per row",
        chart=[chart],
        rows=rows,
        unit=audit.unit,
        level=audit.level,
        note=[words.definition(parts), *words.two_floors(parts, audit.unit)],
        first=True,
    )


def _bar(audit: Audit) -> list[str]:
    """One stacked bar of characters: the parts as shares of the loss."""
    if audit.decomposition is None:
        return []
    sizes = stacked(audit.decomposition)
    total = sum(size for _, size in sizes)
    # in a narrow terminal there is no room for all names in full
    short = any(name.endswith(AT_LEAST) for name, _ in sizes)
    bar, key = "", ["H(P,Q) ="]
    for name, size in sizes:
        name = name.removesuffix(AT_LEAST)  # noqa: PLW2901
        mark = MARKS[name]
        bar += mark * (round(BAR * size / total) if total > 0 else 0)
        key.append(f"{mark} {name}")
    if audit.decomposition.infinite_rows:
        key.append("and infinite calibration loss")
    told = "   ".join(key)
    return [f"|{bar[:BAR]:<{BAR}}|", told.replace(" loss", "") if short else told]


def _averages(audit: Audit) -> Section:
    """The mean of everything that is measured of each row."""
    rows = [Row(name, getattr(audit, name)) for name in keys("average")]
    rows[1] = Row("entropy", audit.entropy, words.entropy_of(audit))
    if audit.p_kind == "labels":
        rows[1] = replace(rows[1], meaning="of single labels, which have none: not the floor")
        rows[2] = replace(rows[2], meaning="of single labels: the loss itself, floor and all")
    if audit.kl_plug_in is not None:
        rows.insert(3, Row("kl_plug_in", audit.kl_plug_in))
    rows = [row.among(audit.cross_entropy) for row in rows]
    of_text = [] if audit.perplexity is None else [Row("perplexity", audit.perplexity)]
    if audit.bits_per_byte is not None:
        of_text.append(text_row(audit.bits_per_byte, audit.source))
    rows[1:1] = of_text
    rows += [_finite(name, part) for name, part in audit.finite_part.items()]
    said = []
    if audit.infinite_rows:
        shown = ", ".join(str(row["id"]) for row in audit.infinite)
        more = ", ..." if audit.infinite_rows > len(audit.infinite) else ""
        swapped = " Q is labels, a certainty: are P and Q swapped?"
        said.append(
            f"KL(P||Q) is infinite in {words.rows(audit.infinite_rows)}, where q = 0 < p:"
            f" {shown}{more}. Nothing was clipped; the finite rows are reported apart."
            + (swapped if audit.q_kind == "labels" else "")
        )
    return Section("Means over rows", rows=rows, unit=audit.unit, level=audit.level, note=said)


def _guessing(audit: Audit) -> Section:
    """What guesses cost that look at no row, and how much of that Q takes away."""
    rows = [Row(name, getattr(audit.guessing, name)) for name in keys("guess")]
    return Section("Beside a guess", rows=rows, unit=audit.unit, level=audit.level)


def _finite(name: str, part: Estimate) -> Row:
    """A mean over the rows where it is finite."""
    why = "the rows where it is finite were chosen by their outcome: no estimate"
    return Row(name, part, f"{words.said(name)}, finite rows only", why)


def _spread(audit: Audit) -> Section:
    """How KL is spread over rows and classes, and how well Q's confidence is calibrated."""
    what, quantiles = words.of_rows(audit), audit.kl_quantiles
    parts = audit.decomposition
    median, high, largest = (number(quantiles.get(x)) for x in ("0.5", "0.99", "1"))
    charts = [
        Chart(
            "spread",
            f"{what} of single rows",
            f"{what} of single rows on a log axis: median {median}, 99% below {high}, largest"
            f" {largest} {audit.unit}.",
            partial(figures.kl_distribution, audit),
        )
    ]
    if parts is not None and parts.reliability:
        told = (
            "Reliability: P at Q's top class in bins of Q's confidence, with intervals; a"
            " calibrated model lies on the dashed line. Calibration error"
            f" {number(parts.expected_calibration_error.value)}."
        )
        draw = partial(figures.reliability, audit)
        charts.append(Chart("reliability", "Reliability of Q's confidence", told, draw))
    if any(words.divergence_of(x)["value"] is not None for x in audit.classes):
        worst = "; ".join(f"{x['name']}: {words.told_kl(x)}" for x in audit.classes[:3])
        worst += "; ..." if len(audit.classes) > 3 else ""
        told = f"{what} by class of P with intervals, largest total first: {worst}."
        draw = partial(figures.classes, audit)
        charts.append(Chart("classes", f"{what} by class of P", told, draw))
    listed = ", ".join(
        f"{'largest' if q == '1' else f'{float(q):.1%}'.replace('.0%', '%')} {number(x)}"
        for q, x in quantiles.items()
    )
    within = f"within {audit.kl_quantile_accuracy:.1%}"
    note = f"{what} of single rows, quantiles ({within}): {listed}."
    return Section("Where the divergence is", chart=charts, note=[note])


def _groups(audit: Audit) -> Section:
    """The averages of each class of P, and of each group of each column."""
    tables = {"class of P": audit.classes, **audit.groups}
    ends = ends_of_tables(audit.cross_entropy)
    found = [_group(*item, audit.unit, ends) for item in tables.items()]
    return Section("Classes and groups", table=found)


def _group(title: str, lines: Sequence[Mapping[str, Any]], unit: str, heading: str) -> Table:
    entropy, divergence = words.group_columns(lines)
    largest = max((words.divergence_of(x)["value"] or 0.0 for x in lines), default=0.0) or 1.0
    rows = []
    for line in lines:
        kl = words.divergence_of(line)
        value, ends = estimated(kl)
        if line["infinite_rows"]:
            value, ends = Cell("inf", kind="number"), Cell("-", kind="number")
        rows.append(
            (
                Cell(line["name"]),
                whole(line["n"]),
                *(_mean(line, name) for name in ("cross_entropy", "entropy")),
                value,
                ends,
                Cell("", (kl["value"] or 0.0) / largest, "bar"),
                figure_of(line["accuracy"]["value"], 3),
            )
        )
    columns = (title, "rows", f"loss, {unit}", entropy, divergence, heading, "of the largest",
               "accuracy")  # fmt: skip
    return Table(title, columns, rows, cut=LARGEST)


def _mean(line: Mapping[str, Any], name: str) -> Cell:
    """A mean of a group, infinite where a row of it is."""
    return Cell(words.told(line, name), line[name]["value"], "number")


def _of_parts(parts: Decomposition, audit: Audit) -> Iterator[Section]:
    """How well the parts are known, and what they are in classes and groups."""
    rows = []
    if parts.label_type == "labels" and parts.kl != audit.kl:
        rows.append(Row("kl", parts.kl, meaning="of the P that labels are drawn from: its bounds"))
    if parts.model_floor is not None:
        value, low, high = (
            x or 0.0 for x in (parts.model_floor.value, parts.floor.low, parts.floor.high)
        )
        outside = "" if low <= value <= high else "mixture; OUTSIDE the certified interval"
        rows.append(Row("model_floor", parts.model_floor, meaning=outside))
    some = (
        "" if all(x.n == parts.n for x in parts.brier.values()) else ", rows of two votes or more"
    )
    if parts.blind_floor is not None:
        rows.append(Row("blind_floor", parts.blind_floor))
    rows += [
        Row(name, x, f"Brier score{some}" if name == "brier" else f"  its {words.said(name)}", " ")
        for name, x in parts.brier.items()
    ]
    rows += [
        _finite(name, x) for name, x in parts.finite_part.items() if name not in audit.finite_part
    ]
    torch = parts.recalibration.torch
    short = words.wins(parts) and len(torch) <= TORCH
    tables = {"class of Q": parts.classes, **parts.groups}
    ends = ends_of_tables(audit.cross_entropy)
    yield Section(
        "The parts of the loss",
        rows=rows,
        unit=audit.unit,
        level=audit.level,
        note=[f"The recalibration in torch: {torch}"] if short else [],
        table=[_parts_of(*item, audit.unit, ends) for item in tables.items()],
    )
    yield _calibration(parts, ends_of_tables(audit.cross_entropy, of_bins=True))
    if parts.plan:
        yield Section("What more labels would bring", table=[_plan(parts, audit.unit)])


def _parts_of(title: str, lines: Sequence[Mapping[str, Any]], unit: str, heading: str) -> Table:
    rows = [
        (
            Cell(line["name"]),
            whole(line["n"]),
            _mean(line, "cross_entropy"),
            *estimated(line["floor"]),
            _point_or_range(line["grouping_loss"]),
            _mean(line, "calibration_loss"),
        )
        for line in lines
    ]
    columns = (title, "rows", f"loss, {unit}", "floor", heading, "grouping loss",
               "calibration loss")  # fmt: skip
    return Table(title, columns, rows, cut="largest removable part first")


def _point_or_range(part: Mapping[str, Any]) -> Cell:
    """A part of a group, by its ends where it has no point."""
    return figure_of(part["value"]) if part["value"] is not None else estimated(part)[1]


def _calibration(parts: Decomposition, heading: str) -> Section:
    rows = [
        (
            Cell(f"{line['from']:.2f} to {line['to']:.2f}"),
            whole(line["rows"]),
            figure_of(line["confidence"], 3),
            figure_of(line["expected_accuracy"], 3),
            Cell(interval(line), kind="number"),
        )
        for line in parts.reliability
    ]
    error, found = parts.expected_calibration_error, parts.recalibration
    losses = ", ".join(f"{kind} {number(x)}" for kind, x in found.cross_entropy.items())
    columns = ("confidence of Q", "rows", "mean", "P at Q's top class", heading)
    biased = (
        f"Expected calibration error {number(error.value)} (biased upwards: a calibrated model"
        f" would show about {number(error.of_a_calibrated_model)} here)."
    )
    under = (
        f"Cross entropy under each map, cross-fitted{words.trained_on(parts)}: {losses} (each mixed"
        " with a little of the class frequencies, so that no row is infinite)."
    )
    return Section(
        "Calibration",
        table=[Table("confidence of Q", columns, rows)],
        note=[biased, under],
    )


def _plan(parts: Decomposition, unit: str) -> Table:
    """What other numbers of labels are expected to do to the floor's interval."""
    sizes = sorted({p["rows"] for p in parts.plan})
    width = {(p["votes"], p["rows"]): p["expected_width"] for p in parts.plan}
    title = f"expected width of the floor's interval, {unit}"
    rows = [
        (
            Cell(f"{votes} vote{'s' if votes > 1 else ''} per row"),
            *(figure_of(width[votes, n], 3) for n in sizes),
        )
        for votes in sorted({p["votes"] for p in parts.plan})
    ]
    return Table(title, (title, *(f"{n:,} rows" for n in sizes)), rows)


def _worst(audit: Audit) -> Table:
    what = words.of_rows(audit)
    rows = [
        (
            Cell(str(row["id"])),
            Cell(str(row["row"]), row["row"], "number"),
            figure_of(row["kl"]),
            Cell(words.class_word(row["p_class"])),
            Cell(words.class_word(row["q_class"])),
            figure_of(row["confidence"]),
        )
        for row in audit.worst
    ]
    columns = ("id", "row", f"KL, {audit.unit}", "P's class", "Q's class", "Q's confidence")
    pictures = [(row["row"], f"row {row['row']}: {words.row_words(row)}") for row in audit.worst]
    return Table(f"rows of largest {what}", columns, rows, name="worst", pictures=pictures)


def _method(audit: Audit) -> dict[str, object]:
    p, q = audit.source.get("p", audit.p_kind), audit.source.get("q", audit.q_kind)
    found: dict[str, object] = {
        "P and Q": f"{p} and {q}",
        **beside(audit.source),
        **who_gave(
            audit.cross_entropy,
            audit.source.get("annotators", 0),
            votes=audit.kl_plug_in is not None,
        ),
        "options": ", ".join(f"{name} {value}" for name, value in audit.options.items()),
        "cross entropy": audit.cross_entropy.method,
        "quantiles of KL": f"within {audit.kl_quantile_accuracy:.1%}",
    }
    if audit.decomposition is not None:
        for name in PARTS[:3]:
            found[words.said(name)] = getattr(audit.decomposition, name).method
    return found
