"""The report in a terminal: one sentence, then tables."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from pandq.audits import Audit
    from pandq.estimate.intervals import Estimate

# Tables of classes and groups show this many lines; the JSON has them all.
SHOWN = 10


def audit_text(audit: Audit, *, width: int = 100) -> str:
    """The whole report as plain text.

    Args:
        audit: what to show.
        width: columns of the page.

    Returns:
        Text with newlines.
    """
    page = io.StringIO()
    show(audit, Console(file=page, width=width, color_system=None, legacy_windows=False))
    return page.getvalue().rstrip()


def show(audit: Audit, console: Console) -> None:
    """Print the whole report."""
    for part in _parts(audit):
        console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)


def number(x: float | None, digits: int = 4) -> str:
    """A number for a table: fixed digits, or a few significant ones where it is small.

    >>> number(0.17321), number(1.5e-7), number(None), number(float("inf"))
    ('0.1732', '1.5e-07', '-', 'inf')
    """
    if x is None or math.isnan(x):
        return "-"
    if x == 0 or abs(x) >= 0.5 * 10**-digits:
        return f"{x:.{digits}f}"
    return f"{x:.2g}"


def interval(estimate: Estimate | Mapping[str, Any]) -> str:
    """The two ends of an interval."""
    low = estimate["low"] if not hasattr(estimate, "low") else estimate.low
    high = estimate["high"] if not hasattr(estimate, "high") else estimate.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "-"
    return f"[{number(low)}, {number(high)}]"


def _parts(audit: Audit) -> Iterator[RenderableType]:
    yield Text(_headline(audit))
    for note in audit.notes:
        yield Text(f"note: {note}")
    yield Text()
    yield _measures(audit)
    yield Text(_quantiles(audit))
    if audit.infinite_rows:
        yield Text()
        yield Text(_infinite(audit))
    yield Text()
    yield _groups("class of P", audit.classes, audit)
    for name, groups in audit.groups.items():
        yield Text()
        yield _groups(name, groups, audit)
    if audit.worst:
        yield Text()
        yield _worst(audit.worst, audit)


def _headline(audit: Audit) -> str:
    rows = f"{audit.n:,} rows, {audit.n_classes:,} classes; P is {audit.p_kind}, Q is {audit.q_kind}"
    if audit.infinite_rows:
        return f"{rows}. The cross entropy is infinite: Q rules out what P allows in some rows."
    ce, h, kl = (x.value for x in (audit.cross_entropy, audit.entropy, audit.kl))
    if audit.p_kind == "labels":
        return f"{rows}. Q pays {number(ce)} {audit.unit} per row for these labels."
    return (
        f"{rows}. Of {number(ce)} {audit.unit} of cross entropy, {number(h)} is P's own entropy"
        f" and {number(kl)} is KL(P||Q)."
    )


def _measures(audit: Audit) -> Table:
    plug_in = " of the votes' shares (plug-in)" if audit.p_kind == "counts" else ""
    top = "Q's top class is P's" if audit.p_kind != "labels" else "Q's top class is the label"
    rows: list[tuple[str, Estimate]] = [
        ("cross entropy H(P,Q)", audit.cross_entropy),
        (f"entropy H(P){plug_in}", audit.entropy),
        ("divergence KL(P||Q)", audit.kl),
        *((f"  finite rows only: {name}", part) for name, part in audit.finite_part.items()),
        (f"accuracy: {top}", audit.accuracy),
    ]
    if audit.p_kind != "labels":
        rows.append(("expected accuracy: P at Q's top class", audit.expected_accuracy))
    rows += [("mean confidence of Q", audit.confidence), ("Brier score", audit.brier)]
    table = _table("mean over rows", audit.unit, f"{audit.level:.0%} interval")
    for what, estimate in rows:
        table.add_row(what, number(estimate.value), interval(estimate))
    return table


def _quantiles(audit: Audit) -> str:
    parts = [
        f"{'largest' if q == '1' else f'{float(q):.1%}'.replace('.0%', '%')} {number(x)}"
        for q, x in audit.kl_quantiles.items()
    ]
    return (
        f"KL(P||Q) of single rows, quantiles (within {audit.kl_quantile_accuracy:.1%}): "
        + ", ".join(parts)
    )


def _infinite(audit: Audit) -> str:
    shown = ", ".join(str(row["id"]) for row in audit.infinite)
    more = ", ..." if audit.infinite_rows > len(audit.infinite) else ""
    return (
        f"KL(P||Q) is infinite in {audit.infinite_rows:,} rows, where q = 0 < p: {shown}{more}."
        " Nothing was clipped; the finite rows are reported apart."
    )


def _groups(title: str, groups: Sequence[Mapping[str, Any]], audit: Audit) -> Table:
    table = _table(title, "rows", "cross entropy", "entropy", "KL(P||Q)", "interval", "accuracy")
    for group in groups[:SHOWN]:
        table.add_row(
            group["name"],
            f"{group['n']:,}",
            *(number(group[name]["value"]) for name in ("cross_entropy", "entropy", "kl")),
            interval(group["kl"]),
            number(group["accuracy"]["value"], 3),
        )
    if len(groups) > SHOWN:
        table.caption = f"{len(groups) - SHOWN} more in --json; largest total KL first"
    return table


def _worst(rows: Sequence[Mapping[str, Any]], audit: Audit) -> Table:
    table = _table("largest KL(P||Q): id", "row", "KL(P||Q)", "P's class", "Q's class", "Q's confidence")
    for row in rows:
        table.add_row(
            str(row["id"]),
            str(row["row"]),
            number(row["kl"]),
            row["p_class"],
            row["q_class"],
            number(row["confidence"]),
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
