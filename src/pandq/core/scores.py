"""Scores that are not divergences: Brier, top class, confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core.numerics import row_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.laws import Law


def brier_score(p: Law, q: Law) -> NDArray[np.float64]:
    """Expected squared error of Q for a label drawn from P (Brier 1950).

    sum (p - q)^2 + sum p (1 - p): what can be removed, and P's own part.
    """
    return row_sums(np.square(p.prob - q.prob) + p.prob * (1.0 - p.prob))


def top_class(q: Law) -> NDArray[np.intp]:
    """The most probable class of each row; the lowest index among equals."""
    # neither is rounded: logarithms of probabilities would make equals of neighbours
    ranked = q.prob if q.scores is None else q.scores
    top: NDArray[np.intp] = ranked.argmax(axis=1)
    return top


def confidence(q: Law) -> NDArray[np.float64]:
    """The largest probability of each row."""
    largest: NDArray[np.float64] = q.prob.max(axis=1)
    return largest
