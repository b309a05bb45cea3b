"""Figures of an audit and of a comparison, as matplotlib draws them; each takes an axes to draw on.

The three parts of a loss keep their colours everywhere: they are told apart by colour-blind readers
(Okabe and Ito 2008), and by their order and labels without any colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.plain import visible
from pandq.report.bar import AT_LEAST, stacked
from pandq.report.words import divergence_of, of_rows
from pandq.units import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pandq.results.agreement import Agreement
    from pandq.results.audit import Audit
    from pandq.results.comparison import Comparison

FLOOR, GROUPING_LOSS, CALIBRATION_LOSS, UNKNOWN = "#3182bd", "#d55e00", "#009e73", "#8a8a8a"
COLOURS = {"floor": FLOOR, "grouping loss": GROUPING_LOSS, "calibration loss": CALIBRATION_LOSS}
INK = "#000000"  # in a page this becomes the colour of its text
SHOWN = 30
LEGEND_LINE = 65  # characters of all labels that fit beside each other


def axes_of(ax: Axes | None, width: float = 7.0, height: float = 3.2) -> tuple[Figure, Axes]:
    """The axes to draw on: the caller's, or new ones in a figure of their own."""
    if ax is not None:
        return ax.figure, ax  # type: ignore[return-value]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def decomposition(audit: Audit, ax: Axes | None = None) -> Figure:
    """One stacked bar: what the cross entropy is made of.

    Args:
        audit: with a decomposition; without one the bar is the loss as a whole.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure.
    """
    found = [("cross entropy", audit.cross_entropy.value or 0.0)]
    if audit.decomposition is not None:
        found = stacked(audit.decomposition)
    labels = [f"{name} {short(size)}" for name, size in found]
    lines = 1 if sum(map(len, labels)) <= LEGEND_LINE else 2
    figure, ax = axes_of(ax, 6.6, 1.05 + 0.25 * lines)
    left = 0.0
    for label, (name, size) in zip(labels, found, strict=True):
        colour = COLOURS.get(name.removesuffix(AT_LEAST), UNKNOWN)
        drawn = size if np.isfinite(size) else 0.0
        ax.barh(0, drawn, left=left, color=colour, label=label, edgecolor="white", linewidth=1)
        left += drawn
    ax.set(yticks=[], ylim=(-0.5, 0.5), xlim=(0, left or 1.0), xlabel=f"{audit.unit} per row")
    ax.spines["left"].set_visible(False)
    columns = -(-len(found) // lines)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderpad=0)
    return figure


def reliability(audit: Audit, ax: Axes | None = None) -> Figure:
    """P at Q's top class against Q's confidence, with an interval for each bin.

    Args:
        audit: with a decomposition.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure; a perfectly calibrated model lies on the diagonal.
    """
    figure, ax = axes_of(ax, 5.0, 4.0)
    lines = audit.decomposition.reliability if audit.decomposition is not None else []
    x, y, low, high = (
        np.array([line[key] for line in lines])
        for key in ("confidence", "expected_accuracy", "low", "high")
    )
    ax.plot([0, 1], [0, 1], color=UNKNOWN, linewidth=1, linestyle="--")
    ends = np.stack([np.maximum(y - low, 0.0), np.maximum(high - y, 0.0)])
    ax.errorbar(x, y, yerr=ends, color=FLOOR, marker="o", markersize=4, linewidth=1.2, capsize=2)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="confidence of Q", ylabel="P at Q's top class")
    return figure


def kl_distribution(audit: Audit, ax: Axes | None = None) -> Figure:
    """How KL(P||Q) of single rows is spread, on a logarithmic axis.

    Args:
        audit: any.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure; rows at exactly 0 and at infinity are named in its title.
    """
    figure, ax = axes_of(ax, 5.0, 4.0)
    spread = audit.kl_histogram
    edges = [line["from"] for line in spread["bins"]] + [line["to"] for line in spread["bins"][-1:]]
    rows = [line["rows"] for line in spread["bins"]]
    if rows:
        ax.stairs(rows, edges, fill=True, color=FLOOR)
        ax.set_xscale("log")
        if edges[-1] < 10 * edges[0]:
            # within a decade the labels of a logarithmic axis lie over one another
            ends = [edges[0], edges[-1]]
            ax.set_xticks(ends, [short(x) for x in ends])
            ax.minorticks_off()
    for name, share, style in (("median", "0.5", "--"), ("99%", "0.99", ":")):
        value = audit.kl_quantiles.get(share, 0.0)
        if rows and 0 < value < np.inf:
            ax.axvline(
                value,
                color=GROUPING_LOSS,
                linestyle=style,
                linewidth=1.2,
                label=f"{name} {short(value)}",
            )
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False)
    apart = [
        f"{spread[key]:,.0f} rows at {at}"
        for key, at in (("zero", "0"), ("infinite", "infinity"))
        if spread[key]
    ]
    ax.set(xlabel=f"{of_rows(audit)} in a row, {audit.unit}", ylabel="rows", title=", ".join(apart))
    return figure


