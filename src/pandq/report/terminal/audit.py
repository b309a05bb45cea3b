"""The report in a terminal: one sentence, then tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from pandq.report.terminal.console import as_text
from pandq.report.terminal.ensemble import split_parts
from pandq.report.terminal.tables import interval, table_of
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
    said_after,
    said_first,
    stacked,
    told,
    told_kl,
    trained_on,
    wins,
)
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

    from pandq.results.audit import Audit
    from pandq.results.decomposition import Decomposition
    from pandq.results.estimate import Estimate

# Tables of classes and groups show this many lines; the JSON has them all.
SHOWN = 10
BAR = 60
# A longer line of torch is left to the JSON.
TORCH = 400


def audit_text(audit: Audit, *, width: int = 110) -> str:
    """The whole report as plain text.

    Args:
        audit: what to show.
        width: columns of the page.

    Returns:
        Text with newlines.
    """
    return as_text(show, audit, width)


def show(audit: Audit, console: Console) -> None:
    """Print the whole report."""
    for part in _parts(audit):
        console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)


def _parts(audit: Audit) -> Iterator[RenderableType]:
    for sentence in said_first(audit):
        yield Text(sentence)
    yield Text(headline(audit))
    yield Text(
        f"{audit.n:,} rows, {audit.n_classes:,} classes; P is {audit.p_kind}, Q is {audit.q_kind}"
    )
    for note in said_after(audit):
        yield Text(f"note: {note}")
    yield Text()
    if audit.decomposition is not None:
        yield from _decomposition(audit.decomposition, audit)
        yield Text()
    yield _measures(audit)
    yield Text(_quantiles(audit))
    if audit.uncertainty is not None:
        yield Text()
        yield from split_parts(audit.uncertainty, audit.unit, audit.level)
    if audit.infinite_rows:
        yield Text()
        yield Text(_infinite(audit))
    yield Text()
    yield _groups("class of P", audit.classes)
    for name, groups in audit.groups.items():
        yield Text()
        yield _groups(name, groups)
    if audit.decomposition is not None:
        yield Text()
        yield _parts_table("class of Q", audit.decomposition.classes)
        for name, groups in audit.decomposition.groups.items():
            yield Text()
            yield _parts_table(name, groups)
        yield Text()
        yield from _calibration(audit.decomposition)
    if audit.worst:
        yield Text()
        yield _worst(audit)


def _bar(parts: Decomposition) -> Text:
    """One stacked bar: floor, grouping loss and calibration loss as shares of the loss."""
    sizes = stacked(parts)
    total = sum(size for _, size in sizes)
    marks = "#." if len(sizes) < 3 and sizes[0][0] != "floor" else "#+."
    bar, key = "", []
    for (name, size), mark in zip(sizes, marks, strict=False):
        bar += mark * (round(BAR * size / total) if total > 0 else 0)
        key.append(f"{mark} {name}")
    if parts.infinite_rows:
        key.append("and an infinite calibration loss")
    return Text(f"|{bar[:BAR]:<{BAR}}|  {'   '.join(key)}", no_wrap=True)


def _decomposition(parts: Decomposition, audit: Audit) -> Iterator[RenderableType]:
    yield _bar(parts)
    yield Text()
    table = table_of(
        "H(P,Q) = floor + grouping loss + calibration loss",
        audit.unit,
        f"{audit.level:.0%} interval",
        words="what it is",
    )
    said = {
        "floor": "H(P)",
        "grouping_loss": "KL(P||c(Q)): the model",
        "calibration_loss": map_words(parts),
    }
    for name, what in said.items():
        estimate: Estimate = getattr(parts, name)
        table.add_row(name, number(estimate.value), interval(estimate), what)
    table.add_row(
        "cross entropy after recalibration",
        number(parts.refinement_loss.value),
        interval(parts.refinement_loss),
        "floor + rest",
    )
    if parts.model_floor is not None:
        value, low, high = (
            x or 0.0 for x in (parts.model_floor.value, parts.floor.low, parts.floor.high)
        )
        outside = "" if low <= value <= high else "; OUTSIDE the certified interval"
        table.add_row("floor, model-based", number(value), "-", f"mixture of Dirichlets{outside}")
    for name, estimate in parts.brier.items():
        some = "" if estimate.n == parts.n else " of rows with two votes or more"
        label = f"Brier score{some}" if name == "brier" else f"  its {name}"
        table.add_row(
            label,
            number(estimate.value),
            interval(estimate),
            "",
        )
    yield table
    yield Text(definition(parts))
    for step in next_steps(audit):
        yield Text(f"-> {step}")
    torch = parts.recalibrator.to_torch()
    if wins(parts) and len(torch) <= TORCH:
        yield Text(f"recalibration in torch: {torch}")
    if parts.plan:
        yield Text()
        yield _plan(parts, audit.unit)


def _plan(parts: Decomposition, unit: str) -> Table:
    """What other numbers of labels are expected to do to the floor's interval."""
    rows = sorted({p["rows"] for p in parts.plan})
    width = {(p["votes"], p["rows"]): p["expected_width"] for p in parts.plan}
    title = f"expected width of the floor's interval, {unit}"
    table = table_of(title, *(f"{n:,} rows" for n in rows))
    for votes in sorted({p["votes"] for p in parts.plan}):
        found = (number(width[votes, n], 3) for n in rows)
        table.add_row(f"{votes} votes per row" if votes > 1 else "1 vote per row", *found)
    return table


