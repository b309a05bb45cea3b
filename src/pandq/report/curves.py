"""The curve of a fit: cross entropy, the floor below it, and KL(P||Q) between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.report.figures import CALIBRATION_LOSS, FLOOR, GROUPING_LOSS, UNKNOWN, axes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SETS = {"train": ("rows learnt from", CALIBRATION_LOSS), "valid": ("rows set aside", GROUPING_LOSS)}


def curve(rows: Sequence[dict[str, Any]], ax: Axes | None = None) -> Figure:
    """Cross entropy of both sets of rows by epoch (or step), and what of it is floor.

    Args:
        rows: of a fit's curve, one dict per epoch or step; in nats.
        ax: axes to draw on; a new figure when left out.

    Returns:
        The figure; what lies between a line and the floor of its colour is KL(P||Q).
    """
    figure, ax = axes_of(ax, 7.0, 4.0)
    step = "epoch" if rows and "epoch" in rows[0] else "step"
    x = np.array([row[step] for row in rows])
    if rows and "elbo" in rows[0]:
        ax.plot(x, [row["elbo"] for row in rows], color=FLOOR, label="ELBO")
        ax.set(xlabel=step, ylabel="nat")
        ax.legend(frameon=False)
        return figure
    drawn = [name for name in SETS if any(row.get(f"{name}_floor") is not None for row in rows)]
    for name in drawn:
        label, colour = SETS[name]
        loss, floor = (
            np.array([_or_nan(row.get(f"{name}_{what}")) for row in rows], dtype=float)
            for what in ("cross_entropy", "floor")
        )
        only = np.isfinite(loss).sum() == 1
        marker = "o" if only else ""
        last = name == drawn[-1]
        ax.plot(x, loss, color=colour, marker=marker, label=f"cross entropy, {label}")
        ax.plot(x, floor, color=colour, linestyle="--", linewidth=1, label=f"floor H(P), {label}")
        if last and not only:
            ax.fill_between(x, floor, loss, color=colour, alpha=0.15, label="KL(P||Q) between them")
            ax.fill_between(x, 0, floor, color=FLOOR, alpha=0.15)
    best = [row["epoch"] for row in rows if row.get("best")]
    if best:
        ax.axvline(best[0], color=UNKNOWN, linestyle=":", linewidth=1.2, label="kept")
    ax.set(xlabel=step, ylabel="nat per row")
    ax.set_ylim(bottom=0)
    ax.locator_params(axis="x", integer=True)
    ax.legend(frameon=False, fontsize="small")
    return figure


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
