"""The report of a comparison in a terminal: a sentence for each model, then tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.text import Text

from pandq.report.terminal.audit import SHOWN
from pandq.report.terminal.console import as_text
from pandq.report.terminal.tables import interval, table_of
from pandq.report.words import class_word
from pandq.results.comparison import Difference, Unpaired
from pandq.units import number, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

    from pandq.results.comparison import Comparison
    from pandq.results.estimate import Estimate
    from pandq.results.reference import FromReference, Tokens


def comparison_text(comparison: Comparison, *, width: int = 110) -> str:
    """The whole report as plain text.

    Args:
        comparison: what to show.
        width: columns of the page.

    Returns:
        Text with newlines.
    """
    return as_text(show_comparison, comparison, width)


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Print the whole report."""
    for part in _parts(comparison):
        console.print(part)


def sentence(difference: Difference | Unpaired, unit: str) -> str:
    """What an interval lets one say of two models."""
    loss = difference.cross_entropy
    one, other = difference.q, difference.against
    if loss.value is None:
        return (
            f"{one} and {other} both have rows of infinite loss (q = 0 < p): no mean compares them."
        )
    if not math.isfinite(loss.value):
        lost = one if loss.value > 0 else other
        rows = getattr(difference, "infinite_rows", {}).get(lost, 0)
        so = f"{one} is {difference.verdict}"
        return f"{lost} has an infinite loss (q = 0 < p) in {rows:,} rows: {so}."
    if loss.value == 0.0 and loss.low == loss.high:
        return f"{one} pays the same as {other} in every row."
    size = f"{short(abs(loss.value))} {unit} {'more' if loss.value > 0 else 'less'}"
    ends = f"{interval(loss)} at {loss.level:.0%}"
    what = f"{difference.q} pays {size} per row than {difference.against}, {ends}"
    if difference.verdict == "not told apart":
        return f"{what}: these rows do not tell the two apart."
    return f"{what}: it is {difference.verdict}."


def reference_sentence(drift: FromReference, unit: str) -> str:
    """How far a copy is from its reference, in a sentence."""
    size = f"{short(drift.kl.value)} {unit} from P, {interval(drift.kl)} at {drift.kl.level:.0%}"
    same = f"the same top class in {drift.same_top1.value:.2%} of rows"
    return f"{drift.q} has drifted {size}; {same}."


def _parts(comparison: Comparison) -> Iterator[RenderableType]:
    unit = comparison.unit
    for difference in comparison.differences:
        yield Text(sentence(difference, unit))
    for drift in comparison.from_reference:
        yield Text(reference_sentence(drift, unit))
    yield Text(f"{comparison.n:,} rows, {comparison.n_classes:,} classes; P is {comparison.p_kind}")
    for note in comparison.notes:
        yield Text(f"note: {note}")
    yield Text()
    if comparison.bounds:
        yield _bounds(comparison)
        yield Text(
            "A TopK knows a law in part. The lower bound is certified: merging the unseen classes"
            " can only bring two laws closer. The upper one spreads P's unseen mass as badly as it"
            " can be, no class above the least probable one seen; it is infinite where nothing is"
            " known of Q there (--q-floor)."
        )
        return
    yield _models(comparison)
    if any(isinstance(difference, Unpaired) for difference in comparison.differences):
        yield Text(
            "Unpaired: the baseline's rows may be others, and their difficulty does not cancel."
            " Both models on the same rows would tell more."
        )
    elif comparison.differences:
        first = comparison.differences[0].against
        named = "" if first == "A" else f" with A = {first}"
        yield Text(
            "The floor H(P) is the same for all and cancels: H(P,Q) - H(P,A) = KL(P||Q) - KL(P||A)"
            f"{named}, also with one label per row. What tells two models apart is the"
            " paired difference, never their own intervals side by side."
        )
    for difference in comparison.differences:
        if isinstance(difference, Difference):
            yield Text()
            yield from _difference(difference, comparison)
    for drift in comparison.from_reference:
        yield Text()
        yield from _drift(drift, unit)


def _bounds(comparison: Comparison) -> Table:
    table = table_of(
        "KL(P||Q), bounds", "at least", "at most", f"{comparison.level:.0%} interval", words="rows"
    )
    for bounds in comparison.bounds:
        low, high = number(bounds.low.value, 6), number(bounds.high.value, 6)
        lost = f" ({bounds.infinite_rows:,} infinite)" if bounds.infinite_rows else ""
        infinite = f"{bounds.n:,}{lost}"
        ends = f"[{number(bounds.kl.low, 6)}, {number(bounds.kl.high, 6)}]"
        table.add_row(bounds.q, low, high, ends, infinite)
    return table


def _models(comparison: Comparison) -> Table:
    table = table_of("model", "H(P,Q)", "KL(P||Q)", "accuracy", "Brier", "infinite rows")
    for model in comparison.models:
        table.add_row(
            model.q,
            number(model.cross_entropy.value),
            number(model.kl.value),
            number(model.accuracy.value),
            number(model.brier.value),
            f"{model.infinite_rows:,}",
        )
    return table


