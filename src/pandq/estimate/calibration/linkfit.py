"""The cumulative map fitted: one line through the log-odds of all cumulative probabilities.

    logit P'(k or before) = a logit P(k or before) + b,  a > 0

It moves and sharpens all thresholds between ordered classes alike, so that a row that Q ranks above
another (more probability beyond every threshold) stays above it. Its loss is convex in a and b.

Source: McCullagh 1980, Regression models for ordinal data (cumulative logits); Pratt 1981,
Concavity of the log likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special
from scipy.optimize import minimize

from pandq.core.cumulative import Edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.estimate.calibration.foldrows import FoldRows, Training

    Array = NDArray[np.float64]

SCALES = 1e-3, 1e3
"""Where a is looked for: where a model's order is worthless it stays at the lower end."""

RIDGE = 0.1
"""On b, in rows: where all labels are beyond one threshold there would be no end to it."""


def cumulative_map(rows: FoldRows, training: Training) -> tuple[dict[str, Array], Array]:
    """The parameters of the map, and its probabilities of all entries.

    Args:
        rows: all rows.
        training: which of them it is fitted to.
    """
    weight = rows.of_entries(training, rows.movable)
    some = weight > 0
    edges = Edges(*(rows.of_entries(training, x)[some] for x in rows.edges))
    weight = training.factor * weight[some]

    def objective(theta: Array) -> tuple[float, Array]:
        loss, slope = loss_and_slope(edges, weight, *theta.tolist())
        ridge = np.array([0.0, RIDGE * theta[1]])
        return (loss + ridge[1] * theta[1] / 2) / training.n, (slope + ridge) / training.n

    found = minimize(
        objective,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[SCALES, (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    a, b = (float(x) for x in found.x)
    return {"a": np.array(a), "b": np.array(b)}, np.exp(rows.edges.log_mapped(a, b))


def loss_and_slope(edges: Edges, weight: Array, a: float, b: float) -> tuple[float, Array]:
    """Sum of weight times -log of the map's probability, and its slopes in a and b.

    Args:
        edges: of classes that Q does not rule out, (e,) each.
        weight: (e,) float64.
        a: scale, positive.
        b: summand.

    >>> edges = Edges.of(np.log([[0.5, 0.5]]))
    >>> loss, slope = loss_and_slope(edges, np.array([[1.0, 0.0]]), 1.0, 0.0)
    >>> round(loss, 6), (slope + 0.0).tolist()
    (0.693147, [0.0, -0.5])
    """
    at_above, at_below = special.expit(-a * edges.above - b), special.expit(a * edges.below + b)
    # at an end there is no edge, and nothing that moves
    above, below, width = (
        np.where(np.isfinite(x), x, 0.0) for x in (edges.above, edges.below, edges.width)
    )
    shrunk = np.where(np.isfinite(edges.width), a * width, 1.0)
    part = width * np.exp(-shrunk) / -np.expm1(-shrunk)
    of_scale = above * at_above - below * at_below + part
    loss = -float(np.sum(weight * edges.log_mapped(a, b)))
    slope = np.array([np.sum(weight * of_scale), np.sum(weight * (at_above - at_below))])
    return loss, -slope