def _calibration(parts: Decomposition) -> Iterator[RenderableType]:
    table = table_of("confidence of Q", "rows", "mean", "P at Q's top class", "interval")
    for line in parts.reliability:
        table.add_row(
            f"{line['from']:.2f} to {line['to']:.2f}",
            f"{line['rows']:,.0f}",
            number(line["confidence"], 3),
            number(line["accuracy"], 3),
            interval(line),
        )
    yield table
    yield Text(
        f"expected calibration error {number(parts.calibration_error)} (biased upwards: a"
        f" calibrated model would show about {number(parts.calibration_error_of_noise)} here)"
    )
    losses = ", ".join(f"{kind} {number(x)}" for kind, x in parts.losses.items())
    yield Text(
        f"cross entropy under each map, cross-fitted{trained_on(parts)}: {losses} (each mixed with"
        " a little of the class frequencies, so that no row is infinite)"
    )


def _parts_table(title: str, groups: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of(
        title, "rows", "loss", "floor", "interval", "grouping_loss", "calibration_loss"
    )
    for group in groups[:SHOWN]:
        table.add_row(
            group["name"],
            f"{group['n']:,}",
            told(group, "cross_entropy"),
            number(group["floor"]["value"]),
            interval(group["floor"]),
            number(group["grouping_loss"]["value"]),
            told(group, "calibration_loss"),
        )
    if len(groups) > SHOWN:
        table.caption = f"{len(groups) - SHOWN} more in --json; largest removable part first"
    return table


def _measures(audit: Audit) -> Table:
    top = "Q's top class is P's" if audit.p_kind != "labels" else "Q's top class is the label"
    rows: list[tuple[str, Estimate]] = [
        ("cross entropy H(P,Q)", audit.cross_entropy),
        (entropy_of(audit), audit.entropy),
        ("divergence KL(P||Q)", audit.kl),
        *plug_in(audit),
        *((f"  finite rows only: {name}", part) for name, part in audit.finite_part.items()),
        (f"accuracy: {top}", audit.accuracy),
    ]
    if audit.p_kind != "labels":
        rows.append(("expected accuracy: P at Q's top class", audit.expected_accuracy))
    rows += [("mean confidence of Q", audit.confidence), ("Brier score", audit.brier)]
    table = table_of("mean over rows", audit.unit, f"{audit.level:.0%} interval")
    for what, estimate in rows:
        table.add_row(what, number(estimate.value), interval(estimate))
    return table


def _quantiles(audit: Audit) -> str:
    parts = [
        f"{'largest' if q == '1' else f'{float(q):.1%}'.replace('.0%', '%')} {number(x)}"
        for q, x in audit.kl_quantiles.items()
    ]
    return (
        f"{of_rows(audit)} of single rows, quantiles (within {audit.kl_quantile_accuracy:.1%}): "
        + ", ".join(parts)
    )


def _infinite(audit: Audit) -> str:
    shown = ", ".join(str(row["id"]) for row in audit.infinite)
    more = ", ..." if audit.infinite_rows > len(audit.infinite) else ""
    return (
        f"KL(P||Q) is infinite in {audit.infinite_rows:,} rows, where q = 0 < p: {shown}{more}."
        " Nothing was clipped; the finite rows are reported apart."
        + (" Q is labels, a certainty: are P and Q swapped?" if audit.q_kind == "labels" else "")
    )


def _groups(title: str, groups: Sequence[Mapping[str, Any]]) -> Table:
    named = group_columns(groups)
    table = table_of(title, "rows", "cross entropy", *named, "interval", "accuracy")
    for group in groups[:SHOWN]:
        table.add_row(
            group["name"],
            f"{group['n']:,}",
            *(told(group, name) for name in ("cross_entropy", "entropy")),
            told_kl(group),
            interval(divergence_of(group)),
            number(group["accuracy"]["value"], 3),
        )
    if len(groups) > SHOWN:
        table.caption = f"{len(groups) - SHOWN} more in --json; largest total KL first"
    return table


def _worst(audit: Audit) -> Table:
    what = of_rows(audit)
    table = table_of(f"largest {what}: id", "row", "KL", "P's class", "Q's class", "Q's confidence")
    for row in audit.worst:
        table.add_row(
            str(row["id"]),
            str(row["row"]),
            number(row["kl"]),
            class_word(row["p_class"]),
            class_word(row["q_class"]),
            number(row["confidence"]),
        )
    return table