def _difference(difference: Difference, comparison: Comparison) -> Iterator[RenderableType]:
    level = f"{comparison.level:.0%} interval"
    title = f"{difference.q} less {difference.against}"
    table = table_of(title, comparison.unit, level, words="what it is")
    rows: list[tuple[str, Estimate | None, str]] = [
        ("cross entropy, and KL(P||Q)", difference.cross_entropy, _p(difference.p_value)),
        (
            "  over rows finite in both",
            difference.finite_part,
            "which their outcomes chose: no estimate",
        ),
        ("  rest", difference.grouping_loss, "what is left after recalibrating both: the models"),
        ("  calibration loss", difference.calibration_loss, "what recalibrating each wins"),
        ("accuracy", difference.accuracy, "P's top class is Q's"),
        ("expected accuracy", difference.expected_accuracy, "P at Q's top class"),
        ("Brier score", difference.brier, ""),
        ("mean confidence", difference.confidence, ""),
    ]
    for name, estimate, words in rows:
        if estimate is not None:
            table.add_row(name, number(estimate.value), interval(estimate), words)
    yield table
    wins = {name: f"{x.value:.1%} {interval(x)}" for name, x in difference.wins.items()}
    yield Text(
        f"row by row {difference.against} pays less in {wins['against_better']}, {difference.q} in"
        f" {wins['q_better']}, equal in {wins['tie']}; same top class in"
        f" {difference.same_top1.value:.1%} {interval(difference.same_top1)}"
    )
    for name, rows_lost in difference.infinite_rows.items():
        if rows_lost:
            yield Text(
                f"{name} has an infinite loss (q = 0 < p) in {rows_lost:,} rows; so has every class"
                " and group with one of them. What is left after recalibration is over all rows."
            )
    groups = {"class of P": difference.classes, **difference.groups}
    for name, lines in groups.items():
        yield Text()
        yield _groups(name, lines)
    yield Text(
        f"{difference.groups_looked_at} groups were looked at; verdicts allow for all (Holm)"
    )
    for name, lines in (
        (f"rows where {difference.against} is better by most", difference.against_better),
        (f"rows where {difference.q} is better by most", difference.q_better),
    ):
        if lines:
            yield Text()
            yield _rows(name, lines)


def _p(value: float | None) -> str:
    if value is None:
        return "infinite: see below"
    return f"p = {value:.3g}" if value >= 1e-4 else "p < 0.0001"


def _groups(title: str, lines: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of(title, "rows", "difference", "interval", "p (Holm)", words="verdict")
    for line in lines[:SHOWN]:
        table.add_row(
            line["name"],
            f"{line['n']:,}",
            number(line["value"]),
            interval(line),
            number(line["p_holm"]),
            line["verdict"],
        )
    if len(lines) > SHOWN:
        table.caption = f"{len(lines) - SHOWN} more in --json; largest total difference first"
    return table


def _rows(title: str, lines: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of(title, "row", "difference", "P's class", "A's class", "Q's class")
    for line in lines:
        table.add_row(
            str(line["id"]),
            str(line["row"]),
            number(line["difference"]),
            class_word(line["p_class"]),
            class_word(line["against_class"]),
            class_word(line["q_class"]),
        )
    return table


def _drift(drift: FromReference, unit: str) -> Iterator[RenderableType]:
    table = table_of(f"{drift.q} from its reference P", "", "interval")
    for name, estimate in (
        (f"Mean KLD: KL(P||Q), {unit}", drift.kl),
        (f"Mean KL(Q||P), {unit}", drift.kl_reverse),
    ):
        table.add_row(name, number(estimate.value, 6), interval(estimate, 6))
    for name, estimate in (
        ("Same top p", drift.same_top1),
        ("change of P's top probability, mean", drift.top_change),
        ("change of P's top probability, RMS", drift.top_rms),
    ):
        table.add_row(name, *_percents(estimate))
    yield table
    yield Text()
    yield _quantiles(
        {f"KLD, {unit}": drift.kl_quantiles, f"KL(Q||P), {unit}": drift.kl_reverse_quantiles}
    )
    yield Text(
        f"quantiles of KL within {drift.quantile_accuracy:.1%}, of changes within 0.005 %;"
        " the ends are exact"
    )
    yield Text()
    changes = {"change of P's top p, %": _hundredfold(drift.top_quantiles)}
    if drift.tokens is not None:
        changes["Δp of the label, %"] = _hundredfold(drift.tokens.p_quantiles)
    yield _quantiles(changes)
    if drift.tokens is not None:
        yield Text()
        yield _tokens(drift.tokens)


def _tokens(tokens: Tokens) -> Table:
    table = table_of("perplexity of the labels", "", "interval")
    for name, estimate in (
        ("Mean PPL(Q)", tokens.ppl),
        ("Mean PPL(base)", tokens.ppl_base),
        ("Mean ln(PPL(Q)/PPL(base))", tokens.log_ppl_ratio),
        ("Mean PPL(Q)/PPL(base)", tokens.ppl_ratio),
        ("Mean PPL(Q)-PPL(base)", tokens.ppl_difference),
    ):
        table.add_row(name, number(estimate.value, 6), interval(estimate, 6))
    table.add_row("Cor(ln(PPL(Q)), ln(PPL(base)))", f"{tokens.correlation:.2%}", "")
    table.add_row("Mean Δp", *_percents(tokens.p_difference))
    table.add_row("RMS Δp", *_percents(tokens.p_rms))
    return table


def _percents(estimate: Estimate) -> tuple[str, str]:
    def percent(x: float | None) -> str:
        return number(None if x is None else 100 * x, 3)

    value = f"{percent(estimate.value)} %"
    return value, f"[{percent(estimate.low)}, {percent(estimate.high)}]"


def _hundredfold(quantiles: Mapping[str, float]) -> dict[str, float]:
    return {name: 100 * x for name, x in quantiles.items()}


def _quantiles(columns: Mapping[str, Mapping[str, float]]) -> Table:
    table = table_of("quantile", *columns)
    for name in next(iter(columns.values())):
        table.add_row(name, *(number(column[name], 6) for column in columns.values()))
    return table