def classes(audit: Audit, ax: Axes | None = None) -> Figure:
    """KL(P||Q) of each class of P with its interval, the largest total first.

    Args:
        audit: any; of more than 30 classes the 30 largest are drawn.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure.
    """
    lines = audit.classes[:SHOWN]
    figure, ax = axes_of(ax, 5.0, 1.0 + 0.26 * len(lines))
    _intervals(ax, [line["name"] for line in lines], [divergence_of(x) for x in lines])
    ax.set_xlabel(f"{of_rows(audit)}, {audit.unit}")
    return figure


def epistemic(audit: Audit, ax: Axes | None = None) -> Figure:
    """An ensemble's epistemic uncertainty against how far it is from P, bin by bin.

    Args:
        audit: of an Ensemble, with a P that says how far Q is from it.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure; where KL is measured, a claim that holds lies on the dashed line.
    """
    figure, ax = axes_of(ax, 5.0, 4.0)
    found = audit.uncertainty
    lines = found.curve if found is not None and found.distance is not None else []
    lines = [line for line in lines if line["claimed"]["value"] > 0]
    x = np.array([line["claimed"]["value"] for line in lines])
    y, low, high = (
        np.array(
            [np.nan if line["measured"][key] is None else line["measured"][key] for line in lines],
            dtype=float,
        )
        for key in ("value", "low", "high")
    )
    ends = np.nan_to_num(np.stack([np.maximum(y - low, 0.0), np.maximum(high - y, 0.0)]))
    ax.errorbar(x, y, yerr=ends, color=FLOOR, marker="o", markersize=4, linewidth=1.2, capsize=2)
    if len(x):
        ax.set_xscale("log")
    squared = found is not None and found.distance == "squared"
    if len(x) and not squared:
        ax.plot(x, x, color=UNKNOWN, linewidth=1, linestyle="--", label="measured = claimed")
        ax.legend(frameon=False)
    measured = "squared distance from P" if squared else f"KL(P||Q), {audit.unit}"
    ax.set(xlabel=f"epistemic uncertainty, {audit.unit}", ylabel=measured)
    return figure


def differences(comparison: Comparison, ax: Axes | None = None) -> Figure:
    """How much larger each model's loss is than that of the one it is compared with.

    Args:
        comparison: with differences.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure; left of 0 is better.
    """
    figure, ax = axes_of(ax, 9.0, 1.0 + 0.35 * len(comparison.differences))
    found = [x.cross_entropy for x in comparison.differences]
    ends = [{"value": x.value, "low": x.low, "high": x.high} for x in found]
    _intervals(ax, [x.q for x in comparison.differences], ends)
    ax.axvline(0, color=INK, linewidth=1)
    against = comparison.differences[0].against if comparison.differences else ""
    ax.set_xlabel(f"loss less that of {drawn(against)}, {comparison.unit} per row (less is better)")
    return figure


def annotators(found: Agreement, ax: Axes | None = None) -> Figure:
    """How much more each annotator's votes cost than those of the others on the same items.

    Args:
        found: of votes with annotators.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure, of those with the most and the least where there are many; right of 0 is apart.
    """
    lines = [x for x in found.annotators if x["difference"]["low"] is not None]
    if len(lines) > SHOWN:
        lines = [*lines[: SHOWN // 2], *lines[-SHOWN // 2 :]]
    figure, ax = axes_of(ax, 9.0, 1.0 + 0.3 * len(lines))
    _intervals(ax, [x["name"] for x in lines], [x["difference"] for x in lines])
    ax.axvline(0, color=INK, linewidth=1)
    ax.set_xlabel(f"cross entropy less that of the others on the same items, {found.unit} per vote")
    return figure


def _intervals(ax: Axes, names: list[str], lines: Sequence[Mapping[str, Any]]) -> None:
    """A dot and its interval for each name, from the top down."""
    place = np.arange(len(names))[::-1]
    value = np.array([np.nan if x["value"] is None else x["value"] for x in lines], dtype=float)
    low, high = (
        np.array([np.nan if x[key] is None else x[key] for x in lines], dtype=float)
        for key in ("low", "high")
    )
    with np.errstate(invalid="ignore"):
        ends = np.stack([np.fmax(value - low, 0.0), np.fmax(high - value, 0.0)])
    ax.errorbar(
        value, place, xerr=np.nan_to_num(ends), fmt="o", color=FLOOR, markersize=4, capsize=2
    )
    ax.set_yticks(place, [drawn(name if len(name) <= 24 else f"{name[:23]}…") for name in names])
    ax.grid(axis="x", color=UNKNOWN, alpha=0.3, linewidth=0.5)
    ax.set_ylim(-0.7, len(names) - 0.3)


def drawn(name: str) -> str:
    """A name as matplotlib draws it: `$` begins no formula, and no character breaks the SVG."""
    return visible(name).replace("$", r"\$")
