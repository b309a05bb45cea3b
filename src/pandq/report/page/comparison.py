"""The report of a comparison as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.report import figures
from pandq.report.page.audit import SHOWN, figure, input_label, numbers, top
from pandq.report.page.elements import Cell, Grid, Markup, definitions, framed, report, tag
from pandq.report.page.svg import chart
from pandq.report.terminal.comparison import reference_sentence, sentence
from pandq.report.terminal.tables import interval
from pandq.report.words import class_word
from pandq.results.comparison import Difference
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.results.comparison import Comparison
    from pandq.results.reference import FromReference, Tokens


def comparison_page(comparison: Comparison, *, how: Mapping[str, object] | None = None) -> str:
    """A comparison as one self-contained file.

    Args:
        comparison: what to show.
        how: how it was computed: command, versions, input.

    Returns:
        A page that makes no request and needs no script.
    """
    main = (*_comparison(comparison), *_how(comparison, how or {}))
    title = f"pandq compare of {comparison.source.get('name', 'arrays')}"
    return report(title, top(comparison.source, "compare"), main, comparison.to_dict())


def comparison_fragment(comparison: Comparison) -> str:
    """A comparison for a notebook."""
    return framed(comparison_page(comparison), "pandq compare")


def _comparison(comparison: Comparison) -> Iterator[object]:
    unit = comparison.unit
    said = [sentence(x, unit) for x in comparison.differences]
    said += [reference_sentence(x, unit) for x in comparison.from_reference]
    said += [
        f"KL(P||{x.q}) lies between {number(x.low.value)} and {number(x.high.value)} {unit}."
        for x in comparison.bounds
    ]
    yield tag("h1", said[0])
    for line in said[1:]:
        yield tag("p", line)
    yield tag(
        "p",
        f"{comparison.n:,} rows, {comparison.n_classes:,} classes; P is {comparison.p_kind};"
        f" intervals at {comparison.level:.0%}.",
        class_="lead",
    )
    for note in comparison.notes:
        yield tag("p", f"Note: {note}.", class_="lead")
    if comparison.differences:
        told = " ".join(said[: len(comparison.differences)])
        drawn = chart(figures.differences(comparison), "differences", "Differences in loss", told)
        yield figure(drawn, told, wide=True)
        yield tag(
            "p",
            "The floor H(P) is the same for all models and cancels in a difference, which is"
            " identified also with one label per row.",
            class_="lead",
        )
    if comparison.models:
        yield _models(comparison)
    for place, difference in enumerate(comparison.differences):
        if isinstance(difference, Difference):
            yield from _difference(difference, comparison, place)
    for place, drift in enumerate(comparison.from_reference):
        yield from _drift(drift, unit, place)
    if comparison.bounds:
        yield _bounds(comparison)


def _models(comparison: Comparison) -> Markup:
    grid = Grid(
        "each model alone; what tells two apart is their paired difference",
        ("model", "H(P,Q)#", "KL(P||Q)#", "accuracy#", "Brier#", "infinite rows#"),
    )
    for x in comparison.models:
        found = (x.cross_entropy, x.kl, x.accuracy, x.brier)
        cells = [Cell(number(e.value), e.value, "n") for e in found]
        lost = Cell(f"{x.infinite_rows:,}", x.infinite_rows, "n")
        grid.rows.append([Cell(x.q), *cells, lost])
    return grid.markup()


def _difference(difference: Difference, comparison: Comparison, place: int) -> Iterator[object]:
    yield tag("h2", f"{difference.q} less {difference.against}")
    grid = Grid("means of paired differences", ("measure", f"{comparison.unit}#", "interval#"))
    rows = {
        "cross entropy, and KL(P||Q)": difference.cross_entropy,
        "the same over rows finite in both": difference.finite_part,
        "rest: left after recalibrating both": difference.grouping_loss,
        "calibration loss: what recalibrating each wins": difference.calibration_loss,
        "accuracy": difference.accuracy,
        "expected accuracy": difference.expected_accuracy,
        "Brier score": difference.brier,
        "mean confidence": difference.confidence,
    }
    grid.rows.extend([[Cell(name), *numbers(x)] for name, x in rows.items() if x is not None])
    yield grid.markup()
    wins = {name: f"{x.value:.1%} {interval(x)}" for name, x in difference.wins.items()}
    yield tag(
        "p",
        f"Row by row {difference.against} pays less in {wins['against_better']}, {difference.q} in"
        f" {wins['q_better']}; same top class in {difference.same_top1.value:.1%}"
        f" {interval(difference.same_top1)}.",
    )
    for name, lines in {"class of P": difference.classes, **difference.groups}.items():
        yield _groups(name, lines, difference.groups_looked_at)
    headings = ("P's class", f"{difference.against}'s class", f"{difference.q}'s class")
    for model, side, lines in (
        (difference.against, "against", difference.against_better),
        (difference.q, "q", difference.q_better),
    ):
        if lines:
            name = f"rows where {model} is better by most"
            yield tag("h3", name)
            yield from _rows(name, f"{side}-better-{place}", headings, lines)


def _groups(name: str, lines: Sequence[Mapping[str, Any]], looked_at: int) -> Markup:
    more = f"; {len(lines) - SHOWN:,} more in the JSON" if len(lines) > SHOWN else ""
    grid = Grid(
        f"by {name}; verdicts allow for all {looked_at} groups looked at (Holm){more}",
        (name, "rows#", "difference#", "interval#", "p (Holm)#", "verdict"),
    )
    for line in lines[:SHOWN]:
        verdict = line["verdict"]
        grid.rows.append(
            [
                Cell(line["name"]),
                Cell(f"{line['n']:,}", line["n"], "n"),
                *numbers(line),
                Cell(number(line["p_holm"]), line["p_holm"], "n"),
                Cell(verdict, kind=verdict if verdict in ("better", "worse") else None),
            ]
        )
    return grid.markup()


def _rows(
    name: str, key: str, classes: Sequence[str], lines: Sequence[Mapping[str, Any]]
) -> Iterator[object]:
    yield input_label(key)
    grid = Grid(name, ("id", "row#", "difference#", *classes), name=key)
    for line in lines:
        grid.rows.append(
            [
                Cell(str(line["id"])),
                Cell(line["row"], line["row"], "n"),
                Cell(number(line["difference"]), line["difference"], "n"),
                *(Cell(class_word(line[of])) for of in ("p_class", "against_class", "q_class")),
            ]
        )
    yield grid.markup()


def _drift(drift: FromReference, unit: str, place: int) -> Iterator[object]:
    yield tag("h2", f"{drift.q}: drift from its reference P")
    grid = Grid("means over rows", ("statistic", "value#", "interval#"))
    grid.rows.extend(
        [
            [Cell(f"Mean KLD: KL(P||Q), {unit}"), *numbers(drift.kl)],
            [Cell(f"Mean KL(Q||P), {unit}"), *numbers(drift.kl_reverse)],
            [Cell("Same top p"), *numbers(drift.same_top1)],
            [Cell("change of P's top probability, mean"), *numbers(drift.top_change)],
            [Cell("change of P's top probability, RMS"), *numbers(drift.top_rms)],
        ]
    )
    if drift.tokens is not None:
        grid.rows.extend([[Cell(name), *numbers(x)] for name, x in _tokens(drift.tokens).items()])
    yield grid.markup()
    columns = {
        f"KLD, {unit}": drift.kl_quantiles,
        f"KL(Q||P), {unit}": drift.kl_reverse_quantiles,
        "change of P's top p": drift.top_quantiles,
    }
    if drift.tokens is not None:
        columns["Δp of the label"] = drift.tokens.p_quantiles
    headings = ("quantile", *(f"{name}#" for name in columns))
    table = Grid("quantiles over rows", headings, name=f"quantiles-{place}")
    for name in drift.top_quantiles:
        found = [column.get(name) for column in columns.values()]
        table.rows.append([Cell(name), *(Cell(number(x, 6), x, "n") for x in found)])
    yield table.markup()


def _tokens(tokens: Tokens) -> dict[str, Any]:
    return {
        "Mean PPL(Q)": tokens.ppl,
        "Mean PPL(base)": tokens.ppl_base,
        "Mean ln(PPL(Q)/PPL(base))": tokens.log_ppl_ratio,
        "Mean PPL(Q)/PPL(base)": tokens.ppl_ratio,
        "Mean PPL(Q)-PPL(base)": tokens.ppl_difference,
        "Mean Δp": tokens.p_difference,
        "RMS Δp": tokens.p_rms,
    }


def _bounds(comparison: Comparison) -> Markup:
    grid = Grid("certified bounds of KL(P||Q)", ("model", "at least#", "at most#", "interval#"))
    for x in comparison.bounds:
        ends = [Cell(number(e.value), e.value, "n") for e in (x.low, x.high)]
        grid.rows.append([Cell(x.q), *ends, Cell(interval(x.kl), kind="n")])
    return grid.markup()


def _how(comparison: Comparison, how: Mapping[str, object]) -> Iterator[object]:
    yield tag("h2", "How it was computed")
    pairs: dict[str, object] = {**how, "P": comparison.source.get("p", comparison.p_kind)}
    if comparison.differences:
        pairs["differences"] = comparison.differences[0].cross_entropy.method
    yield definitions(pairs)
